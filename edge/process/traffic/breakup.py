"""How long a loop may be free within one vehicle: a long one, with a high bed, falls into parts.

Lee and Coifman (Identifying and correcting pulse-breakup errors from freeway loop detectors) find
parts by their on-times and the off-time between them. Here it must be known when the second part
begins, so the second on-time cannot be asked: what is joined was free for so short a time, next to
the time for which it was occupied, that another vehicle would follow at a distance that nobody
keeps. Parts that are further apart stay two vehicles: to miss vehicles of a sound loop is worse
than to count trucks twice on a poor one, which loop health finds (`breakup`).
"""

from typing import Final

from edge.process.enginesetup import LaneSetup

NS_PER_MS: Final = 1_000_000
NET_GAP_NS: Final = 150_000_000
"""No driver follows this close: a shorter time between two vehicles is one that broke up."""
QUICK_NS: Final = 2_000_000_000
"""Who was longer on a loop is slow, and slow ones queue as near to each other as parts of one."""
CLOSEST_M: Final = 4.0  # from rear to front, of two that are quick
CAR_M: Final = 4.7


class BreakupRule:
    """Of one lane. `merge_ns` is what the site allows for anything; 0: a pulse has no parts."""

    __slots__ = ("_permille", "hold_ns", "merge_ns")

    def __init__(self, setup: LaneSetup) -> None:
        zone_m, share = setup.zone_m, 0.0
        self.merge_ns = round(setup.merge_ms * NS_PER_MS) if setup.mode == "presence" else 0
        if self.merge_ns and setup.kind == "vehicle":
            # The gap is the loop and the way in its free time; the vehicle is a car, or longer.
            share = max(0.0, CLOSEST_M - zone_m) / (CAR_M + zone_m)
        self._permille = round(1000 * share)
        self.hold_ns = max(self.merge_ns, NET_GAP_NS)  # after it a vehicle cannot go on

    def longest_hole_ns(self, on_ns: int, least_ns: int) -> int:
        """In a vehicle that has been on the loop for `on_ns` by now; `least_ns` in anything."""
        if on_ns > QUICK_NS:
            return least_ns
        return max(least_ns, min(on_ns * self._permille // 1000, NET_GAP_NS))
