"""`kerbstone import`: logs of the field become recorded edges and a draft of their site.

For each signal, or for all detectors of IRIS together, three files: NAME.csv.gz are the edges,
NAME.toml the site, and NAME.card.csv what the loop card said of its detectors. A site file that is
there already may have been completed by hand: it is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import groupby
from pathlib import Path
from typing import Final, TextIO

from edge.core.errors import ConfigError
from edge.durable.atomicwrite import replace_file, replacing
from edge.recordings import irisvlog
from edge.recordings.actuations import (
    GAP_MS,
    CardWord,
    EdgeLine,
    SignalEdges,
    SignalSurvey,
    detector_line,
    phase_line,
    survey_signal,
)
from edge.recordings.controllerlog import ControllerLogs, Wanted
from edge.recordings.detectorroles import (
    DetectorPlace,
    Places,
    Position,
    placed_detectors,
    places_of,
    read_roles,
)
from edge.recordings.edgefile import TIME_LIMIT_NS, EdgeFileWriter
from edge.recordings.eventcodes import PHASES
from edge.recordings.eventsort import EventSort, LoggedEvent
from edge.recordings.irisvlog import IrisLogs
from edge.recordings.leftout import LeftOut
from edge.recordings.localtime import EPOCH, Span
from edge.recordings.sitedraft import draft_site, green_lines, site_name

PHASE_LINES: Final = frozenset(phase_line(phase) for phase in range(1, PHASES + 1))
CARD_HEADER: Final = "t_ms,line,said"
YEAR_MS: Final = TIME_LIMIT_NS // 1_000_000
IRIS_SITE: Final = "iris"
READABLE: Final = 0o644
ENDS: Final = (".toml", ".csv.gz", ".card.csv")

DOUBLE: Final = "double rows"
DOUBLED_HOUR: Final = (
    "rows of an hour that the clock showed twice, which cannot be told apart: export with UTC"
)
REPEATED_ON: Final = "begins without an end before them (an end is missing in the log)"
REPEATED_OFF: Final = "ends without a begin before them (a begin is missing in the log)"
SHORT: Final = "changes there and back within one tick of the log"


@dataclass(frozen=True)
class ImportOptions:
    """How to read. `gap_ms` 0: silence of the whole log is no gap."""

    zone: tzinfo = UTC
    zone_name: str = "UTC"
    roles: Path | None = None
    wanted: Wanted = field(default_factory=Wanted)
    gap_ms: int = GAP_MS


@dataclass(frozen=True)
class LoggedSite:
    """One signal, or all detectors of IRIS. `rows` can be taken once, and in its turn.

    `places` and `greens` are by line; `placed` are the lines that the table of detectors has;
    `detectors` is line by detector, as the log calls it.
    """

    name: str
    survey: SignalSurvey
    places: Mapping[str, DetectorPlace]
    greens: Mapping[str, str]
    placed: frozenset[str]
    detectors: Mapping[str, str]
    edges: SignalEdges
    rows: Iterator[EdgeLine]


@dataclass(frozen=True)
class ImportedSite:
    """What was written of one signal."""

    name: str
    site: Path
    edges: Path
    kept: bool  # there was a site file, and it was left as it is
    card: Path | None
    begin: datetime  # of t_ms 0
    end: datetime
    detectors: int
    placed: int  # of them, by the table
    silent: tuple[str, ...]  # lines of the table of which nothing was logged
    actuations: int
    gaps: int
    gap_s: float
    card_words: int


def _nobody_asks(text: str) -> None:
    """Of a program that shows nothing while it works."""


@dataclass
class LogImport:
    """One import, step by step: `read` each file, `survey`, then `write` what is wanted."""

    folder: Path
    options: ImportOptions
    left_out: LeftOut = field(default_factory=LeftOut)
    tell: Callable[[str], None] = _nobody_asks  # how far it is
    surveys: dict[int, SignalSurvey] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    _unclear: Mapping[int, Sequence[Span]] = field(default_factory=dict)
    _dropped: int = 0  # of the last look at all events

    def __post_init__(self) -> None:
        self.sort = EventSort(self.folder)
        zone = self.options.zone
        self._logs = ControllerLogs(self.sort, zone, self.left_out, self.options.wanted)
        self._iris = IrisLogs(self.sort, zone, self.left_out)
        self.places: Places = {}

    def __enter__(self) -> LogImport:
        return self

    def __exit__(self, *_: object) -> None:
        self.sort.close()

    @property
    def rows(self) -> int:
        """Read so far."""
        return self._logs.rows + self._iris.rows

    def read(self, paths: Sequence[Path]) -> None:
        """All files. Raises ConfigError, with what to do, for what cannot be imported."""
        if self.options.roles is not None:
            self.places = read_roles(self.options.roles, self.left_out)
        kinds = {path.suffix.lower() == irisvlog.SUFFIX for path in paths}
        if len(kinds) > 1:
            raise ConfigError("logs of controllers and of IRIS are two imports: give one kind")
        for path in paths:
            self.tell(f"reading {path.name}: {self.rows:,} rows before it")
            (self._iris if True in kinds else self._logs).read(path)
        if True in kinds:
            self._iris.end()
            self.names = {0: IRIS_SITE} if self._iris.detectors else {}
        else:
            self._unclear = self._logs.unclear()
            self.names = {number: name for name, number in self._logs.signals.items()}

    def survey(self) -> None:
        """Look at all events. Raises ConfigError where there are none, or of more than a year."""
        self.tell("sorting")
        for number in self.names:
            self.surveys[number] = SignalSurvey()
        if self._iris.detectors:
            self.surveys[0] = SignalSurvey(True, _line_names(self._iris.detectors))
        heard: set[int] = set()
        for number, events in self._by_signal():
            survey_signal(events, self.surveys[number], self.options.gap_ms)
            heard.add(number)
        self.left_out.note(DOUBLE, self.sort.doubled)
        self.left_out.note(DOUBLED_HOUR, self._dropped)
        for number in sorted(heard):
            survey = self.surveys[number]
            if survey.last_ms - survey.start_ms > YEAR_MS:
                raise ConfigError(
                    f"the log of {self.names[number]} goes from {_utc(survey.first_ms):%Y-%m-%d} "
                    f"to {_utc(survey.last_ms):%Y-%m-%d}. Import a year at most: name the days "
                    "with --from and --to"
                )
        self.names = {n: name for n, name in self.names.items() if n in heard}
        if not self.names:
            why = "".join(
                f"; {each.times:,} {each.text}{f' ({each.where})' if each.where else ''}"
                for each in self.left_out.remarks()
            )
            raise ConfigError(
                f"no event is left to import: {self.rows:,} rows were read{why}. What is needed "
                "are high-resolution logs with event codes 81 and 82, or .vlog files"
            )

    def write(self) -> Iterator[ImportedSite]:
        """The files of each signal. Raises ConfigError when two would have one name."""
        taken: dict[str, str] = {}
        for name in self.names.values():
            other = taken.setdefault(site_name(name), name)
            if other != name:
                raise ConfigError(f"{name!r} and {other!r} would be the same file: name one "
                                  "with --signal")  # fmt: skip
        for site in self.sites():
            self.tell(f"writing {site.name}")
            yield self._write(site)
        surveys = self.surveys.values()
        self.left_out.note(REPEATED_ON, sum(survey.repeated_on for survey in surveys))
        self.left_out.note(REPEATED_OFF, sum(survey.repeated_off for survey in surveys))
        self.left_out.note(SHORT, sum(survey.short for survey in surveys))

    def sites(self) -> Iterator[LoggedSite]:
        """Each of them, once `survey` has looked at all events."""
        for number, events in self._by_signal():
            if number not in self.names:
                continue
            survey, name = self.surveys[number], self.names[number]
            detectors = self._detectors(number)
            elsewhere: Position = "corridor" if survey.watched else "stop"
            places = dict(places_of(self.places, name, detectors, elsewhere))
            placed = frozenset(
                line
                for detector, line in detectors.items()
                if (name, detector) in self.places or ("", detector) in self.places
            )
            greens = green_lines(places, survey.lines)
            edges = SignalEdges(survey, {*places, *greens})
            yield LoggedSite(
                name, survey, places, greens, placed, detectors, edges, edges.rows(events)
            )

    def _detectors(self, number: int) -> dict[str, str]:
        """Of a signal: line by detector as the table calls it."""
        survey = self.surveys[number]
        if survey.watched:
            return {name: survey.names[n] for name, n in self._iris.detectors.items()}
        detectors = {line[1:]: line for line in survey.lines - PHASE_LINES}
        for detector in placed_detectors(self.places, self.names[number]):
            if detector.isdigit():
                detectors.setdefault(detector, detector_line(int(detector)))
        return detectors

    def _write(self, of: LoggedSite) -> ImportedSite:
        survey = of.survey
        stem = site_name(of.name)
        site, edges, card = (self.folder / f"{stem}{end}" for end in ENDS)
        _write_edges(edges, card, of)
        if not (kept := site.exists()):
            source = "logs of IRIS" if survey.watched else "a high-resolution log of a controller"
            text = draft_site(
                of.name, self.options.zone_name, of.places, of.greens, source, placed=of.placed
            )
            replace_file(site, text.encode(), READABLE, sync=False)
        return ImportedSite(
            of.name,
            site,
            edges,
            kept,
            card if survey.card_words else None,
            _utc(survey.start_ms),
            _utc(survey.last_ms),
            len(of.places),
            len(of.placed),
            tuple(sorted(of.places.keys() - survey.lines)),
            survey.actuations,
            len(survey.gaps),
            survey.gap_ms / 1000.0,
            survey.card_words,
        )

    def _by_signal(self) -> Iterator[tuple[int, Iterator[LoggedEvent]]]:
        """Each signal with its events, without those of hours that cannot be told apart."""
        self._dropped = 0
        for number, events in groupby(self.sort.events(), key=lambda event: event.signal):
            yield number, self._outside(events, self._unclear.get(number, ()))

    def _outside(
        self, events: Iterator[LoggedEvent], spans: Sequence[Span]
    ) -> Iterator[LoggedEvent]:
        if not spans:
            yield from events
        for event in events:
            if any(from_ms <= event.t_ms < to_ms for from_ms, to_ms in spans):
                self._dropped += 1
            else:
                yield event


def _write_edges(edges: Path, card: Path, of: LoggedSite) -> None:
    """Under their names when all of it is written: a part would be replayed as if it were whole."""
    with (
        replacing(card) as new_card,  # the edges have their name before it
        replacing(edges) as new_edges,
        closing(EdgeFileWriter(new_edges)) as writer,
        new_card.open("w", encoding="utf-8") as file,
    ):
        file.write(f"{CARD_HEADER}\n")
        for row in of.rows:
            writer.write(*row)
            if of.edges.said:
                _write_card(file, of.edges.said)
        _write_card(file, of.edges.said)
    if not of.survey.card_words:
        card.unlink()


def _write_card(file: TextIO, said: list[CardWord]) -> None:
    file.writelines(f"{word.t_ms},{word.line},{word.said}\n" for word in said)
    said.clear()


def _line_names(detectors: Mapping[str, int]) -> dict[int, str]:
    """Detectors of IRIS by their number, as lines may be called."""
    found: dict[int, str] = {}
    for name, number in detectors.items():
        line = re.sub(r"[^A-Za-z0-9_.:/-]", "_", name)[:60]
        found[number] = line if line not in found.values() else f"{line}:{number}"
    return found


def _utc(ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=ms)
