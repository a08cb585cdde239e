"""Finds a site, or an approach, all of whose loops are silent at once: only its past can be asked.

What usually comes in this hour of the week is asked where the clock is trusted, else the pace of
the last hour and that of a day, and the longest silences by each. A closed road is as silent: the
sentence says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from edge.core.looptick import LoopTick
from edge.infer.hourofday import STEP_S
from edge.infer.loops.evidence import CAP, NS, LoopKey
from edge.infer.loops.loopmemory import DAY_S, UNSEEN
from edge.infer.loops.looprules import SURE_SCORE, Ruling
from edge.infer.loops.published import NO_HITS_QUEUE_S
from edge.infer.sites import LaneSite

DUE: Final = 60.0  # counts of all leading loops that are missing
SILENT_S: Final = 900.0  # a level crossing and a crash close a road for less
LONGER: Final = 3.0  # than the longest silence before, where the hour shows nothing
GROWS: Final = 4.0  # so many times, at most, for one that was called a fault
FORGET_S: Final = 7.0 * DAY_S  # of that one
RECENT_S: Final = 2700.0  # the pace of the last hours
WEEK: Final = 168
HOUR_S: Final = 3600.0
KNOWN_S: Final = 2700.0  # of an hour, before it shows anything
KEPT_S: Final = 4 * HOUR_S  # of each hour of the week: a month
STANDING_S: Final = 3600.0  # who is occupied for so long is not asked
SHARE: Final = 0.5  # of the loops that must be watched


class SilentSite:
    """The pace of a whole site, or of one approach. 168 hours and ten numbers.

    `keys` are its loops, and `name` is what it is called in a sentence.
    """

    def __init__(self, keys: Sequence[LoopKey], name: str = "this site") -> None:
        self._keys, self._name, self._count = frozenset(keys), name, len(keys)
        self._hours = [[0.0, 0.0] for _ in range(WEEK)]  # counts, seconds watched
        self._apart_s: float | None = None  # wall clock less monotonic, when it was last trusted
        self._age_s = self._day = self._recent = 0.0  # paces: counts a second
        self._longest_s = self._most_due = 0.0  # silence before; and by the pace of the last hour
        self._idle_s = self._due = 0.0  # of a silence that lasts; what the hours say of it
        self._by_hours = True  # they knew it all
        self._ever = self._dead = False
        self._silent_s = 0.0  # since anybody saw anything; gaps are in it

    def step(
        self,
        slot: Mapping[LoopKey, LoopTick],
        rows: Mapping[LoopKey, Sequence[float]],
        wall_s: float | None,
    ) -> dict[LoopKey, Ruling]:
        """The same ruling for every silent loop, once all of them are."""
        seen = {
            key: t
            for key, t in slot.items()
            if key in self._keys and t.seen_ns > UNSEEN * t.length_s * NS
        }
        if not seen or len(seen) < SHARE * self._count:
            return {}
        first = next(iter(seen.values()))
        length_s = first.length_s
        most = CAP * max(1.0, length_s / 30.0)
        count = sum(
            min(most, len(t.stays) + t.stays_left_out) for k, t in seen.items() if k[1] == "lead"
        )
        hour = self._hour(first.to_ns, wall_s)
        usual = None if hour is None else self._usual(hour)
        if hour is not None:
            self._learn(hour, count, length_s)
        if any(_is_active(tick) for tick in seen.values()):
            self._lived(count, length_s)
            return {}
        self._idle_s += length_s
        self._silent_s += length_s
        self._by_hours = self._by_hours and usual is not None
        self._due += (usual or 0.0) * length_s
        fault = self._fault()
        if fault is None:
            return {}
        text = self._text(fault)
        since_ns = first.to_ns - round(self._silent_s * NS)
        ruling = Ruling(fault, SURE_SCORE, silent=True, since_ns=since_ns, text=text)
        return {key: ruling for key, tick in seen.items() if tick.since_ns is None}

    def _fault(self) -> str | None:
        if not self._ever:
            return "never_active" if self._idle_s >= NO_HITS_QUEUE_S else None
        self._dead = self._dead or (self._idle_s >= SILENT_S and self._missing() >= DUE)
        return "stuck_off" if self._dead else None

    def _missing(self) -> float:
        """Counts that did not come, as far as that is unusual.

        The pace of the last hour shows a day that breaks off, that of a whole day of a night
        that does not end.
        """
        if self._by_hours:
            return self._due
        by_hour, by_day = self._recent * self._idle_s, self._day * self._idle_s
        return max(
            by_hour if self._age_s >= RECENT_S and by_hour >= LONGER * self._most_due else 0.0,
            by_day if self._age_s >= DAY_S and self._idle_s >= LONGER * self._longest_s else 0.0,
        )

    def _text(self, fault: str) -> str:
        duration = f"{self._idle_s / 60.0:.0f} min"
        if fault == "never_active":
            duration = f"{self._idle_s / HOUR_S:.0f} h, ever since the gateway began to watch it"
        usual = (
            f", while about {self._missing():.0f} vehicles are usual"
            if fault == "stuck_off"
            else ""
        )
        return (
            f"has detected nothing for {duration}, and neither has any other loop of "
            f"{self._name}{usual}; if the road is not closed, check first the power of the loop "
            "cards and the common wire of their outputs"
        )

    def _lived(self, count: float, length_s: float) -> None:
        """Somebody saw something: the silence before it is over, and was usual if it was short."""
        idle_s = self._idle_s
        if self._ever:
            longest_s, most_due = idle_s, self._recent * idle_s
            if self._dead:  # or the road was closed: a site where that is usual learns it so
                longest_s = min(longest_s, GROWS * self._longest_s + SILENT_S)
                most_due = min(most_due, GROWS * self._most_due + DUE)
            else:
                self._pace(0.0, idle_s)
            self._longest_s = max(self._longest_s, longest_s)
            self._most_due = max(self._most_due, most_due)
        by = math.exp(-(idle_s + length_s) / FORGET_S)
        self._longest_s, self._most_due = self._longest_s * by, self._most_due * by
        self._pace(count, length_s)
        self._idle_s = self._silent_s = self._due = 0.0
        self._by_hours = self._ever = True
        self._dead = False

    def _pace(self, count: float, length_s: float) -> None:
        if length_s <= 0.0:
            return
        self._age_s = min(DAY_S, self._age_s + length_s)
        share = min(1.0, length_s / max(600.0, self._age_s))
        rate = count / length_s
        self._day += share * (rate - self._day)
        self._recent += (1.0 - math.exp(-length_s / RECENT_S)) * (rate - self._recent)

    def _hour(self, now_ns: int, wall_s: float | None) -> int | None:
        """Of the week, of UTC. What a clock that has stepped had taught is forgotten."""
        if wall_s is None or not 0.0 <= wall_s < 1e11:
            return None
        apart_s = wall_s - now_ns / 1e9
        if self._apart_s is not None and abs(apart_s - self._apart_s) > STEP_S:
            self._hours = [[0.0, 0.0] for _ in range(WEEK)]
        self._apart_s = apart_s
        return int(wall_s // HOUR_S) % WEEK

    def _usual(self, hour: int) -> float | None:
        """Counts a second: the least of three hours, for the summer's clock moves people by one."""
        near = [self._hours[(hour + i) % WEEK] for i in (-1, 0, 1)]
        if any(seen_s < KNOWN_S for _, seen_s in near):
            return None
        return min(count / seen_s for count, seen_s in near)

    def _learn(self, hour: int, count: float, length_s: float) -> None:
        here = self._hours[hour]
        here[0] += count
        here[1] += length_s
        if here[1] > KEPT_S:
            here[0], here[1] = here[0] * KEPT_S / here[1], KEPT_S

    def missing(self, gap_s: float) -> None:
        """Nobody watched: a silence that was not called dead must last as long anew."""
        self._silent_s += gap_s
        if not self._dead:
            self._idle_s = self._due = 0.0
            self._by_hours = True

    def snapshot(self) -> dict[str, object]:
        """JSON-like; some 3 kB."""
        return {
            "hours": [[_short(count), round(seen_s, 1)] for count, seen_s in self._hours],
            "pace": [_short(v) for v in (self._age_s, self._day, self._recent)],
            "longest": [_short(self._longest_s), _short(self._most_due)],
            "idle": [_short(self._idle_s), _short(self._due), self._by_hours],
            "silent": _short(self._silent_s),
            "ever": self._ever,
            "dead": self._dead,
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Raises KeyError, TypeError or ValueError for what is no snapshot."""
        hours = [[float(count), float(seen_s)] for count, seen_s in saved["hours"]]
        age_s, day, recent = (float(v) for v in saved["pace"])
        longest_s, most_due = (float(v) for v in saved["longest"])
        idle_s, due, by_hours = saved["idle"]
        idle_s, due, silent_s = float(idle_s), float(due), float(saved["silent"])
        paces = (age_s, day, recent, longest_s, most_due, idle_s, due, silent_s)
        words = (by_hours, saved["ever"], saved["dead"])
        finite = (*paces, *(v for hour in hours for v in hour))
        if len(hours) != WEEK or not all(0.0 <= v < math.inf for v in finite):
            raise ValueError("not the hours of a week")
        if not all(isinstance(word, bool) for word in words):
            raise ValueError(f"neither true nor false: {words!r:.80}")
        self._hours = hours
        self._age_s, self._day, self._recent = age_s, day, recent
        self._longest_s, self._most_due = longest_s, most_due
        self._idle_s, self._due, self._silent_s = idle_s, due, silent_s
        self._by_hours, self._ever, self._dead = words


def _is_active(tick: LoopTick) -> bool:
    if tick.stays or tick.stays_left_out:
        return True
    return tick.since_ns is not None and tick.to_ns - tick.since_ns < STANDING_S * NS


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def silent_approaches(lanes: Iterable[LaneSite], keys: Iterable[LoopKey]) -> dict[str, SilentSite]:
    """Of each approach with two lanes and more, where there are others: a card fails as a whole."""
    approach = {lane.name: lane.approach for lane in lanes}
    loops: dict[str, list[LoopKey]] = {}
    for key in keys:
        loops.setdefault(approach[key[0]], []).append(key)
    return {
        f"approach {name}": SilentSite(some, f"approach {name}")
        for name, some in loops.items()
        if len(loops) > 1 and len({lane for lane, _ in some}) > 1
    }
