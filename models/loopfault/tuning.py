"""Chooses how sure the model must be of each kind, on streets that it was not fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from edge.infer.loops.looprules import ALONE
from models.loopfault.export import OFF, ON
from models.loopfault.flagging import (
    add_bias,
    flag_alarms,
    floor_by_rule,
    without_standing,
    without_unproven_silence,
)
from models.loopfault.flagscores import FlagScore, score_street, total_score
from models.loopfault.playedstreets import CLASSES, PlayedStreet, Rows

NEVER: Final = -30.0
WRONG_A_DAY: Final = 0.15  # aimed at, on sound loops: what the site's rules unsay is still in it
BIASES: Final = (-3.0, -2.5, -2.0, -1.5, -1.0, 0.0, 1.0)
PRICES: Final = (0.2, 0.35, 0.6, 1.0)  # of one false alarm a detector-day

Answered = tuple[PlayedStreet, Rows]


def without_rows(p: PlayedStreet) -> PlayedStreet:
    """Without its rows, which are most of it."""
    return replace(p, rows=p.rows[:0])


def score_bias(some: Sequence[Answered], bias: Sequence[float]) -> FlagScore:
    """What flags with these thresholds do."""
    answers = [
        floor_by_rule(
            without_standing(without_unproven_silence(add_bias(a, bias), p.silent), p.held), p.ruled
        )
        for p, a in some
    ]
    found = flag_alarms([p for p, _ in some], answers, ON, OFF)
    return total_score(
        score_street(a, p.faults, p.hours) for a, (p, _) in zip(found, some, strict=True)
    )


def score_worth(s: FlagScore, price: float) -> float:
    """Detection and words, less false alarms at this price a day, less slow answers."""
    late = min(600.0, s.delay_s()) if s.faults else 600.0
    return s.f1() + 0.5 * s.kind_f1() - price * s.false_a_day() - 0.0002 * max(0.0, late - 60.0)


def tune_bias(some: Sequence[Answered]) -> list[float]:
    """A bias for each kind, one after the other; none for what the rules say.

    The price of a false alarm goes up until there are no more of them than is aimed at.
    """
    kinds = [k for k in range(1, len(CLASSES)) if CLASSES[k] not in ALONE]
    bias = [-1.0 if k in kinds else NEVER for k in range(len(CLASSES))]
    bias[0] = 0.0
    for price in PRICES:
        best = score_worth(score_bias(some, bias), price)
        for kind in kinds:
            for value in BIASES:
                trial = [*bias[:kind], value, *bias[kind + 1 :]]
                reached = score_worth(score_bias(some, trial), price)
                if reached > best + 1e-9:
                    bias, best = trial, reached
        s = score_bias(some, bias)
        print(f"{price}: {bias} F1 {s.f1():.3f}, false a day {s.false_a_day():.3f}", flush=True)
        if s.false_a_day() <= WRONG_A_DAY:
            break
    return bias
