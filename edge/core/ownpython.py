"""A process of our own code: with our modules, and none of the folder in which somebody stands.

`python -m` and `-c` look there first: with sudo, in /tmp, a file `json.py` of a stranger would run
as root.
"""

import os
import sys


def own_command(*words: str) -> list[str]:
    """This Python with these words, such as `-m`, `edge.cli.main`."""
    return [sys.executable, "-P", *words]


def own_environment() -> dict[str, str]:
    """Ours, with the places from which we have our modules."""
    places = os.pathsep.join(place for place in sys.path if place)
    return {**os.environ, "PYTHONPATH": places}
