"""What is kept of each loop between two slots: fading sums, what is usual, what was last."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from edge.core.looptick import Stay
from edge.infer.loops.evidence import (
    NS,
    SIZE,
    TAIL,
    E,
    LoopKey,
    LoopStays,
    LoopSurroundings,
    Sums,
    filled_sums,
)

SCALES_S: Final = (90.0, 600.0, 2700.0)
DAY_S: Final = 86_400.0  # how long what is usual is remembered
UNSEEN: Final = 0.5  # of a slot: what is watched for less proves no silence
LONG_S: Final = 1e6
FAR: Final = 0.7  # of the log of a ratio: no lane's share changes as much by itself
KNOWN_S: Final = 600.0
SOME: Final = 6.0  # vehicles in some 10 min, below which a comparison teaches nothing


class UsualRatio:
    """How a loop's count compares with another's, as it usually does: log of the ratio.

    Learned quickly in the first hours, then over a day, by steps that no fault makes large.
    `spread` is how much the ratio wanders by itself (a variance), `age_s` how long it was learned.
    """

    __slots__ = ("age_s", "ratio", "spread")

    def __init__(self, ratio: float = 0.0, spread: float = 0.01, age_s: float = 0.0) -> None:
        self.ratio, self.spread, self.age_s = ratio, spread, age_s

    def learn(self, own: float, other: float, length_s: float) -> None:
        """From what both counted lately."""
        if own + other < SOME:
            return
        self.age_s = min(self.age_s + length_s, DAY_S)
        away = math.log((own + 1.0) / (other + 1.0)) - self.ratio
        limit = 0.2 + 2.0 * math.exp(-self.age_s / 1800.0)
        rate = length_s / self.age_s
        if abs(away) > FAR and self.age_s > KNOWN_S:
            rate *= 0.1  # a fault, or the road is another one now: then it is learned in the end
        self.ratio += rate * max(-limit, min(limit, away))
        chance = _chance(own, other)
        self.spread += rate * (min(away * away, 0.25) - chance - self.spread)
        self.spread = max(0.0005, self.spread)

    def z(self, own: Sequence[float], other: Sequence[float]) -> list[float]:
        """How far counts are from what the other's make due, in deviations; below 0: too few."""
        times, young = math.exp(self.ratio), 0.2 * math.exp(-self.age_s / 1200.0)
        out = []
        for here, there in zip(own, other, strict=True):
            away = math.log((here + 2.0) / (there * times + 2.0))
            far = away / math.sqrt(_chance(here, there) + self.spread + young)
            out.append(far if -12.0 < far < 12.0 else math.copysign(12.0, far))
        return out


def _chance(own: float, other: float) -> float:
    """Variance of the log of the ratio of two fading counts of vehicles that come by chance."""
    return 0.5 / (own + 2.0) + 0.5 / (other + 2.0)


class LoopMemory:
    """What is kept of one loop. Bounded: three sets of sums, a share for each neighbour, stays."""

    __slots__ = (
        "age_s", "columns", "due", "idle_s", "log", "longest_idle_s", "longest_on_s", "met", "pace",
        "quick", "scales", "shares", "since_ns", "tail",
    )  # fmt: skip

    def __init__(self, surroundings: LoopSurroundings) -> None:
        self.scales: list[Sums] = [[0.0] * SIZE for _ in SCALES_S]
        self.columns = filled_sums(surroundings)  # of the sums: those that can be other than 0
        self.shares = {key: UsualRatio() for key in (*surroundings.beside, *surroundings.along)}
        self.log = self.quick = 0.0  # over a day: sum of log seconds of quick stays, their count
        self.pace, self.age_s = 0.0, 0.0  # vehicles a second over a day; how long it was seen
        self.tail: list[Stay] = []
        self.since_ns: int | None = None
        self.met = [0.0] * 3  # since then: vehicles of the pair, beside, seconds of green
        self.idle_s = 0.0
        self.due = [0.0] * 4  # vehicles that should have come: by its pace, pair, beside, along
        self.longest_on_s, self.longest_idle_s = 2.0, 60.0

    def usual(self) -> float:
        """Log of the seconds for which a vehicle is usually on it."""
        return (self.log - 3.0) / (self.quick + 3.0)  # exp(-1) s before any is known

    def usual_ns(self) -> float:
        """The same in nanoseconds; 0 while too few are known."""
        return NS * math.exp(self.usual()) if self.quick >= 10.0 else 0.0

    def counts(self) -> list[float]:
        """Vehicles lately, at each scale."""
        return [scale[E.CAPPED] for scale in self.scales]

    def longer(self) -> list[float]:
        """Log of the mean time on it lately over the usual one, at each scale."""
        usual = self.usual()
        return [(a[E.LOG] - a[E.QUICK] * usual) / (a[E.QUICK] + 2.0) for a in self.scales]

    def forget(self, gap_s: float) -> None:
        """Nobody watched for so long."""
        for i, tau in enumerate(SCALES_S):
            by = math.exp(-gap_s / tau)
            self.scales[i] = [v * by for v in self.scales[i]]
        self.tail, self.since_ns, self.idle_s = [], None, 0.0
        self.met, self.due = [0.0] * 3, [0.0] * 4


@lru_cache(8)
def _fading(length_s: float) -> tuple[float, ...]:
    """How much of each scale's sums, and of the day's, is left after a slot."""
    return tuple(math.exp(-length_s / tau) for tau in (*SCALES_S, DAY_S))


def add_slot(m: LoopMemory, h: LoopStays, new: Sums) -> None:
    """Add a slot to a loop's sums, and to what is usual of it."""
    tick = h.tick
    length_s = tick.length_s
    fast_by, mid_by, slow_by, day = _fading(length_s)
    fast, mid, slow = m.scales
    for i in m.columns:
        now = new[i]
        fast[i] = fast[i] * fast_by + now
        mid[i] = mid[i] * mid_by + now
        slow[i] = slow[i] * slow_by + now
    m.log, m.quick = m.log * day + new[E.LOG], m.quick * day + new[E.QUICK]
    m.tail = [*m.tail, *tick.stays][-TAIL:]
    seen_s = new[E.SEEN]
    if seen_s > 0.0:
        m.age_s = min(m.age_s + seen_s, DAY_S)
        m.pace += (new[E.CAPPED] - m.pace * seen_s) / max(m.age_s, 600.0)
    longest_ns = max([off - on for on, off in tick.stays], default=0)
    m.longest_on_s = max(m.longest_on_s, min(600.0, longest_ns / NS))
    m.longest_on_s = max(2.0, m.longest_on_s * (1.0 - length_s / 43_200.0))
    m.longest_idle_s = max(60.0, m.longest_idle_s * (1.0 - length_s / DAY_S))


def compare(
    m: LoopMemory,
    h: LoopStays,
    surroundings: LoopSurroundings,
    new: Mapping[LoopKey, Sums],
    old: _Memories,
) -> None:
    """Add what the others did meanwhile. All of `old` have had this slot added."""
    tick = h.tick
    length_s = tick.length_s
    partner = surroundings.partner
    mate = new[partner][E.CAPPED] if partner is not None and partner in new else 0.0
    beside = [new[key][E.CAPPED] for key in surroundings.beside if key in new]
    if tick.since_ns is None or tick.since_ns != m.since_ns:
        m.since_ns, m.met = tick.since_ns, [0.0] * 3
    else:
        m.met[0] += mate
        m.met[1] += sum(beside) / max(1, len(beside))
        m.met[2] += (tick.green_ns or 0) / NS
    if tick.on_ns or tick.stays or tick.stays_left_out or tick.since_ns is not None:
        m.longest_idle_s = max(m.longest_idle_s, min(7200.0, m.idle_s))
        m.idle_s, m.due = 0.0, [0.0] * 4
    elif tick.seen_ns > UNSEEN * length_s * NS:
        m.idle_s = min(LONG_S, m.idle_s + length_s)
        beside_due, along_due = _due(m, surroundings.beside, new), _due(m, surroundings.along, new)
        around = [new[key][E.CAPPED] for key in m.shares if key in new]
        if not around or max(around) > 0.0:  # when all stand, nobody is due
            m.due[0] += m.pace * length_s
        m.due[2] += beside_due
        m.due[3] += along_due
        # without a pair the others speak for it, so that the same number means the same
        m.due[1] += mate if surroundings.partner in new else max(beside_due, along_due)
    own = m.scales[1][E.CAPPED]
    for key, share in m.shares.items():
        if key in new:
            share.learn(own, old[key].scales[1][E.CAPPED], length_s)


_Memories = Mapping[LoopKey, LoopMemory]


def _due(m: LoopMemory, keys: Sequence[LoopKey], new: Mapping[LoopKey, Sums]) -> float:
    """How many should have come in this slot, by the one of these that says least."""
    due = [new[k][E.CAPPED] * math.exp(min(2.0, m.shares[k].ratio)) for k in keys if k in new]
    return min(due, default=0.0)


def snapshot_ratios(ratios: Mapping[tuple[str, str], UsualRatio]) -> list[list[Any]]:
    """JSON-like."""
    return [[*key, _short(s.ratio), _short(s.spread), _short(s.age_s)] for key, s in ratios.items()]


def restore_ratios(ratios: dict[tuple[str, str], UsualRatio], saved: Sequence[Any]) -> None:
    """Back from `snapshot_ratios`, of those that there are. Raises TypeError or ValueError."""
    for one, other, *numbers in saved:
        ratio, spread, age_s = _numbers(numbers, 3)
        if (one, other) in ratios:
            learned = UsualRatio(ratio, max(0.0005, spread), min(max(0.0, age_s), DAY_S))
            ratios[one, other] = learned


def snapshot_memory(m: LoopMemory) -> list[Any]:
    """JSON-like, five digits of each number."""
    rest = (*m.met, *m.due, m.idle_s, m.longest_on_s, m.longest_idle_s)
    return [
        [[_short(v) for v in scale] for scale in m.scales],
        snapshot_ratios(m.shares),
        m.since_ns,
        [_short(v) for v in (*rest, m.log, m.quick, m.pace, m.age_s)],
    ]


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def restore_memory(saved: Sequence[Any], surroundings: LoopSurroundings) -> LoopMemory:
    """Back from `snapshot_memory`. Raises TypeError or ValueError for what is none."""
    scales, shares, since, rest = saved
    m = LoopMemory(surroundings)
    m.scales = [_numbers(scale, SIZE) for scale in scales]
    if len(m.scales) != len(SCALES_S):
        raise ValueError(f"{len(m.scales)} sets of sums")
    old = {i for scale in m.scales for i, value in enumerate(scale) if value}
    m.columns = tuple(sorted(old.union(m.columns)))  # who was beside it then may be gone now
    restore_ratios(m.shares, shares)
    m.since_ns = None if since is None else int(since)
    rest = _numbers(rest, 14)
    m.met, m.due = rest[:3], rest[3:7]
    m.idle_s, m.longest_on_s, m.longest_idle_s = rest[7], max(2.0, rest[8]), max(60.0, rest[9])
    m.log, m.quick, m.pace, m.age_s = rest[10], max(0.0, rest[11]), rest[12], rest[13]
    return m


def _numbers(values: Sequence[Any], count: int) -> list[float]:
    out = [float(v) for v in values]
    if len(out) != count or not all(math.isfinite(v) for v in out):
        raise ValueError(f"not {count} numbers")
    return out
