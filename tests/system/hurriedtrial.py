"""`kerbstone` for which minutes of a configuration's trial are seconds: its window, and how long it
may be deaf or blind."""

import sys

from edge.cli.main import main
from edge.gateway import lastgood, trialjudge

S = 1_000_000_000
HURRIED = (
    (lastgood, "GOOD_NS", 6 * S),
    (lastgood, "LOOK_NS", S // 5),
    (trialjudge, "DEAF_NS", 2 * S),
    (trialjudge, "BLIND_NS", 2 * S),
)

if __name__ == "__main__":
    for module, name, value in HURRIED:
        assert hasattr(module, name)
        setattr(module, name, value)
    sys.exit(main())
