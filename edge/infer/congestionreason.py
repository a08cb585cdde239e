"""Why an approach is called congested, or free: what was seen, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from edge.infer.observation import POSITIONS, PositionObservation
from edge.infer.occupancy import THRESHOLDS

QUEUE_S: Final = 20.0  # something has stood on a loop for so long
QUEUE: Final = 0.5  # or this share of the slot something stood there
POSITION_TEXTS: Final = {
    "corridor": "loops of the station",
    "advance": "advance loops",
    "mid": "mid-block loops",
    "stop": "stop line loops",
}
SPEED_TEXTS: Final = (
    (0.15, "a tenth of"), (0.29, "a quarter of"), (0.42, "a third of"), (0.58, "half"),
    (0.72, "two thirds of"), (0.88, "four fifths of"),
)  # fmt: skip


def congestion_reason(
    observations: Mapping[str, PositionObservation], slow: Sequence[float] = ()
) -> str:
    """One clause for each thing that is known: occupancy, relative speed, a standing queue.

    Occupancy and speed are those of the position that is fullest for its kind.
    `slow` holds for each position how much longer than usual vehicles stay, as a logarithm.
    """
    here = [position for position in POSITIONS if position in observations]
    if not here:
        return ""
    best = max(here, key=lambda name: observations[name].mean / THRESHOLDS[name].threshold)
    clauses = [f"occupancy {round(100 * observations[best].mean)} % on the {_loops(best)}"]
    if slow and any(observations[position].flow > 0 for position in here):
        clauses.append(f"vehicles at {speed_text(slow[POSITIONS.index(best)])}")
    stands = [p for p in here if _queue(observations[p])]
    if stands:
        clauses.append(f"a queue stands on the {_loops(stands[0])}")
    return ", ".join(clauses)


def speed_text(slow: float) -> str:
    """In words: 0.7 is half their usual speed."""
    ratio = math.exp(-slow)
    word = next((word for until, word in SPEED_TEXTS if ratio < until), None)
    return f"{word} their usual speed" if word else "their usual speed"


def _queue(observations: PositionObservation) -> bool:
    return observations.standing >= QUEUE or observations.longest_s >= QUEUE_S


def _loops(position: str) -> str:
    return POSITION_TEXTS[position]
