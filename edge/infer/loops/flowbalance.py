"""Finds a loop that misses vehicles by the flow balance of hours: they come by, and it lacks some.

All lanes of a place together count what those of the place before or after it do, by a usual share
that side streets and exits make; each lane has its usual share of its place. When a lane is closed
its vehicles pass beside it and the sum stays; a loop that misses some lacks them in both. The
evidence of five minutes is little and that of an hour is some: it adds up as in a CUSUM chart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from edge.core.looptick import LoopTick
from edge.infer.loops.evidence import CAP, NS, LaneGroup, LoopKey
from edge.infer.loops.expectedcount import check_amounts, five_digits
from edge.infer.loops.loopflag import COUNT_FAULTS
from edge.infer.loops.loopmemory import DAY_S
from edge.infer.loops.looprules import SURE_SCORE, Ruling
from edge.infer.loops.surroundings import LEAD, neighbour_groups
from edge.infer.sites import ApproachSite, LaneSite

FAULT: Final = "undercount"
HEEDED: Final = (None, FAULT, *COUNT_FAULTS)
"""Only what such loops count is compared, and only of them it is said."""
NOWHERE: Final = ("", "")
BIN_S: Final = 300.0
WATCHED: Final = 0.9  # of a bin
HELD_NS: Final = 120 * NS  # on for so long it counts nobody: stuck, or in a queue longer than a red
MISSED: Final = 0.2  # share that is looked for: a smaller one makes evidence, too, only later
WANDER: Final = 0.06  # by which the share of a whole place wanders by itself
LANES_WANDER: Final = 0.12  # and that of a lane, where nobody shows how it is at such a density
KNOWN: Final = 100.0  # vehicles, until a share is known
LEAST: Final = 3.0  # vehicles that are due in a bin: fewer show nothing
ALIKE: Final = 0.5  # of the other's vehicles: a ramp with less goes its own way
ON: Final = 4.0
OFF: Final = 1.0  # from here on it is in doubt: little is learned of it, and nobody is asked of it
MOST: Final = 7.0
SLOWLY: Final = 0.1  # is learned of a place in doubt: a new side street is no fault for ever


class FlowBalanceRule:
    """All lanes of a site that have others along them. `fault_of`: what is known to be wrong."""

    def __init__(
        self,
        lanes: Iterable[LaneSite],
        approaches: Iterable[ApproachSite],
        fault_of: Callable[[LoopKey], str | None],
    ) -> None:
        sites = tuple(lanes)
        self._fault_of = fault_of
        self._near = neighbour_groups(sites, approaches)
        self._groups: dict[LaneGroup, list[str]] = {}
        for lane in sites:
            self._groups.setdefault((lane.approach, lane.position), []).append(lane.name)
        self._ratios = {(g, o): Share(WANDER) for g, near in self._near.items() for o in near}
        # in dense traffic a lane has another share: a place with as many lanes shows which
        self._like = {
            group: next((o for o in near if len(self._groups[o]) == len(names)), None)
            for group, near in self._near.items()
            if (names := self._groups[group])
        }
        self._shares = {
            name: Share(WANDER if self._like[group] else LANES_WANDER)
            for group, here in self._groups.items()
            if self._near[group]
            for name in here
        }
        self._lacks = {name: Lack() for name in self._shares}
        self._doubted: set[LaneGroup] = set()
        self._counts = dict.fromkeys(self._group_lanes(), 0.0)
        self._seen_s = dict.fromkeys(self._counts, 0.0)
        self._bin_s = 0.0

    def _group_lanes(self) -> Iterator[str]:
        return (name for here in self._groups.values() for name in here)

    def step(
        self,
        slot: Mapping[LoopKey, LoopTick],
        rows: Mapping[LoopKey, Sequence[float]],
        wall_s: float | None,
    ) -> dict[LoopKey, Ruling]:
        """Which lead loops miss vehicles."""
        if not self._lacks:
            return {}  # no place of the site has another one along it
        length_s = next(iter(slot.values())).length_s if slot else 0.0
        self._bin_s += length_s
        for name in self._counts:
            tick = slot.get((name, LEAD))
            if tick is None or (
                tick.since_ns is not None and tick.to_ns - tick.since_ns >= HELD_NS
            ):
                continue
            if self._fault_of((name, LEAD)) in HEEDED:
                passed = len(tick.stays) + tick.stays_left_out
                self._counts[name] += min(float(passed), CAP * max(1.0, length_s / 30.0))
                self._seen_s[name] += tick.seen_ns / NS
        if self._bin_s >= BIN_S:
            self._close()
        rulings: dict[LoopKey, Ruling] = {}
        for name, lack in self._lacks.items():
            if lack.up and self._fault_of((name, LEAD)) in HEEDED:
                rulings[name, LEAD] = Ruling(FAULT, SURE_SCORE)
        return rulings

    def _close(self) -> None:
        """A bin ends: every place of which all loops were watched is compared with those along."""
        least_s = WATCHED * self._bin_s
        here = {
            group: [self._counts[name] for name in names]
            for group, names in self._groups.items()
            if all(self._seen_s[name] >= least_s for name in names)
        }
        asked = {group: counts for group, counts in here.items() if group not in self._doubted}
        for group in here:  # a place that may miss vehicles itself is not asked
            along = {other: sum(asked[other]) for other in self._near[group] if other in asked}
            if along:
                self._compare(group, here[group], along, asked.get(self._like[group] or NOWHERE))
        self._doubted = {
            group
            for group, names in self._groups.items()
            if any(name in self._lacks and self._lacks[name].is_doubted for name in names)
        }
        self._counts = dict.fromkeys(self._counts, 0.0)
        self._seen_s = dict.fromkeys(self._seen_s, 0.0)
        self._bin_s = 0.0

    def _compare(
        self,
        group: LaneGroup,
        counts: Sequence[float],
        along: Mapping[LaneGroup, float],
        like: Sequence[float] | None,
    ) -> None:
        """A place with all those along; `like` are the lanes of one with as many."""
        whole, names = sum(counts), self._groups[group]
        ratios = {other: self._ratios[group, other] for other in along}
        # Of all that were asked the one by which least is missing: what one of them counts too
        # many is no lack here.
        missing = min(
            (
                r.lack(whole, along[o], 1.0 / (along[o] + 1.0))
                for o, r in ratios.items()
                if r.is_known and r.is_alike
            ),
            key=lambda lack: lack[0] / math.sqrt(lack[1]),
            default=None,
        )
        due = self._due_by_lane(group, counts, like)
        for name, count, by_lane in zip(names, counts, due, strict=True):
            share, beside = self._shares[name], None
            if by_lane is not None and share.is_known:
                beside = share.lack(count, *by_lane)
            if missing is not None and (beside is not None or len(names) == 1):
                self._lacks[name].add(count + (beside or missing)[0], missing, beside)
        self._tell([self._lacks[name] for name in names])
        weight = SLOWLY if any(self._lacks[name].is_doubted for name in names) else 1.0
        for other, ratio in ratios.items():
            ratio.learn(whole, along[other], self._bin_s, weight)
        for name, count, by_lane in zip(names, counts, due, strict=True):
            if by_lane is not None:
                self._shares[name].learn(count, by_lane[0], self._bin_s, weight)

    def _due_by_lane(
        self, group: LaneGroup, counts: Sequence[float], like: Sequence[float] | None
    ) -> list[tuple[float, float] | None]:
        """What each lane has by the others beside it, and the relative variance of that."""
        whole = sum(counts)
        if len(counts) == 1:
            return [None]
        if self._like[group] is None:
            return [(whole - own, 1.0 / (whole - own + 1.0)) for own in counts]
        if like is None or min(like) < 1.0:
            return [None] * len(counts)
        out: list[tuple[float, float] | None] = []
        for own, there in zip(counts, like, strict=True):
            rest, rest_there = whole - own, sum(like) - there
            unsure = 1.0 / (rest + 1.0) + 1.0 / there + 1.0 / rest_there
            out.append((rest * there / rest_there, unsure))
        return out

    @staticmethod
    def _tell(lacks: Sequence[Lack]) -> None:
        """Of a place that lacks vehicles it is the loop whose share fell most."""
        up = next((lack for lack in lacks if lack.up and lack.is_doubted), None)
        most = up or max(lacks, key=lambda lack: lack.beside)
        for lack in lacks:
            lack.up = lack is most and lack.weaker >= (OFF if lack is up else ON)

    def missing(self, gap_s: float) -> None:
        """Nobody watched: the bin begins anew."""
        self._counts = dict.fromkeys(self._counts, 0.0)
        self._seen_s = dict.fromkeys(self._seen_s, 0.0)
        self._bin_s = 0.0

    def snapshot(self) -> dict[str, dict[str, list[float]]]:
        """JSON-like; some 60 bytes a lane and neighbour."""
        return {
            "ratios": {"|".join((*g, *o)): r.snapshot() for (g, o), r in self._ratios.items()},
            "shares": {name: share.snapshot() for name, share in self._shares.items()},
            "lacks": {name: lack.snapshot() for name, lack in self._lacks.items()},
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Raises KeyError, TypeError or ValueError for what is no snapshot."""
        ratios = {"|".join((*g, *o)): ratio for (g, o), ratio in self._ratios.items()}
        found: list[tuple[Share | Lack, list[float]]] = []
        kinds: tuple[tuple[str, Mapping[str, Share | Lack]], ...] = (
            ("ratios", ratios), ("shares", self._shares), ("lacks", self._lacks),
        )  # fmt: skip
        for kind, each in kinds:
            for name, one in each.items():
                if name in saved[kind]:
                    found.append((one, check_amounts(saved[kind][name], 2)))
        for one, numbers in found:
            one.restore(numbers)


class Share:
    """What some count usually is of another: sums of both, over about a day."""

    __slots__ = ("_other", "_own", "_wander")

    def __init__(self, wander: float) -> None:
        self._wander = wander
        self._own = self._other = 0.0

    @property
    def is_known(self) -> bool:
        """Whether enough came."""
        return min(self._own, self._other) >= KNOWN

    @property
    def is_alike(self) -> bool:
        """Whether it is much the same road."""
        return self._own >= ALIKE * self._other

    def learn(self, own: float, other: float, length_s: float, weight: float) -> None:
        """A bin."""
        by = math.exp(-weight * length_s / DAY_S)
        self._own = self._own * by + weight * own
        self._other = self._other * by + weight * other

    def lack(self, own: float, other: float, unsure: float) -> tuple[float, float]:
        """How many are missing of `own` by the other's count, and the variance of that.

        `unsure` is the relative variance of the other's count.
        """
        due = other * self._own / self._other
        unsure += 1.0 / self._own + 1.0 / self._other + self._wander * self._wander
        return due - own, due + due * due * unsure + 1.0

    def snapshot(self) -> list[float]:
        """JSON-like."""
        return [five_digits(self._own), five_digits(self._other)]

    def restore(self, numbers: Sequence[float]) -> None:
        """Two amounts."""
        self._own, self._other = numbers


class Lack:
    """The evidence that a loop misses vehicles: by its place as a whole, and by its share of it."""

    __slots__ = ("along", "beside", "up")

    def __init__(self) -> None:
        self.along = self.beside = 0.0
        self.up = False

    def add(
        self, due: float, along: tuple[float, float], beside: tuple[float, float] | None
    ) -> None:
        """A bin in which so many vehicles were due: what is missing, and its variance."""
        if due < LEAST:
            return
        self.along = _sum(self.along, MISSED * due, *along)
        self.beside = self.along if beside is None else _sum(self.beside, MISSED * due, *beside)

    @property
    def weaker(self) -> float:
        """Of both kinds of evidence: neither alone is enough."""
        return min(self.along, self.beside)

    @property
    def is_doubted(self) -> bool:
        return self.weaker >= OFF

    def snapshot(self) -> list[float]:
        """JSON-like."""
        return [five_digits(self.along), five_digits(self.beside)]

    def restore(self, numbers: Sequence[float]) -> None:
        """Two amounts."""
        self.along, self.beside = numbers
        self.up = self.weaker >= ON


def _sum(before: float, looked_for: float, missing: float, variance: float) -> float:
    """The CUSUM of a normal variable: missing so many, or none."""
    evidence = (looked_for * missing - looked_for * looked_for / 2.0) / variance
    return min(MOST, max(0.0, before + evidence))
