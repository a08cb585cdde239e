"""What an outbox was told and has answered: whose word was given for what.

`OutboxPromises` hears what `commit` returned, what was handed over and confirmed, and what was
under way when the process died.

    model = OutboxPromises()
    wrong = model.begun(outbox.begin())
    assert not wrong
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgpack

from edge.core import Draft, Record, RecordKey
from edge.core.numbers import decode_steps
from edge.outbox import Epoch, Outbox, StoredRecord

States = Mapping[str, tuple[int, bytes]]
Place = tuple[int, str]  # epoch and stream, in which numbers run


@dataclass(frozen=True, slots=True)
class Wish:
    """A commit that did not return: all of it is there, or nothing."""

    epoch: int
    drafts: Sequence[Draft]
    states: States


def merge(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    """Two summaries as one, as the outbox asks for it. `n` and `text` are what makes each another
    one; whoever knows the parts can tell what their sum must be."""
    if not {"sum", "count"} <= a.keys() & b.keys():
        raise ValueError("no summaries")
    return {"sum": a["sum"] + b["sum"], "count": a["count"] + b["count"]}


class OutboxPromises:
    """One outbox over all of its starts."""

    def __init__(self) -> None:
        self.rows: dict[RecordKey, bytes] = {}  # whatever was acknowledged
        self.reported: set[RecordKey] = set()  # confirmed, and perhaps not yet committed
        self.settled: set[RecordKey] = set()  # confirmed, and a commit returned
        self.handed: dict[RecordKey, bytes] = {}  # seen by the sender
        self.states: dict[str, tuple[int, bytes]] = {}
        self.last: dict[Place, int] = {}
        self.under_way: list[Wish] = []
        self.epochs: list[int] = []
        self.acknowledged = 0
        self._drops: dict[RecordKey, Mapping[str, Any]] = {}  # declarations by their own keys
        self._covers: dict[RecordKey, set[int]] = {}  # of merged records
        self._sums: dict[RecordKey, int] = {}
        self._ever: dict[str, set[tuple[int, bytes]]] = defaultdict(set)  # states by owner

    def begun(self, epoch: Epoch) -> list[str]:
        """What is wrong with a start. `former` was not below what was acknowledged."""
        wrong = []
        if self.epochs and epoch.epoch <= max(self.epochs):
            wrong.append(f"epoch {epoch.epoch} does not follow {self.epochs}")
        self.epochs.append(epoch.epoch)
        numbered = [epoch_of for epoch_of, _ in self.last]
        if numbered:
            former = epoch.former
            if former is None or former.epoch < max(numbered):
                return [*wrong, f"the former epoch is {former}, and {max(numbered)} has numbers"]
            for (epoch_of, stream), last in self.last.items():
                if epoch_of == former.epoch and former.last.get(stream, 0) < last:
                    wrong.append(f"former {stream} is {former.last}, and {last} was acknowledged")
        return wrong

    def starts(self, wish: Wish) -> None:
        self.under_way.append(wish)
        for owner, state in wish.states.items():
            self._ever[owner].add(state)

    def returned(
        self,
        stored: Sequence[StoredRecord],
        following: Mapping[str, int],
        gone: Iterable[RecordKey],
    ) -> None:
        """The latest commit under way has come back: its rows, the counters after it, and what
        it has let go."""
        wish = self.under_way.pop()
        self._keep(each.record for each in stored)
        self.acknowledged += len(stored)
        self.states.update(wish.states)
        for stream, number in following.items():
            self.last[wish.epoch, stream] = number - 1
        self.settled.update(gone)

    def confirmed(self, keys: Sequence[RecordKey]) -> None:
        self.reported.update(keys)

    def sent(self, rows: Iterable[StoredRecord]) -> None:
        for each in rows:
            record = each.record
            self.handed[record.key] = packed(record)
            if "covers" in record.body:  # merged since the last check
                self._covers[record.key] = set(decode_steps(record.body["covers"]))
            if record.body.get("event") == "drop":  # of a commit that never returned, and was there
                self._drops[record.key] = record.body

    def _keep(self, records: Iterable[Record]) -> None:
        for record in records:
            self.rows[record.key] = packed(record)
            if "covers" in record.body:
                self._covers[record.key] = set(decode_steps(record.body["covers"]))
            if "sum" in record.body:
                self._learn(record)
            if record.body.get("event") == "drop":
                self._drops[record.key] = record.body

    def adopt(self, outbox: Outbox, epoch: Epoch, owners: Iterable[str]) -> None:
        """Take an outbox that was made without a model for right."""
        self._keep(each.record for each in everything(outbox))
        self.states = {owner: state for owner in owners if (state := outbox.state(owner))}
        for owner, state in self.states.items():
            self._ever[owner].add(state)
        if epoch.former is not None:
            self.last = {
                (epoch.former.epoch, stream): last for stream, last in epoch.former.last.items()
            }

    def _learn(self, record: Record) -> None:
        """What its parts add up to: those that came in a commit under way are not known one by
        one, and the last of them stands for all."""
        seqs = self._covers.get(record.key, {record.key.seq})
        parts = [RecordKey(record.key.epoch, record.key.stream, seq) for seq in sorted(seqs)]
        unknown = [part for part in parts if part not in self._sums]
        if unknown:
            known = sum(self._sums.get(part, 0) for part in parts)
            self._sums.update(dict.fromkeys(unknown, 0))
            self._sums[unknown[-1]] = record.body["sum"] - known


def ours(record: Record) -> bool:
    """An event of the outbox itself."""
    return record.source == "outbox"


def packed(what: Draft | Record) -> bytes:
    """All that must be the same."""
    data: bytes = msgpack.packb([what.source, what.from_ns, what.to_ns, what.body])
    return data


def everything(outbox: Outbox) -> Iterator[StoredRecord]:
    """All rows that are not confirmed, page by page as the sender asks."""
    after = 0
    while rows := outbox.pending(after, 100):
        yield from rows
        after = rows[-1].row
