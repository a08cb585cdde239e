"""Numbers: every draft gets the next one of its stream, in order."""

from collections.abc import Mapping, Sequence

from edge.core import Key
from edge.store.drops import Drops
from edge.store.room import Packed
from edge.store.rows import Row, row_of
from edge.store.starts import Start


def number(
    packed: Sequence[Packed],
    lost: Mapping[int, str],
    start: Start,
    last_row: int,
    counters: Mapping[str, int],
    drops: Drops,
) -> tuple[list[Row], dict[str, int]]:
    """The rows behind `last_row`, and the counters that have moved.

    What is lost, by its place and with its reason, gets a number for its declaration in `drops`.
    """
    following: dict[str, int] = {}
    rows: list[Row] = []
    for place, (draft, body) in enumerate(packed):
        stream = str(draft.stream)
        seq = following.get(stream, counters.get(stream, 1))
        following[stream] = seq + 1
        if place in lost:
            drops.add(start.epoch, stream, seq, lost[place])
            continue
        key = Key(start.epoch, draft.stream, seq)
        rows.append(row_of(last_row + 1 + len(rows), key, draft, start.boot, body))
    return rows, following
