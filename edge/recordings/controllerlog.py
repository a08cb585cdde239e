"""Reads high-resolution logs of signal controllers (Indiana event codes) into a sort of events.

Columns are those of the `atspm` package (TimeStamp, DeviceId, EventId, Parameter), of UDOT's ATSPM
(Timestamp, SignalID, EventCode, EventParam) and the like. A file without a column for the signal
is the log of one signal, which then has the name of the file. See `eventcodes` for what is read.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Final

from edge.core.errors import ConfigError
from edge.recordings.eventcodes import (
    CHANNELS,
    CODE_LIMIT,
    LOG_GOES_ON,
    OF_DETECTORS,
    OF_PHASES,
    PHASES,
)
from edge.recordings.eventsort import EventSort, LoggedEvent
from edge.recordings.leftout import LeftOut
from edge.recordings.localtime import EARLIEST_MS, LATEST_MS, LogClock, Span, read_moment
from edge.recordings.tablefile import Column, read_table, whole_number, word

COLUMNS: Final = (
    Column(("TimeStamp", "DateTime", "Time")),
    Column(("EventId", "EventCode", "EventType", "Event", "Code")),
    Column(("Parameter", "EventParam", "EventParameter", "Param")),
    Column(
        ("DeviceId", "SignalId", "Device", "Signal", "Intersection", "LocationIdentifier"),
        required=False,
    ),
)
SIGNALS: Final = 1000  # in one import
ALIVE_MS: Final = 10_000  # of what else a controller logs, one event in so long is kept

NO_TIME: Final = "rows without a time that can be read"
UNSET_CLOCK: Final = "rows of a clock that was not set (before 1980 or after 2100)"
NO_NUMBER: Final = "rows without an event code, or without a detector or phase for it"
NO_CHANNEL: Final = f"rows of a detector or phase that no controller has (1 to {CHANNELS})"
NO_SIGNAL: Final = "rows that name no signal"
NOT_ASKED: Final = "rows outside of --from and --to"
OTHER_SIGNALS: Final = "rows of other signals"
OTHER_CODES: Final = "rows of other event codes (they show that the log was kept)"
UNSORTED: Final = "rows earlier than the one before (sorted)"
NO_SUCH_TIME: Final = (
    "quarters of an hour in a time that the zone's clocks leave out: is this its zone?"
)


@dataclass(frozen=True)
class Wanted:
    """What of a log is read: signals by name (none: all), and a stretch of time in UTC."""

    signals: Collection[str] = ()
    span: Span | None = None


@dataclass
class ControllerLogs:
    """Files of one import. `signals` gives each signal its number in the sort."""

    sort: EventSort
    zone: tzinfo
    left_out: LeftOut
    wanted: Wanted = field(default_factory=Wanted)
    signals: dict[str, int] = field(default_factory=dict)
    rows: int = 0
    kinds: set[int] = field(default_factory=set)  # other event codes
    _clocks: dict[int, LogClock] = field(default_factory=dict)

    def read(self, path: Path) -> None:
        """One file more. Raises ConfigError for one that cannot be read, OSError without room."""
        told = self.left_out
        alive: dict[int, int] = {}  # by signal, the stretch of which something is kept
        latest: dict[int, int] = {}
        for number, cells, error in read_table(path, COLUMNS):
            self.rows += 1
            if error:
                told.add(f"rows that cannot be read: {error}", path, number)
                continue
            when, code, channel, device = cells
            moment = read_moment(when)
            if moment is None:
                told.add(NO_TIME, path, number, when)
                continue
            code, channel = whole_number(code), whole_number(channel)
            ours = code in OF_DETECTORS or code in OF_PHASES
            if code is None or not 0 <= code < CODE_LIMIT or (ours and channel is None):
                told.add(NO_NUMBER, path, number, f"{cells[1]},{cells[2]}")
                continue
            signal = self._signal(path, number, device)
            if signal is None:
                continue
            if not EARLIEST_MS < moment.ms < LATEST_MS:
                told.add(UNSET_CLOCK, path, number, when)
                continue
            t_ms = self._clocks[signal].utc_ms(moment)
            span = self.wanted.span
            if span is not None and not span.from_ms <= t_ms < span.to_ms:
                told.note(NOT_ASKED)
                continue
            if t_ms < latest.get(signal, 0):
                told.note(UNSORTED)
            latest[signal] = t_ms
            if ours and channel is not None:
                if not 1 <= channel <= (CHANNELS if code in OF_DETECTORS else PHASES):
                    told.add(NO_CHANNEL, path, number, channel)
                    continue
                self.sort.take(LoggedEvent(signal, t_ms, channel, code))
                continue
            told.note(OTHER_CODES)
            self.kinds.add(code)
            if alive.get(signal) != t_ms // ALIVE_MS:
                alive[signal] = t_ms // ALIVE_MS
                self.sort.take(LoggedEvent(signal, t_ms, 0, LOG_GOES_ON))

    def unclear(self) -> dict[int, list[Span]]:
        """By signal: hours that its clock showed twice, and that cannot be told apart."""
        self.left_out.note(NO_SUCH_TIME, sum(clock.skipped for clock in self._clocks.values()))
        return {signal: clock.unclear() for signal, clock in self._clocks.items()}

    def _signal(self, path: Path, number: int, device: object) -> int | None:
        name = word(device) if device is not None else path.name.split(".")[0]
        found = self.signals.get(name)
        if found is not None:
            return found
        if not name:
            self.left_out.add(NO_SIGNAL, path, number)
            return None
        if self.wanted.signals and name not in self.wanted.signals:
            self.left_out.note(OTHER_SIGNALS)
            return None
        if len(self.signals) >= SIGNALS:
            raise ConfigError(
                f"{path}, row {number}: more than {SIGNALS} signals. Name some with --signal"
            )
        self.signals[name] = len(self.signals)
        self._clocks[self.signals[name]] = LogClock(self.zone)
        return self.signals[name]
