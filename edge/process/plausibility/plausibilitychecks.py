"""One device's checks over its windows: what is doubtful, and what is sent of it, once.

A window whose values contradict each other is uncertain at once, if it has a few readings; told is
what stays so for three windows and three minutes in a row, and its end likewise. So neither a load
that steps between two blocks of a reading nor a single damaged value makes an event.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from edge.core.point import Point
from edge.core.record import Draft
from edge.process.engineevents import contradiction_event
from edge.process.gaugewindow import GaugeFigure, GaugeWindow
from edge.process.plausibility.registerchecks import RegisterCheck, register_checks
from edge.process.plausibility.relations import Judgement, Relation, point_relations
from edge.process.registerwindow import RegisterWindow
from edge.wire.contract.terms import Contradiction

MIN_READINGS: Final = 3  # in a window: one may have been cut by a load that steps
TWO_DEVICES: Final = "two_devices"
TWO_DEVICES_LOOK: Final = (
    "its register jumps back and forth between two values: look for two "
    "devices with one address, or two meters on one line"
)
TWO_DEVICES_S: Final = 3600.0
Check = Relation | RegisterCheck


@dataclass(slots=True)
class CheckState:
    """What is reported of one check, and since when its windows say the contrary."""

    up: bool = False
    since_ns: int | None = None
    windows: int = 0

    def step(
        self, found: Judgement, start_ns: int, end_ns: int, hold_ns: int, windows: int
    ) -> bool:
        """Has it turned with this window?"""
        if found is None:
            return False
        if found is self.up:
            self.since_ns, self.windows = None, 0
            return False
        self.since_ns = start_ns if self.since_ns is None else self.since_ns
        self.windows += 1
        if self.windows < windows or end_ns - self.since_ns < hold_ns:
            return False
        self.up, self.since_ns, self.windows = found, None, 0
        return True


@dataclass(slots=True)
class Plausibility:
    """All checks of one device, and what is reported of each of them."""

    device: str
    gauges: Mapping[str, GaugeWindow]
    totals: Mapping[str, RegisterWindow]
    relations: Sequence[Relation]
    trackers: Sequence[RegisterCheck]
    _states: dict[str, CheckState] = field(init=False)
    _two: list[str] = field(init=False, default_factory=list)  # registers that were two

    @classmethod
    def of(
        cls,
        device: str,
        points: Iterable[Point],
        gauges: Mapping[str, GaugeWindow],
        totals: Mapping[str, RegisterWindow],
    ) -> "Plausibility | None":
        """None where no point has a neighbour, and no register could be two."""
        known = list(points)
        related, tracked = point_relations(known), register_checks(known)
        if not (related or tracked or totals):
            return None
        return cls(device, gauges, totals, related, tracked)

    def __post_init__(self) -> None:
        names = [*(each.name for each in self.relations), *(each.name for each in self.trackers)]
        self._states = {name: CheckState() for name in (*names, TWO_DEVICES)}

    def begin(self) -> None:
        """A first window: what is reported stays, moments are forgotten."""
        for standing in self._states.values():
            standing.since_ns, standing.windows = None, 0

    def judge(self, start_ns: int, end_ns: int) -> list[Draft]:
        """Look at the window that ends: doubt what is contradicted, and report what has turned."""
        events: list[Draft] = []
        doubted: set[str] = set()
        found_all, apart = self._found(end_ns - start_ns)
        for name, checks in found_all.items():
            standing = self._states[name]
            verdicts = [found for _, found, _ in checks]
            found = True if True in verdicts else None if None in verdicts else False
            first = next((each for each, verdict, _ in checks if verdict), checks[0][0])
            hurt = [check for check, verdict, _ in checks if verdict is found]
            hold_ns = round(first.hold_s * 1e9)
            if standing.step(found, start_ns, end_ns, hold_ns, first.windows):
                events.append(self._fault_event(first.fault, standing.up, end_ns, hurt, first.look))
            for check, verdict, readings in checks:
                certain = readings >= MIN_READINGS or standing.up
                if check.marks and ((verdict and certain) or (standing.up and found is None)):
                    doubted.update(check.keys)
        for relation in apart:
            if relation.marks and self._states[relation.name].up:
                doubted.update(relation.keys)
        self._doubt(doubted)
        return events + self._doubled(start_ns, end_ns)

    def snapshot(self) -> dict[str, object]:
        """For a snapshot: of each check what is reported, and what it has gathered."""
        gathered = {each.name: each.snapshot() for each in self.trackers}
        return {
            name: [one.up, one.since_ns, one.windows, gathered.get(name, [])]
            for name, one in self._states.items()
            if one.up or one.windows or name in gathered
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Back from `snapshot`."""
        for name, (up, since, windows, _) in state.items():
            if name in self._states:
                since_ns = None if since is None else int(since)
                self._states[name] = CheckState(bool(up), since_ns, int(windows))
        for each in self.trackers:
            if each.name in state and state[each.name][3]:
                each.restore(state[each.name][3])

    def knows(self, name: str) -> bool:
        """Is this one of its checks?"""
        return name in self._states

    def _found(
        self, window_ns: int
    ) -> tuple[dict[str, list[tuple[Check, Judgement, int]]], list[Relation]]:
        """What each check says of the window, and of how many readings; by what is reported of it.

        And those whose points cannot be compared in it.
        """
        figures: dict[str, GaugeFigure | None] = {}

        def figure(key: str) -> GaugeFigure | None:
            if key not in figures:
                figures[key] = self.gauges[key].figure() if key in self.gauges else None
            return figures[key]

        def grown(key: str) -> float | None:
            return self.totals[key].growth if key in self.totals else None

        found: dict[str, list[tuple[Check, Judgement, int]]] = {}
        apart: list[Relation] = []
        for relation in self.relations:
            known_figures = [one for key in relation.keys if (one := figure(key)) is not None]
            # of other readings than its neighbours: they say nothing of each other
            if len(known_figures) < len(relation.keys) or len({one.n for one in known_figures}) > 1:
                apart.append(relation)
                continue
            found.setdefault(relation.name, []).append(
                (relation, relation.judge(known_figures), known_figures[0].n)
            )
        for tracker in self.trackers:
            found[tracker.name] = [(tracker, tracker.step(figure, grown, window_ns), 0)]
        return found, apart

    def _fault_event(
        self, fault: Contradiction, on: bool, at_ns: int, checks: Iterable[Check], look: str
    ) -> Draft:
        keys = dict.fromkeys(key for check in checks for key in check.keys)
        known = [key for key in keys if key in self.gauges or key in self.totals]
        return contradiction_event(
            self.device, at_ns, fault, on, known, self._point_values(known), look
        )

    def _doubt(self, keys: Iterable[str]) -> None:
        for key in keys:
            if key in self.gauges:
                self.gauges[key].mark_uncertain()
            elif key in self.totals:
                self.totals[key].mark_uncertain()

    def _doubled(self, start_ns: int, end_ns: int) -> list[Draft]:
        keys = [key for key, total in self.totals.items() if total.doubled]
        self._two = keys or self._two or list(self.totals)  # after a restart it could be any
        standing = self._states[TWO_DEVICES]
        hold_ns = 0 if keys else round(TWO_DEVICES_S * 1e9)
        turned = standing.step(bool(keys), start_ns, end_ns, hold_ns, 1)
        if standing.up:
            self._doubt(self._two)
            # power is of the same meter as its register: now of one, now of the other
            if len(self._two) == len(self.totals) or any("energy" in key for key in self._two):
                self._doubt(self.gauges)
        if not turned:
            return []
        named, point_values = self._two, self._point_values(self._two)
        return [
            contradiction_event(
                self.device, end_ns, TWO_DEVICES, standing.up, named, point_values, TWO_DEVICES_LOOK
            )
        ]

    def _point_values(self, keys: Iterable[str]) -> dict[str, float]:
        """What the gauges among these say, for a person."""
        figures = ((key, self.gauges[key].figure()) for key in keys if key in self.gauges)
        return {key: figure.mean for key, figure in figures if figure is not None}


def faults_over(state: Mapping[str, Any], now: Plausibility | None) -> Iterator[Contradiction]:
    """The faults of what a state has up and nobody checks any more."""
    for name, (up, *_) in state.items():
        if up and (now is None or not now.knows(name)):
            yield cast("Contradiction", name.partition(" ")[0])
