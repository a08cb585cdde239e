"""`kerbstone` whose bus `hut` hangs in a system call while a file says so, and soon is too long.

Beside the socket of that bus: as long as `hang` is there, each new transfer opens the pipe `never`,
and that returns when somebody else opens it, too; `hang_commit` in $HANG does the same to commits.
A test has no 90 s; all else is as it is.
"""

import os
import sys
from pathlib import Path
from typing import Any, Final

from drivers.buses.i2c import SmbusI2c
from edge.cli.main import main
from edge.gateway import busworkers
from edge.health import progress
from edge.outbox.outbox import Outbox

SOCKET: Final = "hut.sock"
FLOOR_S: Final = 3.0
LATE_S: Final = 1.5  # between two looks: the process was stopped

if __name__ == "__main__":
    for module, name, value in (
        (busworkers, "FLOOR_S", FLOOR_S), (busworkers, "LOOK_NS", 300_000_000), (progress,
        "LATE_S", LATE_S),
    ):  # fmt: skip
        assert hasattr(module, name)
        setattr(module, name, value)
    send = SmbusI2c._send

    def _send(bus: SmbusI2c, *arguments: Any) -> None:
        folder = Path(bus.path.removeprefix("sim:")).parent
        if bus.path.endswith(SOCKET) and (folder / "hang").exists():
            os.close(os.open(folder / "never", os.O_RDONLY))
        send(bus, *arguments)

    commit = Outbox.commit

    def _commit(outbox: Outbox, *arguments: Any, **named: Any) -> Any:
        folder = Path(os.environ.get("HANG", "/nowhere"))
        if (folder / "hang_commit").exists():
            (folder / "hangs").touch()
            os.close(os.open(folder / "never", os.O_RDONLY))
        return commit(outbox, *arguments, **named)

    Outbox.commit = _commit  # type: ignore[method-assign,assignment]
    SmbusI2c._send = _send  # type: ignore[method-assign,assignment]
    sys.exit(main())
