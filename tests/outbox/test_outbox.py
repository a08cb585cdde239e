"""The outbox: numbers without gaps, nothing lost that was committed, bounded in bytes."""

from pathlib import Path

import pytest

from edge.core import Draft, Stamp, Stream
from edge.outbox import OutboxBusyError, inspect_outbox
from edge.outbox.rowformat import pack_body
from tests.kit.asread import as_read
from tests.kit.clock import NONE, RTC
from tests.kit.outbox import LIMIT, MARK, S, drafts, everything, kill, opened


def test_numbers_run_per_stream_and_start_at_one(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    epoch = outbox.begin()
    first = outbox.commit([*drafts(2), *drafts(3, Stream.TRAFFIC)])
    second = outbox.commit(drafts(1))
    assert [stored.record.key.seq for stored in first] == [1, 2, 1, 2, 3]
    assert second[0].record.key.seq == 3
    assert {stored.record.key.epoch for stored in first} == {epoch.epoch}
    assert first[0].record.body == drafts(1)[0].body
    assert everything(outbox) == [*first, *second]
    bodies = [pack_body(draft) for draft in (*drafts(2), *drafts(3, Stream.TRAFFIC), *drafts(1))]
    assert (outbox.counts().commits, outbox.counts().bytes_in) == (2, sum(map(len, bodies)))
    outbox.close()


def test_a_start_is_an_epoch_and_names_the_former_one(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    one = outbox.begin()
    assert (one.boot, one.same_boot, one.former, one.unclean) == (1, False, None, False)
    outbox.commit([*drafts(2), *drafts(1, Stream.EVENT)])
    kill(outbox)

    outbox = opened(tmp_path)
    two = outbox.begin()
    assert (two.boot, two.same_boot, two.unclean) == (1, True, True)
    assert two.former is not None
    assert (two.former.epoch, two.former.boot) == (one.epoch, 1)
    assert two.former.last == {"air": 2, "event": 1}
    assert one.epoch < two.epoch < 1 << 53
    outbox.close()  # has numbered nothing: the one before it stays the former one

    outbox = opened(tmp_path, boot="b2")
    three = outbox.begin()
    assert (three.boot, three.same_boot, three.unclean) == (2, False, False)
    assert three.former == two.former
    assert len(outbox.commit(drafts(1))) == 1
    assert [stored.record.key.epoch for stored in everything(outbox)] == [one.epoch] * 3 + [
        three.epoch
    ]
    outbox.close()


def test_two_boxes_that_start_anew_have_other_epochs(tmp_path: Path) -> None:
    """Their counts of starts are the same; a new card may go on where nobody knows."""
    epochs = []
    for name in ("one", "two"):
        outbox = opened(tmp_path / name)
        epochs.append(outbox.begin().epoch)
        outbox.close()
    assert epochs[0] >> 32 == epochs[1] >> 32 == 1
    assert epochs[0] != epochs[1]


def test_confirmed_rows_go_with_the_next_commit(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    stored = outbox.commit(drafts(4))
    outbox.commit([], confirmed=[stored[0].row, stored[2].row, 999])
    assert [left.row for left in everything(outbox)] == [stored[1].row, stored[3].row]
    assert outbox.counts().rows == 2
    outbox.close()


def test_state_and_clock_ride_in_the_commit(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    boot = outbox.begin().boot
    assert outbox.state("energy") is None
    outbox.commit(drafts(1), {"energy": (2, b"\x00\x01")}, clock=MARK)
    outbox.commit(drafts(1), clock=Stamp(9 * S, 1_790_000_004 * S, RTC))
    kill(outbox)
    outbox = opened(tmp_path)
    outbox.begin()
    assert outbox.state("energy") == (2, b"\x00\x01")
    # the mark that is trusted most, and the latest one
    assert outbox.marks(boot) == [MARK, Stamp(9 * S, 1_790_000_004 * S, RTC)]
    assert outbox.marks(boot + 1) == []
    outbox.close()


def test_a_second_process_is_turned_away(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    with pytest.raises(OutboxBusyError):
        opened(tmp_path)
    with pytest.raises(OutboxBusyError):
        inspect_outbox(tmp_path / "outbox", LIMIT)
    assert not (tmp_path / "outbox" / "quarantine").exists()
    outbox.commit(drafts(2))
    outbox.close()
    assert inspect_outbox(tmp_path / "outbox", LIMIT).streams == {"air": 2}


def test_the_journal_knows_what_was_sent_and_what_was_confirmed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    outbox = opened(tmp_path, run=run)
    outbox.begin()
    rows = [stored.row for stored in outbox.commit(drafts(6))]
    outbox.journal.sent(rows[:4])
    outbox.journal.confirmed(rows[:2])
    kill(outbox)
    with (run / "delivery.journal").open("ab") as torn:
        torn.write(b"\x01\x02\x03")

    outbox = opened(tmp_path, run=run)
    outbox.begin()
    left = everything(outbox)
    assert [stored.row for stored in left] == rows[2:]
    assert [stored.redelivered for stored in left] == [True, True, False, False]
    outbox.commit(())
    outbox.close()

    # without the journal nobody knows what was sent: all of it may have been
    (run / "delivery.journal").unlink()
    outbox = opened(tmp_path, run=run)
    outbox.begin()
    outbox.commit(drafts(1))
    assert [stored.redelivered for stored in everything(outbox)] == [True] * 4 + [False]
    outbox.close()


def test_a_journal_of_another_database_is_not_believed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    outbox = opened(tmp_path, run=run)
    outbox.begin()
    outbox.journal.confirmed([stored.row for stored in outbox.commit(drafts(3))])
    kill(outbox)
    for path in (tmp_path / "outbox").iterdir():
        path.unlink()
    outbox = opened(tmp_path, run=run)
    outbox.begin()
    outbox.commit(drafts(3))
    kill(outbox)
    outbox = opened(tmp_path, run=run)
    outbox.begin()
    assert len(everything(outbox)) == 3
    outbox.close()


def test_the_journal_stays_small(tmp_path: Path) -> None:
    outbox = opened(tmp_path, run=tmp_path)
    outbox.begin()
    for first in range(0, 60_000, 1000):
        rows = range(first, first + 1000)
        outbox.journal.sent(rows)
        outbox.journal.confirmed(rows)
        outbox.journal.retain_only(())
    assert (tmp_path / "delivery.journal").stat().st_size < 100_000
    outbox.close()


@pytest.mark.parametrize("size", [100, 20_000])
def test_a_flood_stays_within_the_limit_and_every_number_is_accounted_for(
    tmp_path: Path, size: int
) -> None:
    limit = 2 << 20
    outbox = opened(tmp_path, limit=limit)
    outbox.begin()
    count = 0
    events = [stored.row for stored in outbox.commit(drafts(5, Stream.EVENT), clock=MARK)]
    for step in range(4_000_000 // (100 * (size + 100))):
        count += 100
        outbox.commit(drafts(100, Stream.RAW, size), clock=Stamp((step + 1) * S, 0, NONE))
        assert outbox.counts().size <= limit
    left = everything(outbox)
    assert events == [stored.row for stored in left if stored.record.key.stream is Stream.EVENT], (
        "raw goes first, and losses are not declared while nobody hears of it"
    )
    kept = {s.record.key.seq for s in left if s.record.key.stream is Stream.RAW}
    assert kept, "the newest are kept"
    assert max(kept) == count
    # the link works again: the loss is declared, in one event for the whole range
    (declared,) = outbox.commit([], confirmed=[events[0]], clock=MARK)
    body = declared.record.body
    assert (body["event"], body["stream_of"], body["reason"]) == ("drop", "raw", "full")
    first, last = body["range"]
    assert set(range(first, last + 1)) | kept == set(range(1, count + 1))
    assert body["count"] == count - len(kept)
    assert outbox.counts().dropped == body["count"]
    outbox.close()


def test_low_classes_never_push_out_high_ones(tmp_path: Path) -> None:
    limit = 1 << 20
    outbox = opened(tmp_path, limit=limit)
    outbox.begin()
    for _ in range(20):
        outbox.commit(drafts(50, Stream.EVENT, 1000), clock=MARK)
    full = {s.row for s in everything(outbox)}
    kept = outbox.commit(drafts(300, Stream.RAW, 2000), clock=MARK)
    assert len(kept) < 200
    assert full <= {s.row for s in everything(outbox)}
    (declared,) = [
        stored.record.body
        for stored in outbox.commit([], confirmed=[min(full)], clock=MARK)
        if stored.record.body["stream_of"] == "raw"
    ]
    assert declared["count"] == 300 - len(kept)
    outbox.close()


def test_a_draft_that_nobody_takes_is_declared(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    stored = outbox.commit(drafts(1))
    assert outbox.commit(drafts(1, size=1_000_000), clock=MARK) == []
    later = outbox.commit(drafts(1), confirmed=[stored[0].row], clock=MARK)
    assert [s.record.key.seq for s in later] == [3, 1]
    assert as_read(later[1].record)["range"] == [2, 2]
    outbox.close()


def test_a_commit_that_cannot_be_written_down_changes_nothing(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    with pytest.raises(TypeError):
        outbox.commit([Draft(Stream.AIR, "a", 0, 1, {"x": object()})])
    assert outbox.commit(drafts(1))[0].record.key.seq == 1
    outbox.close()


def test_nothing_is_left_open(tmp_path: Path) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    for _ in range(3):
        outbox = opened(tmp_path, run=tmp_path)
        outbox.begin()
        outbox.commit(drafts(3))
        outbox.close()
    assert set(Path("/proc/self/fd").iterdir()) == before


def test_a_database_with_larger_pages_stays_within_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made by an earlier version: a database keeps its size of page for ever."""
    limit = 2 << 20
    with monkeypatch.context() as earlier:
        earlier.setattr("edge.outbox.database.PAGE_SIZE", 4096)
        outbox = opened(tmp_path, limit=limit)
        outbox.begin()
        outbox.commit(drafts(10), clock=MARK)
        outbox.close()
    outbox = opened(tmp_path, limit=limit)
    outbox.begin()
    assert outbox._storage.disk is not None
    assert outbox._storage.disk.one("PRAGMA page_size") == 4096
    free = outbox._storage.disk.room()
    assert free < limit
    for turn in range(40):
        outbox.commit(drafts(100, size=1000, at=turn * 100), clock=MARK)
        assert outbox.counts().size <= limit
    assert outbox.counts().dropped > 0, "it was full"
    outbox.close()


def test_refused_events_do_not_push_out_what_was_measured(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    for stream, count in ((Stream.AIR, 20), (Stream.EVENT, 150), (Stream.TRAFFIC, 1)):
        for stored in outbox.commit(drafts(count, stream)):
            outbox.dead_letter(stored.row, "nobody wants it")
    assert outbox._storage.disk is not None
    found = outbox._storage.disk._db.execute("SELECT stream, count(*) FROM dead GROUP BY stream")
    assert dict(found.fetchall()) == {"air": 20, "event": 79, "traffic": 1}
    outbox.close()
