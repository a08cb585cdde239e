"""Rows that were sent and are not answered: not dropped before others, and never forgotten."""

from pathlib import Path

import pytest

from edge.core import RecordKey, Stamp, Stream
from edge.outbox import Outbox, deliveryjournal
from edge.outbox.deliveryjournal import JOURNAL_ENTRY, JOURNAL_NAME, recover_journal
from edge.outbox.drops import PendingDrops
from edge.outbox.memoryoutbox import ROW_OVERHEAD_BYTES, MemoryOutbox
from edge.outbox.rowformat import make_row, pack_body
from tests.kit.clock import NONE
from tests.kit.outbox import S, drafts, everything, kill, opened

SMALL = 4 << 20


def filled(folder: Path) -> tuple[Outbox, int]:
    """One that has begun to drop the oldest."""
    outbox = opened(folder, limit=SMALL)
    outbox.begin()
    n = 0
    while not outbox.counts().dropped:
        n = more(outbox, n)
    return outbox, n


def more(outbox: Outbox, n: int) -> int:
    mark, unconfirmed = Stamp((n + 100) * S, 0, NONE), outbox.journal.unconfirmed()
    outbox.commit(drafts(100, size=700, at=n), clock=mark, unconfirmed=unconfirmed)
    return n + 100


def test_rows_on_their_way_are_not_dropped_while_there_are_others(tmp_path: Path) -> None:
    outbox, n = filled(tmp_path)
    unconfirmed = {stored.row for stored in outbox.pending(0, 200)}
    outbox.journal.sent(unconfirmed)
    dropped = outbox.counts().dropped
    for _ in range(30):
        n = more(outbox, n)
    assert outbox.counts().dropped > dropped
    left = everything(outbox)
    assert unconfirmed <= {stored.row for stored in left}
    undelivered = [stored.row for stored in left if stored.row not in unconfirmed]
    assert min(undelivered) > max(unconfirmed) + 1, "the oldest of the others have gone"
    outbox.journal.confirmed(unconfirmed)
    outbox.commit([], confirmed=unconfirmed)
    outbox.close()


def test_rows_on_their_way_go_when_there_are_no_others(tmp_path: Path) -> None:
    outbox, n = filled(tmp_path)
    outbox.journal.sent([stored.row for stored in everything(outbox)])
    dropped = outbox.counts().dropped
    n = more(outbox, n)
    outbox.journal.sent([stored.row for stored in everything(outbox)])
    more(outbox, n)
    counts = outbox.counts()
    assert counts.dropped > dropped
    assert sum(counts.streams.values()) + counts.dropped == n + 100 + counts.streams.get("event", 0)
    outbox.close()


def test_in_memory_they_stay_longest_too() -> None:
    memory = MemoryOutbox(20 * (ROW_OVERHEAD_BYTES + 100))
    rows = [
        make_row(n, RecordKey(1, Stream.AIR, n), draft, 1, pack_body(draft).ljust(60))
        for n, draft in enumerate(drafts(40), 1)
    ]
    assert memory.write(rows, {}, (), PendingDrops(), lambda row: row <= 5) > 5
    assert {1, 2, 3, 4, 5} <= memory.rows.keys()
    assert 6 not in memory.rows


def test_what_was_sent_and_is_not_remembered_by_itself_says_redelivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveryjournal, "OPEN_LIMIT", 40)
    monkeypatch.setattr(deliveryjournal, "EVICT_ROWS", 10)
    outbox = opened(tmp_path, run=tmp_path)
    outbox.begin()
    rows = [stored.row for stored in outbox.commit(drafts(100))]
    for row in rows[:90]:
        outbox.journal.sent([row])
    outbox.journal.retain_only(())
    outbox.close()
    for _ in range(2):  # it is not forgotten by a start, nor when the log is written anew
        outbox = opened(tmp_path, run=tmp_path)
        outbox.begin()
        redelivered = [stored.row for stored in everything(outbox) if stored.redelivered]
        assert redelivered == rows[:90]
        assert outbox._sent_before.last_sent == rows[89], "what lies behind it has never gone"
        outbox.journal.retain_only(())
        kill(outbox)
    data = (tmp_path / JOURNAL_NAME).read_bytes()
    assert len(data) <= JOURNAL_ENTRY.size * (3 + 40), "bounded"
    other = recover_journal(tmp_path, "").for_start(1 << 52, 1)
    assert (other.maybe_sent(rows[0]), other.last_sent) == (True, 0), "of another database"
