"""What devices measure during a scenario: constants, curves and recorded series of points."""

import bisect
import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from edge.cabinet.playeddevice import Source
from edge.core import ConfigError
from edge.rig.scenario import Scenario, Value

ROWS_LIMIT: Final = 2_000_000
LINE_LIMIT: Final = 1000  # characters
Pair = tuple[float, float]
"""Seconds of the scenario, value."""


class DeviceValues:
    """What all devices of a cabinet measure: as a scenario says, and as `set` changes it meanwhile.

    `zero_s` is when the scenario began, by the cabinet's clock. Raises ConfigError for a file that
    cannot be read.
    """

    def __init__(
        self, scenario: Scenario, devices: Iterable[str], zero_s: Callable[[], float]
    ) -> None:
        given = sources(scenario, zero_s)
        self._set: dict[str, Mapping[str, float]] = {name: {} for name in devices}
        self.sources = {name: self._source(name, given.get(name)) for name in self._set}
        """Device -> what there is to measure; nothing of points that nobody has set."""

    def set(self, device: str, point: str, value: float) -> None:
        """From now on. May be called from any thread."""
        self._set[device] = {**self._set[device], point: value}  # others look at the old one

    def _source(self, name: str, given: Source | None) -> Source:
        return lambda t_s: {**(given(t_s) if given else {}), **self._set[name]}


def sources(scenario: Scenario, zero_s: Callable[[], float]) -> dict[str, Source]:
    """Device -> what there is to measure at a moment of the cabinet's clock; `zero_s` is when the
    scenario began, by that clock. Raises ConfigError for a file that cannot be read.
    """
    points: dict[str, dict[str, Sequence[Pair]]] = {}
    for one in scenario.values:
        points.setdefault(one.device, {})[one.point] = pairs(one, Path(scenario.file).parent)
    return {device: _source(found, zero_s) for device, found in points.items()}


def pairs(value: Value, folder: Path) -> Sequence[Pair]:
    """Its course: at least one pair, in the order of time."""
    if value.constant is not None:
        return [(0.0, value.constant)]
    if value.curve:
        return value.curve
    return read_series(folder / (value.series or ""), value.point)


def at(course: Sequence[Pair], t_s: float) -> float:
    """Straight lines between the pairs; before the first and after the last it stands still."""
    place = bisect.bisect_right(course, t_s, key=lambda pair: pair[0])
    if place == 0:
        return course[0][1]
    if place == len(course):
        return course[-1][1]
    (before_s, before), (after_s, after) = course[place - 1], course[place]
    return before + (after - before) * (t_s - before_s) / (after_s - before_s)


def read_series(path: Path, point: str) -> list[Pair]:
    """Columns `t_s` and the point of a CSV file. Raises ConfigError with the row that is wrong."""
    found: list[Pair] = []
    for number, cells in read_rows(path, ("t_s", point)):
        t_s, value = _numbers(path, number, cells)
        if found and t_s <= found[-1][0]:
            raise ConfigError(f"{path} row {number}: t_s {t_s:g} is not after the row before")
        found.append((t_s, value))
    if not found:
        raise ConfigError(f"{path} has no rows")
    return found


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Number of the row, and the cells of these columns. Raises ConfigError."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(iter(lambda: file.readline(LINE_LIMIT), ""))
            header = [cell.strip() for cell in next(reader, [])]
            missing = [name for name in columns if name not in header]
            if missing:
                raise ConfigError(f"{path}: its first line has no column {', '.join(missing)}")
            places = [header.index(name) for name in columns]
            for number, row in enumerate(reader, 2):
                if number > ROWS_LIMIT:
                    raise ConfigError(f"{path} has more than {ROWS_LIMIT} rows")
                if not row:
                    continue
                if len(row) <= max(places):
                    raise ConfigError(f"{path} row {number}: {len(row)} cells; {len(header)} belong"
                                      " here")  # fmt: skip
                yield number, [row[place].strip() for place in places]
    except (OSError, UnicodeError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def _numbers(path: Path, number: int, cells: Sequence[str]) -> tuple[float, float]:
    try:
        t_s, value = map(float, cells)
    except ValueError:
        raise ConfigError(f"{path} row {number}: {', '.join(cells)}: write numbers") from None
    return t_s, value


def _source(points: Mapping[str, Sequence[Pair]], zero_s: Callable[[], float]) -> Source:
    def source(t_s: float) -> dict[str, float]:
        since_s = t_s - zero_s()
        return {point: at(course, since_s) for point, course in points.items()}

    return source
