"""Reads vehicle logs of IRIS (`.vlog`, one detector and day each) into a sort of events.

Source: IRIS (Minnesota DOT), docs/vehicle_detection.md, "Text Vehicle Logging". A line is a
vehicle: duration in ms, headway in ms, local time HH:MM:SS, speed in mph, length in feet. Commas at
its end are left out, `?` stands for a duration or headway that is not known. The time is when the
vehicle left, and stands there only after an unknown headway and at the first vehicle of an hour;
the headway is from arrival to arrival. `*` is a gap: nobody listened. The day is the name of the
folder (20261130), the detector that of the file.

A vehicle whose time is not known is put where its headway or its neighbours place it, as IRIS does.
Speeds and lengths are not carried over: edges have none.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from edge.core.errors import ConfigError
from edge.recordings.eventcodes import DETECTOR_OFF, DETECTOR_ON, FOUND_FREE, UNWATCHED
from edge.recordings.eventsort import EventSort, LoggedEvent
from edge.recordings.leftout import LeftOut
from edge.recordings.localtime import MS, NAIVE_EPOCH, LogClock
from edge.recordings.tablefile import LoggedTime

SUFFIX: Final = ".vlog"
GAP: Final = "*"
UNKNOWN: Final = "?"
TIME: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d):([0-5]\d)")
DURATIONS_MS: Final = (1, 60_000)
HEADWAYS_MS: Final = (1, 3_600_000)
STAMP_MS: Final = 2000  # times are whole seconds; by more than this the clock was set
WAITING: Final = 10_000  # vehicles without a time that wait for one
TYPICAL: Final = 101  # durations of which the median stands for one that is not known
FIRST_MS: Final = 400  # and before there is any
LINE_LIMIT: Final = 200
DETECTORS: Final = 4000  # of one import

BAD_LINE: Final = "lines that are no vehicle and no gap"
NO_PLACE: Final = "vehicles whose time is not known"
BACKWARD: Final = "vehicles before the one that was logged before"
PLACED: Final = "vehicles without a time of their own (put between their neighbours)"
NO_DURATION: Final = "vehicles without a duration (the detector's usual one is taken)"
CUT: Final = "vehicles that had not left when the next one came (cut short)"
GAPS: Final = "gaps in which nobody listened"


class VlogVehicle(NamedTuple):
    """A line of a log. None is what is not known; `left_s` are seconds since midnight."""

    duration_ms: int | None
    headway_ms: int | None
    left_s: int | None


def parse_vehicle(text: str) -> VlogVehicle | None:
    """A line that is no gap; None if it is no vehicle either."""
    cells = [cell.strip() for cell in text.split(",")]
    if not 2 <= len(cells) <= 5:
        return None
    try:
        duration_ms = _known(cells[0], DURATIONS_MS)
        headway_ms = _known(cells[1], HEADWAYS_MS)
    except ValueError:
        return None
    left_s = None
    if len(cells) > 2 and cells[2]:
        found = TIME.fullmatch(cells[2])
        if found is None:
            return None
        left_s = int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3])
    if any((cell and not cell.isascii()) or cell.strip("0123456789.") for cell in cells[3:]):
        return None
    return VlogVehicle(duration_ms, headway_ms, left_s)


def _known(cell: str, bounds: tuple[int, int]) -> int | None:
    """Raises ValueError for what is no number. One that cannot be is not known."""
    if cell == UNKNOWN:
        return None
    if not cell.isascii() or not cell.isdigit():
        raise ValueError(cell)
    value = int(cell)
    return value if bounds[0] <= value <= bounds[1] else None


@dataclass
class IrisLogs:
    """Files of one import. `detectors` gives each detector its number in the sort."""

    sort: EventSort
    zone: tzinfo
    left_out: LeftOut
    detectors: dict[str, int] = field(default_factory=dict)
    rows: int = 0
    _days: dict[int, dict[date, bool]] = field(default_factory=dict)  # watched at its end?

    def read(self, path: Path) -> None:
        """One file more. Raises ConfigError for one that cannot be read, OSError without room."""
        midnight = log_day(path)  # of the wall clock
        name = path.name.removesuffix(SUFFIX)
        if name not in self.detectors and len(self.detectors) >= DETECTORS:
            raise ConfigError(f"{path}: more than {DETECTORS} detectors: import fewer at once")
        number = self.detectors.setdefault(name, len(self.detectors) + 1)
        placed = _Placement(LogClock(self.zone), midnight, self.left_out)
        out = _Written(self.sort, number, self.left_out)
        began = False
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                for row, text in enumerate(iter(lambda: file.readline(LINE_LIMIT), ""), 1):
                    text = text.strip()
                    if not text:
                        continue
                    self.rows += 1
                    if text == GAP:
                        self.left_out.note(GAPS)
                        out.vehicles(placed.end())
                        out.gap(placed.utc_ms(0))
                    elif (vehicle := parse_vehicle(text)) is None:
                        self.left_out.add(BAD_LINE, path, row, text)
                        continue
                    else:
                        if not began:
                            out.begin(placed.utc_ms(0))
                        out.vehicles(placed.take(vehicle))
                    began = True
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
        out.vehicles(placed.end())
        out.flush(None)
        self._days.setdefault(number, {})[midnight] = out.watched

    def end(self) -> None:
        """All files were read. Nobody watched a detector on days of which there is no file."""
        every = {day for days in self._days.values() for day in days}
        for number, days in self._days.items():
            for day, watched in days.items():
                after = day + timedelta(days=1)
                if watched and after not in days and any(later > day for later in every):
                    at_ms = _Placement(LogClock(self.zone), after, self.left_out).utc_ms(0)
                    self.sort.take(LoggedEvent(0, at_ms, number, UNWATCHED))


def log_day(path: Path) -> date:
    """The day of a file, by its folder. Raises ConfigError for one that is no day."""
    name = path.resolve().parent.name
    try:
        if len(name) == 8 and name.isascii() and name.isdigit():
            return datetime.strptime(name, "%Y%m%d").date()  # noqa: DTZ007 (of the wall clock)
    except ValueError:
        pass
    raise ConfigError(
        f"{path}: the folder of a .vlog is named after its day, as in 20261130/{path.name}; this "
        f"one is named {name!r}. Put the file into such a folder"
    )


class _Placement:
    """When each vehicle came: from times, headways, and those around it."""

    def __init__(self, clock: LogClock, day: date, left_out: LeftOut) -> None:
        self._clock = clock
        midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 (of the wall clock)
        self._midnight_ms = (midnight - NAIVE_EPOCH) // MS
        self._left_out = left_out
        self._came_ms: int | None = None  # the last one whose time is known
        self._waiting: list[VlogVehicle] = []
        self._usual: deque[int] = deque(maxlen=TYPICAL)

    def utc_ms(self, since_midnight_ms: int) -> int:
        """Of the wall clock of this day."""
        return self._clock.utc_ms(LoggedTime(self._midnight_ms + since_midnight_ms, False))

    def take(self, vehicle: VlogVehicle) -> Iterator[tuple[int, int]]:
        """Arrival in ms of UTC and duration of those that are known by now."""
        came_ms = self._came(vehicle)
        if came_ms is None:
            if len(self._waiting) < WAITING:
                self._waiting.append(vehicle)
            else:
                self._left_out.add(NO_PLACE)
            return
        yield from self._place(vehicle, came_ms)
        self._came_ms = came_ms
        yield came_ms, self._duration_ms(vehicle)

    def end(self) -> Iterator[tuple[int, int]]:
        """A gap begins, or the file ends: those that still wait are not placed."""
        for _ in self._waiting:
            self._left_out.add(NO_PLACE)
        self._waiting = []
        self._came_ms = None
        yield from ()

    def _came(self, vehicle: VlogVehicle) -> int | None:
        """By its headway, in ms; by its time, in seconds, where they do not agree."""
        after_ms = None
        if self._came_ms is not None and vehicle.headway_ms is not None and not self._waiting:
            after_ms = self._came_ms + vehicle.headway_ms
        if vehicle.left_s is None:
            return after_ms
        lasted_ms = vehicle.duration_ms or self._typical_ms()
        stamped_ms = self.utc_ms(vehicle.left_s * 1000) - lasted_ms
        if after_ms is not None and abs(after_ms - stamped_ms) <= STAMP_MS:
            return after_ms
        return stamped_ms

    def _place(self, vehicle: VlogVehicle, came_ms: int) -> Iterator[tuple[int, int]]:
        """Those that waited, now that the time of the next one is known."""
        waiting, self._waiting = self._waiting, []
        known: list[int] = []  # backward, as long as there are headways
        headway_ms, at_ms = vehicle.headway_ms, came_ms
        for each in reversed(waiting):
            if headway_ms is None:
                break
            at_ms -= headway_ms
            known.append(at_ms)
            headway_ms = each.headway_ms
        known.reverse()
        between = waiting[: len(waiting) - len(known)]
        until_ms = known[0] if known else came_ms
        if between and self._came_ms is not None and self._came_ms < until_ms:
            step_ms = (until_ms - self._came_ms) / (len(between) + 1)
            known = [self._came_ms + round(step_ms * (i + 1)) for i in range(len(between))] + known
        else:
            for _ in between:
                self._left_out.add(NO_PLACE)
            waiting = waiting[len(between) :]
        self._left_out.note(PLACED, len(waiting))
        for each, at_ms in zip(waiting, known, strict=True):
            yield at_ms, self._duration_ms(each)

    def _duration_ms(self, vehicle: VlogVehicle) -> int:
        if vehicle.duration_ms is None:
            self._left_out.note(NO_DURATION)
            return self._typical_ms()
        self._usual.append(vehicle.duration_ms)
        return vehicle.duration_ms

    def _typical_ms(self) -> int:
        return round(median(self._usual)) if self._usual else FIRST_MS


class _Written:
    """Gives the sort what the vehicles of one detector are as events."""

    def __init__(self, sort: EventSort, number: int, left_out: LeftOut) -> None:
        self._sort = sort
        self._number = number
        self._left_out = left_out
        self._last: tuple[int, int] | None = None  # when it came, and when it left
        self._latest_ms = 0  # of what was written
        self.watched = False

    def begin(self, at_ms: int) -> None:
        """The file begins without a gap: the detector was watched from midnight on."""
        self._event(at_ms, FOUND_FREE)
        self.watched = True

    def vehicles(self, some: Iterator[tuple[int, int]]) -> None:
        """Vehicles in order, each with its duration."""
        for came_ms, lasted_ms in some:
            before_ms = self._last[0] if self._last is not None else self._latest_ms
            if came_ms <= before_ms:
                self._left_out.add(BACKWARD)
                continue
            self.flush(came_ms)
            self._last = came_ms, came_ms + lasted_ms

    def gap(self, midnight_ms: int) -> None:
        """Nobody listened, from the end of the last vehicle on, or from the begin of the day."""
        from_ms = self._last[1] + 1 if self._last is not None else self._latest_ms or midnight_ms
        self.flush(None)
        self._event(from_ms, UNWATCHED)
        self.watched = False

    def flush(self, next_ms: int | None) -> None:
        """The last vehicle is over: the next one comes, or there is none."""
        if self._last is None:
            return
        came_ms, left_ms = self._last
        if next_ms is not None and left_ms >= next_ms:
            self._left_out.note(CUT)
            left_ms = max(came_ms + 1, next_ms - 1)
        if next_ms is None or came_ms + 1 < next_ms:
            self._event(came_ms, DETECTOR_ON)
            self._event(left_ms, DETECTOR_OFF)
        self.watched = True
        self._last = None

    def _event(self, t_ms: int, code: int) -> None:
        self._latest_ms = t_ms
        self._sort.take(LoggedEvent(0, t_ms, self._number, code))
