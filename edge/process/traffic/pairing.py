"""Which presence on the second loop belongs to which on the first: vehicles in their order.

Both loops see the same vehicles in the same order, but either may miss one. A finished presence
on the trail loop is compared with those on the lead loop that rose before it, oldest first; the
first with which it makes a vehicle of steady speed is its partner. If there is none, the newest may
be a slow vehicle: what reaches the trail loop is nearest to it. A presence on the trail loop that
had nobody before it may belong to a vehicle that comes the wrong way.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, Final

from edge.process.enginesetup import LaneSetup
from edge.process.traffic.breakup import NET_GAP_NS, BreakupRule
from edge.process.traffic.passage import (
    LIMITS,
    Passage,
    SpeedTrap,
    measure_passage,
    measure_slow,
)

PRESENCES_KEPT: Final = 64  # presences without a partner; a trap holds two or three


def speed_trap(setup: LaneSetup) -> SpeedTrap:
    """The pair of loops of a lane that has one."""
    return SpeedTrap(
        round((setup.spacing_m or 0) * 1000),
        round(setup.zone_m * 1000),
        round(setup.tolerance * 1000),
        LIMITS[setup.kind],
    )


class Presence:
    """One vehicle on one loop. `off` is None while it is there."""

    __slots__ = ("off", "on")

    def __init__(self, on: int, off: int | None = None) -> None:
        self.on = on
        self.off = off


class Pairing:
    """The vehicles between the two loops of a lane."""

    __slots__ = (
        "_breakup",
        "_leads",
        "_longest",
        "_orphans",
        "_slow",
        "_trail",
        "_trap",
        "alone",
        "fronts",
        "passages",
        "reversed",
    )

    def __init__(self, setup: LaneSetup, breakup: BreakupRule) -> None:
        self._trap, self._breakup = speed_trap(setup), breakup
        # what is no bicycle has no speed, and of a slow one nobody knows what it is
        self._slow = setup.kind == "vehicle"
        self._longest = round(setup.max_presence_s * 1e9)  # what stands for longer is no vehicle
        self._leads: deque[Presence] = deque()
        self._trail: Presence | None = None
        self._orphans: deque[Presence] = deque()
        self.passages: list[Passage] = []  # of the open window, as are the next three
        self.fronts: list[int] = []  # when each of them rose on the lead loop
        # on-times (ns) on the lead loop of those without a possible partner; 0: not known
        self.alone: list[int] = []
        self.reversed = 0

    def settle(self, now: int) -> None:
        """Time has come so far: finish what cannot go on any more."""
        trail = self._trail
        if trail is not None and trail.off is not None and now - trail.off >= self._breakup.hold_ns:
            self._trail = None
            self._match(trail, trail.off)
        if self._orphans:
            self._reverse(now)

    def expire(self, now: int) -> None:
        """Give up those that left the lead loop longer ago than the slowest vehicle needs."""
        limit = now - self._trap.max_elapsed_ns
        leads, trail = self._leads, self._trail
        while leads and (trail is None or trail.on < leads[0].on):
            off = leads[0].off
            if off is None or off >= limit:
                break
            self._give_up(leads.popleft())
        while self._orphans and self._orphans[0].on < limit - self._trap.max_elapsed_ns:
            self._orphans.popleft()

    def enter(self, presence: Presence) -> None:
        """A new vehicle on the lead loop."""
        self._leads.append(presence)
        if len(self._leads) > PRESENCES_KEPT:
            self._give_up(self._leads.popleft())

    def rise(self, at: int) -> None:
        """The trail loop is occupied."""
        trail = self._trail
        if trail is not None:
            if trail.off is None or at - trail.off < self._breakup.longest_hole_ns(
                trail.off - trail.on, self.least_hole_ns(self._before(trail.on))
            ):
                trail.off = None
                return
            self._match(trail, trail.off)
        self._trail = Presence(at)

    def fall(self, at: int) -> None:
        """The trail loop is free."""
        if self._trail is not None:
            self._trail.off = at

    def least_hole_ns(self, lead: Presence | None) -> int:
        """How long a loop may be free within any vehicle: more for one whose speed is known.

        The time between two vehicles is the loop's free time plus the time over its length.
        """
        if lead is None or self._trail is None or self._trail.on <= lead.on:
            return self._breakup.merge_ns
        over_loop = (self._trail.on - lead.on) * self._trap.loop_mm // self._trap.spacing_mm
        return max(self._breakup.merge_ns, NET_GAP_NS - over_loop)

    def forget(self) -> int:
        """Nobody watched for a while. Returns how many vehicles stay without an answer."""
        left = len(self._leads)
        self._leads.clear()
        self._orphans.clear()
        self._trail = None
        return left

    def next(self) -> None:
        """The next window begins."""
        self.passages, self.fronts, self.alone = [], [], []
        self.reversed = 0

    def snapshot(self, last: Presence | None) -> dict[str, object]:
        """For a snapshot; `last` is the newest vehicle, which may be among the waiting ones."""
        trail = self._trail
        return {
            "leads": [[each.on, each.off] for each in self._leads],
            "last": next((i for i, each in enumerate(self._leads) if each is last), None),
            "trail": None if trail is None else [trail.on, trail.off],
            "orphans": [[each.on, each.off] for each in self._orphans],
        }

    def restore(self, state: Mapping[str, Any]) -> Presence | None:
        """Back from `snapshot`; gives the newest vehicle if it is among the waiting ones."""
        self._leads = deque(_presences(state["leads"]))
        self._trail = next(iter(_presences([state["trail"]])), None) if state["trail"] else None
        self._orphans = deque(_presences(state["orphans"]))
        return None if state["last"] is None else self._leads[state["last"]]

    def _before(self, at: int) -> Presence | None:
        return next((each for each in reversed(self._leads) if each.on < at), None)

    def _match(self, trail: Presence, off: int) -> None:
        leads, limit = self._leads, trail.on - self._trap.max_elapsed_ns
        tried: list[Presence] = []
        found: Passage | None = None
        front = 0
        while leads and leads[0].on < trail.on:
            lead = leads.popleft()
            if lead.off is not None and lead.on >= limit:
                found = measure_passage(self._trap, lead.on, lead.off, trail.on, off)
                if found is not None:
                    front = lead.on
                    break
            tried.append(lead)
        if found is None and self._slow and tried:
            found = self._measure_slow(tried[-1], trail, off)
            if found is not None:
                front = tried.pop().on
        for lead in tried:
            self._give_up(lead)
        if found is not None:
            self.passages.append(found)
            self.fronts.append(front)
            return
        # One that covers both loops is on the lead when it reaches the trail; was there nobody?
        if not any(each.off is None or each.off > trail.on for each in tried):
            self._orphans.append(trail)
            if len(self._orphans) > PRESENCES_KEPT:
                self._orphans.popleft()

    def _measure_slow(self, lead: Presence, trail: Presence, off: int) -> Passage | None:
        if lead.off is None or off - lead.on >= self._longest:
            return None
        return measure_slow(self._trap, lead.on, lead.off, trail.on, off)

    def _give_up(self, lead: Presence) -> None:
        self.alone.append(0 if lead.off is None else lead.off - lead.on)

    def _reverse(self, now: int) -> None:
        for lead in list(self._leads):
            if lead.off is None or now - lead.off < self._breakup.hold_ns:
                continue
            for trail in list(self._orphans):
                if trail.off is None or not trail.on < lead.on < trail.off:
                    continue
                if measure_passage(self._trap, trail.on, trail.off, lead.on, lead.off) is not None:
                    self.reversed += 1
                    self._orphans.remove(trail)
                    self._leads.remove(lead)
                    break


def _presences(state: Iterable[list[Any]]) -> Iterable[Presence]:
    return [Presence(int(on), None if off is None else int(off)) for on, off in state]
