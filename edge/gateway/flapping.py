"""Faults that come and go without a rest: reported so often, and as they stand once they rest.

A device that is damaged and answers by turns would make two events a pair. After
EVENTS_BEFORE_FLICKER of them within an hour nothing more is sent of it until it has been the same
for FLICKER_SETTLE_NS; the status says meanwhile how it stands, and each record says how good its
values are.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from edge.gateway.deviceconditions import (
    EVENTS_BEFORE_FLICKER,
    FLICKER_SETTLE_NS,
    FLICKER_WITHIN_NS,
)

LAST: Final = " It comes and goes: it is reported again when it has settled."


@dataclass(slots=True)
class Fault:
    """One device or line: what was reported, and what is so now; None: nothing is wrong.
    `source`, `reason` and `text` are those of the event that would report it."""

    reported: str | None = None
    now: str | None = None
    source: str = ""
    reason: str = ""
    text: str = ""
    held: bool = False
    changed_ns: int = 0
    at: deque[int] = field(
        default_factory=lambda: deque(maxlen=EVENTS_BEFORE_FLICKER)
    )  # of its events

    def changes(self, now: str | None, at_ns: int) -> bool:
        """Whether to report it."""
        self.now, self.changed_ns = now, at_ns
        return not self.held and self._report(at_ns)

    def rests(self, at_ns: int) -> bool:
        """Whether there is something to report of one that has settled."""
        if not self.held or at_ns - self.changed_ns <= FLICKER_SETTLE_NS or self._full(at_ns):
            return False
        self.held = False
        return self.reported != self.now and self._report(at_ns)

    def _report(self, at_ns: int) -> bool:
        self.reported = self.now
        self.at.append(at_ns)
        self.held = self._full(at_ns)  # this was the last of them
        return True

    def _full(self, at_ns: int) -> bool:
        return len(self.at) == EVENTS_BEFORE_FLICKER and at_ns - self.at[0] < FLICKER_WITHIN_NS
