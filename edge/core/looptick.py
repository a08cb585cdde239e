"""What one loop did in a slot of some thirty seconds: what its health and congestion come from."""

from typing import Final, Literal, NamedTuple

LoopPartName = Literal["lead", "trail"]

SLOT_S: Final = 30.0
"""Slots are as near to this as the site's windows allow (MnDOT IRIS and PeMS both bin by 30 s)."""
STAYS_LIMIT: Final = 64  # presences that one tick carries; 37 vehicles in 30 s are chatter already


class Stay(NamedTuple):
    """The loop was occupied from `on_ns` to `off_ns` (monotonic)."""

    on_ns: int
    off_ns: int


class DoubtedLoop(NamedTuple):
    """A loop that is not to be believed, and what is wrong with it."""

    lane: str
    part: str
    fault: str


class LoopTick(NamedTuple):
    """One loop in one slot, from its line after bounce was merged, before breakup is.

    `stays` are those that ended in the slot, the oldest first; `stays_left_out` is how many more
    there were. `since_ns` is when the stay that still lasts at the slot's end began, None when it
    is free.
    `on_ns` is how much of the slot it was occupied, `seen_ns` how much of it somebody watched.
    Where a signal phase is declared, `green_ns` of the slot were green, of which `green_on_ns`
    the loop was occupied; without one `green_ns` is None.
    """

    lane: str
    part: LoopPartName
    from_ns: int
    to_ns: int
    seen_ns: int
    on_ns: int
    stays: tuple[Stay, ...] = ()
    stays_left_out: int = 0
    since_ns: int | None = None
    bounced: int = 0  # edges that were taken for bounce
    lost_edges: int = 0  # edges that are missing
    green_ns: int | None = None
    green_on_ns: int = 0

    @property
    def length_s(self) -> float:
        """Of the slot."""
        return (self.to_ns - self.from_ns) / 1e9
