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

LEAST_S: Final = 60.0  # it is occupied for so long, without a break
MATE: Final = 4.0  # vehicles on the pair's other loop, since this one is occupied
BESIDE: Final = 10.0  # vehicles in the lanes beside a single loop, while others move
BESIDE_ALWAYS: Final = 50.0  # and if others stand
SHORT_Z: Final = -1.0  # all lanes here count too few against those along, in the last minutes
PAIR_S: Final = 600.0  # a vehicle that stands over both loops of a pair is gone by then,
ALONE_S: Final = 900.0  # and one that has broken down in the only lane,
LONG_S: Final = 1800.0  # and nobody stands for so long where others move
STANDING: Final = 0.5  # so much of its time somebody stands around it: then it is a queue

_AT: Final = {name: i for i, name in enumerate(FEATURES)}


def is_held(row: Sequence[float]) -> bool:
    """Whether the loop with this row is stuck on, if a model says so."""
    others_s, on_s = math.expm1(row[_AT["on_others"]]), math.expm1(row[_AT["on"]])
    if on_s < LEAST_S:
        return False
    moves = others_s < STANDING * on_s
    short = row[_AT["across_fast"]] < SHORT_Z
    if row[_AT["paired"]] > 0.0:  # its mate may stick as well, and thin traffic shows nothing short
        if math.expm1(row[_AT["on_mate"]]) >= MATE:
            return True
        return moves and ((short and on_s >= PAIR_S) or on_s >= LONG_S)
    beside = math.expm1(row[_AT["on_beside"]])
    if not moves:
        return beside >= BESIDE_ALWAYS
    # a vehicle may have broken down: then nobody passes here, and none is missing along
    return short or beside >= BESIDE or on_s >= (LONG_S if row[_AT["beside"]] > 0.0 else ALONE_S)
