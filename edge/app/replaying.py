"""Recorded edges through the same code as live, on a virtual clock, as fast as it goes."""

import csv
import gzip
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from edge.app.pipeline import Pipeline
from edge.app.wiring import Wiring
from edge.core import Contact, Draft, Edge, Key, Record, Stream

HEADER = ["t_ms", "line", "level"]
BATCH = 512  # edges handed over at once; the result does not depend on it


@dataclass(frozen=True, slots=True)
class Row:
    """One line of an edge file: an edge, or what is wrong with it."""

    number: int
    edge: Edge | None
    error: str = ""


def rows(file: TextIO) -> Iterator[Row]:
    """Read `t_ms,line,level`; `t_ms` may have decimals, of which microseconds are kept."""
    reader = csv.reader(file)
    header = next(reader, [])
    if [cell.strip() for cell in header] != HEADER:
        yield Row(1, None, f"the first line must be {','.join(HEADER)}, not {','.join(header)!r}")
        return
    before_ns = -1
    for cells in reader:
        number = reader.line_num
        if not cells:
            continue
        try:
            t_ms, line, level = (cell.strip() for cell in cells)
            mono_ns = round(float(t_ms) * 1000) * 1000
            high = {"0": False, "1": True}[level]
        except KeyError:
            yield Row(number, None, f"level is 0 or 1, not {cells[2]!r}")
        except (ValueError, OverflowError):
            yield Row(number, None, f"three cells are needed, a number first, not {cells!r}")
        else:
            if mono_ns < max(before_ns, 0):
                yield Row(number, None, f"t_ms {t_ms} lies before the line above: sort by t_ms")
                continue
            before_ns = mono_ns
            yield Row(number, Edge(line, high, mono_ns, number))


def levels(source: Iterator[Row]) -> dict[str, bool]:
    """How each line stood before its first edge: the other way round."""
    found: dict[str, bool] = {}
    for row in source:
        if row.edge is not None:
            found.setdefault(row.edge.line, not row.edge.high)
    return found


def open_edges(path: Path) -> TextIO:
    """A CSV, or the same through gzip."""
    if path.suffix == ".gz":
        return io.TextIOWrapper(gzip.open(path), encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


@dataclass(slots=True)
class Replay:
    """Feeds rows, closes windows when time has passed them, numbers the records.

    Epoch and boot are 0; numbers run per stream from 1.
    """

    pipeline: Pipeline
    wiring: Wiring
    period_ns: int
    errors: list[str]

    def run(self, source: Iterator[Row], levels: Mapping[str, bool]) -> Iterator[Record]:
        """`levels` are those before the first edge, as the kernel tells them at opening."""
        self.pipeline.engine.start(0)
        numbers: dict[Stream, int] = {}
        end_ns, waiting = self.period_ns, list[Contact]()
        for line, high in levels.items():
            opened = self.wiring.contact(Edge(line, high, 0, 0))
            waiting += [] if opened is None else [opened]
        for row in source:
            contact = self._contact(row)
            if contact is None:
                continue
            if contact.mono_ns >= end_ns or len(waiting) == BATCH:
                yield from self._numbered(self.pipeline.contacts(waiting), numbers)
                waiting.clear()
            while contact.mono_ns >= end_ns:
                yield from self._numbered(self.pipeline.close(end_ns), numbers)
                end_ns += self.period_ns
            waiting.append(contact)
        yield from self._numbered(self.pipeline.contacts(waiting), numbers)
        yield from self._numbered(self.pipeline.close(end_ns), numbers)

    def _contact(self, row: Row) -> Contact | None:
        if row.edge is None:
            self.errors.append(f"line {row.number}: {row.error}")
            return None
        contact = self.wiring.contact(row.edge)
        if contact is None:
            known = ", ".join(sorted(self.wiring.lined))
            self.errors.append(
                f"line {row.number}: {row.edge.line!r} is no line of the site ({known})"
            )
        return contact

    @staticmethod
    def _numbered(drafts: list[Draft], numbers: dict[Stream, int]) -> Iterator[Record]:
        for draft in drafts:
            seq = numbers[draft.stream] = numbers.get(draft.stream, 0) + 1
            key = Key(0, draft.stream, seq)
            yield Record(key, draft.source, 0, draft.from_ns, draft.to_ns, draft.body)
