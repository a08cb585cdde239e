"""Counts how often two loops beside each other go on at one moment, and how often by chance.

Two cards on one frequency answer together within milliseconds. So do vehicles that start side by
side at a green light, but not to the hundredth of a second: as many go on a quarter of a second
apart. Chance is therefore counted beside the moment itself, and not reckoned from the flow: what is
called crosstalk at a stop line, by whomever, counts only where these counts show it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from edge.core.looptick import LoopTick
from edge.infer.loops.evidence import LoopKey, LoopSurroundings
from edge.infer.loops.expectedcount import check_named_amounts, five_digits
from edge.infer.loops.loopflag import LEARNED_FAULTS
from edge.infer.loops.looprules import SURE_SCORE, Ruling

FAULT: Final = "crosstalk"
_AT: Final = 1 + LEARNED_FAULTS.index(FAULT)
HEEDED: Final = (None, FAULT, "undercount", "splashover")
"""Beside these it is said: what is loud or dead has a word that tells more."""
NEAR_NS: Final = 40_000_000  # one cause
SIDE_NS: Final = 160_000_000  # a vehicle that two loops feel: splashover
FAR_NS: Final = 360_000_000  # chance
BANDS: Final = (FAR_NS - NEAR_NS) / NEAR_NS  # of NEAR_NS, in which chance is counted
MEMORY_S: Final = 1200.0
PROVEN_Z: Final = 2.5  # deviations above chance, without which nobody may say it
PROVEN: Final = 3.0  # and so many times
SURE_Z: Final = 5.0  # with which it is said
SURE: Final = 8.0
SHARE: Final = 0.1  # of the stays of the loop that answers
SHORTER: Final = 0.2  # it answers for a shorter time: more often than not, by so much
KEPT: Final = 6


def without_crosstalk(p: Sequence[float]) -> list[float]:
    """Probabilities of which those of crosstalk count as `sound`."""
    out = list(p)
    out[0] += out[_AT]
    out[_AT] = 0.0
    return out


class CrosstalkRule:
    """All loops of a site that have others beside them. `fault_of`: what is known to be wrong."""

    def __init__(
        self,
        places: Mapping[LoopKey, LoopSurroundings],
        fault_of: Callable[[LoopKey], str | None],
    ) -> None:
        self._fault_of = fault_of
        self._answering: frozenset[LoopKey] = frozenset()
        self._pairs = {
            (key, other): _Together()
            for key, place in places.items()
            if place.mode == "presence"
            for other in place.beside
            if key < other and places[other].mode == "presence"
        }

    def step(
        self,
        slot: Mapping[LoopKey, LoopTick],
        rows: Mapping[LoopKey, Sequence[float]],
        wall_s: float | None,
    ) -> dict[LoopKey, Ruling]:
        """Which loops answer for the one beside them."""
        rulings: dict[LoopKey, Ruling] = {}
        for (one, other), both in self._pairs.items():
            if one not in slot or other not in slot:
                continue
            both.hear(slot[one], slot[other])
            excess, z = both.excess(), both.z()
            for key, count, shorter in zip(
                (one, other), both.counts, (both.shorter, -both.shorter), strict=True
            ):
                if key in self._answering:  # until it is over
                    answers = z >= PROVEN_Z and excess >= PROVEN and shorter > 0.0
                else:
                    answers = z >= SURE_Z and excess >= max(SURE, SHARE * count)
                    answers = answers and shorter > SHORTER
                if answers and self._fault_of(key) in HEEDED:
                    rulings[key] = Ruling(FAULT, SURE_SCORE)
        self._answering = frozenset(rulings)
        return rulings

    def unproven(self) -> set[LoopKey]:
        """Loops of which nobody may say that they answer for another one."""
        proven = {
            key
            for pair, both in self._pairs.items()
            if both.z() >= PROVEN_Z and both.excess() >= PROVEN
            for key in pair
        }
        return {key for pair in self._pairs for key in pair} - proven

    def missing(self, gap_s: float) -> None:
        """Nobody watched for `gap_s`."""
        for both in self._pairs.values():
            both.fade(gap_s)

    def snapshot(self) -> dict[str, list[float]]:
        """JSON-like; some 40 bytes for two loops."""
        return {"|".join((*one, *other)): b.snapshot() for (one, other), b in self._pairs.items()}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Raises KeyError, TypeError or ValueError for what is no snapshot."""
        names = {pair: "|".join((*pair[0], *pair[1])) for pair in self._pairs}
        for pair, numbers in check_named_amounts(saved, names, KEPT).items():
            self._pairs[pair].restore(numbers)


class _Together:
    """Two loops: how often they went on together, aside, and by chance; and how often at all."""

    __slots__ = ("_far", "_near", "_shorter", "_side", "counts")

    def __init__(self) -> None:
        self._near = self._side = self._far = 0.0
        self._shorter = 0.0  # of those near: the first one's stay was
        self.counts = (0.0, 0.0)

    def fade(self, by_s: float) -> None:
        """Time passes."""
        by = math.exp(-by_s / MEMORY_S)
        self._near, self._side, self._far = self._near * by, self._side * by, self._far * by
        self._shorter, self.counts = self._shorter * by, (self.counts[0] * by, self.counts[1] * by)

    def hear(self, one: LoopTick, other: LoopTick) -> None:
        """A slot of both."""
        self.fade(one.length_s)
        mine, theirs = one.stays, other.stays
        self.counts = self.counts[0] + len(mine), self.counts[1] + len(theirs)
        if not mine or not theirs:
            return
        begins = [stay.on_ns for stay in theirs]
        for on_ns, off_ns in mine:
            for j in range(bisect_left(begins, on_ns - FAR_NS), len(begins)):
                apart_ns = abs(begins[j] - on_ns)
                if apart_ns > FAR_NS:
                    break
                if apart_ns > NEAR_NS:
                    self._far += 1.0
                    self._side += float(apart_ns <= SIDE_NS)
                    continue
                self._near += 1.0
                self._shorter += float(off_ns - on_ns < theirs[j].off_ns - begins[j])

    def excess(self) -> float:
        """How often together, less chance; 0 where most are aside."""
        return self._near - self._far / BANDS if self._near >= self._side else 0.0

    def z(self) -> float:
        """The same in deviations."""
        return self.excess() / math.sqrt(self._far / BANDS + 1.0)

    @property
    def shorter(self) -> float:
        """1: the first one always answers for a shorter time than the other, -1: for a longer."""
        return (2.0 * self._shorter - self._near) / (self._near + 2.0)

    def snapshot(self) -> list[float]:
        """JSON-like."""
        numbers = (self._near, self._side, self._far, self._shorter, *self.counts)
        return [five_digits(each) for each in numbers]

    def restore(self, numbers: Sequence[float]) -> None:
        """Six amounts."""
        self._near, self._side, self._far, self._shorter, *counts = numbers
        self.counts = counts[0], counts[1]
