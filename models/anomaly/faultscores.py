"""Scores alarms against labelled faults; never point-adjusted.

An alarm is where the flag goes on. It finds a fault if it comes between the fault's first sample
and two after its last; the return to normal (ten samples) is neither right nor wrong. Precision is
found faults / (found faults + alarms outside), recall is found faults / faults.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.anomaly.labelledseries import Series

ON: Final = 0.5  # of onset
OFF: Final = 0.25  # of level
AFTER: Final = 2
RETURN: Final = 10


@dataclass
class FaultTally:
    """Counts over series."""

    found: int = 0
    faults: int = 0
    wrong: int = 0
    points: int = 0
    kinds: dict[str, list[int]] = field(default_factory=dict)  # kind: [found, all]
    delays: list[int] = field(default_factory=list)

    @property
    def f1(self) -> float:
        recall = self.found / max(self.faults, 1)
        precision = self.found / max(self.found + self.wrong, 1)
        return 2 * recall * precision / (recall + precision) if self.found else 0.0

    @property
    def wrong_per_1000(self) -> float:
        return 1000 * self.wrong / max(self.points, 1)

    def __add__(self, other: FaultTally) -> FaultTally:
        kinds = {kind: list(hits) for kind, hits in self.kinds.items()}
        for kind, (found, faults) in other.kinds.items():
            hits = kinds.setdefault(kind, [0, 0])
            hits[0] += found
            hits[1] += faults
        return FaultTally(
            self.found + other.found,
            self.faults + other.faults,
            self.wrong + other.wrong,
            self.points + other.points,
            kinds,
            self.delays + other.delays,
        )


def total_tally(tallies: Iterable[FaultTally]) -> FaultTally:
    return sum(tallies, FaultTally())


def alarm_samples(
    onset: NDArray[Any], level: NDArray[Any], on: float = ON, off: float = OFF
) -> NDArray[np.intp]:
    """Samples at which the flag goes on: by onset, until level is low again."""
    move = np.where(onset >= on, 1, np.where(level <= off, -1, 0))
    index = np.flatnonzero(move)
    value = move[index]
    before = np.concatenate([[-1], value[:-1]])
    return np.asarray(index[(value == 1) & (before == -1)])


def add_series(tally: FaultTally, series: Series, at: NDArray[np.intp]) -> None:
    """Count one series' alarms."""
    outside = np.ones(len(at), bool)
    for fault in series.faults:
        inside = (at >= fault.first) & (at < fault.last + AFTER)
        outside &= ~((at >= fault.first) & (at < fault.last + RETURN))
        hits = tally.kinds.setdefault(fault.kind, [0, 0])
        hits[1] += 1
        tally.faults += 1
        if inside.any():
            hits[0] += 1
            tally.found += 1
            tally.delays.append(int(at[inside][0] - fault.first))
    tally.wrong += int(outside.sum())
    tally.points += len(series.values)


def series_tally(series: Series, at: NDArray[np.intp]) -> FaultTally:
    """One series alone."""
    tally = FaultTally()
    add_series(tally, series, at)
    return tally
