"""Says whether a loop is occupied in a way that a standing vehicle could hardly be.

Where a road is blocked a vehicle stands on a loop for an hour, and so do those around it. A word of
`stuck_on` by a model counts only where others moved meanwhile. The numbers are ours; they were
chosen on the streets of the training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from edge.infer.loops.loopfeatures import FEATURES

MATE: Final = 4.0  # vehicles on the pair's other loop, since this one is occupied
BESIDE: Final = 50.0  # vehicles in the lanes beside a single loop
SHORT_Z: Final = -2.0  # it counts too few against those along, in deviations, in the last minutes
LONG_S: Final = 1800.0  # so long nobody stands where others move
STANDING: Final = 0.5  # so much of its time somebody stands around it: then it is a queue

_AT: Final = {name: i for i, name in enumerate(FEATURES)}


def is_held(row: Sequence[float]) -> bool:
    """Whether the loop with this row is stuck on, if a model says so."""
    others_s, on_s = math.expm1(row[_AT["on_others"]]), math.expm1(row[_AT["on"]])
    moves = others_s < STANDING * on_s
    short = row[_AT["against_along_fast"]] < SHORT_Z
    if row[_AT["paired"]] > 0.0:  # its mate may stick as well, and thin traffic shows nothing short
        return math.expm1(row[_AT["on_mate"]]) >= MATE or (moves and (short or on_s >= LONG_S))
    return short or moves or math.expm1(row[_AT["on_beside"]]) >= BESIDE
