"""A cabinet that `kerbstone sim site.toml` plays as a process, and commands in its folder.

sim = RunningSim(folder, "site.toml", "--flow", "0")
assert sim.command("sim", "drive", "north_1").code == 0
sim.end()
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.kit.command import CommandResult

ROOT = Path(__file__).parents[2]
KERBSTONE = [sys.executable, "-m", "edge.cli.main"]
SECONDS = 60


class RunningSim:
    """A simulation as a process of its own, and commands that are given in its folder."""

    def __init__(self, folder: Path, *words: object) -> None:
        self.folder, self._words = folder, words
        self.start()

    def start(self) -> None:
        """Start it (again)."""
        self.process = subprocess.Popen(
            [*KERBSTONE, "sim", *map(str, self._words), "--json"],
            cwd=self.folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        self.says: dict[str, Any] = json.loads(line)
        self.desk = Path(self.says["desk"])
        self.file = Path(self.says["file"])

    def command(self, *words: object) -> CommandResult:
        done = subprocess.run(
            [*KERBSTONE, *map(str, words)], cwd=self.folder, capture_output=True, text=True,
            timeout=SECONDS, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        return CommandResult(done.returncode, done.stdout, done.stderr)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=SECONDS)
        assert "Traceback" not in err
        return self.process.returncode
