"""How far a box's clock is from the rig's, from what it sends: with its bound, and no guess.

What comes cannot have been sent later than it came: a time that the box had when it sent it bounds
its clock from below. What tells of a vehicle cannot be dated before the vehicle came: that bounds
it from above. Between both the clock is somewhere.
"""

import math
from collections.abc import Iterable, Sequence

from edge.rig.layer import NO_BOUND_S
from edge.rig.runlog import Driven, Heard, number_of


def measure(heard: Iterable[Heard], driven: Sequence[Driven]) -> tuple[float, float]:
    """How far the box's clock is ahead, and how far off that may be, in seconds.

    Only the first record of each lane that counts somebody bounds it from above: later ones would
    need the right count. Where the bounds exclude each other nothing is known.
    """
    first: dict[str, float] = {}
    for one in driven:
        first[one.lane] = min(one.on_s, first.get(one.lane, math.inf))
    low, high = -math.inf, math.inf
    counted: set[str] = set()
    for record in heard:
        sent = record.body.get("sent_s", record.to_s)
        if (sent_s := number_of(sent)) is not None:
            low = max(low, sent_s - record.t_s)
        volume = record.body.get("volume")
        if record.source in first and record.source not in counted and _is_some(volume):
            counted.add(record.source)
            if record.to_s is not None:
                high = min(high, record.to_s - first[record.source])
    if not (math.isfinite(low) and math.isfinite(high)) or low > high:
        return 0.0, NO_BOUND_S
    return (low + high) / 2, (high - low) / 2


def _is_some(volume: object) -> bool:
    return (number_of(volume) or 0.0) > 0
