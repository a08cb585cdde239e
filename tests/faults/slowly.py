"""Which tests are for `make faults` only."""

import os
from typing import Final

import pytest

ALL: Final = os.environ.get("FAULTS") == "all"
only_with_all: Final = pytest.mark.skipif(not ALL, reason="takes its time: FAULTS=all")
