"""Finds lanes that are dead as a whole: both loops of a pair, which no partner can show.

    activity = LaneActivity(lanes, approaches, fault_of)
    rulings = activity.step(slot, rows, wall_s)

Every lane beside is asked, and every place along (see `quiet`): one that is silent itself, or is
not to be believed, neither accuses nor excuses; nor does a loop that is active whatever comes keep
the other one of its pair from being silent. A loop that has never seen a vehicle has a word of
its own, `never_active`: it was wired wrong more likely than it died.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from edge.core.looptick import LoopTick
from edge.infer.loops.evidence import CAP, NS, LaneGroup, LoopKey
from edge.infer.loops.expectedcount import TrafficDensity
from edge.infer.loops.lanesilence import LIVING_S, LaneSilence, LaneSlot, SilenceRuling
from edge.infer.loops.loopflag import COUNT_FAULTS, LOUD_FAULTS
from edge.infer.loops.loopmemory import UNSEEN
from edge.infer.loops.looprules import COLUMN, SURE_SCORE, Ruling
from edge.infer.loops.surroundings import LEAD, loop_surroundings, neighbour_groups
from edge.infer.sites import ApproachSite, LaneSite

LANES_BESIDE: Final = 3  # lanes that are asked, the nearest: each costs time in every slot
GROUPS_ALONG: Final = 2  # places along
PARTS: Final = (LEAD, "trail")
BELIEVED: Final = (None, *COUNT_FAULTS)
"""What such loops count is right."""
NONE: Final[Mapping[LaneGroup, tuple[float, float]]] = {}


class LaneActivity:
    """All lanes of a site. `fault_of` says what is known to be wrong with a loop."""

    def __init__(
        self,
        lanes: Iterable[LaneSite],
        approaches: Iterable[ApproachSite],
        fault_of: Callable[[LoopKey], str | None],
    ) -> None:
        self._fault_of = fault_of
        self._groups: dict[LaneGroup, list[str]] = {}
        self._group: dict[str, LaneGroup] = {}
        self._keys: dict[str, tuple[LoopKey, ...]] = {}
        self._quiet: dict[str, LaneSilence] = {}
        sites, ways = tuple(lanes), tuple(approaches)
        for kind in ("vehicle", "bicycle"):  # neither tells anything of the other
            some = [lane for lane in sites if lane.judged == (kind == "vehicle")]
            self._add(kind, some, ways)
        self._density = {lane: TrafficDensity() for lane in self._quiet}
        self._lived: set[LoopKey] = set()
        summed = {place for quiet in self._quiet.values() for place in quiet.sums}
        summed |= {self._group[lane] for lane, quiet in self._quiet.items() if quiet.sums}
        self._groups = {place: lanes for place, lanes in self._groups.items() if place in summed}

    def _add(self, kind: str, lanes: Sequence[LaneSite], ways: Sequence[ApproachSite]) -> None:
        found, near = loop_surroundings(lanes, ways), neighbour_groups(lanes, ways)
        groups: dict[LaneGroup, list[str]] = {}
        for lane in lanes:
            groups.setdefault((lane.approach, lane.position), []).append(lane.name)
        for lane in lanes:
            group = (lane.approach, lane.position)
            here = groups[group]
            at = here.index(lane.name)
            others = sorted(here[:at] + here[at + 1 :], key=lambda n: abs(here.index(n) - at))
            along = [f"{kind} {approach}" for approach, _ in near[group][:GROUPS_ALONG]]
            self._keys[lane.name] = tuple((lane.name, p) for p in PARTS[: 1 + lane.paired])
            self._group[lane.name] = (f"{kind} {group[0]}", group[1])
            self._quiet[lane.name] = LaneSilence(
                lane.role or "mainline",
                beside=others[:LANES_BESIDE],
                along=[name for name, _ in found[lane.name, LEAD].along[:GROUPS_ALONG]],
                places=[
                    (name, position)
                    for name, (_, position) in zip(along, near[group], strict=False)
                ]
                if others
                else (),
                signal=lane.position != "corridor",
            )
        self._groups |= {(f"{kind} {a}", p): names for (a, p), names in groups.items()}

    @property
    def keys(self) -> tuple[LoopKey, ...]:
        """Every loop, in the site's order, the lead loop before the trail loop."""
        return tuple(key for keys in self._keys.values() for key in keys)

    def has_lived(self, key: LoopKey) -> bool:
        """Whether the loop has ever seen a vehicle."""
        return key in self._lived

    def mark_dead(self, key: LoopKey) -> None:
        """It is known to have died, and so to have lived: after `restore`, which may be older."""
        self._lived.add(key)

    def step(
        self, slot: Mapping[LoopKey, LoopTick], rows: Mapping[LoopKey, Any], wall_s: float | None
    ) -> dict[LoopKey, Ruling]:
        """A ruling for each loop of a lane that is dead."""
        counted: dict[str, float] = {}
        seen: dict[str, LoopTick] = {}
        active: set[str] = set()
        for lane, keys in self._keys.items():
            self._look(lane, [slot[key] for key in keys if key in slot], counted, seen, active)
        sums = self._sums(counted)
        length_s = next(iter(slot.values())).length_s if slot else 0.0
        dense = {lane: self._density[lane].step(n, length_s) for lane, n in counted.items()}
        silent = {lane for lane, quiet in self._quiet.items() if quiet.idle_s >= LIVING_S}
        rulings: dict[LoopKey, Ruling] = {}
        for lane, quiet in self._quiet.items():
            tick = seen.get(lane)
            if tick is None:
                quiet.missing(length_s)
                continue
            here = sums.get(self._group[lane])
            ruling = quiet.step(
                LaneSlot(
                    lane not in active,
                    counted.get(lane),
                    counted,
                    dense,
                    silent,
                    tick.length_s,
                    {p: (here, sums[p]) for p in quiet.sums if p in sums}
                    if here is not None and quiet.sums
                    else NONE,
                    None if tick.green_ns is None else tick.green_ns / NS,
                    tick.to_ns,
                    wall_s,
                )
            )
            if ruling is not None:
                rulings |= self._rulings(lane, quiet, ruling, rows, tick.to_ns)
        return rulings

    def _look(
        self,
        lane: str,
        ticks: Sequence[LoopTick],
        counted: dict[str, float],
        seen: dict[str, LoopTick],
        active: set[str],
    ) -> None:
        """What a lane did: counted by the first of its loops that is to be believed."""
        reliable = self._reliable(lane)
        for tick in ticks:
            key, passed = (lane, tick.part), len(tick.stays) + tick.stays_left_out
            if passed:
                self._lived.add(key)
            if key in reliable and (passed or tick.on_ns or tick.since_ns is not None):
                active.add(lane)
            if tick.seen_ns > UNSEEN * (tick.to_ns - tick.from_ns):
                seen.setdefault(lane, tick)
                if lane not in counted and self._fault_of(key) in BELIEVED:
                    counted[lane] = min(float(passed), CAP * max(1.0, tick.length_s / 30.0))

    def _reliable(self, lane: str) -> tuple[LoopKey, ...]:
        """The loops whose silence is the lane's: without those that are active whatever comes."""
        keys = self._keys[lane]
        if len(keys) == 1:
            return keys
        return tuple(key for key in keys if self._fault_of(key) not in LOUD_FAULTS) or keys

    def _sums(self, counted: Mapping[str, float]) -> dict[LaneGroup, float]:
        """Of each place that is compared, if all of its lanes are believed."""
        return {
            group: sum(counted[lane] for lane in lanes)
            for group, lanes in self._groups.items()
            if all(lane in counted for lane in lanes)
        }

    def _rulings(
        self,
        lane: str,
        quiet: LaneSilence,
        ruling: SilenceRuling,
        rows: Mapping[LoopKey, Sequence[float]],
        to_ns: int,
    ) -> dict[LoopKey, Ruling]:
        ever = any(key in self._lived for key in self._keys[lane])
        seen = silence_text(ruling, quiet.idle_s, ever=ever)
        rulings: dict[LoopKey, Ruling] = {}
        for key in self._reliable(lane):
            # a loop may be silent for longer than its lane, whose other loop died later
            own_s = math.expm1(rows[key][COLUMN["idle"]]) if key in rows else 0.0
            since_ns = to_ns - round(max(quiet.idle_s, own_s) * NS)
            fault = "stuck_off" if key in self._lived else "never_active"
            rulings[key] = Ruling(fault, SURE_SCORE, True, since_ns, seen)
        return rulings

    def missing(self, gap_s: float) -> None:
        """Nobody watched for `gap_s`."""
        for quiet in self._quiet.values():
            quiet.missing(gap_s)

    def snapshot(self) -> dict[str, object]:
        """JSON-like."""
        return {
            "lanes": {lane: quiet.snapshot() for lane, quiet in self._quiet.items()},
            "dense": {lane: each.snapshot() for lane, each in self._density.items()},
            "lived": sorted("|".join(key) for key in self._lived),
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Raises KeyError, TypeError or ValueError for what is no snapshot."""
        lived = {str(name) for name in saved["lived"]}
        self._lived = {k for keys in self._keys.values() for k in keys if "|".join(k) in lived}
        for lane, quiet in self._quiet.items():
            if lane in saved["lanes"]:
                quiet.restore(saved["lanes"][lane])
                self._density[lane].restore(saved["dense"][lane])


def silence_text(ruling: SilenceRuling, idle_s: float, *, ever: bool) -> str:
    """What was seen, and for how long: the first half of a sentence for people."""
    for_words = span_words(idle_s)
    head = (
        f"has detected nothing for {for_words}"
        if ever
        else f"has not detected a vehicle in the {for_words} since the gateway began to watch it"
    )
    vehicles = f"while {ruling.much:.0f} vehicles"
    meanwhile = {
        "beside": f", {vehicles} passed in {ruling.lane} beside it",
        "along": f", {vehicles} passed in {ruling.lane} upstream or downstream",
        "green": f", {ruling.much / 60.0:.0f} min of it on green",
        "week": f", {vehicles} are usual in these hours of the week",
        "time": f", {vehicles} are usual in that time",
    }[ruling.who]
    if ruling.who == "time" and not ever:
        meanwhile = ""
    looks = "looks dead, or the lane is closed" if ever else "seems not to be connected"
    return f"{head}{meanwhile}; the loop {looks}"


def span_words(for_s: float) -> str:
    """Minutes up to two hours, then hours, then days."""
    minutes = for_s / 60.0
    if minutes < 120.0:
        return f"{minutes:.0f} min"
    hours = minutes / 60.0
    return f"{hours:.0f} h" if hours < 72.0 else f"{hours / 24.0:.0f} days"
