"""Which rows were never handed over: they lie in a few spans, and only those may still be changed.

The spans are on disk as one word. What makes them smaller is written before the first row is handed
over, what makes them larger may be late: after a kill or a power cut they never say too much.
While a link is up, what was committed last counts as handed over, whether it has gone or not, and
of what waited before only what is further back than the sender has come lies in a span. So minutes
merge on a link that is slower than what comes, too: the old ones, not those of this link.
A row that has just been committed is left alone for a minute: the sender may hold it as live, and
send it without reading it again.
"""

import re
from collections import deque
from itertools import pairwise
from typing import Final

from edge.outbox.rowformat import INFINITE

LIVE_NS: Final = 60_000_000_000  # so long the sender may hold a new row; it does for 10 s
COMMITS: Final = 1000  # remembered; with more of them rows are held back for longer
STRIDE: Final = 1000  # rows that the backlog is ahead of itself on disk: a write for so many
RANGES_LIMIT: Final = (
    4  # each link leaves one; the shortest are given up: what lies in them never merges
)
RANGES_TEXT: Final = re.compile(r"[0-9]{1,19}-[0-9]{1,19}(,[0-9]{1,19}-[0-9]{1,19}){0,3}")

RowRanges = tuple[tuple[int, int], ...]
"""First and last row of each, in order, without a common row. None that exists lies behind the last
row of a start, so the last span is open: it ends with INFINITE."""


def format_ranges(spans: RowRanges) -> str:
    return ",".join(f"{first}-{last}" for first, last in spans)


def parse_row_ranges(text: object) -> RowRanges:
    """Nothing, if it is not what was written: then nothing is merged that has been there before."""
    if not isinstance(text, str) or not RANGES_TEXT.fullmatch(text):
        return ()
    spans = tuple((int(a), int(b)) for a, b in (each.split("-") for each in text.split(",")))
    apart = all(one[1] < two[0] for one, two in pairwise(spans))
    whole = all(first <= last <= INFINITE for first, last in spans)
    return spans if apart and whole else ()


def ranges_after(spans: RowRanges, row: int) -> RowRanges:
    """What of them lies behind a row."""
    return tuple((max(first, row + 1), last) for first, last in spans if last > row)


def ranges_before(spans: RowRanges, row: int) -> RowRanges:
    """What of them lies before a row."""
    return tuple((first, min(last, row - 1)) for first, last in spans if first < row)


def union_ranges(one: RowRanges, two: RowRanges) -> RowRanges:
    """What lies in either; of more than RANGES_LIMIT the longest."""
    found: list[tuple[int, int]] = []
    for first, last in sorted((*one, *two)):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    longest = sorted(found, key=lambda span: span[0] - span[1])[:RANGES_LIMIT]
    return tuple(sorted(longest))


def is_open_ended(spans: RowRanges) -> bool:
    """Rows to come lie in them."""
    return bool(spans) and spans[-1][1] == INFINITE


class MergeableRanges:
    """Of one start. Belongs to the thread of the outbox."""

    def __init__(self) -> None:
        self.spans: RowRanges = ()  # rows that were never handed over
        self._before: RowRanges | None = None  # the spans before the link that is up
        self._commits: deque[list[int]] = deque()  # [when in monotonic ns, its last row]
        self.settled = INFINITE  # rows up to here nobody holds as live

    def begin(self, stored: str, former: int, journaled: int) -> None:
        """A start without a link: rows up to `former` are of starts before it; `journaled` is the
        last one that the journal knows to be sent. What the word does not name was handed over."""
        spans = parse_row_ranges(stored)
        if not is_open_ended(spans):
            spans = union_ranges(spans, ((former + 1, INFINITE),))
        # a link may have come up while the disk did not work
        self.spans = spans[:-1] + ranges_after(spans[-1:], max(spans[-1][0] - 1, journaled))
        self.settled = former

    @property
    def text(self) -> str:
        """What is to stand on disk."""
        return format_ranges(self.spans)

    def linked(self, live_from: int) -> None:
        """From `live_from` on rows may be handed over in any order, and those that the sender may
        hold as live; what lies before goes as the backlog, from the oldest on."""
        if self._before is None:
            self._before = self.spans
        self.spans = ranges_before(self.spans, min(live_from, self.settled + 1))

    def note_handed_over(self, row: int) -> bool:
        """The backlog is about to be handed over up to `row`: whether the spans have changed."""
        if self._before is None or not self.spans or row < self.spans[0][0]:
            return False
        self.spans = ranges_after(self.spans, row + STRIDE)
        return True

    def copied(self, last_row: int) -> None:
        """Rows up to `last_row` lie in a copy, from which they may be sent as they are now."""
        self.spans = ranges_after(self.spans, last_row)
        if self._before is not None:
            self._before = ranges_after(self._before, last_row)

    def unlinked(self, last_row: int) -> None:
        """What lies behind `last_row`, the last that was ever handed over, is unsent again."""
        if self._before is not None:
            self.spans = union_ranges(self.spans, ranges_after(self._before, last_row))
            self._before = None

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
