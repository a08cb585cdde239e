"""The time of a log as UTC: controllers write what their clock shows, mostly local time.

When summer time ends, a clock shows one hour twice. In a file in the order of time the second one
begins where the clock goes back; where a file does not show that, nobody can tell the two apart,
and the rows of that hour are left out.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from edge.core.errors import ConfigError
from edge.recordings.tablefile import LoggedTime

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
NAIVE_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 (of a wall clock somewhere)
MS: Final = timedelta(milliseconds=1)
QUARTER_MS: Final = 900_000  # no zone changes its clock within a quarter of an hour
BACK_MS: Final = 600_000  # a clock that goes back by more was set; less is a row out of order
EARLIEST_MS: Final = 315_532_800_000  # 1980: what is earlier is a clock that was never set
LATEST_MS: Final = 4_102_444_800_000  # 2100
AMERICAN: Final = re.compile(
    r"(\d{1,2})/(\d{1,2})/(\d{4}) (\d{1,2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(?: ?([AaPp])[Mm])?"
)
KEPT: Final = 4096  # quarters of an hour of which the offset is remembered


def read_moment(cell: object) -> LoggedTime | None:
    """A time as logs write it; None if it is none.

    ISO 8601 with or without an offset, or month/day/year as American exports have it.
    """
    if isinstance(cell, LoggedTime):
        return cell
    text = str(cell)
    try:
        when = datetime.fromisoformat(text) if ":" in text else None
    except ValueError:
        when = _american(text)
    if when is None:
        return None
    if when.tzinfo is None:
        return LoggedTime((when - NAIVE_EPOCH) // MS, False)
    return LoggedTime((when - EPOCH) // MS, True)


def _american(text: str) -> datetime | None:
    found = AMERICAN.fullmatch(text)
    if found is None:
        return None
    month, day, year, hour, minute, second = (int(found[i]) for i in range(1, 7))
    if found[8]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if found[8] in "Pp" else 0)
    micros = int((found[7] or "0").ljust(6, "0")[:6])
    try:
        return datetime(year, month, day, hour, minute, second, micros)  # noqa: DTZ001
    except ValueError:
        return None


def read_zone(name: str) -> ZoneInfo:
    """Raises ConfigError for what is no zone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(
            f"{name[:60]!r} is not a time zone; zones are called Europe/Berlin or "
            "America/Los_Angeles, and a clock that knows no summer time Etc/GMT+8 (8 h behind UTC)"
        ) from error


class Span(NamedTuple):
    """From..to, in ms of UTC."""

    from_ms: int
    to_ms: int


class _DoubledHour:
    """What was seen of an hour that the clock showed twice."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self.second = False  # the clock has gone back
        self.unclear = False  # and not just once
        self.last_ms = 0  # of the wall clock


class LogClock:
    """The clock of one log: turns its moments into UTC, in the order of the file."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._offsets: dict[int, int | _DoubledHour] = {}  # by quarter of the wall clock's hours
        self._doubled: dict[int, _DoubledHour] = {}  # by the begin of its span
        self._inside: _DoubledHour | None = None  # of which the last moment was
        self._latest_ms = 0  # of the wall clock
        self.skipped = 0  # moments that no clock of this zone shows: summer time began

    def utc_ms(self, moment: LoggedTime) -> int:
        """The moment in ms since 1970."""
        if moment.utc:
            return moment.ms
        ms = moment.ms
        self._latest_ms = max(self._latest_ms, ms)
        found = self._offsets.get(ms // QUARTER_MS)
        if found is None:
            found = self._look_up(ms // QUARTER_MS)
        if isinstance(found, int):
            self._inside = None
            return ms - found
        if self._inside is not found:
            found.unclear |= found.last_ms > 0  # the file has left the hour, and comes back to it
            self._inside = found
        if found.last_ms - ms > BACK_MS:
            found.unclear |= found.second
            found.second = True
        found.last_ms = ms
        half_ms = (found.span.to_ms - found.span.from_ms) // 2
        return ms - self._offset_ms(ms, 0) + (half_ms if found.second else 0)

    def unclear(self) -> list[Span]:
        """Doubled hours whose rows cannot be told apart, once the whole log was read."""
        return [
            hour.span
            for hour in self._doubled.values()
            if hour.unclear or (not hour.second and self._latest_ms > hour.last_ms + BACK_MS)
        ]

    def _look_up(self, quarter: int) -> int | _DoubledHour:
        ms = quarter * QUARTER_MS
        first, second = self._offset_ms(ms, 0), self._offset_ms(ms, 1)
        if first > second:  # the clock goes back by the difference
            begin = ms
            while self._offset_ms(begin - QUARTER_MS, 0) > self._offset_ms(begin - QUARTER_MS, 1):
                begin -= QUARTER_MS
            span = Span(begin - first, begin - first + 2 * (first - second))
            return self._remember(
                quarter, self._doubled.setdefault(span.from_ms, _DoubledHour(span))
            )
        self.skipped += first < second
        return self._remember(quarter, first)

    def _remember(self, quarter: int, found: int | _DoubledHour) -> int | _DoubledHour:
        if len(self._offsets) >= KEPT:
            self._offsets.clear()
        self._offsets[quarter] = found
        return found

    def _offset_ms(self, wall_ms: int, fold: int) -> int:
        wall = (NAIVE_EPOCH + wall_ms * MS).replace(tzinfo=self._zone, fold=fold)
        offset = wall.utcoffset()
        return 0 if offset is None else offset // MS
