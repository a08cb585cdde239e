"""What one loop did in slots of about thirty seconds, from what its window has.

A slot always ends at the end of a window or divides one; it never cuts a window that is closed.
So windows of five seconds gather in a slot of thirty, and a window of a minute makes two of them.
The result depends on the windows, not on how the edges came.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any, Final

from edge.core.looptick import SLOT_S, STAYS_LIMIT, LoopPartName, LoopTick, Stay
from edge.process.occupancycounter import OccupancyCounter

_new: Final = tuple.__new__  # a third of what Stay(...) costs, for every presence
SLOT_NS: Final = round(SLOT_S * 1e9)
Spans = Sequence[tuple[int, int]]
"""Stretches from..to (monotonic ns), in the order of time and apart from each other."""


def slot_ends(slot_ns: int, start_ns: int, end_ns: int) -> list[int]:
    """Where the slots end that are over with the window from `start_ns` to `end_ns`.

    `slot_ns` is where the open slot began, at the window's start or before. Nothing ends before
    thirty seconds are over; what is longer has equal parts as near to that as they get.
    """
    length = end_ns - slot_ns
    if length < SLOT_NS:
        return []
    parts = (2 * length + SLOT_NS) // (2 * SLOT_NS)
    while parts > 1 and slot_ns + length // parts < start_ns:
        parts -= 1
    return [slot_ns + length * part // parts for part in range(1, parts + 1)]


class LoopSlot:
    """The sums of one slot, from one window or from several."""

    __slots__ = ("bounced", "green_ns", "green_on_ns", "lost", "more", "on_ns", "seen_ns", "stays")

    def __init__(self) -> None:
        self.seen_ns = 0
        self.on_ns = 0
        self.stays: list[Stay] = []
        self.more = 0
        self.bounced = 0
        self.lost = 0
        self.green_ns: int | None = None
        self.green_on_ns = 0

    def ended(self, stays: Sequence[tuple[int, int]]) -> None:
        """These ended here, after those that did before."""
        kept = stays[: STAYS_LIMIT - len(self.stays)]
        self.stays += map(_new, repeat(Stay), kept)
        self.more += len(stays) - len(kept)

    def snapshot(self) -> dict[str, object]:
        """For a snapshot."""
        return {
            "seen": self.seen_ns,
            "on": self.on_ns,
            "stays": [list(each) for each in self.stays],
            "more": self.more,
            "bounced": self.bounced,
            "lost": self.lost,
            "green": self.green_ns,
            "green_on": self.green_on_ns,
        }

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> "LoopSlot":
        """Back from `snapshot`."""
        slot = cls()
        slot.seen_ns, slot.on_ns = int(state["seen"]), int(state["on"])
        slot.stays = [Stay(int(on), int(off)) for on, off in state["stays"]]
        slot.more, slot.bounced, slot.lost = (int(state[k]) for k in ("more", "bounced", "lost"))
        slot.green_ns = None if state["green"] is None else int(state["green"])
        slot.green_on_ns = int(state["green_on"])
        return slot


class LoopSlots:
    """The slots of one loop; one of them is open."""

    __slots__ = ("_lane", "_open", "_part")

    def __init__(self, lane: str, part: LoopPartName) -> None:
        self._lane, self._part = lane, part
        self._open = LoopSlot()

    def begin(self) -> None:
        """A first window."""
        self._open = LoopSlot()

    def close(
        self,
        loop: OccupancyCounter,
        bounced: Spans,
        window: tuple[int, int],
        ends: tuple[int, Sequence[int]],
        green: Spans | None,
    ) -> list[LoopTick]:
        """The ticks of the slots that end with a window, right after the loop's border.

        `bounced` are (moment, edges); `ends` is where the open slot began and what `cut` says.
        """
        start_ns, end_ns = window
        from_ns, cuts = ends
        inner = cuts[:-1]
        slots = [self._open, *(LoopSlot() for _ in inner)]
        sinces: list[int | None] = [None] * len(slots)
        borders = [start_ns, *inner, end_ns]
        _stays(slots, borders, loop.stays, sinces)
        lasting = ((loop.since, end_ns),) if loop.level else ()
        for span in (*loop.broken, *lasting):
            _spread_on(slots, borders, span, sinces)
        if loop.level:
            sinces[-1] = loop.since
        for begin, end in loop.seen:
            for index, length in _split_span(borders, begin, end):
                slots[index].seen_ns += length
        for at, count in bounced:
            slots[bisect_right(inner, at)].bounced += count
        for at, count in loop.lost:
            slots[bisect_right(inner, at)].lost += count
        if green is not None:
            _green(slots, borders, green, sorted((*loop.stays, *loop.broken, *lasting)))
        if not cuts:
            return []
        self._open = LoopSlot()
        begins = [from_ns, *inner]
        return [
            self._tick(each, begin, end, since)
            for each, begin, end, since in zip(slots, begins, cuts, sinces, strict=True)
        ]

    def snapshot(self) -> dict[str, object]:
        """Of the open slot, for a snapshot."""
        return self._open.snapshot()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Back from `snapshot`."""
        self._open = LoopSlot.restore(state)

    def _tick(self, slot: LoopSlot, from_ns: int, to_ns: int, since_ns: int | None) -> LoopTick:
        return LoopTick(
            self._lane,
            self._part,
            from_ns,
            to_ns,
            slot.seen_ns,
            slot.on_ns,
            tuple(slot.stays),
            slot.more,
            since_ns,
            slot.bounced,
            slot.lost,
            slot.green_ns,
            slot.green_on_ns,
        )


def _stays(
    slots: Sequence[LoopSlot], borders: Sequence[int], stays: Spans, sinces: list[int | None]
) -> None:
    """Count all of them, in the order of time. Most lie within one slot."""
    ended: list[list[tuple[int, int]]] = [[] for _ in slots]
    index, begin, end, on_ns = 0, borders[0], borders[1], 0
    for span in stays:
        since, off = span
        if begin <= since <= off < end:
            on_ns += off - since
            ended[index].append(span)
            continue
        slots[index].on_ns += on_ns
        on_ns, index = 0, _spread_on(slots, borders, span, sinces)
        ended[index].append(span)
        begin, end = borders[index], borders[index + 1]
    slots[index].on_ns += on_ns
    for slot, spans in zip(slots, ended, strict=True):
        if spans:
            slot.ended(spans)


def _spread_on(
    slots: Sequence[LoopSlot],
    borders: Sequence[int],
    span: tuple[int, int],
    sinces: list[int | None],
) -> int:
    """Count an occupied span where it lies. Returns the slot in which it ended."""
    since, off = span
    at, index, last = max(since, borders[0]), 0, len(slots) - 1
    while index < last and at >= borders[index + 1]:
        index += 1
    # What falls at the very border is counted in the next slot: up to there it was occupied.
    while index < last and off >= borders[index + 1]:
        slots[index].on_ns += borders[index + 1] - at
        sinces[index] = since
        at = borders[index + 1]
        index += 1
    if off > at:
        slots[index].on_ns += off - at
    return index


def _split_span(borders: Sequence[int], begin: int, end: int) -> Iterator[tuple[int, int]]:
    """A span as lengths within the slots, as (slot, ns)."""
    for index in range(len(borders) - 1):
        length = min(end, borders[index + 1]) - max(begin, borders[index])
        if length > 0:
            yield index, length


def _green(slots: Sequence[LoopSlot], borders: Sequence[int], green: Spans, on: Spans) -> None:
    """How much of the window was green, and how much of that occupied."""
    for slot in slots:
        slot.green_ns = slot.green_ns or 0
    at = 0
    for begin, end in green:
        for index, length in _split_span(borders, begin, end):
            slots[index].green_ns = (slots[index].green_ns or 0) + length
        while at < len(on) and on[at][1] <= begin:
            at += 1
        for since, off in on[at:]:
            if since >= end:
                break
            for index, length in _split_span(borders, max(begin, since), min(end, off)):
                slots[index].green_on_ns += length
