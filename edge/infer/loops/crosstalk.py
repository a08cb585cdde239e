"""Counts how often a loop goes on with the one beside it, and how often by chance.

Two cards on one frequency answer together: the one that is pulled along goes on within milliseconds
after the other, off before it, and no vehicle is there. Vehicles that start side by side at a green
light come together, too, but either may be first, and the other loop of a pair feels them as well.
So a stay counts that is later and shorter than the one beside it, and has none on the pair's other
loop; chance is counted beside the moment itself, and not reckoned from the flow. What is called
crosstalk by a model counts only where these counts show some of it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from edge.core.looptick import LoopTick
from edge.infer.loops.evidence import LoopKey, LoopSurroundings
from edge.infer.loops.expectedcount import check_named_amounts, five_digits
from edge.infer.loops.looprules import SURE_SCORE, Ruling

FAULT: Final = "crosstalk"
HEEDED: Final = (None, FAULT, "undercount", "splashover")
"""Beside these it is said: what is loud or dead has a word that tells more."""
NEAR_NS: Final = 40_000_000  # one cause
SIDE_NS: Final = 160_000_000  # a vehicle that two loops feel: splashover
FAR_NS: Final = 360_000_000  # chance
BANDS: Final = (FAR_NS - NEAR_NS) / NEAR_NS  # of NEAR_NS, in which chance is counted
MATE_LAG: Final = 1.5  # times its stay: by then a vehicle is on the pair's other loop
MATE_LAG_NS: Final = 50_000_000  # and so much more
MEMORY_S: Final = 1200.0
PROVEN_Z: Final = 1.5  # deviations above chance, without which nobody may say it
PROVEN: Final = 1.5  # and so many times
SURE_Z: Final = 3.0  # with which it is said
SURE: Final = 3.0
SURE_ALONE: Final = 6.0  # of a single loop: nobody says that no vehicle was there
SHARE: Final = 0.04  # of the stays of the loop that answers
ANSWERS: Final = 0.6  # of those near, less chance, are later and shorter
BY_CHANCE: Final = 0.25  # either may be first, and either shorter
KEPT: Final = 5


class CrosstalkRule:
    """All loops of a site that have others beside them. `fault_of`: what is known to be wrong."""

    def __init__(
        self,
        places: Mapping[LoopKey, LoopSurroundings],
        fault_of: Callable[[LoopKey], str | None],
    ) -> None:
        self._fault_of = fault_of
        self._answering: frozenset[LoopKey] = frozenset()
        self._answers: dict[LoopKey, dict[LoopKey, _Answers]] = {}
        self._mates = {key: place.partner for key, place in places.items()}
        for key, place in places.items():
            beside = [other for other in place.beside if places[other].mode == "presence"]
            if beside and place.mode == "presence":
                sure = SURE if place.partner else SURE_ALONE
                self._answers[key] = {other: _Answers(sure) for other in beside}
        heard = {other for others in self._answers.values() for other in others}
        self._heard = heard | {mate for key in self._answers if (mate := self._mates[key])}

    def step(
        self,
        slot: Mapping[LoopKey, LoopTick],
        rows: Mapping[LoopKey, Sequence[float]],
        wall_s: float | None,
    ) -> dict[LoopKey, Ruling]:
        """Which loops answer for the one beside them."""
        rulings: dict[LoopKey, Ruling] = {}
        begins = {
            key: [stay.on_ns for stay in slot[key].stays] for key in self._heard if key in slot
        }
        for key, others in self._answers.items():
            if key not in slot:
                continue
            tick, mate = slot[key], self._mates[key]
            theirs: list[int] | None = None
            if mate is not None and mate in slot:
                since_ns = slot[mate].since_ns
                theirs = begins[mate] if since_ns is None else [*begins[mate], since_ns]
            for other, answers in others.items():
                if other not in slot:
                    continue
                answers.hear(tick, slot[other], begins[other], theirs)
                if self._fault_of(key) in HEEDED and (
                    answers.is_proven() if key in self._answering else answers.is_sure()
                ):
                    rulings[key] = Ruling(FAULT, SURE_SCORE)
        self._answering = frozenset(rulings)
        return rulings

    def unproven(self) -> set[LoopKey]:
        """Loops of which nobody may say that they answer for another one."""
        return {
            key
            for key, others in self._answers.items()
            if not any(answers.is_proven() for answers in others.values())
        }

    def missing(self, gap_s: float) -> None:
        """Nobody watched for `gap_s`."""
        for others in self._answers.values():
            for answers in others.values():
                answers.fade(gap_s)

    def _named(self) -> dict[tuple[LoopKey, LoopKey], str]:
        return {
            (key, other): "|".join((*key, *other))
            for key, others in self._answers.items()
            for other in others
        }

    def snapshot(self) -> dict[str, list[float]]:
        """JSON-like; some 40 bytes for two loops."""
        return {name: self._answers[a][b].snapshot() for (a, b), name in self._named().items()}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Raises KeyError, TypeError or ValueError for what is no snapshot."""
        for (key, other), numbers in check_named_amounts(saved, self._named(), KEPT).items():
            self._answers[key][other].restore(numbers)


class _Answers:
    """How often a loop went on with one beside it and with nobody in its own lane, near and far."""

    __slots__ = ("_answers", "_count", "_far", "_near", "_side", "_sure")

    def __init__(self, sure: float) -> None:
        self._sure = sure
        self._near = self._side = self._far = 0.0
        self._answers = 0.0  # of those near: later and shorter than the other
        self._count = 0.0  # all stays

    def fade(self, by_s: float) -> None:
        """Time passes."""
        by = math.exp(-by_s / MEMORY_S)
        self._near, self._side, self._far = self._near * by, self._side * by, self._far * by
        self._answers, self._count = self._answers * by, self._count * by

    def hear(
        self, mine: LoopTick, other: LoopTick, begins: Sequence[int], mate: Sequence[int] | None
    ) -> None:
        """A slot of both. `begins` are the other's, `mate` those of the pair's other loop."""
        self.fade(mine.length_s)
        self._count += len(mine.stays)
        if not begins:
            return
        for on_ns, off_ns in mine.stays:
            first = bisect_left(begins, on_ns - FAR_NS)
            if first == len(begins) or begins[first] > on_ns + FAR_NS:
                continue
            if mate is not None and _is_vehicle(on_ns, off_ns, mine, mate):
                continue
            for j in range(first, len(begins)):
                later_ns = on_ns - begins[j]
                if later_ns < -FAR_NS:
                    break
                if abs(later_ns) > NEAR_NS:
                    self._far += 1.0
                    self._side += float(abs(later_ns) <= SIDE_NS)
                    continue
                self._near += 1.0
                self._answers += float(
                    later_ns >= 0 and off_ns - on_ns < other.stays[j].off_ns - begins[j]
                )

    def _found(self) -> tuple[float, float, float]:
        """How often near, and later and shorter, both less chance; and that chance."""
        chance = self._far / BANDS
        return self._near - chance, self._answers - BY_CHANCE * chance, BY_CHANCE * chance

    def is_sure(self) -> bool:
        """Whether it answers. A vehicle that both feel is as often aside as near."""
        near, answers, chance = self._found()
        return (
            self._near >= self._side
            and answers >= max(self._sure, SHARE * self._count)
            and answers >= SURE_Z * math.sqrt(chance + 1.0)
            and answers >= ANSWERS * (near + 1.0)
        )

    def is_proven(self) -> bool:
        """Whether it may answer, and whether one that does still may."""
        _, answers, chance = self._found()
        return answers >= max(PROVEN, PROVEN_Z * math.sqrt(chance + 1.0))

    def snapshot(self) -> list[float]:
        """JSON-like."""
        numbers = (self._near, self._side, self._far, self._answers, self._count)
        return [five_digits(each) for each in numbers]

    def restore(self, numbers: Sequence[float]) -> None:
        """Five amounts."""
        self._near, self._side, self._far, self._answers, self._count = numbers


def _is_vehicle(on_ns: int, off_ns: int, tick: LoopTick, mate: Sequence[int]) -> bool:
    """Whether the pair's other loop felt it, or may have felt it in another slot."""
    lag_ns = int(MATE_LAG * (off_ns - on_ns)) + MATE_LAG_NS
    first_ns, last_ns = (on_ns, on_ns + lag_ns) if tick.part == "lead" else (on_ns - lag_ns, on_ns)
    j = bisect_left(mate, first_ns)
    if j < len(mate) and mate[j] <= last_ns:
        return True
    return first_ns < tick.from_ns or last_ns > tick.to_ns
