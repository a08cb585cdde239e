"""Finds a loop whose contact works the other way: it is free while vehicles pass.

Vehicles are alike, so the times that they are on a loop lie close together; the times between
them are longer and differ widely. Where that is true of the free times and of the occupied ones
the other way round, `active` is wrong or the card's output goes from NC instead of NO. A queue
that creeps has short gaps and long stays too, but its stays are as even as its gaps, and it does
not last. Found on eight simulated days and three signals: docs/traffic.md has the counts.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from edge.core.looptick import LoopTick
from edge.infer.loops.evidence import NS, LoopKey
from edge.infer.loops.looprules import SURE_SCORE, Ruling

PAIRS: Final = 30  # free times, and the stays after them, that are compared
QUARTER: Final = PAIRS // 4
APART: Final = 2.5  # the shorter quarter of the long ones over the longer quarter of the short
ALIKE: Final = 2.5  # upper over lower quarter, at most: cars and trucks, at speeds of one road
WIDELY: Final = 1.6  # upper over lower quarter, at least: by chance it is 4.8, in a platoon 2
MOSTLY: Final = 4.0  # so much longer free than occupied: no inverted loop, but in a jam
LEAST_S: Final = 0.05  # a shorter time is measured no better than this
HELD_S: Final = 600.0  # so long in all: of sound loops one came to 292 s, the next to 120 s
# Nobody turns a loop that was the right way round, but to mend it: for each second that it was free
# for most of the time it must be held for so many more, up to what is longer than a queue creeps;
# but not on a pair. Not all at once: in a jam an inverted loop looks the right way round, too.
TIMES: Final = 2.0
LATER_S: Final = 7200.0
SOUND_S: Final = (LATER_S - HELD_S) / TIMES
ALONE_S: Final = 150.0  # of which the other loop has held it for less: in a queue both do
FREER: Final = 2.0  # so much longer free than occupied: for most of the time
FADES: Final = 0.25  # what was held fades so much slower than it grows
TURNED_S: Final = 240.0  # as long of the contrary, until it is believed to be mended
STANDS_S: Final = 120.0  # and seldom lasts a gap so long where a vehicle comes each minute
OPEN_S: Final = 30.0  # nobody stands on a loop for so long where traffic moves
# At a stop line vehicles stand on a loop as long as gaps last. By night they do not.
NIGHT_S: Final = 600.0  # occupied for so long,
BLIP_S: Final = 60.0  # and free for no longer
NIGHTS: Final = 5  # so many times in a row
NO_MATES: Final[Mapping[LoopKey, LoopKey | None]] = {}
PROVEN_S: Final = 5.0  # free for so long: between vehicles, not under one that drives


class PolarityRule:
    """All loops of a site; remembers the last PAIRS of each."""

    def __init__(
        self, keys: Iterable[LoopKey], mates: Mapping[LoopKey, LoopKey | None] = NO_MATES
    ) -> None:
        self._mates = mates
        self._loops = {key: _Loop() for key in keys}

    def step(
        self,
        slot: Mapping[LoopKey, LoopTick],
        rows: Mapping[LoopKey, Sequence[float]],
        wall_s: float | None,
    ) -> dict[LoopKey, Ruling]:
        """Which loops are inverted. Once one is, it stays so until the contrary is seen."""
        rulings: dict[LoopKey, Ruling] = {}
        for key, tick in slot.items():
            loop = self._loops.get(key)
            if loop is None:
                continue
            name = self._mates.get(key)
            mate = self._loops.get(name) if name is not None else None
            shown = mate is not None and mate.held_s < ALONE_S
            if loop.step(tick, shown=shown):
                since_ns = tick.to_ns - round(loop.for_s * NS)
                rulings[key] = Ruling("inverted", SURE_SCORE, since_ns=since_ns)
        return rulings

    def mark_inverted(self, key: LoopKey) -> None:
        """It is known to be inverted: after `restore`, which may be older."""
        loop = self._loops[key]
        loop.up, loop.held_s, loop.turned_s = True, HELD_S, 0.0

    def unproven(self) -> Iterator[LoopKey]:
        """Loops that have never been free for longer than a vehicle takes that drives.

        What they say of a jam may be the contrary.
        """
        return (key for key, loop in self._loops.items() if not loop.proven)

    def missing(self, gap_s: float) -> None:
        """Nobody watched: the free time over the gap is not known."""
        for loop in self._loops.values():
            loop.off_ns = None
            loop.for_s += gap_s

    def snapshot(self) -> dict[str, Any]:
        """JSON-like; some 500 bytes a loop."""
        return {"|".join(key): loop.snapshot() for key, loop in self._loops.items()}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Raises KeyError, TypeError or ValueError for what is no snapshot."""
        for key, loop in self._loops.items():
            name = "|".join(key)
            if name in saved:
                loop.restore(saved[name])


class _Loop:
    """What is kept of one loop."""

    __slots__ = (
        "_is_free",
        "_ok",
        "for_s",
        "free",
        "held_s",
        "nights",
        "off_ns",
        "on",
        "proven",
        "sound_s",
        "turned_s",
        "up",
    )

    def __init__(self) -> None:
        self.free: deque[float] = deque(maxlen=PAIRS)  # seconds before each stay
        self.on: deque[float] = deque(maxlen=PAIRS)  # and of that stay
        self.off_ns: int | None = None  # when the last stay ended
        self.held_s = self.turned_s = 0.0
        self.sound_s = 0.0
        self.nights = 0  # long stays in a row
        self.for_s = 0.0  # for how long it may have been so; gaps are in it
        self.up = False
        self.proven = False
        self._ok = 0  # what the last pairs say: 1 inverted, -1 sound, 0 neither
        self._is_free = False  # for most of the time of these

    def step(self, tick: LoopTick, *, shown: bool) -> bool:
        """Whether it is inverted, after this slot. `shown`: the other loop of its pair is not."""
        length_s = tick.length_s
        self.for_s += length_s
        if tick.stays_left_out or tick.seen_ns < tick.to_ns - tick.from_ns:
            self.off_ns = None  # not every edge is known
        elif tick.stays:
            self._hear(tick)
            self._ok = self._compare()
        elif self.off_ns is None and not tick.on_ns:
            self.off_ns = tick.from_ns  # at the latest: nobody watched before
        ok, dt_s = self._ok, length_s
        if not tick.on_ns and not tick.stays and tick.seen_ns:
            self.proven = True  # a whole slot
        if tick.since_ns is None and self.off_ns is not None:
            lasts_s = (tick.to_ns - self.off_ns) / 1e9
            ok = min(ok, 0) if lasts_s > OPEN_S else ok
            self.proven = self.proven or lasts_s > PROVEN_S
            if lasts_s > NIGHT_S:
                ok, dt_s = -1, TURNED_S  # in no other way can that be
        elif tick.since_ns is not None and self.off_ns is not None:
            self.proven = self.proven or (tick.since_ns - self.off_ns) / 1e9 > PROVEN_S
        if tick.since_ns is not None and (tick.to_ns - tick.since_ns) / 1e9 > STANDS_S:
            ok = min(ok, 0)  # it says nothing new: in a queue a loop may stick, too
        self.held_s += dt_s if ok > 0 else -FADES * dt_s
        if self._is_free:
            self.sound_s = min(SOUND_S, self.sound_s + length_s)
        most_s = HELD_S + (0.0 if self.up or shown else TIMES * self.sound_s)
        self.held_s = min(most_s, max(0.0, self.held_s))
        self.turned_s = self.turned_s + dt_s if ok < 0 else 0.0
        if self.turned_s >= TURNED_S:
            self.turned_s, self.held_s, self.nights, self.up = 0.0, 0.0, 0, False
            self.for_s = 0.0
        elif (ok > 0 and self.held_s >= most_s) or self.nights >= NIGHTS:  # it says so just now
            self.up = True
        return self.up

    def _hear(self, tick: LoopTick) -> None:
        before_ns = self.off_ns
        for on_ns, off_ns in tick.stays:
            stay_s = (off_ns - on_ns) / 1e9
            if before_ns is not None:
                free_s = (on_ns - before_ns) / 1e9
                self.free.append(free_s)
                self.on.append(stay_s)
                if free_s > BLIP_S:
                    self.nights = 0
                if free_s > PROVEN_S:
                    self.proven = True
            if stay_s > NIGHT_S:
                self.nights += 1
            before_ns = off_ns
        self.off_ns = before_ns

    def _compare(self) -> int:
        if len(self.free) < PAIRS:
            return 0
        if not self.up:  # most loops are free for most of the time: that needs no sorting
            free_s, on_s = sum(self.free), sum(self.on)
            self._is_free = free_s >= FREER * on_s
            if free_s >= on_s:
                return -1 if free_s >= MOSTLY * on_s else 0
        free, on = sorted(self.free), sorted(self.on)
        return int(_vehicles(free, on)) - int(_vehicles(on, free))

    def snapshot(self) -> dict[str, object]:
        """JSON-like. Without the last moment: nobody knows what was between two starts."""
        return {
            "free": [round(v, 3) for v in self.free],
            "on": [round(v, 3) for v in self.on],
            "held_s": self.held_s,
            "turned_s": self.turned_s,
            "sound_s": self.sound_s,
            "nights": self.nights,
            "for_s": self.for_s,
            "up": self.up,
            "proven": self.proven,
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Raises KeyError, TypeError or ValueError for what is no snapshot."""
        free, on = ([float(v) for v in saved[name]] for name in ("free", "on"))
        held_s, turned_s = float(saved["held_s"]), float(saved["turned_s"])
        for_s = float(saved["for_s"])
        sound_s = float(saved.get("sound_s", 0.0))  # 0.2.0 did not keep it
        nights, words = int(saved["nights"]), (saved["up"], saved["proven"])
        if len(free) != len(on) or nights < 0 or not all(isinstance(w, bool) for w in words):
            raise ValueError(f"not what a loop did: {saved!r:.80}")
        if not all(0.0 <= v < math.inf for v in (*free, *on, held_s, turned_s, for_s, sound_s)):
            raise ValueError("not times of a loop")
        self.free, self.on = deque(free, PAIRS), deque(on, PAIRS)
        self.held_s, self.turned_s = min(held_s, LATER_S), min(turned_s, TURNED_S)
        self.sound_s = min(sound_s, SOUND_S)
        self.for_s, self.nights, (self.up, self.proven) = for_s, nights, words
        self._ok = self._compare()


def _vehicles(short: Sequence[float], long: Sequence[float]) -> bool:
    """Whether the short ones (sorted) are vehicles and the long ones the times between them."""
    first, last = QUARTER, PAIRS - 1 - QUARTER
    return (
        long[first] >= APART * max(LEAST_S, short[last])
        and short[last] <= ALIKE * max(LEAST_S, short[first])
        and long[last] >= WIDELY * long[first]
    )
