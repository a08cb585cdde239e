"""Sweeps as raw records: in batches that a record can hold, and no more than memory allows.

Raw rows are the first thing that is given up when a site reads more than can be committed: each of
them counts in a summary, too. How many went is counted in the next raw record, in the same commit.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import UNSET

from edge.core import Draft, Stream, Sweep
from edge.wire import raw_body

RAW_VALUES: Final = 100_000  # of one raw record
WAITING_VALUES: Final = 500_000  # values that may wait for their commit: some 20 MB


class RawSweeps:
    """Sweeps that wait for their commit. Beyond WAITING_VALUES values the oldest are given up."""

    def __init__(self) -> None:
        self._rows: deque[Sweep] = deque()
        self._values = 0
        self._given_up = 0  # and not reported yet
        self.given_up = 0  # since the start

    @property
    def since_ns(self) -> int | None:
        """When the oldest was read; None: nothing waits."""
        return self._rows[0].mono_ns if self._rows else None

    def add(self, batch: Sequence[Sweep]) -> None:
        self._rows += batch
        self._values += sum(map(_size, batch))
        while self._values > WAITING_VALUES and len(self._rows) > 1:
            self._values -= _size(self._rows.popleft())
            self._given_up += 1
            self.given_up += 1

    def take(self) -> tuple[list[Sweep], int]:
        """All that wait, and how many before them were given up since the last call."""
        found, gone = list(self._rows), self._given_up
        self._rows.clear()
        self._values = self._given_up = 0
        return found, gone


def make_raw_drafts(
    points: Mapping[str, Sequence[str]], raw: Sequence[Sweep], given_up: int = 0
) -> list[Draft]:
    """All of it, in batches that a record can hold; `given_up` were before them.
    `points` are the keys of the points of each source."""
    drafts: list[Draft] = []
    part: list[Sweep] = []
    values = 0
    for sweep in raw:
        part.append(sweep)
        values += _size(sweep)
        if values >= RAW_VALUES:
            drafts.append(_raw_draft(points, part, given_up))
            part, values, given_up = [], 0, 0
    return [*drafts, _raw_draft(points, part, given_up)] if part else drafts


def _size(sweep: Sweep) -> int:
    return len(sweep.values) + 2  # its time and its source are columns too


def _raw_draft(
    points: Mapping[str, Sequence[str]], sweeps: Sequence[Sweep], given_up: int
) -> Draft:
    times = [sweep.mono_ns for sweep in sweeps]
    body = raw_body(points, sweeps)
    body.given_up = given_up or UNSET
    return Draft(Stream.RAW, "", min(times), max(times), body)
