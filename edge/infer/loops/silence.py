"""Says whether a loop is silent in a way that a sound loop could hardly be.

An empty lane, a closed one and one that stands still are as silent as a dead loop. A word of
`stuck_off`, by whomever, counts only where this holds. The numbers are ours; they were chosen on
the streets of the training and four whole days with their nights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from edge.infer.loops.loopfeatures import FEATURES
from edge.infer.loops.loopflag import FAULTS, LEARNED_FAULTS
from edge.infer.loops.loopmemory import SCALES_S

PAIR_S: Final = 60.0  # a partner that chatters counts a slot full at once: one slot says nothing
PAIR_DUE: Final = 4.0  # vehicles on the pair's other loop meanwhile
OWN_DUE: Final = 8.0  # vehicles at the pace of the last 45 min before it fell silent
# All lanes here against those along, in deviations: when a lane is closed its vehicles pass
# beside it, and nothing is short.
SHORT_Z: Final = -1.0  # in the last minutes: so many are missing that nothing else is asked
SOME_Z: Final = -0.2  # in 10 min: what must be missing at least
LONG: Final = 3.0  # silent so many times as long as ever in about a day
AROUND_DUE: Final = 3.0  # vehicles that should have come by each of those along
STANDING_S: Final = 120.0  # of a stay that lasts around it: longer than a red light, a jam
NEVER: Final = 0.8  # silent for this share of the time that it was watched: it may never have lived
NEVER_DUE: Final = 4.0  # vehicles by each of those along, and
NEVER_PACE: Final = 1.0 / 60.0  # a second: that is no night
KNOWN_SHARE: Final = 0.05  # of the 45 min: a pace of a shorter time is none

_AT: Final = {name: i for i, name in enumerate(FEATURES)}
_SOUND: Final = 0
_STUCK_OFF: Final = 1 + LEARNED_FAULTS.index("stuck_off")
_NEVER: Final = 1 + FAULTS.index("never_active")


def is_dead(row: Sequence[float], *, along: bool) -> bool:
    """Whether the loop with this row is dead, if anybody says so.

    `along`: the site has loops before or after it in its lane; else those beside it are asked.
    """

    def many(name: str) -> float:  # a column that is log1p of what is meant
        return math.expm1(row[_AT[name]])

    idle_s = many("idle")
    if idle_s <= 0.0:
        return False
    if row[_AT["paired"]] > 0.0:
        return idle_s >= PAIR_S and many("due_mate") >= PAIR_DUE
    asked = along or row[_AT["beside"]] > 0.0
    around = many("due_along" if along else "due_beside") if asked else math.inf
    if due_by_own_pace(row) < OWN_DUE:
        never = asked and idle_s >= NEVER * 600.0 * math.expm1(row[_AT["age"]])
        return never and around >= max(NEVER_DUE, NEVER_PACE * idle_s)
    return row[_AT["across_fast"]] <= SHORT_Z or (
        (not along or row[_AT["across_mid"]] <= SOME_Z)
        and row[_AT["idle_usual"]] >= LONG
        and around >= AROUND_DUE
        and many("on_others") < STANDING_S
    )


def due_by_own_pace(row: Sequence[float]) -> float:
    """Vehicles that should have come since it fell silent, by its pace just before.

    The pace fades while nothing comes; what has faded is put back.
    """
    idle_s, age_s = math.expm1(row[_AT["idle"]]), 600.0 * math.expm1(row[_AT["age"]])
    over_s = SCALES_S[-1]
    before = math.expm1(row[_AT["count_slow"]]) * math.exp(min(50.0, idle_s / over_s))
    known = max(KNOWN_SHARE, 1.0 - math.exp(min(0.0, (idle_s - age_s) / over_s)))
    return before / (known * over_s) * idle_s


def without_unproven_silence(p: Sequence[float], *, silent: bool) -> list[float]:
    """Probabilities of which `stuck_off` counts as `sound`, unless `silent` (see `dead`)."""
    out = list(p)
    if not silent:
        out[_SOUND] += out[_STUCK_OFF]
        out[_STUCK_OFF] = 0.0
    return out


def as_never_active(p: Sequence[float]) -> list[float]:
    """The same of a loop that has never seen a vehicle: what is silent there has its own word."""
    out = [*p, *[0.0] * (1 + len(FAULTS) - len(p))]
    out[_NEVER] += out[_STUCK_OFF]
    out[_STUCK_OFF] = 0.0
    return out
