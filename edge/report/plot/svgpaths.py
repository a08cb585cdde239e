"""From columns to points, and from points to the path of a line: what is not known is a gap.

`page.js` does the same for another stretch of time; a test compares them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Final

from edge.report.plot.columntable import ColumnTable
from edge.report.plot.scale import short_number

MIN_COVER: Final = 0.1  # of a point's time: of less nothing is drawn
HOLD_S: Final = 300.0  # without a vehicle a line of speeds goes on for so long


@dataclass(frozen=True, slots=True)
class PlotPoint:
    """Value, and the lowest and highest of a window. NaN: known, but there was no vehicle."""

    value: float
    low: float = nan
    high: float = nan


Points = Sequence[PlotPoint | None]  # None: nothing is known
NO_VEHICLE: Final = PlotPoint(nan)


def plot_points(table: ColumnTable, kind: str, size: int, width_s: float, count: int) -> Points:
    """`kind` in its unit, a point for `size` columns; of `count` columns all."""
    columns = {name: table.columns[name] for name in COLUMNS_OF[kind]}
    found = []
    for at in range(0, count, size):
        cut = {name: list(without_nan(column[at : at + size])) for name, column in columns.items()}
        found.append(_point(kind, cut, min(size, count - at) * width_s))
    return found


COLUMNS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "volume": ("covered", "volume"),
    "occupancy": ("covered", "on", "low", "high"),
    "speed": ("covered", "n", "speed", "slow", "fast"),
    "single": ("covered", "n", "singles", "single"),
    "queue": ("covered", "queue"),
    "aog": ("arrivals", "on_green"),
    "split": ("judged", "failures"),
    "now": ("now",),
    "in5": ("in5",),
    "in15": ("in15",),
}


AHEAD: Final = ("now", "in5", "in15")
SHARES: Final = ("aog", "split")


def _point(kind: str, cut: Mapping[str, Sequence[float]], whole_s: float) -> PlotPoint | None:
    if kind in AHEAD:
        return PlotPoint(max(cut[kind])) if cut[kind] else None
    if kind in SHARES:
        whole, part = (cut[name] for name in COLUMNS_OF[kind])
        if not whole:
            return None
        return PlotPoint(100 * sum(part) / sum(whole)) if sum(whole) else NO_VEHICLE
    covered = sum(cut["covered"])
    if covered < MIN_COVER * whole_s:
        return None
    if kind == "volume":
        return PlotPoint(sum(cut["volume"]) / covered * 3600) if cut["volume"] else None
    if kind == "queue":
        return PlotPoint(100 * sum(cut["queue"]) / covered)
    if kind == "occupancy":
        if not cut["on"]:
            return None
        low, high = min(cut["low"]), max(cut["high"])
        return PlotPoint(100 * sum(cut["on"]) / covered, 100 * low, 100 * high)
    n = sum(cut["n"])
    if kind == "speed":
        if not n:
            return NO_VEHICLE
        return PlotPoint(sum(cut["speed"]) / n, min(cut["slow"]), max(cut["fast"]))
    singles = sum(cut["singles"])
    if n:
        return None  # a pair knows better
    return PlotPoint(sum(cut["single"]) / singles) if singles else NO_VEHICLE


def without_nan(values: Iterable[float]) -> Iterator[float]:
    """Without NaN."""
    return (value for value in values if not isnan(value))


def highest_value(all_points: Iterable[Points]) -> float:
    """Of all values; 0 when there is none."""
    values = (p.value for each in all_points for p in each if p is not None)
    return max((v for v in values if not isnan(v)), default=0.0)


def line_path(found: Points, step_px: float, step_s: float, height: float, top: float) -> str:
    """The `d` of a path, a panel of `height` that ends at `top`; a lonely point is a dot."""
    parts: list[str] = []
    last: int | None = None  # the point that the line comes from
    lonely = False
    for i, point in enumerate(found):
        if point is None:
            last = None
            continue
        if isnan(point.value):
            if last is not None and (i - last) * step_s > HOLD_S:
                last = None
            continue
        at = f"{_x(i, step_px)} {_y(point.value, height, top)}"
        if last is None:
            if lonely:
                parts.append("h0")
            parts.append(f"M{at}")
            lonely = True
        else:
            parts.append(f"L{at}")
            lonely = False
        last = i
    return "".join([*parts, "h0"] if lonely else parts)


def band_path(found: Points, step_px: float, height: float, top: float) -> str:
    """The `d` of the area between the lowest and the highest window of each point."""
    parts, run = [], list[tuple[int, PlotPoint]]()
    for i, point in enumerate([*found, None]):
        if point is not None and not isnan(point.low):
            run.append((i, point))
            continue
        if len(run) > 1 and any(p.high > p.low for _, p in run):
            up = [f"{_x(j, step_px)} {_y(p.high, height, top)}" for j, p in run]
            down = [f"{_x(j, step_px)} {_y(p.low, height, top)}" for j, p in reversed(run)]
            parts.append("M" + "L".join(up + down) + "Z")
        run = []
    return "".join(parts)


def _x(index: int, step_px: float) -> str:
    return short_number(round((index + 0.5) * step_px, 1))


def _y(value: float, height: float, top: float) -> str:
    return short_number(round(height - 2 - (height - 4) * min(value / top, 2.0), 1))
