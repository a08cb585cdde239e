"""What the congestion model remembers of an approach, and the features that it is judged by.

One formula for numpy and the graph. Per place, which is a loop position of the approach, or the
nearest loops of the approach after or before it, some signals are smoothed with several time
constants. The usual stay of a vehicle in free traffic is learned as a low quantile, between bounds:
what a vehicle stays longer than that is how much slower than usual it drives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.infer.occupancy import FAST, HIGH, ODDS_LIMIT, QUICK, SLOT_S, SLOW, TRAFFIC

POSITIONS: Final = ("corridor", "advance", "mid", "stop")  # in the order in which they are trusted
OWN: Final = len(POSITIONS)
PLACES: Final = (*POSITIONS, "below", "above")  # and the approaches after and before this one
COUNT: Final = len(PLACES)
BLOCKS: Final = (
    "mean", "highest", "lowest", "flow", "stay", "standing", "longest", "green", "phased",
    "every",
)  # fmt: skip
WIDTH: Final = COUNT * len(BLOCKS)  # of the input: a block of all places for each of these
SMOOTHED: Final = (
    "mean", "highest", "lowest", "flow", "delayed", "passed", "standing", "longest", "green",
    "every",
)  # fmt: skip
TAUS_S: Final = (15.0, 60.0, 240.0)
NEVER_S: Final = 1e6
STALE_S: Final = 300.0  # after so long without a believed loop a position says nothing
FREE_S: Final = (
    0.25,
    0.45,
    0.45,
    0.6,
    0.4,
    0.5,
)  # a vehicle's stay in free traffic, until it is learned
FREE_LOW_S: Final = 0.1
FREE_HIGH_S: Final = 1.2
QUANTILE: Final = 0.2  # of the slots' middle stays, that counts as free
FIRST: Final = 0.2  # steps of the logarithm while it is learned, and later
LATER: Final = 0.004
CALM: Final = 0.3  # occupancy above which the free stay is not learned upward
ABSENT: Final = -2.0  # the feature of a position without a believed loop
CROSSED: Final = (("mid", "advance"), ("advance", "stop"))  # flow in less flow out
CROSS_TAUS_S: Final = TAUS_S[1:]
SMOOTH: Final = COUNT * len(TAUS_S) * len(SMOOTHED)
STATE: Final = SMOOTH + 3 * COUNT  # and age, free stay (logarithm), slots it was learned from


def start_signals() -> list[float]:
    """The state of an approach of which nothing is known."""
    free = [float(np.log(stay)) for stay in FREE_S]
    return [0.0] * SMOOTH + [NEVER_S] * COUNT + free + [0.0] * COUNT


def remember_slot(o: Any, x: Any, present: Any, dt: Any, state: Any) -> tuple[Any, Any]:
    """One slot: (state_out, known [A, COUNT]: was there a believed loop within STALE_S).

    `x` [A, WIDTH], `present` [A, COUNT], `dt` [A, 1] seconds, `state` [A, STATE].
    """
    mean, highest, lowest, flow, stay, standing, longest, green, _, every = o.split(
        x, [COUNT] * len(BLOCKS)
    )
    smooth, age, free, learned = o.split(state, [SMOOTH, COUNT, COUNT, COUNT])
    passed = o.number(stay > 0.0) * present
    length = o.log(o.maximum(stay, 0.02))
    delay = o.clip(length - free, -1.0, 3.0)
    a_second = 4.0 * flow * passed  # so scaled that a busy lane is about 2
    signals = (
        mean, highest, lowest, 4.0 * flow, a_second * delay, a_second, standing,
        o.log(1.0 + longest) * (1.0 / 5.71), green, every,
    )  # fmt: skip
    fresh = o.number(age < STALE_S)
    parts = o.split(smooth, [COUNT] * (SMOOTH // COUNT))
    out = []
    for i, tau_s in enumerate(TAUS_S):
        share = present * (1.0 - o.exp(dt * (-1.0 / tau_s)))
        for k, signal in enumerate(signals):
            was = parts[i * len(SMOOTHED) + k] * fresh  # too old to build on: start anew
            out.append(was + share * (signal - was))
    calm = o.number(out[len(SMOOTHED)] < CALM)  # mean occupancy, the middle time constant
    pace = o.maximum(LATER, FIRST / (1.0 + learned / 3.0))
    shorter = o.number(length < free)
    move = pace * passed * (QUANTILE * calm * (1.0 - shorter) - (1.0 - QUANTILE) * shorter)
    free = o.clip(free + move, float(np.log(FREE_LOW_S)), float(np.log(FREE_HIGH_S)))
    learned = o.minimum(learned + passed, 1e4)
    age = o.minimum((age + dt) * (1.0 - present), NEVER_S)
    return o.join([*out, age, free, learned]), o.number(age < STALE_S)


def learn_usual(
    o: Any, level: Any, counts: Any, dt: Any, usual: Any, slots: Any
) -> tuple[Any, Any]:
    """(usual level, slots it was learned from) after a slot that `counts` where it is 1.

    The level is occupancy that busy traffic seldom exceeds: a high quantile, learned quickly at
    first, and later so slowly that a day's jam moves it little.
    """
    counts = counts * o.number(level > TRAFFIC) * (dt * (1.0 / SLOT_S))
    pace = o.maximum(QUICK / (1.0 + slots * (1.0 / FAST)), SLOW)
    usual = usual + counts * pace * (HIGH - o.number(level < usual))
    return o.clip(usual, 0.0, 1.0), o.minimum(slots + counts, ODDS_LIMIT)


def feature_names() -> list[str]:
    """What `features` gives, column by column."""
    each = [
        f"{name} {tau_s:.0f} s"
        for tau_s in TAUS_S
        for name in ("mean", "highest", "lowest", "flow", "slow", "standing", "longest", "every")
    ]
    each += ["occupancy grows", "flow grows", "green"]
    cross = [
        f"flow in less out {tau_s:.0f} s {one} {other}"
        for tau_s in CROSS_TAUS_S
        for one, other in CROSSED
    ]
    return [f"{place} {name}" for name in each for place in PLACES] + cross


def without_places(features: NDArray[np.float32], kept: Sequence[int]) -> NDArray[np.float32]:
    """Features [S, F] of the same approach, had it loops at the places `kept` only."""
    out = features.copy()
    crosses = CROSSED * len(CROSS_TAUS_S)
    single = out.shape[1] - len(crosses)
    out[:, [i for i in range(single) if i % COUNT not in kept]] = ABSENT
    for i, pair in enumerate(crosses, single):
        if not {POSITIONS.index(position) for position in pair} <= set(kept):
            out[:, i] = 0.0
    return out


def congestion_features(o: Any, x: Any, state: Any, known: Any) -> tuple[Any, Any]:
    """(all [A, len(names())], and of each place [A, COUNT] how much longer than usual stays are).

    The latter is a logarithm: 0.7 is half the usual speed.
    """
    parts = o.split(state, [COUNT] * (STATE // COUNT))
    per_tau = [parts[i : i + len(SMOOTHED)] for i in range(0, SMOOTH // COUNT, len(SMOOTHED))]
    each, slow = [], []
    for mean, highest, lowest, flow, delayed, passed, standing, longest, _, every in per_tau:
        slow.append(delayed / (passed + 0.02))
        each += [mean, highest, lowest, flow, slow[-1], standing, longest, every]
    each += [per_tau[0][0] - per_tau[-1][0], per_tau[0][3] - per_tau[-1][3]]
    phased = o.split(x, [COUNT] * len(BLOCKS))[BLOCKS.index("phased")]
    green = per_tau[1][SMOOTHED.index("green")]
    each.append(phased * (green - ABSENT) + ABSENT)
    absent = (1.0 - known) * ABSENT
    columns = [part * known + absent for part in each]
    _, advance, mid, stop, _, _ = o.split(known, [1] * COUNT)
    for signals in per_tau[1:]:
        _, at_advance, at_mid, at_stop, _, _ = o.split(signals[3], [1] * COUNT)
        columns.append((at_mid - at_advance) * mid * advance)
        columns.append((at_advance - at_stop) * advance * stop)
    return o.join(columns), slow[1]
