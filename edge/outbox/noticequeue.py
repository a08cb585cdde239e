"""Sentences for people about the storage, each to become an event. A disk that comes and goes must
not fill the outbox with events: they wait in a queue, and so many become one.
"""

from collections.abc import Sequence
from typing import Final

from edge.core.reportlimits import HourlyLimit

Notice = tuple[bool, str]  # trouble, or the end of it; and what there is to say

NOTICE_LIMIT: Final = 16  # the latest ones count
NOTICES_PER_HOUR: Final = 12  # events; then sentences are held back


class NoticeQueue:
    """What was said, in order. Held back is all but the latest, and the next event counts it."""

    def __init__(self) -> None:
        self._notices: list[Notice] = []
        self._held = 0
        self._events = HourlyLimit(NOTICES_PER_HOUR)

    def add(self, on: bool, text: str) -> None:
        self._notices.append((on, text))
        self._held += max(0, len(self._notices) - NOTICE_LIMIT)
        del self._notices[:-NOTICE_LIMIT]

    def due(self, now_ns: int) -> Sequence[Notice]:
        """Those that may become events now."""
        free = self._events.room(now_ns)
        if len(self._notices) > free:  # whatever is left out, the last of them has how it stands
            keep = max(1, free)
            self._held += len(self._notices) - keep
            del self._notices[:-keep]
        if free <= 0:
            return ()
        notices = list(self._notices)
        if self._held:  # then there is at least one
            on, text = notices[0]
            notices[0] = on, f"{text} {self._held} more such messages before it were held back."
        return notices

    def mark_reported(self, count: int, now_ns: int) -> None:
        """So many have become events; those that are new since then wait on."""
        if count:
            self._held = 0
            self._events.add(count, now_ns)
            del self._notices[:count]
