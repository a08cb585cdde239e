"""What is known after a run: the platform's store, the gateway's outbox, the simulators' truth.

Read with sqlite3 and msgpack alone: no code of the product judges itself here.
"""

import json
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgpack

from tests.oracle.simulators import ANSWER

Line = tuple[int, str]  # epoch, stream: numbers run in it
Span = tuple[int, int]  # monotonic us


@dataclass(frozen=True, slots=True)
class Answer:
    """Of a meter: how much energy its register held, and when."""

    wh: int
    at_us: int


@dataclass(frozen=True, slots=True)
class Truth:
    """`answers` by unit and number; `vehicles` by lane: first and last edge in us."""

    answers: Mapping[int, Mapping[int, Answer]]
    vehicles: Mapping[str, list[Span]]


@dataclass(frozen=True, slots=True)
class PlatformRow:
    """One stored record; `came_us` is when the platform had it, on the monotonic clock."""

    epoch: int
    stream: str
    seq: int
    source: str
    span: Span
    came_us: int
    body: Mapping[str, Any]


@dataclass(slots=True)
class PlatformFindings:
    """`kept` are numbers that are still in the outbox: row -> when it was made (us)."""

    rows: list[PlatformRow]
    conflicts: int
    undecodable: int
    counters: dict[Line, int] = field(default_factory=dict)
    kept: dict[tuple[int, str, int], int] = field(default_factory=dict)
    undeclared: int = 0

    def of(self, *streams: str) -> Iterator[PlatformRow]:
        return (row for row in self.rows if row.stream in streams)

    def events(self, kind: str) -> Iterator[PlatformRow]:
        return (row for row in self.of("event") if row.body["event"] == kind)


def truth(folder: Path) -> Truth:
    """What the simulators have written."""
    answers: dict[int, dict[int, Answer]] = {}
    for unit, number, wh, at_ns in ANSWER.iter_unpack((folder / "answers").read_bytes()):
        answers.setdefault(unit, {})[number] = Answer(wh, at_ns // 1000)
    reported = json.loads((folder / "vehicles.json").read_text())
    vehicles = {
        lane: [(first // 1000, last // 1000) for first, last in passed]
        for lane, passed in reported.items()
    }
    return Truth(answers, vehicles)


def stored(store: Path, wall_minus_mono_us: int) -> PlatformFindings:
    """The platform's store; nothing yet while there is none."""
    if not store.exists():
        return PlatformFindings([], 0, 0)
    db = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    rows = [
        PlatformRow(
            epoch, stream, seq, source, (start, end),
            round(datetime.fromisoformat(received).timestamp() * 1e6) - wall_minus_mono_us,
            _body(payload),
        )
        for epoch, stream, seq, source, start, end, received, payload in db.execute(
            "SELECT epoch, stream, seq, source, mono_from, mono_to, received, payload FROM record"
        )
    ]  # fmt: skip
    (conflicts,) = db.execute("SELECT count(*) FROM conflict").fetchone()
    (undecodable,) = db.execute("SELECT count(*) FROM refused").fetchone()
    db.close()
    return PlatformFindings(rows, conflicts, undecodable)


def with_outbox(found: PlatformFindings, outbox: Path, scratch: Path) -> PlatformFindings:
    """And what the gateway still has, read from a copy."""
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(outbox, scratch)
    db = sqlite3.connect(scratch / "outbox.db")
    for epoch, stream, following in db.execute(
        "SELECT epoch, stream, next FROM counter WHERE epoch > 0"
    ):
        found.counters[epoch, stream] = following - 1
    for epoch, stream, seq, to_ns in db.execute("SELECT epoch, stream, seq, to_ns FROM record"):
        found.kept[epoch, stream, seq] = to_ns // 1000
    (found.undeclared,) = db.execute("SELECT coalesce(sum(count), 0) FROM dropped").fetchone()
    db.close()
    return found


def numbers(steps: Iterable[tuple[int, int, int]]) -> Iterator[int]:
    """`[first, last, step]` as numbers."""
    for first, last, step in steps:
        yield from range(first, last + 1, step)


def _body(payload: bytes) -> Any:
    return json.loads(payload) if payload[:1] == b"{" else msgpack.unpackb(payload)
