"""Finds a loop that lets go late: it stays on for seconds after some of the vehicles have left.

Where a vehicle stands those behind it are slow, too, and a pair's other loop feels it for as long.
A relay that sticks is another thing: the pair's other loop was free seconds before; and on a single
loop those before and after it were as quick as ever. The numbers are ours; they were chosen on the
streets of the training.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from edge.core.looptick import LoopTick, Stay
from edge.infer.loops.evidence import APART_NS, CLOSE_NS, NS, LoopKey, is_crowded
from edge.infer.loops.expectedcount import check_named_amounts, five_digits
from edge.infer.loops.loopflag import COUNT_FAULTS, LOUD_FAULTS
from edge.infer.loops.looprules import SURE_SCORE, Ruling
from edge.infer.sites import LaneSite

FAULT: Final = "late_release"
HEEDED: Final = (None, FAULT, "undercount", *COUNT_FAULTS)
"""Beside these it is said: what is loud, dead or broken has late releases of other causes."""
LEARNED_S: Final = 1.5  # what lies on it for longer teaches nothing of vehicles that drive
QUARTER: Final = 0.25  # of those that drive are quicker than the usual one
PACE: Final = 0.06  # by which the usual one moves with each vehicle, of its logarithm
FIRST_PACE: Final = 0.3  # and while it is not known
STEPS: Final = tuple(
    (math.exp(pace * QUARTER), math.exp(pace * (QUARTER - 1.0))) for pace in (FIRST_PACE, PACE)
)  # by which it is multiplied when one took longer, and when not
KNOWN: Final = 12  # vehicles, until it is
TAIL: Final = 8  # stays that are kept, to be compared

# Each vehicle that is compared adds to the evidence or takes from it, as in a CUSUM chart: the
# logarithm of how much more often it is so on a loop that lets go late, and less for their coming
# in groups.
ON: Final = 7.0
ON_ALONE: Final[Mapping[str, float]] = {"corridor": ON, "mid": ON, "advance": 9.0}
"""Of single loops. At a stop line one may stand between two that drive: who lets a bicycle pass, or
comes to a green that is about to end, is no relay."""
OFF: Final = 2.0
MOST: Final = 12.0
PAIR_QUICK_NS: Final = NS  # up to here no vehicle stops between the two loops
LAG_S: Final = 0.4  # longer than the pair's other loop,
LAG_SHARE: Final = 0.5  # and by so much of its time: the two may be set differently
PAIR_LATE: Final = 2.5
PAIR_IN_TIME: Final = -0.2
QUICK: Final = 1.35  # of the usual time: who drives before or behind it
FREE_NS: Final = NS  # before it: what is free for less may be inverted, and shows nothing
NEXT_NS: Final = 20 * NS  # from vehicle to vehicle: what lies further apart shows nothing
LATE_S: Final = 0.4  # less is no late release
STANDS_S: Final = 6.0  # more is one that stands
EVIDENCE: Final = ((1.5, -0.3), (2.5, -0.1), (3.5, 0.3), (5.0, 1.2), (math.inf, 2.5))
"""Up to so many times the usual one: a lorry with its trailer takes three times as long."""


class LateReleaseRule:
    """All loops of a site with a presence output. `fault_of`: what is wrong with one so far."""

    def __init__(
        self, lanes: Iterable[LaneSite], fault_of: Callable[[LoopKey], str | None]
    ) -> None:
        self._fault_of = fault_of
        self._loops: dict[LoopKey, _Loop] = {}
        self._mates: dict[LoopKey, LoopKey] = {}
        for lane in lanes:
            if lane.mode != "presence":
                continue
            lead, trail = (lane.name, "lead"), (lane.name, "trail")
            if lane.paired:
                self._mates |= {lead: trail, trail: lead}
                self._loops |= {lead: _Loop(), trail: _Loop()}
            elif lane.position in ON_ALONE:
                self._loops[lead] = _Loop(ON_ALONE[lane.position])

    def step(
        self,
        slot: Mapping[LoopKey, LoopTick],
        rows: Mapping[LoopKey, Sequence[float]],
        wall_s: float | None,
    ) -> dict[LoopKey, Ruling]:
        """Which loops let go late."""
        seen = [(key, tick) for key, tick in slot.items() if key in self._loops]
        for key, tick in seen:
            self._loops[key].hear(tick)
        rulings: dict[LoopKey, Ruling] = {}
        for key, tick in seen:
            loop, mate = self._loops[key], self._mates.get(key)
            if mate is None:
                loop.compare_alone()
            elif self._fault_of(mate) in LOUD_FAULTS or is_crowded(self._loops[mate].newest):
                loop.begin_anew()  # nor did it before this was known
            elif self._fault_of(mate) not in HEEDED:
                loop.pass_over()  # it shows nothing of the other loop of its pair
            else:
                until_ns = tick.to_ns - APART_NS
                if mate in slot and (since_ns := slot[mate].since_ns) is not None:
                    until_ns = min(until_ns, since_ns - APART_NS)  # what lies there has no end yet
                loop.compare_pair(self._loops[mate].tail, until_ns)
            if loop.is_late() and self._fault_of(key) in HEEDED:
                rulings[key] = Ruling(FAULT, SURE_SCORE)
        return rulings

    def missing(self, gap_s: float) -> None:
        """Nobody watched: what came before is no neighbour of what comes after."""
        for loop in self._loops.values():
            loop.forget()

    def snapshot(self) -> dict[str, list[float]]:
        """JSON-like; some 40 bytes a loop."""
        return {"|".join(key): loop.snapshot() for key, loop in self._loops.items()}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Raises KeyError, TypeError or ValueError for what is no snapshot."""
        found = check_named_amounts(saved, {key: "|".join(key) for key in self._loops}, 4)
        for key, numbers in found.items():
            self._loops[key].restore(numbers)


class _Loop:
    """What is kept of one loop."""

    __slots__ = ("_evidence", "_known", "_new", "_on", "_up", "_usual_s", "tail")

    def __init__(self, on: float = ON) -> None:
        self._on = on
        # and the one before them: of the oldest, too, it is known whether it begins a vehicle
        self.tail: deque[Stay] = deque(maxlen=TAIL + 1)
        self._new: list[Stay] = []  # not compared yet
        self._usual_s, self._known = 0.4, 0  # of a vehicle that drives
        self._evidence = 0.0
        self._up = False

    @property
    def newest(self) -> list[Stay]:
        """The stays that are compared."""
        return list(self.tail)[-TAIL:]

    def hear(self, tick: LoopTick) -> None:
        """The stays of a slot."""
        if tick.stays_left_out or tick.seen_ns < tick.to_ns - tick.from_ns:
            self.forget()
            return
        self.tail += tick.stays
        self._new = [*self._new, *tick.stays][-TAIL:]

    def forget(self) -> None:
        """Not every edge is known."""
        self.tail.clear()
        self._new = []

    def pass_over(self) -> None:
        """What is new is compared with nothing."""
        self._new = []

    def begin_anew(self) -> None:
        """Nor does what was compared count any more."""
        self._new = []
        self._evidence = 0.0

    def _learn(self, on_s: float) -> None:
        if on_s >= LEARNED_S:
            return
        self._known = min(KNOWN, self._known + 1)
        longer, shorter = STEPS[self._known == KNOWN]
        self._usual_s *= longer if on_s > self._usual_s else shorter

    def compare_alone(self) -> None:
        """Each stay with the one before it and the one behind, which is new."""
        if not self._new:
            return
        stays, new = self.newest, len(self._new)
        self._new = []
        for i in range(len(stays) - new, len(stays)):
            if i >= 2 and self._known == KNOWN:
                self._compare(stays[i - 2], stays[i - 1], stays[i])
            on_ns, off_ns = stays[i]
            self._learn((off_ns - on_ns) / NS)

    def _compare(self, before: Stay, this: Stay, behind: Stay) -> None:
        on_ns, off_ns = this
        on_s, usual_s = (off_ns - on_ns) / NS, self._usual_s
        if not self._evidence and on_s < usual_s + LATE_S:
            return  # in time, as most are: there is nothing to take from
        before_ns, before_off_ns = before
        if on_ns - before_off_ns < FREE_NS:
            return
        behind_ns, behind_off_ns = behind
        quick_ns = QUICK * usual_s * NS
        if on_s < usual_s + STANDS_S and (
            (behind_off_ns - behind_ns <= quick_ns and behind_ns - on_ns <= NEXT_NS)
            or (before_off_ns - before_ns <= quick_ns and on_ns - before_ns <= NEXT_NS)
        ):
            times = on_s / usual_s if on_s >= usual_s + LATE_S else 0.0
            for limit, evidence in EVIDENCE:
                if times < limit:
                    self._add(evidence)
                    break

    def compare_pair(self, theirs: Sequence[Stay], until_ns: int) -> None:
        """Each stay that ended before `until_ns`, with those of the pair's other loop."""
        waiting = []
        # Where the other loop breaks up, a part may begin nearer to this stay than its vehicle did.
        first = len(theirs) - TAIL
        fronts = [
            other
            for i, other in enumerate(theirs)
            if i >= first and (i == 0 or other.on_ns - theirs[i - 1].off_ns >= CLOSE_NS)
        ]
        for stay in self._new:
            if stay.off_ns > until_ns:
                waiting.append(stay)
                continue
            mate = min(fronts, key=lambda other: abs(other.on_ns - stay.on_ns), default=None)
            if mate is None or abs(mate.on_ns - stay.on_ns) > APART_NS:
                continue
            if any(0 < stay.on_ns - mine.off_ns < FREE_NS for mine in self.tail):
                continue
            on_ns = mate.off_ns - mate.on_ns
            if on_ns > PAIR_QUICK_NS:
                continue
            later_ns = stay.on_ns - mate.on_ns  # below 0 on the lead loop
            last_ns = max(other.off_ns for other in theirs if other.on_ns <= stay.off_ns - later_ns)
            late = stay.off_ns - later_ns - last_ns >= LAG_S * NS + LAG_SHARE * on_ns
            self._add(PAIR_LATE if late else PAIR_IN_TIME)
        self._new = waiting

    def _add(self, evidence: float) -> None:
        self._evidence = min(MOST, max(0.0, self._evidence + evidence))

    def is_late(self) -> bool:
        """Whether it lets go late; once it does, until that is over."""
        self._up = self._evidence >= (OFF if self._up else self._on)
        return self._up

    def snapshot(self) -> list[float]:
        """JSON-like."""
        numbers = (self._usual_s, self._known, self._evidence, self._up)
        return [five_digits(each) for each in numbers]

    def restore(self, numbers: Sequence[float]) -> None:
        """Four amounts."""
        self._usual_s, known, self._evidence, up = numbers
        self._known, self._up = min(KNOWN, int(known)), up > 0.0
