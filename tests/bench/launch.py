"""`kerbstone ...` with the benchmarks' meter tables, as if they lay in /etc/kerbstone/meters."""

import sys
from pathlib import Path

from drivers.meters import mapfile
from edge.cli.main import main

mapfile.SITE = Path(__file__).parent / "tables"  # type: ignore[misc]

if __name__ == "__main__":
    sys.exit(main())
