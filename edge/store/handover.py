"""Up to which row the sender may have had its hands on: what lies behind may still be changed.

The word on disk is a row, or INFINITE while a link is up. It is written before the first row of a
link is handed over, and may be late afterwards: after a power cut it never says too little. A row
that has just been committed is also left alone for a minute: the sender may hold it as live, and
send it without reading it again.
"""

from collections import deque
from typing import Final

from edge.store.rows import INFINITE

WORD: Final = "unsent_after"  # in the table `meta`
LIVE_NS: Final = 60_000_000_000  # so long the sender may hold a new row; it does for 10 s
COMMITS: Final = 1000  # remembered; with more of them rows are held back for longer


class Handover:
    """Of one start. Belongs to the thread of the outbox."""

    def __init__(self) -> None:
        self.stored = INFINITE  # the word on disk
        self._last = INFINITE
        self._linked = False
        self._commits: deque[list[int]] = deque()  # [when in monotonic ns, its last row]
        self.settled = INFINITE  # rows up to here nobody holds as live

    def begin(self, stored: int, former: int, journaled: int) -> None:
        """A start without a link: rows up to `former` are of starts before it; `journaled` is the
        last one that the journal knows to be sent. Nobody knows what a link that was up took."""
        self.stored = stored
        self._last = max(former if stored == INFINITE else stored, journaled)
        self.settled = former

    @property
    def unsent_after(self) -> int:
        """Rows behind it were never handed over."""
        return INFINITE if self._linked else self._last

    def linked(self) -> None:
        self._linked = True

    def unlinked(self, last_row: int) -> None:
        self._last = max(self._last, last_row)
        self._linked = False

    def committed(self, mono_ns: int, last_row: int) -> None:
        """A commit whose rows, up to `last_row`, are passed on as live."""
        if len(self._commits) < COMMITS:
            self._commits.append([mono_ns, last_row])
        else:
            self._commits[-1] = [mono_ns, last_row]
        self.tick(mono_ns)

    def tick(self, mono_ns: int) -> None:
        while self._commits and mono_ns - self._commits[0][0] >= LIVE_NS:
            self.settled = self._commits.popleft()[1]
