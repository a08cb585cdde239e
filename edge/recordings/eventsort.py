"""Sorts the events of a log by time, in bounded memory, and leaves out double ones.

Exports come in any order: by detector, by code, in pieces that overlap. Events are sorted in runs
that fit into memory; runs that do not are kept in temporary files and merged.
"""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

RUN_EVENTS: Final = 500_000  # in memory at once, some 30 MB
RUNS_MERGED: Final = 64  # files that are open at once
BYTES: Final = 16
READ_EVENTS: Final = 4096  # of one file at once
CODE_BITS: Final = 16
CHANNEL_BITS: Final = 16
TIME_BITS: Final = 48
CODE_MASK: Final = (1 << CODE_BITS) - 1


class LoggedEvent(NamedTuple):
    """An event of a log: of which signal, when in ms of UTC, on which channel or phase, and what.

    In this order they are sorted.
    """

    signal: int
    t_ms: int
    channel: int
    code: int


def _packed(event: LoggedEvent) -> int:
    """One number, which sorts as the event does."""
    signal, t_ms, channel, code = event
    return ((signal << TIME_BITS | t_ms) << CHANNEL_BITS | channel) << CODE_BITS | code


def _event(number: int) -> LoggedEvent:
    return LoggedEvent(
        number >> (TIME_BITS + CHANNEL_BITS + CODE_BITS),
        (number >> (CHANNEL_BITS + CODE_BITS)) & ((1 << TIME_BITS) - 1),
        (number >> CODE_BITS) & ((1 << CHANNEL_BITS) - 1),
        number & CODE_MASK,
    )


class EventSort:
    """Takes events in any order; then gives them in order, as often as it is asked.

    Its temporary files lie below `folder` until `close`.
    """

    def __init__(self, folder: Path, run_events: int = RUN_EVENTS) -> None:
        self._run_events = run_events
        self._folder = folder
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._open: list[int] = []
        self._runs: list[Path] = []
        self._made = 0  # files so far
        self._sorted = False
        self.doubled = 0  # events that were there more than once, as of the last look at all

    def take(self, event: LoggedEvent) -> None:
        """One more. Raises OSError when there is no room for it."""
        self._open.append(_packed(event))
        if len(self._open) >= self._run_events:
            self._spill()

    def events(self) -> Iterator[LoggedEvent]:
        """All of them once, in order."""
        if not self._sorted:
            self._open.sort()
            self._sorted = True
        self.doubled, before = 0, -1
        for number in heapq.merge(self._open, *map(_read_run, self._runs)):
            if number == before:
                self.doubled += bool(number & CODE_MASK)  # a sign of life may be there twice
            else:
                yield _event(number)
            before = number

    def close(self) -> None:
        """Remove the temporary files. Always safe."""
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None
        self._open, self._runs = [], []

    def _spill(self) -> None:
        self._open.sort()
        self._runs.append(self._write(self._open))
        self._open = []
        if len(self._runs) >= RUNS_MERGED:
            merged = self._write(heapq.merge(*map(_read_run, self._runs)))
            for run in self._runs:
                run.unlink()
            self._runs = [merged]

    def _write(self, numbers: Iterable[int]) -> Path:
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="sorting-", dir=self._folder)
        self._made += 1
        path = Path(self._temporary.name) / str(self._made)
        with path.open("wb") as file:
            for number in numbers:
                file.write(number.to_bytes(BYTES, "big"))
        return path


def _read_run(path: Path) -> Iterator[int]:
    with path.open("rb") as file:
        while data := file.read(BYTES * READ_EVENTS):
            for at in range(0, len(data), BYTES):
                yield int.from_bytes(data[at : at + BYTES], "big")
