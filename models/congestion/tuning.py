"""Chooses thresholds: of the occupancy rule for each position, and of the level that flags go by.

Everything is chosen by what it makes of whole flags: their score on events, false ones, and delay.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.infer.occupancy import (
    BOUND,
    CEILING,
    FAST,
    HIGH,
    ODDS_LIMIT,
    OFF_ODDS,
    QUICK,
    SLOT_S,
    SLOW,
    TRAFFIC,
)  # fmt: skip
from models.congestion.approachrows import PASSES, ApproachRow
from models.congestion.congestionstate import COUNT, POSITIONS, STALE_S
from models.congestion.eventscores import (
    EventTally,
    flag_starts,
    flagged_slots,
    recent_level,
    tally_flags,
    tally_link,
    total_tally,
)
from models.congestion.formula import AGGREGATES, PositionRule

TAUS_S: Final = (20.0, 60.0, 120.0)
THRESHOLDS: Final = tuple(round(0.24 + 0.04 * i, 2) for i in range(17))
USUAL: Final = 0.3  # where nobody knows what is usual
FOLLOWS: Final = (0.0, 0.35, 0.7)  # how much of what is usual elsewhere a threshold follows
BESIDE: Final = ((0.0,), (0.0, 0.2, 0.4), (0.0, 0.4, 0.8, 1.2), (0.0, 0.3, 0.6, 0.9))
OFF: Final = (0.75, 0.9)  # of the threshold: where a flag goes off
FALSE_COST: Final = 0.05  # of F1, for each false alarm a link-day above what is allowed
ALLOWED: Final = 0.1
DELAY_COST: Final = 0.03  # of F1, for each minute of delay above what is allowed
PROMPT_S: Final = 60.0
HOLD_COST: Final = 0.2  # of F1, for a flag that is off in all of an event, or on as long beside it
RULE_LIMITS: Final = (0.0, OFF_ODDS)  # odds of the rule at which its flag goes on and off

Series = NDArray[np.float64]


def tally_worth(t: EventTally) -> float:
    """What thresholds are chosen by."""
    late = max(0.0, t.delay_s - PROMPT_S) / 60.0 if t.delays else 0.0
    extra = min(max(0.0, t.wrong_a_day - ALLOWED), 4.0)
    held = HOLD_COST * min(t.cleared + t.over, 1.0)
    return t.f1 - FALSE_COST * extra - DELAY_COST * min(late, 5.0) - held


def score_flags(level: NDArray[Any], row: ApproachRow, on: float, off: float) -> EventTally:
    """The flags of one row, without how long they held: thousands of rules are tried."""
    alarms = flag_starts(flags_of(level, row, on, off))
    return tally_link(row.ends_s[alarms], row.link.events, row.link.short, row.days)


def score_holds(level: NDArray[Any], row: ApproachRow, on: float, off: float) -> EventTally:
    """The flags of one row, and how long they held."""
    flag = flags_of(level, row, on, off)
    return tally_flags(flag, row.ends_s, row.link.events, row.link.short, row.days)


def flags_of(level: NDArray[Any], row: ApproachRow, on: float, off: float) -> NDArray[np.bool_]:
    """In which slots of a row the flag is up."""
    return flagged_slots(level, recent_level(level, float(row.dt_s[0])), on, off)


def smoothed_occupancy(row: ApproachRow, position: int, aggregate: str, tau_s: float) -> Series:
    """Occupancy of one position as the rule smooths it."""
    block = AGGREGATES.index(aggregate)
    x = row.x[:, block * COUNT + position].astype(np.float64)
    out, value, age = np.zeros(len(x)), 0.0, math.inf
    for i, (now, there, dt_s) in enumerate(zip(x, row.present[:, position], row.dt_s, strict=True)):
        if age >= STALE_S:
            value = 0.0
        if there:
            value += (1.0 - math.exp(-float(dt_s) / tau_s)) * (now - value)
            age = 0.0
        else:
            age += float(dt_s)
        out[i] = value
    return out


@dataclass(frozen=True)
class RuleTrials:
    """Every choice of one position on every row, so that subsets of rows are quickly searched."""

    rows: Sequence[ApproachRow]
    rules: Sequence[PositionRule]
    tallies: Sequence[Sequence[EventTally]]  # by row, then rule

    def best(self, without: frozenset[str] = frozenset()) -> PositionRule:
        """The rule that is best on the streets that are not left out, with its neighbours.

        Neighbours have the next lower and higher threshold: a peak in between would be chance.
        """
        kept = [i for i, row in enumerate(self.rows) if row.street not in without]
        worths = [
            tally_worth(total_tally(self.tallies[i][k] for i in kept))
            for k in range(len(self.rules))
        ]
        value = np.asarray(worths).reshape(-1, len(THRESHOLDS), len(OFF))
        return self.rules[int(np.argmax(broad(value)))]


def broad(value: Series) -> Series:
    """Each of [n, m, k] together with what lies beside it in the middle: twice itself and both."""
    beside = np.pad(value, ((0, 0), (1, 1), (0, 0)), mode="edge")
    return np.asarray(beside[:, :-2] + 2 * value + beside[:, 2:])


@dataclass(frozen=True)
class BesideTrials:
    """What each choice of `PositionRule.beside` makes of every whole link with more positions."""

    rows: Sequence[ApproachRow]
    tallies: Sequence[Sequence[EventTally]]  # by row, then by product(*BESIDE)

    def best(self, without: frozenset[str] = frozenset()) -> tuple[float, ...]:
        """The best with its neighbours on the streets that are not left out."""
        kept = [i for i, row in enumerate(self.rows) if row.street not in without]
        every = list(product(*BESIDE))
        worths = [
            tally_worth(total_tally(self.tallies[i][k] for i in kept)) for k in range(len(every))
        ]
        value = np.asarray(worths).reshape([len(each) for each in BESIDE])
        around = 2 * value.ndim * value
        for axis in range(value.ndim):
            beside = [(int(k == axis), int(k == axis)) for k in range(value.ndim)]
            wide = np.pad(value, beside, mode="edge")
            here = np.arange(value.shape[axis])
            around = around + wide.take(here, axis) + wide.take(here + 2, axis)
        return every[int(np.argmax(around))]


def beside_trials(
    rows: Sequence[ApproachRow], chances: Sequence[Series], moved: Callable[..., Series]
) -> BesideTrials:
    """Of whole links with more positions and the odds of each; `moved` subtracts what they need."""
    tallies = [
        [
            score_holds(moved(odds, beside).max(axis=1), row, *RULE_LIMITS)
            for beside in product(*BESIDE)
        ]
        for row, odds in zip(rows, chances, strict=True)
    ]
    return BesideTrials(rows, tallies)


def rule_trials(rows: Sequence[ApproachRow], position: str) -> RuleTrials:
    """Of rows that have this position alone."""
    k = POSITIONS.index(position)
    rules: list[PositionRule] = []
    tallies: list[list[EventTally]] = [[] for _ in rows]
    moving = [(t, follow, (1 - off) * t) for follow, t, off in product(FOLLOWS, THRESHOLDS, OFF)]
    for aggregate, tau_s in product(AGGREGATES, TAUS_S):
        levels = [smoothed_occupancy(row, k, aggregate, tau_s) for row in rows]
        here = PositionRule(aggregate, tau_s, 0.0, 0.0, usual_level(rows, k, aggregate, tau_s), 0.0)
        steps = moved_thresholds(rows, k, here, moving)
        for i, (threshold, follow, margin) in enumerate(moving):
            slope = round(-OFF_ODDS / margin, 4)
            rules.append(replace(here, threshold=threshold, slope=slope, follow=follow))
            for mine, level, step, row in zip(tallies, levels, steps, rows, strict=True):
                mine.append(score_flags(level - step[:, i], row, threshold, threshold - margin))
    return RuleTrials(rows, rules, tallies)


def usual_level(rows: Sequence[ApproachRow], position: int, aggregate: str, tau_s: float) -> float:
    """The middle site's usual level, where a site begins to learn its own."""
    seen: dict[tuple[str, str], float] = {}
    for row in rows:
        if row.before is not None:
            level = smoothed_occupancy(row.before, position, aggregate, tau_s)
            busy = level[(level > TRAFFIC) & (row.before.present[:, position] > 0)]
            if len(busy):
                seen[row.street, row.link.name] = float(np.quantile(busy, HIGH))
    return round(float(np.median(list(seen.values()))), 3) if seen else USUAL


def moved_thresholds(
    rows: Sequence[ApproachRow],
    position: int,
    rule: PositionRule,
    moving: Sequence[tuple[float, float, float]],
) -> list[NDArray[np.float32]]:
    """By how much thresholds have moved [S, len(moving)], after the usual days of each row.

    `moving` are thresholds, how much of the usual level they follow, and how far below them a flag
    goes off. As `formula` does it, for many at once.
    """
    thresholds, follows, margins = np.asarray(moving).T
    usual = np.full((len(rows), len(moving)), rule.usual)
    learned = np.zeros_like(usual)
    usual_day = _padded([row.before for row in rows], position, rule)
    for course in [usual_day] * PASSES + [_padded(rows, position, rule)]:
        steps = np.empty((len(course), *usual.shape), np.float32)
        for i, (level, dt_s) in enumerate(course):
            steps[i] = np.clip(follows * (usual - rule.usual), -BOUND, BOUND)
            steps[i] = np.minimum(steps[i], CEILING - thresholds)
            free = level[:, None] - thresholds - steps[i] < -margins
            counts = free * (dt_s * (level > TRAFFIC) / SLOT_S)[:, None]
            pace = np.maximum(QUICK / (1.0 + learned / FAST), SLOW)
            usual = np.clip(usual + counts * pace * (HIGH - (level[:, None] < usual)), 0.0, 1.0)
            learned = np.minimum(learned + counts, ODDS_LIMIT)
    return [steps[: len(row.dt_s), k] for k, row in enumerate(rows)]


def _padded(
    rows: Sequence[ApproachRow | None], position: int, rule: PositionRule
) -> list[tuple[Series, Series]]:
    """(level, seconds), each [R], slot by slot; 0 s where there is nothing to learn from."""
    longest = max((len(row.dt_s) for row in rows if row is not None), default=0)
    level, dt_s = np.zeros((longest, len(rows))), np.zeros((longest, len(rows)))
    for k, row in enumerate(rows):
        if row is not None:
            level[: len(row.dt_s), k] = smoothed_occupancy(
                row, position, rule.aggregate, rule.tau_s
            )
            dt_s[: len(row.dt_s), k] = row.dt_s * row.present[:, position]
    return list(zip(level, dt_s, strict=True))


def platt_scaling(odds: NDArray[Any], truth: NDArray[Any]) -> tuple[float, float]:
    """Scale and shift that make probabilities of odds (Platt)."""
    scale, shift = logistic_weights([np.clip(odds, -15.0, 15.0)], truth)
    return max(0.05, scale), shift


def logistic_weights(columns: Sequence[NDArray[Any]], truth: NDArray[Any]) -> list[float]:
    """A weight of each column, none below 0, and a shift: logistic regression, by Newton."""
    used, y = list(range(len(columns))), truth.astype(np.float64)
    while True:
        x = np.stack([*(columns[k] for k in used), np.ones(len(y))], axis=1).astype(np.float64)
        line = np.zeros(len(used) + 1)
        for _ in range(30):
            p = 1.0 / (1.0 + np.exp(-np.clip(x @ line, -30.0, 30.0)))
            curve = x.T @ (x * (p * (1.0 - p))[:, None]) + 1e-6 * np.eye(len(line))
            line = line + np.linalg.solve(curve, x.T @ (y - p)).clip(-1.0, 1.0)
        if not used or line[:-1].min() >= 0.0:
            out = dict(zip(used, line[:-1].tolist(), strict=True))
            return [*(out.get(k, 0.0) for k in range(len(columns))), float(line[-1])]
        del used[int(np.argmin(line[:-1]))]
