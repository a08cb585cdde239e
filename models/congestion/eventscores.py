"""Scores alarms against true events.

An alarm is right if it starts between 120 s before an onset and the end of that event. Recall is
the share of events with a right alarm. Precision is the share of alarms that are right, where all
that are right for one event count as one: a flag that comes and goes earns nothing. Alarms in
events that are too short to count are neither right nor wrong.
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
    found_s: float = 0.0  # of events, from their first right alarm on
    cleared_s: float = 0.0  # of these, without a flag
    over_s: float = 0.0  # with a flag, and no event

    @property
    def recall(self) -> float:
        return self.found / max(self.events, 1)

    @property
    def precision(self) -> float:
        return self.found / max(self.found + self.wrong, 1)

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

    @property
    def cleared(self) -> float:
        """Share of the time of events that were found, in which the flag had gone off."""
        return self.cleared_s / self.found_s if self.found_s else 0.0

    @property
    def over(self) -> float:
        """Time with a flag and without an event, as a share of the same."""
        return self.over_s / self.found_s if self.found_s else 0.0

    def __add__(self, other: EventTally) -> EventTally:
        return EventTally(
            self.found + other.found,
            self.events + other.events,
            self.right + other.right,
            self.wrong + other.wrong,
            self.days + other.days,
            self.delays + other.delays,
            self.found_s + other.found_s,
            self.cleared_s + other.cleared_s,
            self.over_s + other.over_s,
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


def flagged_slots(
    level: NDArray[Any], recent: NDArray[Any], on: float, off: float
) -> NDArray[np.bool_]:
    """Slots with a flag: from where the level is at least `on`, until `recent` is at most `off`."""
    move = np.where(level >= on, 1, np.where(recent <= off, -1, 0))
    turned = np.maximum.accumulate(np.where(move, np.arange(len(move)), 0))
    return np.asarray(move[turned] == 1)


def flag_starts(flag: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Slots at which a flag goes on."""
    return np.flatnonzero(flag & ~np.concatenate([[False], flag[:-1]]))


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


def tally_flags(
    flag: NDArray[np.bool_],
    ends_s: NDArray[Any],
    events: Sequence[Interval],
    short: Sequence[Interval],
    days: float,
) -> EventTally:
    """One link, with how long its flag was up in events and beside them."""
    out = tally_link(ends_s[flag_starts(flag)], events, short, days)
    slots_s = np.diff(ends_s, prepend=0.0)
    beside = flag.copy()
    for begin, end in (*events, *short):
        beside &= ~((ends_s >= begin - EARLY_S) & (ends_s <= end))
    out.over_s = float(slots_s[beside].sum())
    for begin, end in events:
        here = (ends_s >= begin - EARLY_S) & (ends_s <= end)
        alarms = flag_starts(flag & here)
        if len(alarms):
            after = here & (ends_s >= max(begin, ends_s[alarms[0]]))
            out.found_s += float(slots_s[after].sum())
            out.cleared_s += float(slots_s[after & ~flag].sum())
    return out
