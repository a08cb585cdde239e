"""Finds loops at signals that lie across several lanes: of these nobody can say what is odd.

In one lane a vehicle comes a second after the one before it, and parts of one follow within a
quarter of a second. Where as many come in the half second between as sooner, they come beside each
other. What looks like parts of one vehicle, or like one of the next lane, is then another vehicle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from edge.core.looptick import LoopTick
from edge.infer.loops.evidence import CLOSE_NS, PART_NS, LoopKey
from edge.infer.loops.expectedcount import check_named_amounts, five_digits
from edge.infer.loops.looprules import Ruling
from edge.infer.sites import LaneSite

FAULTS: Final = ("breakup", "crosstalk", "splashover")
"""What is not said of such a loop."""
APART_NS: Final = 750_000_000  # from CLOSE_NS up to here nobody follows in one lane of a signal
SOME: Final = 10.0  # of these
WHOLE: Final = 0.7  # of the on-time of the one before: a ghost of the next lane is shorter
MEMORY_S: Final = 3600.0


class SeveralLanes:
    """All loops at signals. It has no word of its own, and ends no fault that is up, of which
    `fault_of` tells."""

    def __init__(
        self,
        lanes: Iterable[LaneSite],
        fault_of: Callable[[LoopKey], str | None] = lambda key: None,
    ) -> None:
        self._fault_of = fault_of
        self._loops = {
            (lane.name, part): _Gaps()
            for lane in lanes
            if lane.position != "corridor" and lane.mode == "presence"
            for part in ("lead", "trail")[: 1 + lane.paired]
        }

    def step(
        self,
        slot: Mapping[LoopKey, LoopTick],
        rows: Mapping[LoopKey, Sequence[float]],
        wall_s: float | None,
    ) -> dict[LoopKey, Ruling]:
        """Nothing is said."""
        for key, tick in slot.items():
            if len(tick.stays) > 1 and key in self._loops:
                self._loops[key].hear(tick)
        return {}

    def found(self) -> set[LoopKey]:
        """The loops that lie across several lanes."""
        return {
            key
            for key, gaps in self._loops.items()
            if gaps.apart >= max(SOME, gaps.close) and self._fault_of(key) not in FAULTS
        }

    def missing(self, gap_s: float) -> None:
        """Nobody watched: what is known of the loop holds on."""

    def snapshot(self) -> dict[str, list[float]]:
        """JSON-like; some 30 bytes a loop."""
        return {"|".join(key): gaps.snapshot() for key, gaps in self._loops.items()}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Raises KeyError, TypeError or ValueError for what is no snapshot."""
        names = {key: "|".join(key) for key in self._loops}
        for key, numbers in check_named_amounts(saved, names, 2).items():
            self._loops[key].restore(numbers)


class _Gaps:
    """How many of those that drive came within CLOSE_NS after the one before, and within APART_NS.

    Both are of slots in which vehicles came.
    """

    __slots__ = ("apart", "close")

    def __init__(self) -> None:
        self.close = self.apart = 0.0

    def hear(self, tick: LoopTick) -> None:
        """The stays of a slot."""
        fade = math.exp((tick.from_ns - tick.to_ns) / 1e9 / MEMORY_S)
        close, apart = self.close * fade, self.apart * fade
        before_ns, free_ns = tick.stays[0]
        for on_ns, off_ns in tick.stays[1:]:
            gap_ns = on_ns - free_ns
            if gap_ns < APART_NS and off_ns - on_ns < PART_NS and free_ns - before_ns < PART_NS:
                if gap_ns < CLOSE_NS:
                    close += 1.0
                elif off_ns - on_ns >= WHOLE * (free_ns - before_ns):
                    apart += 1.0
            before_ns, free_ns = on_ns, off_ns
        self.close, self.apart = close, apart

    def snapshot(self) -> list[float]:
        """JSON-like."""
        return [five_digits(self.close), five_digits(self.apart)]

    def restore(self, numbers: Sequence[float]) -> None:
        """Two amounts."""
        self.close, self.apart = numbers
