"""Names what is odd about a series, from what the model measured, and whose doing it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

from edge.wire.contract.event import Cause

CAUSE_TEXTS: Final[Mapping[Cause, str]] = {
    "event": "shows an unusual event, and so do its neighbours",
    "spike": "jumped",
    "stuck": "repeats exactly the same value",
    "dropout": "dropped to zero",
    "noise": "has become noisy",
    "drift": "drifts away from its usual level",
    "shift": "has moved to another level and stays there",
    "scale": "varies much more, or much less, than before",
}
ORIGIN_TEXTS: Final = {
    "sensor": "its neighbours do not show it",
    "world": "its neighbours show it too",
}
LARGE: Final = 4.0  # scales of the residual: this very sample is odd
AWAY: Final = 2.0  # deviations from the mean
LASTING: Final = 4  # samples after which a jump that stays is a shift
STUCK: Final = 0.8
CALM: Final = 0.4  # of the surprise of an alarm: below it nothing is to be seen

CauseOrigin = Literal["sensor", "world"]

# columns of the model's output `oddity`: signed residual in scales, offset from the mean in
# deviations, then the surprise of each measure, 1 being that of an alarm
COLUMNS: Final = (
    "signed", "offset", "residual", "energy", "drift", "high", "low", "novelty", "hour", "hours",
    "pace", "shift", "step", "bump", "below", "zigzag", "stuck", "learned",
)  # fmt: skip


def name_cause(oddity: Sequence[float], value: float, samples: int) -> Cause:
    """One word. `oddity` is a row of the model's output; `samples` since the onset."""
    was = dict(zip(COLUMNS, oddity, strict=True))
    low = max(was["low"], was["below"])
    if was["offset"] < -AWAY and (value == 0.0 or (low > CALM and value < 0.0)):
        return "dropout"
    if was["stuck"] > STUCK:
        return "stuck"
    if samples >= LASTING and abs(was["offset"]) > AWAY:
        return "shift"
    if abs(was["signed"]) >= LARGE:
        return "spike"
    kinds: dict[Cause, float] = {
        "drift": max(was["drift"], was["hours"]),
        "noise": max(was["zigzag"], was["energy"]),
        "scale": was["pace"],
        "shift": was["shift"],
    }
    name = max(kinds, key=lambda kind: kinds[kind])
    return name if kinds[name] > CALM else "spike"


def cause_origin(others: Iterable[float]) -> CauseOrigin | None:
    """Whose doing it is, by the surprise of the neighbours; None when they do not show it."""
    seen = list(others)
    if not seen:
        return None
    calm = sum(value < CALM for value in seen)
    if calm == len(seen):
        return "sensor"
    return "world" if 2 * calm < len(seen) else None
