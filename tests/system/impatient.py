"""`kerbstone` for which a configuration is good after a second of good health, not five minutes."""

import sys

from edge.cli.main import main
from edge.gateway import configtrial

if __name__ == "__main__":
    for name, value in (("GOOD_NS", 1_000_000_000), ("LOOK_NS", 200_000_000)):
        assert hasattr(configtrial, name)
        setattr(configtrial, name, value)
    sys.exit(main())
