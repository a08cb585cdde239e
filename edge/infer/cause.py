"""Names what is odd about a series, from what the model measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

SAYS: Final = {
    "spike": "jumped",
    "stuck": "repeats exactly the same value",
    "dropout": "fell to nothing",
    "noise": "has become restless",
    "drift": "drifts away from what it was",
    "shift": "stays at another level",
}
LARGE: Final = 4.0  # scales of the residual: this very sample is odd
AWAY: Final = 2.0  # deviations from the mean
LASTING: Final = 4  # samples after which a jump that stays is a shift


def cause(oddity: Sequence[float], value: float, samples: int) -> str:
    """One word. `oddity` is a row of the model's output of that name; `samples` since the onset.

    Columns: signed residual in scales, offset from the mean in deviations, then how far residual,
    noise, drift, new high, new low and repeats are over what the series is used to (1: as far).
    """
    signed, offset, _residual, noise, drift, _high, low, stuck = oddity
    if offset < -AWAY and (value == 0.0 or (low > 1.0 and value < 0.0)):
        return "dropout"
    if stuck > 1.0:
        return "stuck"
    if samples >= LASTING and abs(offset) > AWAY:
        return "shift"
    if abs(signed) >= LARGE:
        return "spike"
    if drift > max(noise, 0.5):
        return "drift"
    if noise > 0.5:
        return "noise"
    return "spike"
