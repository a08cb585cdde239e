"""A gateway of which the board and the boot are another one's: `kerbstone run` on another box.

old = BoxProcess(tmp_path / "a", broker, METER, serial="A1", boot="boot-a")
new = BoxProcess(tmp_path / "b", broker, METER, serial="B2", boot="boot-b")
"""

import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from tests.kit.broker import Mosquitto
from tests.kit.gateway import KERBSTONE, ROOT, GatewayProcess

RUN: Final = (
    "import sys, edge.gateway.daemon as daemon\n"
    "from edge.health.board import Board\n"
    "daemon.boot_id = lambda: {boot!r}\n"
    "daemon.read_board = lambda: Board('board', {serial!r})\n"
    "from edge.cli.main import main\n"
    "sys.exit(main())\n"
)


class BoxProcess(GatewayProcess):
    """A gateway on a box of its own."""

    def __init__(
        self, folder: Path, broker: Mosquitto, *parts: str, serial: str, boot: str, **words: Any
    ) -> None:
        folder.mkdir(exist_ok=True)
        super().__init__(folder, broker, *parts, **words)
        self.command = (sys.executable, "-c", RUN.format(boot=boot, serial=serial))  # type: ignore[misc]

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def run(self, verb: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """`kerbstone VERB ...` with the site file of this box."""
        command = [*KERBSTONE, verb, *map(str, words), "--config", str(self.config)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)

    def exit_code(self) -> int:
        """Of a start that ends by itself."""
        self.start()
        assert self._daemon is not None
        return self._daemon.wait(60)
