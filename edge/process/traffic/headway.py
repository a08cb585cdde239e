"""The vehicles on one loop, one after the other: who stood there, who follows too close.

A vehicle is over when the loop has been free for longer than any hole in one vehicle, or when the
next one comes. Only then is its on-time known.
"""

from typing import Any, Final

from edge.process import qualitycounts
from edge.process.enginesetup import LaneSetup
from edge.process.traffic.breakup import BreakupRule
from edge.process.traffic.loopwindow import LoopWindow
from edge.process.traffic.pairing import Presence
from edge.process.traffic.singleloopspeed import MOVING_NS

NS_PER_MS: Final = 1_000_000
PULSE_MODE_NS: Final = (100 * NS_PER_MS, 150 * NS_PER_MS)  # NTCIP 1209: 125 +- 25 ms


class HeadwayTracker:
    """The newest vehicle on a loop, and what it has to do with the one before.

    `window` is the open one of that loop.
    """

    __slots__ = (
        "_before",
        "_breakup",
        "_gap",
        "_over",
        "_stopped",
        "_tailgate",
        "last",
        "window",
    )

    def __init__(self, setup: LaneSetup, breakup: BreakupRule, window: LoopWindow) -> None:
        self.window = window
        self._breakup = breakup
        self._tailgate = round(setup.tailgate_s * 1e9)
        self._stopped = round(setup.stopped_s * 1e9)
        self.last: Presence | None = None
        self._over = False  # `last` was reported
        self._gap: int | None = None  # between `last` and the one before
        self._before = 0  # on-time of the one before

    def count(self, at: int, hole_ns: int) -> Presence | None:
        """The loop is occupied anew: the vehicle, unless it is one that broke up.

        `hole_ns` is how long the loop may be free within any vehicle.
        """
        last, window, gap = self.last, self.window, None
        if last is not None and last.off is not None:
            if at - last.off < self._breakup.longest_hole_ns(last.off - last.on, hole_ns):
                last.off = None
                window.breakups += 1
                return None
            gap = at - last.off if at > last.off else 0
            window.gap.add(gap // NS_PER_MS)
            window.headway.add((at - last.on) // NS_PER_MS if at > last.on else 0)
            if not self._over:
                self._report(last.on, last.off)
        window.volume += 1
        self._gap, self._over = gap, False
        self.last = Presence(at)
        return self.last

    def leave(self, at: int) -> int | None:
        """The loop is free. Returns the on-time (ns) of what left it, if its begin is known."""
        last = self.last
        if last is None or last.off is not None:
            return None
        last.off = at
        return at - last.on

    def settle(self, now: int) -> None:
        """Time has come so far: is the last vehicle over?"""
        last = self.last
        if last is None or last.off is None or self._over:
            return
        if now - last.off >= self._breakup.hold_ns:
            self._report(last.on, last.off)

    def forget(self) -> None:
        """Nobody watched for a while: the next vehicle has none before it."""
        last, self.last = self.last, None
        if last is not None and last.off is not None and not self._over:
            self._report(last.on, last.off)

    def snapshot(self) -> list[Any]:
        """For a snapshot, without `last`."""
        return [self._over, self._gap, self._before]

    def restore(self, state: list[Any], last: Presence | None) -> None:
        """Back from `snapshot`."""
        over, gap, before = state
        self.last = last
        self._over, self._before = bool(over), int(before)
        self._gap = None if gap is None else int(gap)

    def _report(self, on: int, off: int) -> None:
        time, gap, window = off - on, self._gap, self.window
        if gap is not None and time < MOVING_NS and self._before < MOVING_NS:
            window.followed += 1
            if gap < self._tailgate:
                window.tailgaters += 1
        if time > self._stopped:
            window.stopped += 1
        window.over.append((on, off))
        self._before, self._over = time, True


def pulse_quality(time_ns: int) -> str:
    """Of a vehicle that a card has told by a pulse of this length."""
    return (
        qualitycounts.GOOD_WORD
        if PULSE_MODE_NS[0] <= time_ns <= PULSE_MODE_NS[1]
        else qualitycounts.UNCERTAIN_RANGE
    )
