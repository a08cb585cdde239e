"""Scores alarms against true events.

An alarm is right if it starts between 120 s before an onset and the end of that event. Precision is
the share of alarms that are right, recall the share of events with a right alarm. Alarms in events
that are too short to count are neither right nor wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.congestion.scenarios.simstreet import Interval

EARLY_S: Final = 120.0
QUIET_S: Final = 60.0  # so long must the level be low before a flag goes off


@dataclass
class EventTally:
    """Counts over links; `days` are link-days."""

    found: int = 0
    events: int = 0
    right: int = 0
    wrong: int = 0
    days: float = 0.0
    delays: list[float] = field(default_factory=list)

    @property
    def recall(self) -> float:
        return self.found / max(self.events, 1)

    @property
    def precision(self) -> float:
        return self.right / max(self.right + self.wrong, 1)

    @property
    def f1(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0

    @property
    def wrong_a_day(self) -> float:
        return self.wrong / self.days if self.days else 0.0

    @property
    def delay_s(self) -> float:
        return float(np.median(self.delays)) if self.delays else float("nan")

    def __add__(self, other: EventTally) -> EventTally:
        return EventTally(
            self.found + other.found,
            self.events + other.events,
            self.right + other.right,
            self.wrong + other.wrong,
            self.days + other.days,
            self.delays + other.delays,
        )


def total_tally(tallies: Iterable[EventTally]) -> EventTally:
    return sum(tallies, EventTally())


def recent_level(level: NDArray[Any], slot_s: float) -> NDArray[Any]:
    """The highest level of the last QUIET_S: by it a flag goes off, so that it does not flutter."""
    count = max(1, round(QUIET_S / slot_s))
    out = level.copy()
    for back in range(1, count):
        np.maximum(out[back:], level[:-back], out=out[back:])
    return out


def flag_starts(
    level: NDArray[Any], recent: NDArray[Any], on: float, off: float
) -> NDArray[np.intp]:
    """Slots at which a flag goes on: level at `on` and above, until `recent` is at most `off`."""
    move = np.where(level >= on, 1, np.where(recent <= off, -1, 0))
    index = np.flatnonzero(move)
    value = move[index]
    before = np.concatenate([[-1], value[:-1]])
    return np.asarray(index[(value == 1) & (before == -1)])


def tally_link(
    alarms_s: NDArray[Any], events: Sequence[Interval], short: Sequence[Interval], days: float
) -> EventTally:
    """One link. `alarms_s` are the times at which alarms start: the ends of their slots."""
    out = EventTally(events=len(events), days=days)
    right = np.zeros(len(alarms_s), bool)
    for begin, end in events:
        here = (alarms_s >= begin - EARLY_S) & (alarms_s <= end)
        right |= here
        if here.any():
            out.found += 1
            out.delays.append(float(alarms_s[here][0] - begin))
    neither = np.zeros(len(alarms_s), bool)
    for begin, end in short:
        neither |= (alarms_s >= begin - EARLY_S) & (alarms_s <= end)
    out.right = int(right.sum())
    out.wrong = int((~right & ~neither).sum())
    return out
