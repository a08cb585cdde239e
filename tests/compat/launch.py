"""`kerbstone ...` whose hours are seconds, with boot, clock and card that are told what to be.

$COMPAT_BOOT names the file with the boot's id; $COMPAT_MONO_NS and $COMPAT_WALL_NS are added to
the clocks, so that a box that was killed long ago goes on a moment later. As long as the file
$COMPAT_CARD is there, the card fails; $COMPAT_LIMIT is the size of the outbox in bytes, far below
what a site file may say. All else is as it is.
"""

import os
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any, Final

from drivers.chips import _saved_state, _sensirion_air
from edge.acquire import clock, timefloor
from edge.cli.main import main
from edge.gateway import lastgood, windowcommitter
from edge.kernelclock import Discipline
from edge.outbox import AsyncOutbox, mergeable, outboxfolder
from edge.uplink import delivery

S: Final = 1_000_000_000
# what takes minutes and hours, in seconds
SHORTER: Final[tuple[tuple[Any, str, int], ...]] = (
    (lastgood, "GOOD_NS", S),
    (lastgood, "LOOK_NS", S // 5),
    (windowcommitter, "MODEL_STATE_NS", 4 * S),
    (windowcommitter, "BASELINE_NS", 4 * S),
    (mergeable, "LIVE_NS", 3 * S),
    (delivery, "RETRY_MAX_NS", S // 2),
    (_saved_state, "LEARNT_READS", 3),
    (_sensirion_air, "LEARNT_READS", 3),
    (_sensirion_air, "STATE_EVERY", 1),
    (timefloor, "SETTLE_NS", 0),  # a wall far beyond the release is believed at once
)


def hurry() -> None:
    for module, name, value in SHORTER:
        assert hasattr(module, name)
        setattr(module, name, value)


def shift_clock() -> None:
    """Both clocks, and a kernel that says synchronised: a container has no time service."""
    mono_ns, wall_ns = (int(os.environ.get(f"COMPAT_{n}_NS", "0")) for n in ("MONO", "WALL"))
    known = clock.SystemClock.__init__.__kwdefaults__
    assert known is not None
    assert known.keys() >= {"kernel", "mono_ns", "wall_ns"}
    known["kernel"] = lambda: Discipline(True, 0)
    known["mono_ns"] = lambda: time.monotonic_ns() + mono_ns
    known["wall_ns"] = lambda: time.time_ns() + wall_ns
    assert hasattr(clock, "BOOT_ID")
    clock.BOOT_ID = Path(os.environ["COMPAT_BOOT"])  # type: ignore[misc]


def spoil_card(card: Path) -> None:
    """While that file is there no transaction begins on the card."""
    connect = sqlite3.connect

    def _connect(*arguments: Any, factory: Any = sqlite3.Connection, **named: Any) -> Any:
        class Spoilt(factory):  # type: ignore[misc]
            def execute(self, statement: str, *values: Any) -> Any:
                if statement.startswith("BEGIN") and card.exists():
                    error = sqlite3.OperationalError("disk I/O error")
                    error.sqlite_errorcode = sqlite3.SQLITE_IOERR
                    raise error
                return super().execute(statement, *values)

        return connect(*arguments, factory=Spoilt, **named)

    sqlite3.connect = _connect


def shrink_outbox(limit: int) -> None:
    assert hasattr(outboxfolder, "MIN_DATABASE_BYTES")
    outboxfolder.MIN_DATABASE_BYTES = 0  # type: ignore[misc]
    start = AsyncOutbox.start

    async def _start(folder: Path, **options: Any) -> AsyncOutbox:
        return await start(folder, **{**options, "limit_bytes": limit})

    AsyncOutbox.start = _start  # type: ignore[method-assign]


if __name__ == "__main__":
    hurry()
    shift_clock()
    if "COMPAT_CARD" in os.environ:
        spoil_card(Path(os.environ["COMPAT_CARD"]))
    if "COMPAT_LIMIT" in os.environ:
        shrink_outbox(int(os.environ["COMPAT_LIMIT"]))
    sys.exit(main())
