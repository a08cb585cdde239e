"""What is said of an approach: by rule or model in one slot, and to the rest of the gateway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge.infer.congestionreason import congestion_reason
from edge.infer.hysteresis import FlagTurn
from edge.infer.observation import PositionObservation
from edge.infer.occupancy import OCCUPANCY


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
