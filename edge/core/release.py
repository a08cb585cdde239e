"""When this version was made: no clock that shows an earlier time is right."""

import calendar
from datetime import date
from typing import Final

RELEASED: Final = date(2026, 11, 30)
"""A day on which this version was not finished yet; moved forward with each release."""

RELEASED_NS: Final = calendar.timegm(RELEASED.timetuple()) * 1_000_000_000  # Unix time, UTC
