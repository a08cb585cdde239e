"""For how long a queue stood on a loop.

The rule is ours: a vehicle that stays longer than three seconds stands in a queue (a car crawls
over in less at 8 km/h), and the loop's free time between two such vehicles belongs to it when it is
shorter than starting takes: about two seconds are lost and one vehicle follows in two (HCM). The
time in a window is exact, and never more than it: a stay that was too short to be known at the
window's start counts from there on only.
"""

from typing import Final

from edge.process.occupancycounter import OccupancyCounter

STANDING_AFTER_NS: Final = 3_000_000_000
MOVING_AFTER_NS: Final = 4_000_000_000


class QueueTime:
    """Of one loop. `last` is when the newest vehicle that stood had gone."""

    __slots__ = ("last",)

    def __init__(self) -> None:
        self.last: int | None = None

    def close(self, loop: OccupancyCounter, start_ns: int, end_ns: int) -> int:
        """How long (ns) the queue stood in a window, right after the loop's border."""
        spans = sorted([*loop.stays, *loop.broken]) if loop.broken else loop.stays
        if loop.level:
            spans = [*spans, (loop.since, end_ns)]
        total, reached, last = 0, start_ns, self.last
        for since, off in spans:
            if off - since <= STANDING_AFTER_NS:
                continue
            joins = last is not None and 0 <= since - last < MOVING_AFTER_NS
            begin = last if joins and last is not None else since
            total += max(0, off - max(begin, reached))
            reached = max(reached, off)
            last = off
        self.last = last
        return total

    def restore(self, last: int | None) -> None:
        """Back from a snapshot."""
        self.last = None if last is None else int(last)
