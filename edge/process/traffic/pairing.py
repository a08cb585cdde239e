"""Which presence on the second loop belongs to which on the first: vehicles in their order.

Both loops see the same vehicles in the same order, but either may miss one. A finished presence
on the trail loop is compared with those on the lead loop that rose before it, oldest first; the
first with which it makes a possible vehicle is its partner. A presence on the trail loop that had
nobody before it may belong to a vehicle that comes the wrong way.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, Final

from edge.process.enginesetup import LaneSetup
from edge.process.traffic.passage import LIMITS, Passage, SpeedTrap, measure_passage

NET_GAP_NS: Final = 150_000_000
"""No driver follows this close: a shorter time between two vehicles is one that broke up."""
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

    __slots__ = ("_hold", "_leads", "_orphans", "_trail", "_trap", "passages", "reversed", "single")

    def __init__(self, trap: SpeedTrap, merge_ns: int) -> None:
        self._trap = trap
        self._hold = max(merge_ns, NET_GAP_NS)  # after it a presence cannot go on
        self._leads: deque[Presence] = deque()
        self._trail: Presence | None = None
        self._orphans: deque[Presence] = deque()
        self.passages: list[Passage] = []  # of the open window, as are the two counts
        self.single = 0  # presences on the lead loop without a possible partner
        self.reversed = 0

    def settle(self, now: int) -> None:
        """Time has come so far: finish what cannot go on any more."""
        trail = self._trail
        if trail is not None and trail.off is not None and now - trail.off >= self._hold:
            self._trail = None
            self._match(trail, trail.off)
        if self._orphans:
            self._reverse(now)

    def expire(self, now: int) -> None:
        """Give up those that waited longer than the slowest vehicle needs."""
        limit = now - self._trap.max_elapsed_ns
        leads, trail = self._leads, self._trail
        while leads and leads[0].on < limit and (trail is None or trail.on < leads[0].on):
            leads.popleft()
            self.single += 1
        while self._orphans and self._orphans[0].on < limit - self._trap.max_elapsed_ns:
            self._orphans.popleft()

    def enter(self, presence: Presence) -> None:
        """A new vehicle on the lead loop."""
        self._leads.append(presence)
        if len(self._leads) > PRESENCES_KEPT:
            self._leads.popleft()
            self.single += 1

    def rise(self, at: int, merge_ns: int) -> None:
        """The trail loop is occupied."""
        trail = self._trail
        if trail is not None:
            lead = self._before(trail.on)
            if trail.off is None or at - trail.off < self.merge(lead, merge_ns):
                trail.off = None
                return
            self._match(trail, trail.off)
        self._trail = Presence(at)

    def fall(self, at: int) -> None:
        """The trail loop is free."""
        if self._trail is not None:
            self._trail.off = at

    def merge(self, lead: Presence | None, merge_ns: int) -> int:
        """How long a loop may be free within one vehicle: more for one whose speed is known.

        The time between two vehicles is the loop's free time plus the time over its length.
        """
        if lead is None or self._trail is None or self._trail.on <= lead.on:
            return merge_ns
        over_loop = (self._trail.on - lead.on) * self._trap.loop_mm // self._trap.spacing_mm
        return max(merge_ns, NET_GAP_NS - over_loop)

    def forget(self) -> int:
        """Nobody watched for a while. Returns how many vehicles stay without an answer."""
        left = len(self._leads)
        self._leads.clear()
        self._orphans.clear()
        self._trail = None
        return left

    def next(self) -> None:
        """The next window begins."""
        self.passages = []
        self.single = self.reversed = 0

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
        while leads and leads[0].on < trail.on:
            lead = leads.popleft()
            if lead.off is not None and lead.on >= limit:
                found = measure_passage(self._trap, lead.on, lead.off, trail.on, off)
                if found is not None:
                    self.passages.append(found)
                    self.single += len(tried)
                    return
            tried.append(lead)
        self.single += len(tried)
        # One that covers both loops is on the lead when it reaches the trail; was there nobody?
        if not any(each.off is None or each.off > trail.on for each in tried):
            self._orphans.append(trail)
            if len(self._orphans) > PRESENCES_KEPT:
                self._orphans.popleft()

    def _reverse(self, now: int) -> None:
        for lead in list(self._leads):
            if lead.off is None or now - lead.off < self._hold:
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
