"""From the events of one signal, in order, to the rows of a file of edges.

A log says when detectors changed, and seldom how they stood before; nobody tells when nobody
listened. Both are taken from it: a detector whose first change is an end was occupied before, and a
stretch in which the controller logged nothing at all was watched by nobody. It is no silence.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final, NamedTuple

from edge.recordings.eventcodes import (
    CARD_SAYS,
    DETECTOR_OFF,
    DETECTOR_ON,
    FOUND_FREE,
    GREEN_BEGINS,
    LOG_GOES_ON,
    OF_DETECTORS,
    OF_PHASES,
    UNWATCHED,
)
from edge.recordings.eventsort import LoggedEvent
from edge.recordings.localtime import Span

MINUTE_MS: Final = 60_000
GAP_MS: Final = 300_000
"""For so long a controller is never silent while its log is kept (as in the atspm package: five
minutes without an event are no data)."""
HALF_TICK_MS: Final = 50  # of the tenth of a second in which controllers count


class EdgeLine(NamedTuple):
    """A row of a file of edges."""

    t_ms: int
    line: str
    level: str


class CardWord(NamedTuple):
    """What the loop card said of a detector."""

    t_ms: int
    line: str
    said: str


@dataclass
class SignalSurvey:
    """What a first look shows of a signal; times are in ms of UTC.

    `watched` says that the log itself tells when detectors are watched, as those of IRIS do. Then
    silence is no gap. `names` are those of detectors that have more than a number.
    """

    watched: bool = False
    names: dict[int, str] = field(default_factory=dict)
    first_ms: int = 0
    last_ms: int = 0
    gaps: list[Span] = field(default_factory=list)
    lines: set[str] = field(default_factory=set)
    occupied: set[tuple[int, str]] = field(default_factory=set)  # (gaps before, line): found on
    actuations: int = 0
    card_words: int = 0
    repeated_on: int = 0  # an end is missing
    repeated_off: int = 0
    short: int = 0  # begin and end within one tick

    @property
    def start_ms(self) -> int:
        """0 of the file of edges: a whole minute."""
        return self.first_ms // MINUTE_MS * MINUTE_MS

    @property
    def gap_ms(self) -> int:
        """All gaps together."""
        return sum(to_ms - from_ms for from_ms, to_ms in self.gaps)

    def line(self, event: LoggedEvent) -> str:
        """The line of a detector or of a phase."""
        if event.code in OF_PHASES:
            return phase_line(event.channel)
        return self.names.get(event.channel) or detector_line(event.channel)


def detector_line(channel: int) -> str:
    """How a detector of a controller is called."""
    return f"D{channel}"


def phase_line(phase: int) -> str:
    """How the green of a phase is called."""
    return f"P{phase}"


def survey_signal(
    events: Iterable[LoggedEvent], survey: SignalSurvey, gap_ms: int = GAP_MS
) -> None:
    """Look at all events of a signal, in order. `gap_ms` 0: the log has no gaps."""
    seen: dict[str, int] = {}  # since the last gap, and when first
    before_ms = 0
    for event in events:
        if not survey.first_ms:
            survey.first_ms = before_ms = event.t_ms
        if gap_ms and not survey.watched and event.t_ms - before_ms > gap_ms:
            survey.gaps.append(Span(before_ms, event.t_ms))
            seen = {}
        survey.last_ms = before_ms = event.t_ms
        if event.code == LOG_GOES_ON:
            continue
        line = survey.line(event)
        survey.lines.add(line)
        survey.actuations += event.code == DETECTOR_ON
        if event.code in CARD_SAYS:
            survey.card_words += 1
        elif line not in seen:
            seen[line] = event.t_ms
            if event.code not in (DETECTOR_ON, GREEN_BEGINS):
                survey.occupied.add((len(survey.gaps), line))
        elif event.code == DETECTOR_ON and seen[line] == event.t_ms:
            survey.occupied.discard((len(survey.gaps), line))  # there and back in its first tick


class SignalEdges:
    """Writes down what the events of a signal are as edges, and what its card said."""

    def __init__(self, survey: SignalSurvey, lines: Collection[str]) -> None:
        """`lines` are those of the site: rows of no other are written. They are watched even if
        nothing was logged of them."""
        self._survey = survey
        self._lines = dict.fromkeys(sorted(lines))
        self._on: dict[str, bool] = {}
        self._late: list[EdgeLine] = []  # of this tick, between it and the next one
        self._gaps = 0  # so far
        self.said: list[CardWord] = []  # since it was emptied

    def rows(self, events: Iterable[LoggedEvent]) -> Iterator[EdgeLine]:
        """All rows, in order. `said` grows as they are taken."""
        survey = self._survey
        if not survey.watched:
            yield from self._found(survey.first_ms)
        for (t_ms, _), group in groupby(events, key=lambda e: (e.t_ms, e.channel)):
            at = t_ms - survey.start_ms
            codes = {event.code: event for event in group}
            if self._late:
                yield from self._due(at, {survey.line(event) for event in codes.values()})
            if self._gaps < len(survey.gaps) and t_ms >= survey.gaps[self._gaps].to_ms:
                yield from self._gap(survey.gaps[self._gaps])
            for row in self._changes(at, codes):
                if row.line not in self._lines:
                    continue
                if row.t_ms > at:
                    self._late.append(row)
                else:
                    yield row
        yield from self._late

    def _due(self, at: int, lines: Collection[str]) -> Iterator[EdgeLine]:
        """What lay between the ticks, up to this one; sooner where its line changes again."""
        late, self._late = self._late, []
        for row in late:
            if row.t_ms <= at or row.line in lines:
                yield row._replace(t_ms=min(row.t_ms, at))
            else:
                self._late.append(row)

    def _found(self, t_ms: int) -> Iterator[EdgeLine]:
        """Watching begins; how the lines stand."""
        for line in self._lines:
            on = (self._gaps, line) in self._survey.occupied
            self._on[line] = on
            yield EdgeLine(t_ms - self._survey.start_ms, line, "=1" if on else "=0")

    def _gap(self, gap: Span) -> Iterator[EdgeLine]:
        self._gaps += 1
        for line in self._lines:  # a tick may have had its end after the last event
            yield EdgeLine(gap.from_ms - self._survey.start_ms + HALF_TICK_MS, line, "?")
        yield from self._found(gap.to_ms)

    def _changes(self, at: int, codes: dict[int, LoggedEvent]) -> Iterator[EdgeLine]:
        """What one detector, and the phase of the same number, did in one tick."""
        detector = [event for code, event in codes.items() if code in OF_DETECTORS]
        phase = [event for code, event in codes.items() if code in OF_PHASES]
        if detector:
            line = self._survey.line(detector[0])
            yield from self._detector(at, line, codes)
            self.said += [
                CardWord(at, line, CARD_SAYS[e.code]) for e in detector if e.code in CARD_SAYS
            ]
        if phase:
            yield from self._phase(at, self._survey.line(phase[0]), codes)
        for code, level in ((UNWATCHED, "?"), (FOUND_FREE, "=0")):
            if code in codes:
                line = self._survey.line(codes[code])
                self._on[line] = False
                yield EdgeLine(at, line, level)

    def _detector(self, at: int, line: str, codes: dict[int, LoggedEvent]) -> Iterator[EdgeLine]:
        on = self._on.get(line, False)
        if DETECTOR_ON in codes and DETECTOR_OFF in codes:
            self._survey.short += 1
            yield EdgeLine(at, line, "0" if on else "1")
            yield EdgeLine(at + HALF_TICK_MS, line, "1" if on else "0")
        elif DETECTOR_ON in codes:
            self._survey.repeated_on += on
            self._on[line] = True
            yield EdgeLine(at, line, "1")
        elif DETECTOR_OFF in codes:
            self._survey.repeated_off += not on
            self._on[line] = False
            yield EdgeLine(at, line, "0")

    def _phase(self, at: int, line: str, codes: dict[int, LoggedEvent]) -> Iterator[EdgeLine]:
        """Green begins and ends; that it ends is logged twice, by two codes."""
        green = GREEN_BEGINS in codes
        if green != self._on.get(line, False):
            self._on[line] = green
            yield EdgeLine(at, line, "1" if green else "0")
