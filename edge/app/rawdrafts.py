"""Sweeps as raw records: all of them, in batches that a record can hold."""

from collections.abc import Mapping, Sequence
from typing import Final

from edge.core import Draft, Stream, Sweep
from edge.uplink.wire import raw_body

RAW_VALUES: Final = 100_000  # of one raw record


def raw_drafts(points: Mapping[str, Sequence[str]], raw: Sequence[Sweep]) -> list[Draft]:
    """All of it, in batches that a record can hold. `points` are the keys of each source's."""
    drafts: list[Draft] = []
    part: list[Sweep] = []
    values = 0
    for sweep in raw:
        part.append(sweep)
        values += len(sweep.values) + 2  # its time and its source are columns too
        if values >= RAW_VALUES:
            drafts.append(_raw_draft(points, part))
            part, values = [], 0
    return [*drafts, _raw_draft(points, part)] if part else drafts


def _raw_draft(points: Mapping[str, Sequence[str]], sweeps: Sequence[Sweep]) -> Draft:
    times = [sweep.mono_ns for sweep in sweeps]
    return Draft(Stream.RAW, "", min(times), max(times), raw_body(points, sweeps))
