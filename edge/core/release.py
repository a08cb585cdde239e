"""Which version this is, and when it was made: no clock that shows an earlier time is right."""

import calendar
from datetime import date
from typing import Final

VERSION: Final = "0.3.0"
"""As in pyproject.toml: to ask the installed package would load a large library into the daemon."""

RELEASED: Final = date(2026, 11, 30)
"""A day on which this version was not finished yet; moved forward with each release."""

RELEASED_NS: Final = calendar.timegm(RELEASED.timetuple()) * 1_000_000_000  # Unix time, UTC
