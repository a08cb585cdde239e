"""One lane: since when it is silent, and by whose word it should not be.

Silent is a lane of which no loop had any activity. While it is, those beside it and along, the
green of its signal, its usual pace and the hours of the week each say how many vehicles were due.
It is dead when one of them tells of more than ever went by in a silence that ended by itself.

The numbers are ours where no source is named; `models.loopfault.silences` counts what they do.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from edge.infer.loops.evidence import LaneGroup
from edge.infer.loops.expectedcount import (
    BANDS,
    USUAL_S,
    ExpectedCount,
    GroupSum,
    check_amounts,
    five_digits,
)
from edge.infer.loops.weekhours import WeekHours
from edge.infer.sites import Role

SilenceSource = Literal["beside", "along", "green", "week", "time"]

LEAST_S: Final = 600.0  # a queue, a lane that is blocked for minutes: no fault is named sooner
LANES_DUE: Final = 24.0  # vehicles, by another lane: chance alone gives as many e^-24 times
GREEN_DUE: Final = 60.0  # by the green that passed: traffic may end at once, as at a factory's gate
GREEN_S: Final = 1800.0  # and not sooner than this
WEEK_DUE: Final = 60.0  # by the hours of the week: it may be a holiday
TIME_DUE: Final = 200.0  # by its usual pace: a night has no more, where as many come in four hours
USUAL_TIMES: Final = 1.5  # as much as ever in a silence that ended by itself
EMPTY: Final = 10.0  # by the hours of the week so few are due that nobody is missed
LIVING_S: Final = 300.0  # a lane beside that is silent for longer excuses nobody
EXCUSED: Final = 0.5  # of what must be due: who lives, and tells of less at the utmost, excuses
MISSING: Final = 0.5  # of what is due: by so much must all lanes here be short of those along
GREEN_KNOWN_S: Final = 300.0  # of green, and of time: a few vehicles soon after a start
TIME_KNOWN_S: Final = 3600.0  # are no pace yet
PACE_S: Final = 2 * 86_400.0  # over which its usual pace is known
LONG_S: Final = 24 * 3600.0  # of a lane whose pace is not known, or that is not alone


@dataclass(frozen=True, slots=True)
class RoleDefaults:
    """What is believed of a lane by its role.

    `share`: of the next lane's traffic, before any was learned (low: it is learned soon).
    `times`: as many vehicles must be due. `no_hits_s`: where nothing is known (MnDOT IRIS: 4 h on a
    mainline, 24 h on an auxiliary lane, up to 72 h by the type of the lane).
    """

    share: float
    times: float
    no_hits_s: float


ROLE_DEFAULTS: Final[Mapping[Role, RoleDefaults]] = {
    "mainline": RoleDefaults(0.3, 1.0, 4 * 3600.0),
    "turn": RoleDefaults(0.1, 2.0, 24 * 3600.0),
    "auxiliary": RoleDefaults(0.05, 6.0, 24 * 3600.0),  # as IRIS waits six times as long
    "bus": RoleDefaults(0.03, 2.0, 72 * 3600.0),
    "bicycle": RoleDefaults(0.2, 2.0, 72 * 3600.0),
}
STOP_HITS_S: Final = 12 * 3600.0  # of a loop of a signal (see `published`)


class SilenceRuling(NamedTuple):
    """By whom a lane is dead: `lane`, where it is one, and how many vehicles passed or were due.

    By the green: seconds of it.
    """

    who: SilenceSource
    lane: str
    much: float


class LaneSlot(NamedTuple):
    """What one slot says to a lane that was watched.

    `idle`: none of its loops had any activity. `own` is what it counted, None where that is not
    to be believed. `counted` are the lanes that are to be believed, `dense` the bands of their
    traffic; `silent` are silent for minutes. `sums` are (here, there) of the places along.
    `now_ns` and `wall_s` are its end.
    """

    idle: bool
    own: float | None
    counted: Mapping[str, float]
    dense: Mapping[str, int]
    silent: Container[str]
    length_s: float
    sums: Mapping[LaneGroup, tuple[float, float]]
    green_s: float | None = None
    now_ns: int = 0
    wall_s: float | None = None


class LaneSilence:
    """The activity of one lane. `beside` and `along` are lanes, `places` those along."""

    def __init__(
        self,
        role: Role,
        *,
        beside: Sequence[str] = (),
        along: Sequence[str] = (),
        places: Sequence[LaneGroup] = (),
        signal: bool = False,
    ) -> None:
        usual = ROLE_DEFAULTS[role]
        self.beside = {lane: ExpectedCount(usual.share) for lane in beside}
        self.along = {lane: ExpectedCount(usual.share) for lane in along}
        self.sums = {place: GroupSum() for place in places}
        self.green = ExpectedCount(0.0, known=GREEN_KNOWN_S)  # of seconds of it
        self.time = ExpectedCount(0.0, PACE_S, TIME_KNOWN_S)  # of seconds
        self.week = WeekHours()
        self.lived = False
        self.idle_s = 0.0  # since the last activity, or since watching began; gaps are in it
        self.dead = False  # in this silence
        self._lanes_due = LANES_DUE * usual.times
        self._no_hits_s = max(usual.no_hits_s, STOP_HITS_S) if signal else usual.no_hits_s
        self._watched_s = 0.0  # of the silence
        self._green_s: float | None = None  # of it; None: no signal is known
        self._week_due: float | None = 0.0  # None: not all of its hours are known
        self._week_sure = True  # all by more than one week
        self._week_most = 0.0
        self._age_s = 0.0  # since the silence before ended

    def step(self, slot: LaneSlot) -> SilenceRuling | None:
        """One slot that was watched: by whom the lane is dead."""
        self._age_s += slot.length_s
        if not slot.idle and self.idle_s:
            self._end()
        usual = self.week.step(
            slot.now_ns,
            slot.wall_s,
            slot.own or 0.0,
            0.0 if slot.own is None else slot.length_s,
        )
        if slot.idle or slot.own:
            self._hear(slot)
        if not slot.idle:
            self.lived = self.lived or bool(slot.own)
            return None
        self.idle_s += slot.length_s
        self._watched_s += slot.length_s
        if slot.green_s is not None:
            self._green_s = (self._green_s or 0.0) + slot.green_s
        if self._week_due is not None:
            self._week_due = None if usual is None else self._week_due + usual.due
            self._week_sure = self._week_sure and usual is not None and usual.sure
        ruling = self._judge(slot) if self._watched_s >= LEAST_S else None
        if ruling is None and self.dead:  # until a vehicle comes
            return SilenceRuling("time", "", self.time.due)
        self.dead = ruling is not None
        return ruling

    def missing(self, gap_s: float) -> None:
        """Nobody watched for so long: if it is silent now, it may have been since before."""
        self.idle_s += gap_s

    def _hear(self, slot: LaneSlot) -> None:
        """What the others did in this slot. Of one that is silent itself no share is learned."""
        counted, dense, silent, own = slot.counted, slot.dense, slot.silent, slot.own or 0.0
        heard = [
            (due, counted[lane], dense[lane])
            for some in (self.beside, self.along)
            for lane, due in some.items()
            if lane in counted and lane not in silent
        ]
        heard.append((self.time, slot.length_s, BANDS - 1))
        if slot.green_s is not None:
            heard.append((self.green, slot.green_s, BANDS - 1))
        for due, count, band in heard:
            if slot.idle:
                due.wait(count, band)
            else:
                due.learn(own, count, band)
        for place, (here, there) in slot.sums.items():
            self.sums[place].add(here, there, silent=slot.idle)

    def _end(self) -> None:
        fade = math.exp(-self._age_s / USUAL_S)
        for some in (self.beside, self.along):
            for due in some.values():
                due.end(self._lanes_due, USUAL_TIMES, fade)
        self.green.end(GREEN_DUE, USUAL_TIMES, fade)
        self.time.end(TIME_DUE, USUAL_TIMES, fade)
        limit = self._week_limit()
        self._week_most *= fade
        if self._week_due is not None:
            self._week_most = max(self._week_most, min(self._week_due, limit))
        self.week.end(by_itself=not self.dead)
        self.idle_s = self._watched_s = self._age_s = 0.0
        self._green_s, self._week_due, self._week_sure, self.dead = None, 0.0, True, False

    def _week_limit(self) -> float:
        return max(WEEK_DUE, USUAL_TIMES * self._week_most)

    def _judge(self, slot: LaneSlot) -> SilenceRuling | None:
        if self._green_s == 0.0:  # nobody may drive
            return None
        if self._week_due is not None and self._week_due < EMPTY and self.lived:
            return None
        if not self.lived and self._no_hits_s >= LONG_S and self._watched_s < LONG_S:
            return None  # by its role it may be empty for long, and nothing else is known of it
        best = self._by_lanes(slot)
        if best is not None:
            return best
        alone = not any(d.passed for some in (self.beside, self.along) for d in some.values())
        if alone:  # nobody drives beside it, or nobody is believed there
            if self._watched_s >= GREEN_S and self._over(self.green, GREEN_DUE):
                return SilenceRuling("green", "", self._green_s or 0.0)
            if self._week_sure and (self._week_due or 0.0) >= self._week_limit():
                return SilenceRuling("week", "", self._week_due or 0.0)
        # by night a lane may be empty for hours beside one that is not
        wait_s = self._no_hits_s if alone and self.lived else max(LONG_S, self._no_hits_s)
        if self._watched_s < wait_s or (self.lived and not self._over(self.time, TIME_DUE)):
            return None
        return SilenceRuling("time", "", self.time.due)

    def _by_lanes(self, slot: LaneSlot) -> SilenceRuling | None:
        """By the one that tells of most, unless one that lives excuses it."""
        best, ruling = 1.0, None
        # A lane that never had a vehicle, here or along, is one that nobody drives on.
        unused = not self.lived and all(lane in slot.silent for lane in self.along)
        asked: tuple[tuple[SilenceSource, Mapping[str, ExpectedCount]], ...] = (
            ("beside", self.beside),
            ("along", self.along),
        )
        for who, some in asked:
            for lane, due in some.items():
                if not due.passed or lane not in slot.counted:
                    continue
                limit = due.limit(self._lanes_due, USUAL_TIMES)
                if lane not in slot.silent and due.upper_bound < EXCUSED * limit:
                    return None
                if unused and self.along and who == "beside":
                    continue
                if due.lower_bound >= best * limit and self._missed(due.lower_bound):
                    best, ruling = due.lower_bound / limit, SilenceRuling(who, lane, due.passed)
        return ruling

    def _missed(self, due: float) -> bool:
        """Whether the vehicles are missing, and do not pass beside it."""
        asked = [each for each in self.sums.values() if each.there_open]
        lacks = [lack for each in asked if (lack := each.shortfall()) is not None]
        return not asked or min(lacks, default=0.0) >= MISSING * due

    @staticmethod
    def _over(due: ExpectedCount, least: float) -> bool:
        return due.due >= due.limit(least, USUAL_TIMES)

    def snapshot(self) -> dict[str, object]:
        """JSON-like; one to two kilobytes."""
        rest = (self.idle_s, self._watched_s, self._week_most, self._age_s)
        return {
            "dues": {name: due.snapshot() for name, due in self._named()},
            "sums": {"|".join(place): each.snapshot() for place, each in self.sums.items()},
            "week": self.week.snapshot(),
            "lived": self.lived,
            "dead": self.dead,
            "silence": [five_digits(v) for v in rest],
            "known": [self._green_s, self._week_due, self._week_sure],
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Raises KeyError, TypeError or ValueError for what is no snapshot."""
        for name, due in self._named():
            if name in saved["dues"]:
                due.restore(saved["dues"][name])
        for place, each in self.sums.items():
            if "|".join(place) in saved["sums"]:
                each.restore(saved["sums"]["|".join(place)])
        self.week.restore(saved["week"])
        rest = check_amounts(saved["silence"], 4)
        self.idle_s, self._watched_s, self._week_most, self._age_s = rest
        green_s, week_due, sure = saved["known"]
        self._green_s = None if green_s is None else check_amounts([green_s], 1)[0]
        self._week_due = None if week_due is None else check_amounts([week_due], 1)[0]
        self._week_sure = bool(sure)
        self.lived, self.dead = bool(saved["lived"]), bool(saved["dead"])

    def _named(self) -> Iterator[tuple[str, ExpectedCount]]:
        for who, some in (("beside", self.beside), ("along", self.along)):
            for lane, due in some.items():
                yield f"{who}|{lane}", due
        yield "green", self.green
        yield "time", self.time
