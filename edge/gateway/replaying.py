"""Recorded edges through the same code as live, on a virtual clock, as fast as it goes; and with
two bundles of one model, where flags and p differ.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import msgspec

from edge.config import Site
from edge.core import Contact, ContactLine, Draft, Record, RecordKey, Stream
from edge.gateway.pipeline import Pipeline
from edge.gateway.wiring import Wiring
from edge.infer.bundlemanifest import ModelError, read_manifest
from edge.recordings.edgefile import EdgeRow, open_edges, read_edge_rows
from edge.wire.contract.body import body_map
from edge.wire.contract.models import ModelName
from models import BUNDLES

ERRORS_SHOWN: Final = 20  # errors in full; the rest is counted
BATCH_EDGES: Final = 512  # edges handed over at once; the result does not depend on it


@dataclass(slots=True)
class Replay:
    """Feeds rows, closes windows when time has passed them, numbers the records.

    It knows only the past: what it says of a window depends on no row after its end. So nobody has
    heard a line before the window of its first row. In that window it stood the other way round
    until then; with a row at the window's very start, it was at rest. At 0, such a row is how a
    file says that a line was watched though nothing came; a level that was found says it anywhere.
    Epoch and boot are 0; numbers run per stream from 1.
    """

    pipeline: Pipeline
    wiring: Wiring
    period_ns: int
    start_s: float | None = None  # wall time of 0; None: hours of the day are not judged
    errors: list[str] = field(default_factory=list)  # the first ones, for people
    wrong: int = 0  # rows that were left out
    _heard: set[str] = field(default_factory=set)  # sources of which a row has come

    def run(self, source: Iterator[EdgeRow]) -> Iterator[Record]:
        """Each record as soon as no row can change it any more."""
        self.pipeline.engine.start(0)
        numbers: dict[Stream, int] = {}
        end_ns, waiting = self.period_ns, list[Contact]()
        for row in source:
            line = self._line(row)
            if line is None:
                continue
            at_ns = row.mono_ns
            assert at_ns is not None, "of a row that is wrong there is no line"
            if at_ns >= end_ns or len(waiting) >= BATCH_EDGES:
                yield from self._numbered(self.pipeline.engine.contacts(waiting), numbers)
                waiting.clear()
            while at_ns >= end_ns:
                yield from self._numbered(self._closed(end_ns), numbers)
                end_ns += self.period_ns
            if row.edge is None:
                self.pipeline.engine.closed(line.source, at_ns)
                continue
            contact = line.contact(row.edge)
            if contact.source not in self._heard:
                self._heard.add(contact.source)
                if not contact.initial:
                    waiting += self._found(contact, end_ns - self.period_ns)
            waiting.append(contact)
        yield from self._numbered(self.pipeline.engine.contacts(waiting), numbers)
        yield from self._numbered(self._closed(end_ns), numbers)

    def _found(self, first: Contact, start_ns: int) -> list[Contact]:
        """How its line stood at the start of the open window, as the kernel reports at opening."""
        on = not first.on and first.mono_ns > start_ns
        if on and first.source in self.pipeline.engine.plain:
            return []  # that would be an event at once, of a moment that has been reported
        return [Contact(first.source, on, start_ns, initial=True)]

    def _closed(self, end_ns: int) -> list[Draft]:
        wall_s = None if self.start_s is None else self.start_s + end_ns / 1e9
        return self.pipeline.engine.close(end_ns, wall_s=wall_s)

    def _line(self, row: EdgeRow) -> ContactLine | None:
        """What the row is about; None, and an error, where that is nothing of this site."""
        if row.error:
            self._refuse(row, row.error)
            return None
        name = row.edge.line if row.edge else row.unwatched.line if row.unwatched else ""
        found = self.wiring.lined.get(name)
        if found is None:
            known = ", ".join(sorted(self.wiring.lined))
            self._refuse(row, f"{name[:80]!r} is not a line of the site ({known})")
        return found

    def _refuse(self, row: EdgeRow, text: str) -> None:
        self.wrong += 1
        if len(self.errors) < ERRORS_SHOWN:
            self.errors.append(f"line {row.number}: {text}")

    @staticmethod
    def _numbered(drafts: list[Draft], numbers: dict[Stream, int]) -> Iterator[Record]:
        for draft in drafts:
            seq = numbers[draft.stream] = numbers.get(draft.stream, 0) + 1
            key = RecordKey(0, draft.stream, seq)
            yield Record(key, draft.source, 0, draft.from_ns, draft.to_ns, body_map(draft.body))


class FlagChange(NamedTuple):
    """A flag went on or off with the window that ends at `end_ns` of the recording."""

    end_ns: int
    event: str
    source: str
    point: str
    state: str
    by: str


@dataclass(frozen=True, slots=True)
class ReplayFlags:
    """What one replay said: turns of flags, and p of congestion by window and lane."""

    changes: list[FlagChange]
    p: dict[tuple[int, str], float]


def replay_flags(site: Site, edges: Path, bundle: Path) -> ReplayFlags:
    """Replay with this bundle in the place of the one of its name; the others as configured.

    Raises ConfigError, ModelError, OSError, EOFError or zlib.error.
    """
    name = read_manifest(bundle).name
    shipped = Path(site.models.dir) if site.models.dir else BUNDLES
    with tempfile.TemporaryDirectory() as folder:
        for path in shipped.iterdir():
            if (path / "manifest.json").is_file() and path.name != name:
                (Path(folder) / path.name).symlink_to(path.resolve())
        (Path(folder) / name).symlink_to(bundle.resolve())
        models = msgspec.structs.replace(site.models, dir=folder)
        out, why = _replayed(replace(site, models=models), edges, name)
    if why:
        raise ModelError(f"{bundle} did not answer all the time: {why}")
    return out


def _replayed(site: Site, edges: Path, name: str) -> tuple[ReplayFlags, str]:
    """What it said; and why the rule answered in its place at some time, if it did."""
    parts = Wiring.of(site)
    pipeline = parts.pipeline(replayed=True)
    pipeline.load()
    replay = Replay(pipeline, parts, site.period_ns)
    out, window_ns, why = ReplayFlags([], {}), 0, ""
    with open_edges(edges) as file:
        for record in replay.run(read_edge_rows(file)):
            body = record.body
            if record.to_ns > window_ns:
                window_ns, why = record.to_ns, why or _failed(pipeline, name)
            if record.key.stream is Stream.EVENT and body.get("state") in ("on", "off"):
                point, by = str(body.get("point") or ""), str(body.get("by") or "")
                out.changes.append(
                    FlagChange(record.to_ns, body["event"], record.source, point, body["state"], by)
                )
            elif record.key.stream is Stream.TRAFFIC and body.get("p_congested") is not None:
                out.p[record.to_ns, record.source] = float(body["p_congested"])
    return out, why or _failed(pipeline, name)


def _failed(pipeline: Pipeline, name: str) -> str:
    """Why the rule answers now; empty if the model does."""
    one = pipeline.judge.models()[cast("ModelName", name)]
    return one.why if one and one.answers == "rule" else ""


def flag_differences(a: ReplayFlags, b: ReplayFlags) -> dict[str, Any]:
    """Turns that only one of them has, and the mean absolute difference of p."""
    keys = [{change[:-1] for change in one.changes} for one in (a, b)]
    both = a.p.keys() & b.p.keys()
    apart = [abs(a.p[key] - b.p[key]) for key in both]
    return {
        "turns_a": len(a.changes),
        "turns_b": len(b.changes),
        "only_a": [_turn(change) for change in a.changes if change[:-1] not in keys[1]],
        "only_b": [_turn(change) for change in b.changes if change[:-1] not in keys[0]],
        "windows": len(both),
        "difference": round(sum(apart) / len(apart), 4) if apart else None,
        "largest": round(max(apart), 3) if apart else None,
    }


def _turn(change: FlagChange) -> dict[str, object]:
    fields = {**change._asdict(), "at_s": round(change.end_ns / 1e9, 3)}
    del fields["end_ns"]
    return fields
