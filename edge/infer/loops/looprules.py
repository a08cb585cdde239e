"""Says by published rules what is wrong with a loop: without a model, and for `ALWAYS` beside it.

The first rule that holds speaks. Thresholds with a source stand in `published`; the others are
ours, and say so. A rule sees the row of `features` and the slot's tick; it keeps the counts of the
daily test and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from edge.core.looptick import LoopTick
from edge.infer.loops.loopfeatures import FEATURES
from edge.infer.loops.published import (
    CHATTER,
    HIGH_OCCUPANCY,
    LOCKED_ON_QUEUE_S,
    LOCKED_ON_S,
    MOST_SAMPLES,
    NO_HITS_QUEUE_S,
    NO_HITS_S,
    PemsDay,
    pems_status,
)
from edge.infer.loops.silence import is_dead
from edge.infer.sites import Role

RULE_NAME: Final = "rule loops"
COLUMN: Final = {name: i for i, name in enumerate(FEATURES)}

# Ours. A red light and a jam last longer than two minutes: without a phase to count the green of,
# a loop off the mainline is locked on after what `max_presence_s` has by default.
LOCKED_OFF_MAINLINE_S: Final = 300.0
PASSED_MEANWHILE: Final = 10.0  # vehicles on the pair's other loop while this one did not move
MISSED_MEANWHILE: Final = 20.0
BROKEN_SHARE: Final = 0.03  # of the stays begun within 80 ms of another (facts D.1: one vehicle)
TOGETHER_Z: Final = 6.0  # deviations above chance over 10 min
TOGETHER_SHARE: Final = 0.1
AMID_Z: Final = 10.0
AMID_SHARE: Final = 0.15
SHORTER: Final = 0.2  # ghosts are shorter than what they are of: more of them than not
# IRIS takes speeds only from pairs whose on-times agree to 10 %. A pair that does not agree to
# 15 % on the average, and does so steadily, is set differently.
PAIR_RATIO: Final = math.log(1.15)
PAIR_SPREAD: Final = 0.15
SOME: Final = 3.0  # log1p of some 20 stays
BEFORE_SHARE: Final = 0.6
MISSED_SHARE: Final = 0.1
MISSED_Z: Final = -2.0
ODD_SHARE: Final = 0.1  # of the partner's stays: then it is the partner who counts too many
ALONE: Final = ("mismatch", "swapped")
"""Of these the model says nothing: the rule is better at them."""
ALWAYS: Final = (*ALONE, "chatter", "breakup")
"""What the rule says of these counts whatever the model says: it hardly calls a sound loop so."""
SURE_SCORE: Final = 0.95  # the score that a rule gives


FeatureLookup = Callable[[str], float]  # a column of the row, by its name


class Ruling(NamedTuple):
    """What a rule says of one loop: which fault, and how sure it is.

    `silent`: it is in such a way that it may be called `stuck_off`, by a model too. `since_ns`:
    from when on the loop is in doubt, where the rule knows (monotonic). `evidence`: what was seen,
    in words for people; `text`: that and what to do, where the rule knows more than the fault's
    name.
    """

    fault: str | None
    score: float
    silent: bool = False
    since_ns: int | None = None
    evidence: str = ""
    text: str | None = None


class LoopRule:
    """One loop. `position` and `mode` as in its LaneSite; `along`: others are in its lane.

    A lane of any `role` but mainline may be empty beside others: its pair alone shows at once that
    a loop of it is dead (see `lanesilence` for what shows it later).
    """

    __slots__ = ("_along", "_counts", "_daily", "_mainline", "_no_hits_s", "_presence", "_role")

    def __init__(
        self, position: str, mode: str, *, along: bool = True, role: Role | None = "mainline"
    ) -> None:
        self._along, self._role = along, role
        self._mainline = position == "corridor" and role != "auxiliary"
        self._presence = mode == "presence"
        self._no_hits_s = NO_HITS_S.get(position, NO_HITS_QUEUE_S)
        self._counts = [0] * 5  # of the open day, in the order of PemsDay
        self._daily = "good"

    def step(self, row: Sequence[float], tick: LoopTick) -> Ruling:
        """Judge one slot."""
        if self._mainline and tick.seen_ns:
            self._sample(tick)
        silent = (self._role == "mainline" or row[COLUMN["paired"]] > 0.0) and is_dead(
            row, along=self._along
        )
        fault = self._fault(row, tick, silent)
        return Ruling(fault, 0.0 if fault is None else SURE_SCORE, silent)

    def _fault(self, row: Sequence[float], tick: LoopTick, silent: bool) -> str | None:
        def get(name: str) -> float:
            return row[COLUMN[name]]

        if (len(tick.stays) + tick.stays_left_out) * 30.0 > CHATTER * max(1.0, tick.length_s):
            return "chatter"
        if self._locked_on(row, tick) or (
            self._daily == "high value" and get("slot_occupancy") > HIGH_OCCUPANCY
        ):
            return "stuck_on"
        if silent and self._silent(get, tick):
            return "stuck_off"
        if not self._presence or get("count_mid") < SOME:
            return None
        if get("before_mid") > BEFORE_SHARE:
            return "swapped"
        if get("broken_mid") > BROKEN_SHARE and get("tailed_mid") > 0.0:
            return "breakup"
        if get("near_z_mid") > TOGETHER_Z and get("near_mid") > TOGETHER_SHARE:
            return "crosstalk" if get("near_short_mid") > SHORTER else None
        if (
            get("midst_z_mid") > AMID_Z
            and get("midst_z_slow") > AMID_Z
            and get("midst_mid") > AMID_SHARE
            and get("midst_slow") > AMID_SHARE
        ):
            return "splashover" if get("midst_short_slow") > SHORTER else None
        if self._misses(get):
            return "undercount"
        if (
            abs(get("ratio_mid")) > PAIR_RATIO
            and abs(get("ratio_slow")) > PAIR_RATIO
            and get("ratio_sd_mid") < PAIR_SPREAD
        ):
            return "mismatch"
        return None

    def _silent(self, get: FeatureLookup, tick: LoopTick) -> bool:
        due, alone = math.expm1(get("due")), not get("paired")
        return (
            math.expm1(get("idle")) >= self._no_hits_s
            or (
                math.expm1(get("due_mate")) >= MISSED_MEANWHILE
                and not (alone and due < MISSED_MEANWHILE)
            )
            or (self._daily == "card off" and not tick.on_ns)
        )

    def _misses(self, get: FeatureLookup) -> bool:
        return (
            get("missed_mid") > MISSED_SHARE
            and get("missed_slow") > MISSED_SHARE
            and get("against_mate_slow") < MISSED_Z
            and get("odd_mate_slow") < ODD_SHARE
        )

    def _locked_on(self, row: Sequence[float], tick: LoopTick) -> bool:
        if tick.since_ns is None:
            return False
        on_s = (tick.to_ns - tick.since_ns) / 1e9
        if on_s < LOCKED_ON_S:
            return False
        if self._mainline or math.expm1(row[COLUMN["on_mate"]]) >= PASSED_MEANWHILE:
            return True
        if tick.green_ns is not None:
            return math.expm1(row[COLUMN["on_green"]]) >= LOCKED_ON_S
        queue = self._role == "auxiliary"
        return on_s >= (LOCKED_ON_QUEUE_S if queue else LOCKED_OFF_MAINLINE_S)

    def _sample(self, tick: LoopTick) -> None:
        """A sample of the day; a day is as many samples as the test knows, from any moment on.

        Its thresholds are for the hours from 5 to 22; the box may not know the hour, so those for
        roads of low volume are taken.
        """
        c, counted = self._counts, bool(tick.stays)
        c[0] += 1
        c[1] += tick.on_ns == 0
        c[2] += tick.on_ns > HIGH_OCCUPANCY * tick.seen_ns
        c[3] += tick.on_ns > 0 and not counted
        c[4] += tick.on_ns == 0 and counted
        if c[0] >= MOST_SAMPLES:
            self._daily = pems_status(PemsDay(*c), "low volume")
            self._counts = [0] * 5

    def snapshot(self) -> list[Any]:
        """JSON-like."""
        return [*self._counts, self._daily]

    def restore(self, saved: Sequence[Any]) -> None:
        """Raises TypeError or ValueError for what is no snapshot."""
        *counts, daily = saved
        if len(counts) != 5 or not isinstance(daily, str):
            raise ValueError(f"not the counts of a day: {saved!r}")
        self._counts, self._daily = [max(0, int(c)) for c in counts], daily
