"""How fast the outbox fills, and how long its room lasts."""

from collections import deque
from typing import Final, NamedTuple

HOUR_NS: Final = 3_600_000_000_000
SLOT_WIDTH_NS: Final = 60_000_000_000  # commits of a minute are one entry
MIN_SPAN_NS: Final = 120_000_000_000  # a rate of less than that says nothing


class Inflow(NamedTuple):
    """Bytes that came within `over_ns`: of summaries, and of the rest; rows of any kind."""

    over_ns: int
    summaries: int
    others: int
    rows: int


class FillRate:
    """The bytes of the last hour, by the monotonic times of the commits. Bounded."""

    def __init__(self) -> None:
        # [first ns, last ns, summary bytes, other bytes, rows] of some commits
        self._slots: deque[list[int]] = deque()

    def add(self, mono_ns: int, summary_bytes: int, other_bytes: int, rows: int) -> None:
        """One commit."""
        slots = self._slots
        if slots and mono_ns < slots[-1][1]:  # another clock: begin anew
            slots.clear()
        if not slots or mono_ns - slots[-1][0] >= SLOT_WIDTH_NS:
            slots.append([mono_ns, mono_ns, 0, 0, 0])
        slot = slots[-1]
        slot[1] = mono_ns
        slot[2] += summary_bytes
        slot[3] += other_bytes
        slot[4] += rows
        while len(slots) > 1 and mono_ns - slots[1][0] >= HOUR_NS:
            slots.popleft()

    def inflow(self) -> Inflow:
        """What came after the first entry: that one says when the time begins."""
        if not self._slots:
            return Inflow(0, 0, 0, 0)
        first, *rest = self._slots
        over_ns = self._slots[-1][1] - first[1]
        sums = [sum(slot[place] for slot in rest) for place in (2, 3, 4)]
        return Inflow(over_ns, *sums)


class DownsampleOutlook(NamedTuple):
    """What merging can still do."""

    gain: float  # bytes that the rows that wait would give back
    ratio: float  # by which summaries shrink
    coming: bool  # those that are to come will merge, too
    margin: int  # bytes: when room runs out and merging gives less back, the oldest rows go


def forecast_full(room: int, inflow: Inflow) -> float | None:
    """Seconds until `room` bytes are used up; None when nobody can say, or never."""
    return _rounded(room, inflow.summaries + inflow.others, inflow.over_ns)


def forecast_drop(room: int, inflow: Inflow, outlook: DownsampleOutlook) -> float | None:
    """Seconds until the first row is dropped, as above.

    Each time that room runs out merging makes `margin` of it, from what waited and what has come
    since; the last time it cannot, and what it has left is of no use.
    """
    came, ratio = inflow.summaries + inflow.others, outlook.ratio
    saved = inflow.summaries * (1 - 1 / ratio) if outlook.coming else 0.0
    if came <= 0:
        return None
    room = max(0, room)
    left = outlook.gain + room * saved / came - outlook.margin
    if left < 0:
        return forecast_full(room, inflow)
    lasts = room + outlook.margin + left * came / (came - saved)
    return _rounded(lasts, came, inflow.over_ns)


def _rounded(room: float, came: float, over_ns: int) -> float | None:
    if over_ns < MIN_SPAN_NS or came <= 0:
        return None
    return round(max(0.0, room) * over_ns / came / 1e9, 1)
