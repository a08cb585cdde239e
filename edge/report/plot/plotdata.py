"""Keeps of a replay's records what a picture needs, in bounded memory."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Final

from edge.core import Record, Stream
from edge.process.traffic.loopselection import PAIR_STATES
from edge.report.plot import scale, svgpaths
from edge.report.plot.columntable import ColumnTable
from edge.report.plot.flagspans import FlagSpans
from edge.report.plot.scale import Heading, TimeFrame
from edge.report.plot.statecodes import StateCodes

COLUMNS_LIMIT: Final = (
    140_000  # windows of all lanes that are kept as they are: a day of 5 s on 8 lanes
)
FOLDED: Final = 100_000  # columns of all lanes, when two windows or more share one
LANE: Final = {
    "covered": "sum",  # s, of windows in which the lane could say a number
    "volume": "sum",
    "on": "sum",  # s
    "low": "low",  # occupancy of a window, 0..1
    "high": "high",
    "n": "sum",  # vehicles with a speed from a pair
    "speed": "sum",  # of their speeds, km/h
    "slow": "low",  # mean speed of a window, km/h
    "fast": "high",
    "singles": "sum",  # vehicles with a speed estimated from one loop
    "single": "sum",  # of these speeds, km/h
    "queue": "sum",  # s
    "arrivals": "sum",  # where the signal is known
    "on_green": "sum",  # of these
    "judged": "sum",  # cycles of the signal
    "failures": "sum",  # of these
    "health": "high",  # a code of StateCodes
    "lead": "high",
    "trail": "high",
}
SIGNAL: Final = {
    "arrivals": "arrivals",
    "on_green": "arrivals_on_green",
    "judged": "cycles_judged",
    "failures": "split_failures",
}
APPROACH: Final = {"now": "high", "in5": "high", "in15": "high"}
AHEAD: Final = {"now": "p_congested", "in5": "p_congested_5", "in15": "p_congested_15"}


@dataclass(slots=True)
class LaneData:
    """One lane. `loops`: its records have each loop."""

    name: str
    approach: str
    table: ColumnTable = field(default_factory=lambda: ColumnTable(LANE))
    loops: tuple[str, ...] = ()


class PlotData:
    """Lanes, approaches, bays and flags; columns of `width_ns` from 0 to `end_ns`."""

    def __init__(self, period_ns: int) -> None:
        self.period_ns = self.width_ns = period_ns
        self.end_ns = 0
        self.lanes: dict[str, LaneData] = {}
        self.approaches: dict[str, ColumnTable] = {}
        self.bays: dict[str, ColumnTable] = {}
        self.states, self.flags = StateCodes(), FlagSpans()

    def take(self, record: Record) -> None:
        """One record, in the order of time."""
        body = record.body
        if record.key.stream is Stream.EVENT:
            self.flags.take(record.source, record.from_ns, body)
            return
        self.end_ns = max(self.end_ns, record.to_ns)
        if record.key.stream is Stream.TRAFFIC and "lane" in body:
            self._lane(record.source, self._place(record.from_ns), body)
        elif record.key.stream is Stream.BAY:
            self._bay(record.source, self._place(record.from_ns), body)

    @property
    def columns(self) -> int:
        """How many there are, of all lanes the longest."""
        return -(-self.end_ns // self.width_ns)

    def members(self, approach: str) -> list[LaneData]:
        """Its lanes, in the site's order."""
        return [lane for lane in self.lanes.values() if lane.approach == approach]

    def _place(self, from_ns: int) -> int:
        many = len(self.lanes) + len(self.bays) or 1
        while True:
            most = COLUMNS_LIMIT if self.width_ns == self.period_ns else FOLDED
            if from_ns // self.width_ns * many < most:
                return from_ns // self.width_ns
            self.width_ns *= 2
            for table in self._tables():
                table.fold()

    def _tables(self) -> Iterable[ColumnTable]:
        yield from (lane.table for lane in self.lanes.values())
        yield from self.approaches.values()
        yield from self.bays.values()

    def _lane(self, name: str, index: int, body: Mapping[str, Any]) -> None:
        lane = self.lanes.get(name)
        if lane is None:
            lane = self.lanes[name] = LaneData(name, str(body.get("approach") or name))
        lane.table.put(index, _numbers(body) | self._health(lane, body))
        chances = {key: _number(body.get(word)) for key, word in AHEAD.items()}
        self.approaches.setdefault(lane.approach, ColumnTable(APPROACH)).put(index, chances)

    def _health(self, lane: LaneData, body: Mapping[str, Any]) -> dict[str, float | None]:
        word = str(body.get("health") or "ok")
        found: dict[str, float | None] = {"health": self.states.code(word)}
        loops = body.get("loops")
        if isinstance(loops, Mapping):
            lead, trail = _apart(word, nothing=body.get("volume") is None)
            lane.loops = tuple(part for part in ("lead", "trail") if part in loops) or lane.loops
            for part, rule in (("lead", lead), ("trail", trail)):
                if part in loops:
                    fault = loops[part].get("fault") if isinstance(loops[part], Mapping) else None
                    # what the counting itself excludes is said before what a model thinks
                    found[part] = self.states.code(rule if rule != "ok" else str(fault or "ok"))
        return found

    def _bay(self, name: str, index: int, body: Mapping[str, Any]) -> None:
        table = self.bays.setdefault(name, ColumnTable({"covered": "sum", "on": "sum"}))
        covered, share = _number(body.get("covered_s")), _number(body.get("occupancy"))
        if covered is not None and share is not None:
            table.put(index, {"covered": covered, "on": covered * share})


def _apart(word: str, *, nothing: bool) -> tuple[str, str]:
    """The lane's word as that of lead and trail; `nothing`: neither has counted."""
    if word.startswith("trail_"):
        return "ok", word.removeprefix("trail_")
    if word in PAIR_STATES:  # which of them has it, the judge decides
        return "ok", "ok"
    return word, word if word == "unobserved" and nothing else "ok"


def _numbers(body: Mapping[str, Any]) -> dict[str, float | None]:
    """A lane's window in numbers; None where nothing is known."""
    volume, share = _number(body.get("volume")), _number(body.get("occupancy"))
    covered = _number(body.get("covered_s")) or 0.0
    if volume is None and share is None:
        covered = 0.0
    if not covered:
        volume = share = None
    found = {
        "covered": covered, "volume": volume, "low": share, "high": share,
        "on": None if share is None else share * covered,
        "queue": (_number(body.get("queue_us")) or 0.0) / 1e6 if covered else None,
    }  # fmt: skip
    if isinstance(speed := body.get("speed"), Mapping):
        n, mean = _number(speed.get("n")), _number(speed.get("mean"))
        if n and mean is not None:
            found |= {"n": n, "speed": n * mean, "slow": mean, "fast": mean}
    if isinstance(single := body.get("speed_single"), Mapping):
        kmh, n = _number(single.get("kmh")), _number(single.get("n", 1))
        if n and kmh is not None:
            found |= {"singles": n, "single": n * kmh}
    if isinstance(signal := body.get("signal"), Mapping):
        found |= {key: _number(signal.get(word)) for key, word in SIGNAL.items()}
    return found


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return float(value)


@dataclass(frozen=True, slots=True)
class View:
    """What is drawn, and how much time a point stands for."""

    kept: PlotData
    heading: Heading
    frame: TimeFrame
    bin_s: float

    @classmethod
    def of(cls, data: PlotData, heading: Heading) -> "View":
        """The whole of it."""
        to_s = max(data.end_ns, data.width_ns) / 1e9
        return cls(data, heading, TimeFrame(0.0, to_s), scale.bin_s(to_s, data.width_ns / 1e9))

    def points(self, table: ColumnTable, kind: str) -> svgpaths.Points:
        """At this view's resolution."""
        width_s = self.kept.width_ns / 1e9
        return svgpaths.plot_points(
            table, kind, round(self.bin_s / width_s), width_s, self.kept.columns
        )
