"""The parts of a loop's row: each function adds the columns of one idea, in their order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from edge.core.looptick import LoopTick
from edge.infer.loops.evidence import NS, E, Sums
from edge.infer.loops.loopmemory import LONG_S, LoopMemory, UsualRatio

_FIRST: Final = slice(E.N, E.TINY + 1)
_TOGETHER: Final = slice(E.NEAR, E.BESIDE + 1)
_PAIRED: Final = slice(E.LONE, E.LONE_MIDST + 1)
_ALONE: Final = (0.0,) * 8  # nobody was on a loop beside
_SINGLE: Final = (0.0,) * 6  # no pair
_FREE: Final = (0.0,) * 5  # nothing lasts on it
_ACTIVE: Final = (0.0,) * 6  # no silence
EQUAL: Final = UsualRatio(0.0, 0.001, LONG_S)  # of a pair: both see the same vehicles


class LoopLately(NamedTuple):
    """What a loop did lately, at each scale: its own row and those around it ask for it."""

    scales: list[Sums]
    counts: list[float]
    longer: list[float]  # log of the mean time on it over the usual one
    odd: list[float]  # see `odd_share`; empty where nobody around it asks


def loop_lately(m: LoopMemory, *, asked: bool) -> LoopLately:
    """After a slot. `asked`: others have it around them."""
    odd = [odd_share(scale) for scale in m.scales] if asked else []
    return LoopLately(m.scales, m.counts(), m.longer(), odd)


def add_shared(row: list[float], a: Sums) -> None:
    """What it has in common with those beside it."""
    together = a[_TOGETHER]
    if not any(together):
        row += _ALONE
        return
    near, near_luck, near_short, midst, midst_luck, midst_short, echo, amid, beside = together
    some, others = a[E.N] + 3.0, beside + 3.0
    row += (
        (near - near_luck) / some,
        (near - near_luck) / math.sqrt(near_luck + 1.0),
        (2.0 * near_short - near) / (near + 2.0),
        (midst - midst_luck) / some,
        (midst - midst_luck) / math.sqrt(midst_luck + 1.0),
        (2.0 * midst_short - midst) / (midst + 2.0),
        (echo - near_luck) / others,
        (amid - midst_luck) / others,
    )


def add_pair(row: list[float], a: Sums, b: Sums | None) -> None:
    """How it goes with the other loop of its pair; `b` are that one's sums."""
    pairs = a[_PAIRED]
    if b is None and not any(pairs):
        row += _SINGLE
        return
    lone, paired, before, ratio, _, lone_near, lone_midst = pairs
    quick = lone + paired + 2.0
    missed = 0.0
    if b is not None:
        missed = (b[E.LONE] - b[E.LONE_NEAR] - b[E.LONE_MIDST]) / (b[E.LONE] + b[E.PAIRED] + 2.0)
    row += (
        lone / quick,
        lone_near / quick,
        lone_midst / quick,
        missed,
        before / (paired + 2.0),
        ratio / (a[E.FREE] + 3.0),
    )


def add_flow(
    row: list[float],
    i: int,
    z_pair: Sequence[float] | None,
    z_beside: Sequence[Sequence[float]],
    z_along: Sequence[Sequence[float]],
    across: float,
) -> None:
    """Its count against those of the others, in deviations (`UsualRatio.z`)."""
    pair = z_pair[i] if z_pair is not None else 0.0
    beside, along = [z[i] for z in z_beside], [z[i] for z in z_along]
    whole = [*beside, *along, pair] if z_pair is not None else [*beside, *along]
    row += (
        pair,
        sum(beside) / len(beside) if beside else 0.0,
        sum(along) / len(along) if along else 0.0,
        across,
        max(whole) if whole else 0.0,
        min(whole) if whole else 0.0,
    )


def add_lengths(row: list[float], i: int, own: LoopLately, beside: Sequence[LoopLately]) -> None:
    """How long vehicles are on it, and how stays follow each other."""
    a, length = own.scales[i], own.longer[i]
    some = a[E.N] + 3.0
    length_vs = occupancy_vs = 0.0
    if beside:
        others, on, seen = list[float](), 0.0, 0.0
        for other in beside:
            b = other.scales[i]
            on, seen = on + b[E.ON], seen + b[E.SEEN]
            if b[E.QUICK] > 2.0:
                others.append(other.longer[i])
        length_vs = length - sum(others) / len(others) if others else 0.0
        if seen:
            occupancy = a[E.ON] / (a[E.SEEN] + 1.0)
            occupancy_vs = math.log((occupancy + 0.02) / (on / seen + 0.02))
    row += (a[E.BROKEN] / some, a[E.TAILED] / some, length, length_vs, occupancy_vs)


def add_recent(row: list[float], m: LoopMemory, i: int) -> None:
    """What changes within minutes."""
    a = m.scales[i]
    n, on, seen, short, tiny = a[_FIRST]
    some, watched, pairs = n + 3.0, seen + 1.0, a[E.FREE] + 1e-9
    mean = a[E.RATIO] / pairs
    apart = a[E.RATIO2] / pairs - mean * mean
    row += (
        on / watched,
        math.log((n / watched + 0.005) / (m.pace + 0.005)),
        short / some,
        tiny / some,
        a[E.CLOSE] / some,
        math.sqrt(apart) if apart > 0.0 else 0.0,
    )


def odd_share(a: Sums) -> float:
    """The share of stays that look as if no vehicle of this lane made them."""
    near, midst = a[E.NEAR] - a[E.NEAR_LUCK], a[E.MIDST] - a[E.MIDST_LUCK]
    together = (near if near > 0.0 else 0.0) + (midst if midst > 0.0 else 0.0)
    return (a[E.TINY] + a[E.BROKEN] + together) / (a[E.N] + 5.0)


def stay_so_far_s(now_ns: int, since_ns: int | None) -> float:
    """For how long a stay has lasted."""
    return max(0.0, (now_ns - since_ns) / NS) if since_ns is not None else 0.0


def add_now(row: list[float], m: LoopMemory, tick: LoopTick, new: Sums, standing_s: float) -> None:
    """The slot itself, and what lasts."""
    log1p = math.log1p
    row += (
        log1p(new[E.N] * 30.0 / max(1.0, tick.length_s)),
        min(1.0, new[E.ON] / max(1.0, new[E.SEEN])),
    )
    if tick.since_ns is None:
        row += _FREE
    else:
        lasts_s, (mate, beside, green_s) = stay_so_far_s(tick.to_ns, tick.since_ns), m.met
        row += (
            log1p(min(LONG_S, lasts_s)),
            min(20.0, lasts_s / m.longest_on_s),
            log1p(mate),
            log1p(beside),
            log1p(green_s),
        )
    row.append(log1p(min(LONG_S, standing_s)))
    if m.idle_s:
        row += (log1p(m.idle_s), min(20.0, m.idle_s / m.longest_idle_s))
        row += [log1p(min(LONG_S, due)) for due in m.due]
    else:
        row += _ACTIVE
    row.append(log1p(m.age_s / 600.0))
