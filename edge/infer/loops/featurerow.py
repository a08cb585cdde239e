"""The parts of a loop's row: each function adds the columns of one idea, in their order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from edge.core.looptick import LoopTick
from edge.infer.loops.evidence import NS, E, LoopKey, LoopSurroundings, Sums
from edge.infer.loops.loopmemory import LONG_S, LoopMemory, UsualRatio

_FIRST: Final = slice(E.N, E.TINY + 1)
_TOGETHER: Final = slice(E.NEAR, E.BESIDE + 1)
_PAIRED: Final = slice(E.LONE, E.LONE_MIDST + 1)
_FREE: Final = (0.0,) * 5  # nothing lasts on it
_ACTIVE: Final = (0.0,) * 6  # no silence
_EQUAL: Final = UsualRatio(0.0, 0.001, LONG_S)  # of a pair: both see the same vehicles


def add_shared(row: list[float], a: Sums) -> None:
    """What it has in common with those beside it."""
    near, near_luck, near_short, midst, midst_luck, midst_short, echo, amid, beside = a[_TOGETHER]
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
    lone, paired, before, ratio, _, lone_near, lone_midst = a[_PAIRED]
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
    m: LoopMemory,
    i: int,
    surroundings: LoopSurroundings,
    around: Mapping[LoopKey, LoopMemory],
    mate: LoopMemory | None,
    across: float,
) -> None:
    """Its count against those of the others, in deviations."""
    own = m.scales[i][E.CAPPED]
    pair = _EQUAL.z(own, mate.scales[i][E.CAPPED]) if mate is not None else 0.0
    if not around:
        row += (pair, 0.0, 0.0, across, pair, pair)
        return
    z = {key: m.shares[key].z(own, other.scales[i][E.CAPPED]) for key, other in around.items()}
    beside = [z[key] for key in surroundings.beside if key in z]
    along = [z[key] for key in surroundings.along if key in z]
    whole = [*beside, *along, pair] if mate is not None else [*beside, *along]
    row += (
        pair,
        sum(beside) / len(beside) if beside else 0.0,
        sum(along) / len(along) if along else 0.0,
        across,
        max(whole) if whole else 0.0,
        min(whole) if whole else 0.0,
    )


def add_lengths(row: list[float], m: LoopMemory, i: int, beside: Sequence[LoopMemory]) -> None:
    """How long vehicles are on it, and how stays follow each other."""
    a = m.scales[i]
    some, length = a[E.N] + 3.0, _longer(m, i)
    length_vs = occupancy_vs = 0.0
    if beside:
        others = [_longer(b, i) for b in beside if b.scales[i][E.QUICK] > 2.0]
        length_vs = length - sum(others) / len(others) if others else 0.0
        on = sum([b.scales[i][E.ON] for b in beside])
        seen = sum([b.scales[i][E.SEEN] for b in beside])
        if seen:
            occupancy = a[E.ON] / (a[E.SEEN] + 1.0)
            occupancy_vs = math.log((occupancy + 0.02) / (on / seen + 0.02))
    row += (a[E.BROKEN] / some, a[E.TAILED] / some, length, length_vs, occupancy_vs)


def _longer(m: LoopMemory, i: int) -> float:
    """Log of the mean time on the loop lately over the usual one."""
    a = m.scales[i]
    return (a[E.LOG] - a[E.QUICK] * m.usual()) / (a[E.QUICK] + 2.0)


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
