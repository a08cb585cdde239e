"""Numbers: every draft gets the next one of its stream, in order."""

from collections.abc import Mapping, Sequence

from edge.core import RecordKey
from edge.outbox.drops import PendingDrops
from edge.outbox.epochs import EpochStart
from edge.outbox.eviction import PackedDraft
from edge.outbox.rowformat import OutboxRow, make_row


def assign_numbers(
    packed: Sequence[PackedDraft],
    lost: Mapping[int, str],
    start: EpochStart,
    last_row: int,
    counters: Mapping[str, int],
    drops: PendingDrops,
) -> tuple[list[OutboxRow], dict[str, int]]:
    """The rows behind `last_row`, and the counters that have moved.

    What is lost, by its place and with its reason, gets a number for its declaration in `drops`.
    """
    following: dict[str, int] = {}
    rows: list[OutboxRow] = []
    for place, (draft, body) in enumerate(packed):
        stream = str(draft.stream)
        seq = following.get(stream, counters.get(stream, 1))
        following[stream] = seq + 1
        if place in lost:
            drops.add(start.epoch, stream, seq, lost[place])
            continue
        key = RecordKey(start.epoch, draft.stream, seq)
        rows.append(make_row(last_row + 1 + len(rows), key, draft, start.boot, body))
    return rows, following
