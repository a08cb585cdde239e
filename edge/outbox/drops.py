"""Losses: numbers that will never be delivered, gathered until an event declares them.

An event that declares losses can be lost itself: what it said is then gathered again, and the next
one says it. Only when it is damaged so that it cannot be read, its own number alone is declared:
the numbers that it named stay unexplained, and an audit reports them as missing.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from operator import add
from typing import Final, cast

from edge.core import Draft, Stream
from edge.outbox.rowformat import STREAM_LEVELS, OutboxRow, row_body, row_numbers, try_record
from edge.wire.contract.body import body_map
from edge.wire.contract.boxevent import Drop, DropReason, Storage

DropGroup = tuple[int, str, str]  # epoch, stream, reason

DROP_SOURCE: Final = "outbox"  # of the events

DROP_REASONS: Mapping[str, str] = {
    "full": "there was no more room for them",
    "size": "they were too large to be sent",
    "refused": "the broker refused them again and again",
    "damage": "they could not be read back from the disk",
    "memory": "the disk failed and memory was full",
}


@dataclass(frozen=True, slots=True)
class DropRange:
    """`count` numbers of `first`..`last`. None: nobody knows, the database itself was lost."""

    first: int
    last: int | None
    count: int | None

    def joined(self, other: "DropRange", count: Callable[[int, int], int]) -> "DropRange":
        """Both as one; `count` makes one of their two. Of what nobody knows of either, nobody knows
        of both."""
        first = min(self.first, other.first)
        if self.last is None or self.count is None or other.last is None or other.count is None:
            return DropRange(first, None, None)
        return DropRange(first, max(self.last, other.last), count(self.count, other.count))


def nameless_notice(count: int) -> str:
    """Of so many rows whose own columns are damaged: for people."""
    if count == 1:
        return (
            "A record on the disk is damaged so that not even its number can be read: it is lost, "
            "and an audit will find that number missing."
        )
    return (
        f"{count} records on the disk are damaged so that not even their numbers can be read: they "
        "are lost, and an audit will find these numbers missing."
    )


class PendingDrops(dict[DropGroup, DropRange]):
    """One growing entry per epoch, stream and reason."""

    def add(self, epoch: int, stream: str, seq: int, reason: str) -> None:
        """One more number is lost."""
        self._more((epoch, stream, reason), DropRange(seq, seq, 1))

    def lose(self, row: OutboxRow, reason: str) -> int:
        """A row is lost, with all numbers that it stands for: how many they are. What it declared
        itself is to be declared again. 0 for one whose columns are damaged."""
        whole = isinstance(row.epoch, int) and isinstance(row.seq, int)
        if row.stream not in STREAM_LEVELS or not whole:
            return 0
        lost = row_numbers(row)
        for seq in lost:
            self.add(row.epoch, row.stream, seq, reason)
        declared = _declared(row)
        if declared is not None:
            self._more(*declared)
        return len(lost)

    def lose_epoch(self, epoch: int) -> None:
        """All of it and before it that was not delivered, with the database."""
        self[epoch, "*", "damage"] = DropRange(1, None, None)

    def merge(self, others: "PendingDrops") -> None:
        """Add declarations that may be known already: each allows what either of them does."""
        for key, two in others.items():
            self[key] = two.joined(self.get(key, two), max)

    def _more(self, key: DropGroup, drop: DropRange) -> None:
        old = self.get(key)
        self[key] = drop if old is None else old.joined(drop, add)

    def copy(self) -> "PendingDrops":
        return PendingDrops(self)

    def event_drafts(self, now_ns: int) -> Iterator[Draft]:
        """The events that declare them."""
        for (epoch, stream, reason), drop in sorted(self.items()):
            yield Draft(
                Stream.EVENT, DROP_SOURCE, now_ns, now_ns, _body(epoch, stream, reason, drop)
            )


def storage_event_draft(now_ns: int, on: bool, text: str) -> Draft:
    """The event that says that the disk gives trouble, or works again."""
    body = Storage(state="on" if on else "off", text=text)
    return Draft(Stream.EVENT, DROP_SOURCE, now_ns, now_ns, body)


def _declared(row: OutboxRow) -> tuple[DropGroup, DropRange] | None:
    """What a row declared. One whose checksum is wrong is believed if it says everything twice: its
    sentence repeats the numbers, its own key the epoch."""
    if (row.stream, row.source) != (Stream.EVENT, DROP_SOURCE):
        return None
    try:
        body = row_body(row)
        epoch, stream, reason = body["epoch_of"], body["stream_of"], body["reason"]
        first, last = body["range"]
        count = body["count"]
        drop = DropRange(first, last, count)
        declared_body = {**body_map(_body(epoch, stream, reason, drop)), "range": [first, last]}
    except (KeyError, TypeError, ValueError):
        return None
    known = (epoch, first) if last is count is None else (epoch, first, last, count)
    texts = isinstance(stream, str) and isinstance(reason, str)
    if not texts or not all(isinstance(each, int) for each in known):
        return None
    sound = try_record(row) is not None or epoch == row.epoch
    return ((epoch, stream, reason), drop) if sound and declared_body == body else None


def _body(epoch: int, stream: str, reason: str, drop: DropRange) -> Drop:
    if drop.count is None:
        what = f"All records of epoch {epoch} and before that were not yet delivered are lost"
    else:
        what = f"{drop.count} {stream} records, numbers {drop.first} to {drop.last}, are lost"
    return Drop(
        epoch_of=epoch,
        stream_of=stream,
        reason=cast("DropReason", reason),
        range=(drop.first, drop.last),
        count=drop.count,
        text=f"{what}: {DROP_REASONS.get(reason, reason)}.",
    )
