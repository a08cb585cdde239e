"""The window of a polled device: a summary per point, and how much of it was watched.

A sweep that was due and never came (one is forgiven: a poll may fall on either side of the border)
counts as `bad:stale` on every point.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Protocol

from msgspec import UNSET

from edge.core.condition import Condition
from edge.core.point import PointKind, opposite_key
from edge.core.quality import Quality
from edge.core.reading import Sweep, Value, all_good
from edge.core.record import Draft, Stream
from edge.process.calibration import CalibrationInputs, Calibrator
from edge.process.engineevents import meter_event
from edge.process.enginesetup import DeviceSetup
from edge.process.gaugewindow import GaugeWindow
from edge.process.growthbounds import growth_per_hour
from edge.process.plausibility import Plausibility
from edge.process.registerwindow import RegisterWindow
from edge.wire.contract.points import Air, AnyDevice, Energy, Gauge, LoopCard, Total

IDENTITY_CORRECTION: Final = (
    0.0,
    1.0,
    0.0,
)  # a correction that changes nothing: polynomial and kappa
REVERSED_SUFFIX: Final = (
    " reversed"  # of a register that the configuration counts the other way round
)


FORMS: Final[Mapping[Stream, type[AnyDevice]]] = {
    Stream.AIR: Air, Stream.ENERGY: Energy, Stream.TRAFFIC: LoopCard,
}  # fmt: skip


class PointWindow(Protocol):
    """What a gauge and a total have in common."""

    def good(self, values: Sequence[Value | None], times: Sequence[int]) -> None: ...
    def other(self, value: Value | None, quality: Quality, at_ns: int, *, late: bool) -> None: ...
    def missing(self, count: int) -> None: ...
    def body(self) -> Gauge | Total: ...


class DeviceWindow:
    """The state of one device: of its totals, between windows; of all points, within one."""

    def __init__(self, setup: DeviceSetup, inputs: CalibrationInputs) -> None:
        self.setup, self._inputs = setup, inputs
        self.expired: Collection[str] = ()  # keys of points whose calibration is out of date
        self.conditions: Collection[Condition] = ()  # what it says of itself
        self._calibrator = (
            Calibrator(setup.points, setup.corrections, setup.cells)
            if setup.corrections or setup.cells
            else None
        )
        self.points = self._calibrator.points if self._calibrator else setup.points
        self._every_ns = max(1, round(setup.every_s * 1e9))
        self._good = all_good(len(self.points))
        self._gauges: dict[str, GaugeWindow] = {}
        self._totals: dict[str, RegisterWindow] = {}
        self._points: list[PointWindow] = []
        for point in self.points:
            if point.kind is PointKind.TOTAL:
                most = growth_per_hour(point, setup.points, setup.max_power_w)
                self._totals[point.key] = total = RegisterWindow(point, most)
                self._points.append(total)
            else:
                self._gauges[point.key] = gauge = GaugeWindow(point)
                self._points.append(gauge)
        self._heard = 0
        # what is corrected for a reason of its own need not fit to what is not
        corrected = {each.point for each in setup.corrections}
        as_measured = [point for point in setup.points if point.key not in corrected]
        self.plausibility = Plausibility.of(setup.name, as_measured, self._gauges, self._totals)

    def begin(self) -> None:
        """A first window: totals stay, moments are forgotten."""
        for total in self._totals.values():
            total.forget_time()
        if self.plausibility is not None:
            self.plausibility.begin()
        self._next()

    def swap(self) -> None:
        """It is another device: its registers go on from what they say next."""
        for total in self._totals.values():
            total.swap()

    def doubt_past(self, *, older: bool) -> None:
        """What its registers grew from may have been counted already; `older`: it was."""
        for total in self._totals.values():
            total.doubt_past(older=older)

    def fits(self, sweep: Sweep) -> bool:
        """Has this sweep a value and a quality for each point?"""
        return len(sweep.values) == len(sweep.qualities) == len(self.setup.points)

    def published(self, measured: Sweep) -> Sweep:
        """As the city gets it: corrected, with the points that are made of it."""
        if self._calibrator is None:
            return measured
        return self._calibrator.apply(measured, self._inputs, self.expired)

    def add_sweeps(self, sweeps: Sequence[Sweep], start_ns: int) -> None:
        """Take sweeps in the order in which they came; runs of good ones go by columns."""
        good, values, times = self._good, [], []
        for measured in sweeps:
            sweep = self.published(measured)
            at, qualities = sweep.mono_ns, sweep.qualities
            if at >= start_ns and (qualities is good or qualities == good):
                values.append(sweep.values)
                times.append(at)
                continue
            self._columns(values, times)
            values, times = [], []
            late = at < start_ns
            self._heard += not late
            for point, value, quality in zip(self._points, sweep.values, qualities, strict=True):
                point.other(value, quality, at, late=late)
        self._columns(values, times)

    def close(
        self, start_ns: int, end_ns: int, unobserved_ns: int, marks: Sequence[str]
    ) -> tuple[Draft, list[Draft]]:
        """The window's record and its events; the next window begins."""
        covered_ns = end_ns - start_ns - unobserved_ns
        missing = covered_ns // self._every_ns - self._heard
        if missing > 1:
            for point in self._points:
                point.missing(missing)
        judge = self.plausibility
        contradictions = [] if judge is None else judge.judge(start_ns, end_ns)
        points = zip(self.points, self._points, strict=True)
        body = FORMS[self.setup.stream](
            covered_s=covered_ns // 1000 / 1e6,
            points={point.key: summary.body() for point, summary in points},
            quality={mark: marks.count(mark) for mark in sorted(set(marks))} or UNSET,
            health=sorted(self.conditions) or UNSET,
        )
        events = self._events() + contradictions
        self._next()
        return Draft(self.setup.stream, self.setup.name, start_ns, end_ns, body), events

    def snapshot(self) -> dict[str, object]:
        """For a snapshot: the totals, each with what its numbers mean."""
        return {key: [self._meaning(key), *total.snapshot()] for key, total in self._totals.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Back from `snapshot`.

        A register that is new, counts in other steps or is corrected otherwise starts fresh; so
        does one that is counted the other way round now, which is reported with its first value.
        """
        for key, total in self._totals.items():
            # one that has no counterpart had its name
            saved, meaning = state.get(key) or state.get(opposite_key(key)), self._meaning(key)
            if saved is None:
                continue
            if key in state and saved[0] == meaning:
                total.restore(saved[1:])
            elif opposite_key(key) != key and _other_way(saved[0]) == meaning:
                total.reverse(saved[1:])

    def _columns(self, values: list[tuple[Value | None, ...]], times: list[int]) -> None:
        if not values:
            return
        self._heard += len(values)
        for point, column in zip(self._points, zip(*values, strict=True), strict=True):
            point.good(column, times)

    def _events(self) -> list[Draft]:
        units = {point.key: point.quantity.unit for point in self.points}
        return [
            meter_event(
                self.setup.name,
                jump.at_ns,
                key,
                units[key],
                total.step.value(jump.before),
                total.step.value(jump.after),
                jump.kind,
            )
            for key, total in self._totals.items()
            for jump in total.jumps
        ]

    def _meaning(self, key: str) -> str:
        """In what its numbers count: the growth from one kind to another was not consumed."""
        step = self._totals[key].step
        meaning_parts = [f"{step.num}/{step.den}"]
        for one in self.setup.corrections:
            if one.point == key and (*one.polynomial, one.kappa) != IDENTITY_CORRECTION:
                meaning_parts += map(repr, (*one.polynomial, one.kappa))
        turned = REVERSED_SUFFIX if self.setup.backwards and opposite_key(key) != key else ""
        return " ".join(meaning_parts) + turned

    def _next(self) -> None:
        self._heard = 0
        for gauge in self._gauges.values():
            gauge.clear()
        for total in self._totals.values():
            total.next()


def _other_way(meaning: str) -> str:
    return (
        meaning.removesuffix(REVERSED_SUFFIX)
        if meaning.endswith(REVERSED_SUFFIX)
        else meaning + REVERSED_SUFFIX
    )
