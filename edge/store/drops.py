"""Losses: numbers that will never be delivered, gathered until an event declares them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from edge.core import Draft, Stream

DropKey = tuple[int, str, str]  # epoch, stream, reason

REASONS: Mapping[str, str] = {
    "full": "there was no more room for them",
    "size": "they were too large to be sent",
    "refused": "the broker refused them again and again",
    "damage": "they could not be read back from the disk",
    "memory": "the disk failed and memory was full",
}


@dataclass(frozen=True, slots=True)
class Drop:
    """`count` numbers of `first`..`last`. None: nobody knows, the database itself was lost."""

    first: int
    last: int | None
    count: int | None


class Drops(dict[DropKey, Drop]):
    """One growing entry per epoch, stream and reason."""

    def add(self, epoch: int, stream: str, seq: int, reason: str) -> None:
        """One more number is lost."""
        key = (epoch, stream, reason)
        old = self.get(key)
        if old is None:
            self[key] = Drop(seq, seq, 1)
        elif old.last is not None and old.count is not None:
            self[key] = Drop(min(old.first, seq), max(old.last, seq), old.count + 1)

    def copy(self) -> "Drops":
        return Drops(self)

    def drafts(self, now_ns: int) -> Iterator[Draft]:
        """The events that declare them."""
        for (epoch, stream, reason), drop in sorted(self.items()):
            yield Draft(Stream.EVENT, "outbox", now_ns, now_ns, _body(epoch, stream, reason, drop))


def storage_event(now_ns: int, on: bool, text: str) -> Draft:
    """The event that says that the disk gives trouble, or works again."""
    body = {"event": "storage", "state": "on" if on else "off", "text": text}
    return Draft(Stream.EVENT, "outbox", now_ns, now_ns, body)


def _body(epoch: int, stream: str, reason: str, drop: Drop) -> dict[str, object]:
    if drop.count is None:
        what = f"All records of epoch {epoch} and before that were not yet delivered are lost"
    else:
        what = f"{drop.count} {stream} records, numbers {drop.first} to {drop.last}, are lost"
    return {
        "event": "drop",
        "epoch_of": epoch,
        "stream_of": stream,
        "reason": reason,
        "range": [drop.first, drop.last],
        "count": drop.count,
        "text": f"{what}: {REASONS.get(reason, reason)}.",
    }
