"""Finds loops that change at one moment: a card without power, or one that starts again.

Vehicles do not come in several lanes within a tenth of a second and all stand there, nor come and
go on half of a site's loops in one. No configuration says which loops share a card: that they
change together does.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from edge.core.looptick import LoopTick
from edge.infer.loops.evidence import NS, LoopKey
from edge.infer.loops.looprules import SURE_SCORE, Ruling

LOOPS: Final = 3  # in two lanes: no vehicle takes less than that from lead to trail, and stands
STANDING_NS: Final = 100_000_000  # apart, of those that stay on: relays fall within some 20 ms
STANDS_S: Final = 120.0  # on eight days and three signals never three for 60 s
BRIEF_TOGETHER_NS: Final = 20_000_000  # apart, of those that go off again
SHARE: Final = 0.5  # of the site's loops: fewer come together by chance
BURSTS: Final = 3  # so often,
WITHIN_NS: Final = 600 * NS  # in so long: one alone is a vehicle too many in each lane
SHOWN: Final = 6  # names in a sentence

Span = tuple[int, int, LoopKey]  # on, off, of which loop


class BurstRule:
    """All loops of a site. Knows since when each is watched without a gap, and the last bursts."""

    def __init__(self, keys: Sequence[LoopKey]) -> None:
        self._half = max(LOOPS, SHARE * len(keys))
        self._blind_ns: dict[LoopKey, int] = {}  # edges up to here are not known
        self._bursts: deque[int] = deque(maxlen=BURSTS)

    def step(
        self,
        slot: Mapping[LoopKey, LoopTick],
        rows: Mapping[LoopKey, Sequence[float]],
        wall_s: float | None,
    ) -> dict[LoopKey, Ruling]:
        """A ruling for each loop that changed with others."""
        for key, tick in slot.items():
            self._blind_ns.setdefault(key, tick.from_ns)
            if tick.seen_ns < tick.to_ns - tick.from_ns:
                self._blind_ns[key] = tick.to_ns
        rulings: dict[LoopKey, Ruling] = {}
        for keys, since_ns in _coincident(self._standing(slot), STANDING_NS, LOOPS):
            rulings |= dict.fromkeys(keys, _stuck(keys, since_ns))
        for keys, on_ns in _coincident(self._brief(slot), BRIEF_TOGETHER_NS, self._half):
            self._bursts.append(on_ns)
            first_ns = self._bursts[0]
            if len(self._bursts) == BURSTS and on_ns - first_ns <= WITHIN_NS:
                rulings = dict.fromkeys(keys, _restarting(keys, first_ns)) | rulings
        return rulings

    def _standing(self, slot: Mapping[LoopKey, LoopTick]) -> list[Span]:
        """What was seen to go on, and stays on. What was on already began together with us."""
        return sorted(
            (since_ns, since_ns, key)
            for key, tick in slot.items()
            if (since_ns := tick.since_ns) is not None
            and since_ns > self._blind_ns[key]
            and tick.to_ns - since_ns >= STANDS_S * NS
        )

    def _brief(self, slot: Mapping[LoopKey, LoopTick]) -> list[Span]:
        """Stays that ended in the slot, by their begin; none where too few began together."""
        if len([1 for tick in slot.values() if tick.stays]) < self._half:
            return []
        begins = sorted([on_ns for tick in slot.values() for on_ns, _ in tick.stays])
        in_a_row = zip(begins, begins[math.ceil(self._half) - 1 :], strict=False)
        if all(last - first > BRIEF_TOGETHER_NS for first, last in in_a_row):
            return []
        return sorted(
            (on_ns, off_ns, key)
            for key, tick in slot.items()
            for on_ns, off_ns in tick.stays
            if on_ns > self._blind_ns[key]
        )

    def missing(self, gap_s: float) -> None:
        """Nobody watched: what is on was not seen to go on."""
        self._blind_ns.clear()
        self._bursts.clear()

    def snapshot(self) -> None:
        """Nothing: after a start nobody has seen an edge."""

    def restore(self, saved: Any) -> None:
        """Raises ValueError for what is no snapshot."""
        if saved is not None:
            raise ValueError(f"nothing is kept of bursts: {saved!r:.80}")


def _coincident(
    spans: Sequence[Span], apart_ns: int, least: float
) -> Iterator[tuple[tuple[LoopKey, ...], int]]:
    """Loops, and when: at least so many, of two lanes, whose spans begin, and end, together."""
    at = 0
    while at < len(spans):
        first_ns, end = spans[at][0], at + 1
        while end < len(spans) and spans[end][0] - first_ns <= apart_ns:
            end += 1
        here, at = spans[at:end], end
        if len(here) < least:
            continue
        off_ns = sorted(off for _, off, _ in here)[len(here) // 2]
        keys = tuple(dict.fromkeys(k for _, off, k in here if abs(off - off_ns) <= apart_ns))
        if len(keys) >= least and len({lane for lane, _ in keys}) > 1:
            yield keys, first_ns


def _stuck(keys: Sequence[LoopKey], since_ns: int) -> Ruling:
    text = (
        f"went on at the same moment as {len(keys) - 1} other loops, and all of them stay on "
        f"({_loop_names(keys)}); "
        "check first what they share: a loop card, its power or its cable"
    )
    return Ruling("stuck_on", SURE_SCORE, since_ns=since_ns, text=text)


def _restarting(keys: Sequence[LoopKey], since_ns: int) -> Ruling:
    text = (
        f"goes on and off at the same moments as {len(keys) - 1} other loops "
        f"({_loop_names(keys)}). Vehicles cannot cause this; "
        "check first the power of the loop card that they share"
    )
    return Ruling("chatter", SURE_SCORE, since_ns=since_ns, text=text)


def _loop_names(keys: Sequence[LoopKey]) -> str:
    some = ", ".join(f"{lane} {part}" for lane, part in keys[:SHOWN])
    return some if len(keys) <= SHOWN else f"{some} and {len(keys) - SHOWN} more"
