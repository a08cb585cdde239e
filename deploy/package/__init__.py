"""What a box is given: a slot of the program, a .deb, an offline bundle, and their SBOM."""

import importlib.util
import sys

if sys.version_info < (3, 11) or importlib.util.find_spec("packaging") is None:
    sys.exit(
        "error: this needs the developers' environment, with Python 3.11 to 3.13:"
        " `make venv`, then .venv/bin/python -m ..."
    )
