"""`kerbstone` where three hours are three readings, and the clock is taken to be synchronised.

A test has neither the time nor, in a container, the clock. All else is as it is.
"""

import sys

from drivers.chips import _sensirion_air
from edge.acquire.clock import SystemClock
from edge.cli.main import main
from tests.kit.clock import NTP

if __name__ == "__main__":
    for name, reads in (("LEARNT_READS", 3), ("STATE_EVERY", 1)):
        assert hasattr(_sensirion_air, name)
        setattr(_sensirion_air, name, reads)
    SystemClock._quality = lambda self, wall_ns: NTP  # type: ignore[method-assign]
    sys.exit(main())
