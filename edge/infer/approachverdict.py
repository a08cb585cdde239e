"""What is said of an approach: by rule or model in a slot, to the rest of the gateway, and why."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from edge.infer.hysteresis import FlagTurn
from edge.infer.observation import POSITIONS, PositionObservation
from edge.infer.occupancy import OCCUPANCY, THRESHOLDS

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


@dataclass(frozen=True, slots=True)
class ApproachVerdict:
    """One approach: how likely it is congested now, in 5 and in 15 minutes.

    `p` is None where no believed loop has spoken for long, `p5` and `p15` too where a rule speaks.
    `reason` says in words what was seen when the flag turned; else it is empty.
    """

    approach: str
    p: float | None
    p5: float | None
    p15: float | None
    turn: FlagTurn | None
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ApproachScore:
    """What rule or model says of one approach in one slot. Flags go by `level`."""

    p: float
    level: float
    p5: float | None = None
    p15: float | None = None
    slow: tuple[float, ...] = ()


def no_verdict(name: str, turn: FlagTurn | None = None, by: str = OCCUPANCY) -> ApproachVerdict:
    """Nothing is known of this approach."""
    return ApproachVerdict(name, None, None, None, turn, by)


def make_verdict(
    name: str,
    score: ApproachScore,
    turn: FlagTurn | None,
    by: str,
    observations: Mapping[str, PositionObservation],
) -> ApproachVerdict:
    """As it leaves the judge: rounded, and with a reason where its flag turns."""
    reason = congestion_reason(observations, score.slow) if turn else ""
    return ApproachVerdict(
        name, round(score.p, 3), _rounded(score.p5), _rounded(score.p15), turn, by, reason
    )


def _rounded(p: float | None) -> float | None:
    return None if p is None else round(p, 3)


def read_scores(outputs: Sequence[Any]) -> list[ApproachScore | None]:
    """Rows of what the graph answers: `models.congestion.formula.OUTPUTS`."""
    p, known, p5, p15, level = (output[:, 0].tolist() for output in outputs[:5])
    slow = outputs[5].tolist()
    return [
        ApproachScore(p[i], round(level[i], 3), p5[i], p15[i], tuple(slow[i]))
        if known[i] > 0.5
        else None
        for i in range(len(p))
    ]


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
