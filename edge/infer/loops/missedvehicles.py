"""Finds a loop of a pair that misses vehicles: its other loop felt them, and nobody beside did.

A vehicle that only the pair's other loop felt was missed here, unless the other loop made it up:
fragments of a long vehicle, and what it felt of the next lane, count for nothing. Few misses are
enough, for a sound pair has hardly any.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from edge.core.looptick import LoopTick, Stay
from edge.infer.loops.evidence import (
    APART_NS,
    CLOSE_NS,
    NS,
    LoopKey,
    LoopSurroundings,
    is_crowded,
)
from edge.infer.loops.expectedcount import check_named_amounts, five_digits
from edge.infer.loops.loopflag import LOUD_FAULTS
from edge.infer.loops.looprules import SURE_SCORE, Ruling

FAULT: Final = "undercount"
HEEDED: Final = (None, FAULT)
"""Beside these it is said, and only such a loop is a witness."""
VEHICLE_NS: Final = 150_000_000  # what is shorter was no vehicle
QUICK_NS: Final = NS  # who is on the other loop for longer may stop between the two
MISSED: Final = 1.5  # evidence, as in a CUSUM chart
FELT: Final = -0.12
ON: Final = 7.0
OFF: Final = 2.0
MOST: Final = 10.0
DEAD: Final = 8  # missed one after the other: the loop is silent, which has a word of its own
TAIL: Final = 12  # stays that are kept
LATE_NS: Final = 2 * NS  # by then it is known who else felt a vehicle


class MissedVehicleRule:
    """The pairs of a site. `fault_of`: what is known to be wrong with a loop."""

    def __init__(
        self,
        places: Mapping[LoopKey, LoopSurroundings],
        fault_of: Callable[[LoopKey], str | None],
    ) -> None:
        self._fault_of = fault_of
        self._mates = {
            key: (place.partner, places[place.partner].beside)
            for key, place in places.items()
            if place.partner is not None and place.mode == "presence"
        }
        heard = {key for mate, beside in self._mates.values() for key in (mate, *beside)}
        self._loops = {key: _Loop() for key in places if key in heard}

    def step(
        self,
        slot: Mapping[LoopKey, LoopTick],
        rows: Mapping[LoopKey, Sequence[float]],
        wall_s: float | None,
    ) -> dict[LoopKey, Ruling]:
        """Which loops miss vehicles."""
        for key, tick in slot.items():
            if key in self._loops:
                self._loops[key].hear(tick)
        rulings: dict[LoopKey, Ruling] = {}
        for key, (mate, beside) in self._mates.items():
            if key not in slot or mate not in slot:
                continue
            loop = self._loops[key]
            if self._fault_of(mate) in LOUD_FAULTS or self._loops[mate].is_crowded:
                loop.begin_anew(slot[key].to_ns)
                continue
            sound = self._fault_of(key) in HEEDED and self._fault_of(mate) is None
            if sound:
                others = [self._loops[other] for other in beside]
                loop.compare(self._loops[mate], others, slot[key].to_ns - LATE_NS)
            loop.up = sound and loop.misses()
            if loop.up:
                rulings[key] = Ruling(FAULT, SURE_SCORE)
        return rulings

    def missing(self, gap_s: float) -> None:
        """Nobody watched: what was felt before the gap is compared with nothing."""
        for loop in self._loops.values():
            loop.forget()

    def snapshot(self) -> dict[str, list[float]]:
        """JSON-like; some 30 bytes a loop of a pair."""
        return {"|".join(key): [five_digits(self._loops[key].evidence)] for key in self._mates}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Raises KeyError, TypeError or ValueError for what is no snapshot."""
        found = check_named_amounts(saved, {key: "|".join(key) for key in self._mates}, 1)
        for key, (evidence,) in found.items():
            self._loops[key].evidence = min(MOST, evidence)
            self._loops[key].up = self._loops[key].has_felt = evidence >= ON


class _Loop:
    """The last stays of a loop, and the evidence that it misses some."""

    __slots__ = ("_in_a_row", "_stays", "_until_ns", "evidence", "has_felt", "since_ns", "up")

    def __init__(self) -> None:
        self._stays: deque[Stay] = deque(maxlen=TAIL)
        self.since_ns: int | None = None
        self._until_ns = 0  # of the other loop everything was compared up to here
        self.evidence = 0.0
        self.has_felt = False  # some, since there is evidence
        self._in_a_row = 0  # missed
        self.up = False

    def hear(self, tick: LoopTick) -> None:
        """The stays of a slot."""
        if tick.stays_left_out or tick.seen_ns < tick.to_ns - tick.from_ns:
            self.forget()
            self._until_ns = tick.to_ns
            return
        self._stays += tick.stays
        self.since_ns = tick.since_ns

    def forget(self) -> None:
        """Not every edge is known."""
        self._stays.clear()
        self.since_ns = None

    @property
    def is_crowded(self) -> bool:
        """Whether what it felt lately cannot have been vehicles."""
        return is_crowded(self._stays)

    def begin_anew(self, until_ns: int) -> None:
        """The other loop was no witness, and was none before this was known."""
        self._until_ns = until_ns
        self.evidence, self.has_felt, self._in_a_row, self.up = 0.0, False, 0, False

    def felt(self, from_ns: int, to_ns: int) -> bool:
        """Whether anything lay on it at some time between these."""
        if self.since_ns is not None and self.since_ns < to_ns:
            return True
        return any(stay.on_ns < to_ns and stay.off_ns > from_ns for stay in self._stays)

    def compare(self, mate: _Loop, beside: Sequence[_Loop], until_ns: int) -> None:
        """The vehicles that the pair's other loop felt, up to `until_ns`."""
        stays = list(mate._stays)
        first = bisect_left(stays, self._until_ns, key=lambda stay: stay.on_ns)
        known_ns = self._stays[0].on_ns if len(self._stays) == TAIL else 0
        for i in range(first, len(stays)):
            on_ns, off_ns = stays[i]
            if on_ns > until_ns:
                break
            self._until_ns = on_ns + 1
            near_ns = APART_NS + off_ns - on_ns  # slow ones take longer from loop to loop
            if not VEHICLE_NS <= off_ns - on_ns < QUICK_NS or on_ns - near_ns < known_ns:
                continue
            if self.felt(on_ns - near_ns, on_ns + near_ns):
                self._add(FELT, 0)
            elif not (
                (i and on_ns - stays[i - 1].off_ns < CLOSE_NS)
                or (i + 1 < len(stays) and stays[i + 1].on_ns - off_ns < CLOSE_NS)
                or any(other.felt(on_ns, off_ns) for other in beside)
            ):
                self._add(MISSED, self._in_a_row + 1)

    def _add(self, evidence: float, in_a_row: int) -> None:
        self.evidence = min(MOST, max(0.0, self.evidence + evidence))
        self._in_a_row = in_a_row
        if in_a_row >= DEAD:
            self.evidence = 0.0
        self.has_felt = self.evidence > 0.0 and (self.has_felt or not in_a_row)

    def misses(self) -> bool:
        """Whether it misses some and feels others."""
        return self.has_felt and self.evidence >= (OFF if self.up else ON)
