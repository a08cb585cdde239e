"""What one line has done lately, for people who look on: its level, its last edges, edges an hour.

Nothing is calculated while edges come, and nothing grows: a line has LINE_BYTES of numbers, however
long it is watched. All times are the kernel's (CLOCK_MONOTONIC), so no wrong clock matters here.
"""

from array import array
from typing import Final

from edge.core.edge import Contact

EDGES_KEPT: Final = 64  # the last ones: some thirty vehicles
MINUTES: Final = 60
MINUTE_NS: Final = 60_000_000_000
LINE_BYTES: Final = EDGES_KEPT * 8 + MINUTES * 4
ON, LOST = 1, 2  # bits of a kept edge, below its time


class LineHistory:
    """One line, from the first contact on. `level` None: nobody watches it, and `closed` says why.

    `edges` and `lost` are counted since `since_ns`, when it was first watched.
    """

    __slots__ = (
        "_counts",
        "_kept",
        "_kept_from",
        "_minute",
        "_minute_ends_ns",
        "closed",
        "edges",
        "last_ns",
        "level",
        "lost",
        "since_ns",
        "source",
    )

    def __init__(self, source: str) -> None:
        self.source = source
        self.level: bool | None = None
        self.closed = ""
        self.since_ns: int | None = None
        self.last_ns: int | None = None  # of the last edge
        self.edges = self.lost = 0
        self._kept = array("q", bytes(8 * EDGES_KEPT))
        self._kept_from = 0  # the number of the first edge that may be kept
        self._counts = array("I", bytes(4 * MINUTES))
        self._minute = 0
        self._minute_ends_ns = 0

    def take(self, contact: Contact) -> None:
        """A change of the line, or the level found at opening."""
        at_ns = contact.mono_ns
        if contact.initial or self.since_ns is None:
            self.level, self.closed = contact.on, ""
            if self.since_ns is None:
                self.since_ns = at_ns
            if contact.initial:
                return
        if at_ns >= self._minute_ends_ns:
            self._advance(at_ns)
        self._counts[self._minute] += 1
        self._kept[self.edges % EDGES_KEPT] = (
            at_ns << 2 | (LOST if contact.lost else 0) | (ON if contact.on else 0)
        )
        self.edges += 1
        self.lost += contact.lost
        self.last_ns, self.level = at_ns, contact.on

    def close(self, why: str) -> None:
        """Nobody watches it from here on: what comes later has nothing to do with what was."""
        self.level, self.closed = None, why
        self._kept_from = self.edges

    def edges_in_hour(self, now_ns: int) -> int:
        """Within the last 59 to 60 minutes."""
        if not self.edges:
            return 0
        if now_ns >= self._minute_ends_ns:
            self._advance(now_ns)
        return sum(self._counts)

    def last_edges(self) -> list[Contact]:
        """The last EDGES_KEPT of them, the oldest first, since it was opened last."""
        first = max(self._kept_from, self.edges - EDGES_KEPT)
        kept = (self._kept[number % EDGES_KEPT] for number in range(first, self.edges))
        return [
            Contact(self.source, bool(one & ON), one >> 2, lost=int(bool(one & LOST)))
            for one in kept
        ]

    @property
    def complete_from_ns(self) -> int | None:
        """From when on all edges are among the last ones; None: nothing was forgotten."""
        if self.edges - self._kept_from < EDGES_KEPT:
            return None
        return self._kept[self.edges % EDGES_KEPT] >> 2

    def _advance(self, at_ns: int) -> None:
        """To the minute of this moment; those between had nothing."""
        minute = at_ns // MINUTE_NS
        passed = minute - (self._minute_ends_ns // MINUTE_NS - 1)
        for step in range(min(passed, MINUTES)):
            self._counts[(self._minute + 1 + step) % MINUTES] = 0
        self._minute = (self._minute + passed) % MINUTES
        self._minute_ends_ns = (minute + 1) * MINUTE_NS
