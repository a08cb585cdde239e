"""Chooses thresholds: of the occupancy rule for each position, and of the level that flags go by.

Everything is chosen by what it makes of whole flags: their score on events, false ones, and delay.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.congestion.events import Tally, lately, starts, tally, total
from models.congestion.formula import AGGREGATES, Rule
from models.congestion.rows import Row
from models.congestion.signals import COUNT, POSITIONS, STALE_S

TAUS_S: Final = (20.0, 30.0, 60.0, 120.0, 300.0)
THRESHOLDS: Final = tuple(round(0.08 + 0.04 * i, 2) for i in range(23))
OFF: Final = (0.75, 0.9)  # of the threshold: where a flag goes off
LEVEL_OFF: Final = 0.35
FALSE_COST: Final = 0.05  # of F1, for each false alarm a link-day above what is allowed
ALLOWED: Final = 0.1
DELAY_COST: Final = 0.03  # of F1, for each minute of delay above what is allowed
PROMPT_S: Final = 60.0

Series = NDArray[np.float64]


def worth(t: Tally) -> float:
    """What thresholds are chosen by."""
    late = max(0.0, t.delay_s - PROMPT_S) / 60.0 if t.delays else 0.0
    extra = min(max(0.0, t.wrong_a_day - ALLOWED), 4.0)
    return t.f1 - FALSE_COST * extra - DELAY_COST * min(late, 5.0)


def scored(level: NDArray[Any], row: Row, on: float, off: float) -> Tally:
    """The flags of one row."""
    at = starts(level, lately(level, float(row.dt_s[0])), on, off)
    return tally(row.ends_s[at], row.link.events, row.link.short, row.days)


def smoothed(row: Row, position: int, aggregate: str, tau_s: float) -> Series:
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
class Trials:
    """Every choice of one position on every row, so that subsets of rows are quickly searched."""

    rows: Sequence[Row]
    rules: Sequence[Rule]
    tallies: Sequence[Sequence[Tally]]  # by row, then rule

    def best(self, without: frozenset[str] = frozenset()) -> Rule:
        """The rule that is best on the streets that are not left out, with its neighbours.

        Neighbours have the next lower and higher threshold: a peak in between would be chance.
        """
        kept = [i for i, row in enumerate(self.rows) if row.street not in without]
        said = [worth(total(self.tallies[i][k] for i in kept)) for k in range(len(self.rules))]
        value = np.asarray(said).reshape(-1, len(THRESHOLDS), len(OFF))
        return self.rules[int(np.argmax(broad(value)))]


def broad(value: Series) -> Series:
    """Each of [n, m, k] together with what lies beside it in the middle: twice itself and both."""
    beside = np.pad(value, ((0, 0), (1, 1), (0, 0)), mode="edge")
    return np.asarray(beside[:, :-2] + 2 * value + beside[:, 2:])


def trials(rows: Sequence[Row], position: str) -> Trials:
    """Of rows that have this position alone."""
    k = POSITIONS.index(position)
    rules: list[Rule] = []
    tallies: list[list[Tally]] = [[] for _ in rows]
    for aggregate in AGGREGATES:
        for tau_s in TAUS_S:
            levels = [smoothed(row, k, aggregate, tau_s) for row in rows]
            for threshold in THRESHOLDS:
                for off in OFF:
                    slope = math.log(1 / LEVEL_OFF - 1) / ((1 - off) * threshold)
                    rules.append(Rule(aggregate, tau_s, threshold, round(slope, 4)))
                    for mine, level, row in zip(tallies, levels, rows, strict=True):
                        mine.append(scored(level, row, threshold, off * threshold))
    return Trials(rows, rules, tallies)


@dataclass(frozen=True)
class Limits:
    """Odds at which a flag goes on and off."""

    on: float
    off: float

    @property
    def line(self) -> tuple[float, float]:
        """Scale and shift that make 0.5 and LEVEL_OFF of them."""
        scale = math.log(1 / LEVEL_OFF - 1) / (self.on - self.off)
        return scale, -scale * self.on


def calibrated(odds: NDArray[Any], truth: NDArray[Any]) -> tuple[float, float]:
    """Scale and shift that make probabilities of odds: logistic regression (Platt), by Newton."""
    z, y = np.clip(odds.astype(np.float64), -15.0, 15.0), truth.astype(np.float64)
    x = np.stack([z, np.ones_like(z)], axis=1)
    line = np.array([1.0, 0.0])
    for _ in range(30):
        p = 1.0 / (1.0 + np.exp(-np.clip(x @ line, -30.0, 30.0)))
        curve = x.T @ (x * (p * (1.0 - p))[:, None]) + 1e-6 * np.eye(2)
        line = line + np.linalg.solve(curve, x.T @ (y - p)).clip(-1.0, 1.0)
    return max(0.05, float(line[0])), float(line[1])
