"""Logs of signal controllers as streets, and what detectors counted by quarters of an hour.

Events are read by `edge/recordings`, as `kerbstone import` does. Public samples:
github.com/ShawnStrasser/atspm (MIT). For tests only, never for training.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.recordings.actuations import EdgeLine
from edge.recordings.importlogs import ImportOptions, LoggedSite, LogImport
from edge.recordings.localtime import read_moment
from edge.recordings.tablefile import Column, read_table, word
from models.congestion.scenarios.simstreet import Floats, LoopPlace, SimStreet, StreetLink

EVENTS: Final = "hires_test_data.parquet"
ROLES: Final = "configs_test_data.parquet"
COUNTS: Final = "actuations_test_data.parquet"
COLUMNS: Final = (
    Column(("TimeStamp",)),
    Column(("DeviceId", "Intersection")),
    Column(("Detector",)),
    Column(("Total",)),
)
QUARTER_S: Final = 900
WEEK: Final = 7 * 86_400 // QUARTER_S
MONDAY: Final = 4 * 86_400 // QUARTER_S  # the first one after 1970 began
LEAST: Final = 30  # stays of a channel, without which it tells nothing

Counts = dict[str, NDArray[np.float64]]  # by detector, one for each quarter of an hour; nan: a gap


@dataclass(frozen=True)
class QuarterCounts:
    """What the detectors of a signal counted. `table` is [quarters, detectors]; some are estimates.

    `first` is the first quarter, since 1970 on the wall clock. Where `heard` is false no detector
    of the signal has a row: there is a gap in the log, and nobody knows.
    """

    signal: str
    first: int
    detectors: tuple[str, ...]
    table: NDArray[np.float64]
    heard: NDArray[np.bool_]

    def from_monday(self) -> Counts:
        """Series from the Monday before on, 0 o'clock."""
        before = (self.first - MONDAY) % WEEK
        out = np.full((before + len(self.table), len(self.detectors)), np.nan)
        out[before:][self.heard] = self.table[self.heard]
        return {name: out[:, i] for i, name in enumerate(self.detectors)}


def has_counts(path: Path) -> bool:
    """Whether the file holds counts of quarters."""
    import pyarrow.parquet as parquet  # only at a desk

    return "total" in {name.lower() for name in parquet.read_schema(path).names}


def logged_counts(path: Path) -> list[QuarterCounts]:
    """Of each signal, in the order of their names."""
    cells: dict[str, dict[tuple[int, str], float]] = {}
    for _, (when, signal, detector, total), _ in read_table(path, COLUMNS):
        moment = read_moment(when)
        if moment is None:
            raise ValueError(f"{path}: {when!r} is no time")
        here = cells.setdefault(word(signal), {})
        key = moment.ms // (QUARTER_S * 1000), word(detector)
        here[key] = here.get(key, 0.0) + (float(total) if total == total else 0.0)
    return [_quarters(signal, here) for signal, here in sorted(cells.items())]


def _quarters(signal: str, cells: dict[tuple[int, str], float]) -> QuarterCounts:
    first, last = (f(quarter for quarter, _ in cells) for f in (min, max))
    detectors = tuple(sorted({detector for _, detector in cells}, key=lambda d: (len(d), d)))
    table = np.zeros((last - first + 1, len(detectors)))
    heard = np.zeros(len(table), bool)
    for (quarter, detector), total in cells.items():
        table[quarter - first, detectors.index(detector)] = total
        heard[quarter - first] = True
    return QuarterCounts(signal, first, detectors, table, heard)


@contextmanager
def logged_signals(folder: Path) -> Iterator[Iterator[LoggedSite]]:
    """The signals of a folder with EVENTS and ROLES, as `kerbstone import` reads them."""
    with (
        tempfile.TemporaryDirectory() as place,
        LogImport(Path(place), ImportOptions(roles=folder / ROLES)) as log,
    ):
        log.read([folder / EVENTS])
        log.survey()
        yield log.sites()


def logged_streets(folder: Path) -> list[SimStreet]:
    """A street for each signal: every channel a lane of its own, in the order of its number."""
    with logged_signals(folder) as signals:
        return sorted((_street(signal) for signal in signals), key=lambda street: street.name)


def _street(signal: LoggedSite) -> SimStreet:
    name, first_ms = signal.name, signal.survey.first_ms - signal.survey.start_ms
    hours = (signal.survey.last_ms - signal.survey.first_ms) / 3.6e6
    found = {line: s for line, s in line_stays(signal.rows, first_ms).items() if len(s) >= LEAST}
    order = sorted(found.keys() & signal.places.keys(), key=lambda line: (len(line), line))
    loops = [
        LoopPlace(f"{name}_{line[1:]}", name, signal.places[line].position, i, "lead", 0.0, 2.0)
        for i, line in enumerate(order)
    ]
    none = np.zeros(0)
    link = StreetLink(name, "arterial", len(loops), 100.0, 50.0, None, None, (), (), none, none)
    stays = tuple(found[line] for line in order)
    return SimStreet(name, "arterial", "legacy", 0, hours, (link,), tuple(loops), stays)


def line_stays(rows: Iterator[EdgeLine], first_ms: int) -> dict[str, Floats]:
    """By line, begin and end of each stay in seconds since `first_ms`. A begin that comes again
    is the same stay; one of which the end is not known is none."""
    since: dict[str, int] = {}
    out: dict[str, list[tuple[float, float]]] = {}
    for t_ms, line, level in rows:
        if level == "?":
            since.pop(line, None)
        elif level.endswith("1"):
            since.setdefault(line, t_ms)
        elif line in since:
            begin_ms = since.pop(line)
            out.setdefault(line, []).append(
                ((begin_ms - first_ms) / 1000.0, (t_ms - first_ms) / 1000.0)
            )
    return {line: np.array(stays, np.float64).reshape(-1, 2) for line, stays in out.items()}
