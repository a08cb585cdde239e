"""`kerbstone ...` with the oracle's meter table, a boot that can be ended, and a clock that is set.

A container has one boot and no time service: $ORACLE_BOOT names the file with the boot's id, and
the kernel is taken to say synchronised. The wall itself is moved by libfaketime. All else is as
it is.
"""

import os
import sys
from pathlib import Path

from drivers.meters import mapfile
from edge.acquire import clock, timefloor
from edge.cli.main import main
from edge.kernelclock import Discipline

if __name__ == "__main__":
    mapfile.SITE = Path(__file__).parent / "tables"  # type: ignore[misc]
    assert hasattr(clock, "BOOT_ID")
    clock.BOOT_ID = Path(os.environ["ORACLE_BOOT"])  # type: ignore[misc]
    known = clock.SystemClock.__init__.__kwdefaults__
    assert known is not None
    assert "kernel" in known
    known["kernel"] = lambda: Discipline(True, 0)
    assert hasattr(timefloor, "SETTLE_NS")
    timefloor.SETTLE_NS = 0  # type: ignore[misc]  # a wall far beyond the release is believed at once
    sys.exit(main())
