"""The parts of a loop's row: each function adds the columns of one idea, in their order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from edge.core.loop import LoopTick
from edge.infer.loops.evidence import NS, E, Key, Place, Sums
from edge.infer.loops.memory import LONG_S, Memory, Share

_EQUAL: Final = Share(0.0, 0.001, LONG_S)  # of a pair: both see the same vehicles


def together(row: list[float], a: Sums) -> None:
    """What it has in common with those beside it."""
    n, near, midst, others = a[E.N], a[E.NEAR], a[E.MIDST], a[E.BESIDE] + 3.0
    near_luck, midst_luck = a[E.NEAR_LUCK], a[E.MIDST_LUCK]
    row += (
        (near - near_luck) / (n + 3.0),
        (near - near_luck) / math.sqrt(near_luck + 1.0),
        (2.0 * a[E.NEAR_SHORT] - near) / (near + 2.0),
        (midst - midst_luck) / (n + 3.0),
        (midst - midst_luck) / math.sqrt(midst_luck + 1.0),
        (2.0 * a[E.MIDST_SHORT] - midst) / (midst + 2.0),
        (a[E.ECHO] - near_luck) / others,
        (a[E.AMID] - midst_luck) / others,
    )


def paired(row: list[float], a: Sums, b: Sums | None) -> None:
    """How it goes with the other loop of its pair; `b` are that one's sums."""
    quick = a[E.LONE] + a[E.PAIRED] + 2.0
    missed = 0.0
    if b is not None:
        missed = (b[E.LONE] - b[E.LONE_NEAR] - b[E.LONE_MIDST]) / (b[E.LONE] + b[E.PAIRED] + 2.0)
    row += (
        a[E.LONE] / quick,
        a[E.LONE_NEAR] / quick,
        a[E.LONE_MIDST] / quick,
        missed,
        a[E.BEFORE] / (a[E.PAIRED] + 2.0),
        a[E.RATIO] / (a[E.FREE] + 3.0),
    )


def flow(
    row: list[float],
    m: Memory,
    i: int,
    place: Place,
    around: Mapping[Key, Memory],
    mate: Memory | None,
    across: float,
) -> None:
    """Its count against those of the others, in deviations."""
    own = m.scales[i][E.CAPPED]
    z = {key: m.shares[key].z(own, other.scales[i][E.CAPPED]) for key, other in around.items()}
    pair = _EQUAL.z(own, mate.scales[i][E.CAPPED]) if mate is not None else 0.0
    beside = [z[key] for key in place.beside if key in z]
    along = [z[key] for key in place.along if key in z]
    whole = [*beside, *along, pair] if mate is not None else [*beside, *along]
    row += (
        pair,
        sum(beside) / len(beside) if beside else 0.0,
        sum(along) / len(along) if along else 0.0,
        across,
        max(whole, default=0.0),
        min(whole, default=0.0),
    )


def lengths(row: list[float], m: Memory, i: int, beside: Sequence[Memory]) -> None:
    """How long vehicles are on it, and how stays follow each other."""
    a, some = m.scales[i], m.scales[i][E.N] + 3.0
    length = _longer(m, i)
    others = [_longer(b, i) for b in beside if b.scales[i][E.QUICK] > 2.0]
    on = sum(b.scales[i][E.ON] for b in beside)
    seen = sum(b.scales[i][E.SEEN] for b in beside)
    occupancy = a[E.ON] / (a[E.SEEN] + 1.0)
    row += (
        a[E.BROKEN] / some,
        a[E.TAILED] / some,
        length,
        length - sum(others) / len(others) if others else 0.0,
        math.log((occupancy + 0.02) / (on / seen + 0.02)) if seen else 0.0,
    )


def _longer(m: Memory, i: int) -> float:
    """Log of the mean time on the loop lately over the usual one."""
    a = m.scales[i]
    return (a[E.LOG] - a[E.QUICK] * m.usual()) / (a[E.QUICK] + 2.0)


def brief(row: list[float], m: Memory, i: int) -> None:
    """What changes within minutes."""
    a = m.scales[i]
    some = a[E.N] + 3.0
    mean = a[E.RATIO] / (a[E.FREE] + 1e-9)
    row += (
        a[E.ON] / (a[E.SEEN] + 1.0),
        math.log((a[E.N] / (a[E.SEEN] + 1.0) + 0.005) / (m.pace + 0.005)),
        a[E.SHORT] / some,
        a[E.TINY] / some,
        a[E.CLOSE] / some,
        math.sqrt(max(0.0, a[E.RATIO2] / (a[E.FREE] + 1e-9) - mean * mean)),
    )


def odd(a: Sums) -> float:
    """The share of stays that look as if no vehicle of this lane made them."""
    together = max(0.0, a[E.NEAR] - a[E.NEAR_LUCK]) + max(0.0, a[E.MIDST] - a[E.MIDST_LUCK])
    return (a[E.TINY] + a[E.BROKEN] + together) / (a[E.N] + 5.0)


def on_s(now_ns: int, since_ns: int | None) -> float:
    """For how long a stay has lasted."""
    return max(0.0, (now_ns - since_ns) / NS) if since_ns is not None else 0.0


def now(row: list[float], m: Memory, tick: LoopTick, new: Sums, standing_s: float) -> None:
    """The slot itself, and what lasts."""
    lasts_s = on_s(tick.to_ns, tick.since_ns)
    row += (
        math.log1p(new[E.N] * 30.0 / max(1.0, tick.length_s)),
        min(1.0, new[E.ON] / max(1.0, new[E.SEEN])),
        math.log1p(min(LONG_S, lasts_s)),
        min(20.0, lasts_s / m.longest_on_s),
        *(math.log1p(met) for met in m.met),
        math.log1p(min(LONG_S, standing_s)),
        math.log1p(m.idle_s),
        min(20.0, m.idle_s / m.longest_idle_s),
        *(math.log1p(min(LONG_S, due)) for due in m.due),
        math.log1p(m.age_s / 600.0),
    )
