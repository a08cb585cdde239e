"""Rows by their numbers, urgent ones by themselves, and those that were confirmed before a kill."""

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from edge.core import Draft, RecordKey, Stamp, Stream
from edge.core.numbers import encode_steps
from edge.outbox import AsyncOutbox, Outbox, StoredRecord, UnavailableError, epochs
from edge.outbox.rowformat import INFINITE, OutboxRow, make_row, pack_body
from edge.outbox.rowsearch import RowSearch
from tests.kit.clock import NONE, NTP
from tests.kit.outbox import LIMIT, MARK, S, drafts, everything, kill, opened
from tests.outbox.test_damage import FailingDisk
from tests.outbox.test_downsample import SOURCES, WALL, covered, live, mark, minute, summed
from tests.outbox.test_downsample import opened as downsampling


def find(outbox: Outbox, epoch: int, stream: str, first: int, last: int) -> list[StoredRecord]:
    """All steps of a search at once."""
    search = RowSearch(epoch, stream, first, last)
    found: list[StoredRecord] = []
    while not search.done:
        found += outbox.search(search)
    return found


def test_rows_are_found_by_epoch_stream_and_number(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    first = outbox.begin().epoch
    outbox.commit([*drafts(700), *drafts(30, Stream.EVENT), *drafts(700)], clock=MARK)
    outbox.close()
    outbox = opened(tmp_path)
    second = outbox.begin().epoch
    outbox.commit(drafts(50), clock=MARK)

    def found(epoch: int, stream: str, first: int, last: int) -> list[int]:
        rows = find(outbox, epoch, stream, first, last)
        assert {(s.record.key.epoch, str(s.record.key.stream)) for s in rows} <= {(epoch, stream)}
        return [s.record.key.seq for s in rows]

    assert found(first, "air", 695, 705) == list(range(695, 706))
    assert found(first, "air", 1, 9999) == list(range(1, 1401))
    assert found(first, "event", 30, 31) == [30]
    assert found(second, "air", 49, 99) == [49, 50]
    assert found(second, "event", 1, 9) == []
    for epoch in (second + 1, second + (1 << 32), 0, -1, 1 << 53, 1 << 200):
        assert found(epoch, "air", 1, 9) == []
    gone = [s.row for s in find(outbox, first, "air", 10, 20)]
    outbox.commit([], confirmed=gone)
    assert found(first, "air", 9, 21) == [9, 21]
    outbox.close()


def test_a_search_does_not_look_at_the_rows_of_earlier_epochs(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    outbox.commit(drafts(1200), clock=MARK)
    outbox.close()
    outbox = opened(tmp_path)
    epoch = outbox.begin().epoch
    outbox.commit(drafts(9), clock=MARK)
    search = RowSearch(epoch, "air", 2, 4)
    assert [s.record.key.seq for s in outbox.search(search)] == [2, 3, 4], "with the first step"
    outbox.close()


def test_a_merged_row_is_found_by_each_number_that_it_covers(tmp_path: Path) -> None:
    outbox = downsampling(tmp_path)
    live(outbox, range(40))
    assert outbox._storage.disk is not None
    while outbox._handover.make_room(outbox._storage.disk):
        pass
    rows = [s for s in everything(outbox) if s.record.key.stream is Stream.AIR]
    epoch = rows[0].record.key.epoch
    for number in range(1, 81):
        (found,) = find(outbox, epoch, "air", number, number)
        assert number in covered(found)
    assert find(outbox, epoch, "air", 1, 30) == [s for s in rows if min(covered(s)) <= 30]
    outbox.close()


def test_with_short_periods_every_covered_number_is_found(tmp_path: Path) -> None:
    """Thirty sources at five seconds: 5,400 rows lie between a number and what covers it."""
    outbox = downsampling(tmp_path, 64 << 20)
    sources = [f"s{n}" for n in range(30)]
    for n in range(400):
        body = {"from": n, "to": n + 1, "n": 1, "text": "x"}
        rows = outbox.commit(
            [Draft(Stream.AIR, s, n * 5 * S, (n + 1) * 5 * S, body) for s in sources],
            clock=Stamp((n + 1) * 5 * S, WALL + (n + 1) * 5 * S, NTP),
        )
    assert outbox._storage.disk is not None
    while outbox._handover.make_room(outbox._storage.disk):
        pass
    assert outbox.counts().downsampled > 9000
    epoch = rows[0].record.key.epoch
    for number in [*range(1, 12_000, 397), 5400, 5401, 12_000]:
        (found,) = find(outbox, epoch, "air", number, number)
        assert number in covered(found)
    assert find(outbox, epoch, "air", 12_001, 12_100) == []
    outbox.close()


def test_of_rows_beside_the_disk_those_are_found_that_stand_for_a_number() -> None:
    def row(number: int, epoch: int, stream: Stream, covers: Sequence[int] = ()) -> OutboxRow:
        body = {"covers": encode_steps(covers)} if covers else {}
        draft = Draft(stream, "s", 0, 1, body)
        return make_row(number, RecordKey(epoch, stream, number), draft, 1, pack_body(draft))

    mine = [row(2, 7, Stream.AIR), row(9, 7, Stream.AIR, [3, 9])]
    others = [row(1, 7, Stream.AIR), row(4, 7, Stream.AIR, [4]), row(3, 7, Stream.ENERGY)]
    others += [row(2, 8, Stream.AIR), mine[0]._replace(crc=0)]
    assert RowSearch(7, "air", 2, 3).also([*others, *mine]) == mine


def test_the_search_ends_two_hours_behind_the_last_number(tmp_path: Path) -> None:
    outbox = downsampling(tmp_path, 64 << 20)
    live(outbox, range(1000))
    search = RowSearch(outbox.pending()[0].record.key.epoch, "air", 1, 2)
    steps = []
    while not search.done:
        steps.append(outbox.search(search))
    assert [s.record.key.seq for s in steps[0]] == [1, 2]
    assert len(steps) < 3, "of six"
    outbox.close()


def test_a_search_for_rows_that_never_merge_ends_behind_the_last_number(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    epoch = outbox.begin().epoch
    outbox.commit([*drafts(9, Stream.EVENT), *drafts(3000)], clock=MARK)
    search = RowSearch(epoch, "event", 2, 4)
    assert [s.record.key.seq for s in outbox.search(search)] == [2, 3, 4]
    assert search.done, "with the first step"
    outbox.close()


def test_in_memory_they_are_found_too(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("")
    outbox = opened(tmp_path)
    epoch = outbox.begin().epoch
    outbox.commit(drafts(9), clock=MARK)
    assert [s.record.key.seq for s in find(outbox, epoch, "air", 3, 5)] == [3, 4, 5]
    assert {s.record.key.stream for s in outbox.pending(urgent=True)} == {"event"}
    outbox.close()


async def test_in_memory_nothing_that_may_be_on_the_disk_is_called_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.outbox.outboxfolder.DiskOutbox", FailingDisk)
    FailingDisk.broken = False
    made = await writer(tmp_path)
    epoch = made.epoch.epoch
    await made.commit(drafts(3), {}, Stamp(1 * S, 0, NONE))
    FailingDisk.broken = True
    await made.commit(drafts(3), {}, Stamp(2 * S, 0, NONE))
    assert [s.record.key.seq for s in await made.find(epoch, "air", 4, 6)] == [4, 5, 6]
    for first, last in ((1, 3), (3, 4), (6, 7), (1, 1 << 52)):
        with pytest.raises(UnavailableError, match="the disk of the outbox does not work"):
            await made.find(epoch, "air", first, last)
    FailingDisk.broken = False
    for second in (3, 100):
        await made.commit(drafts(1), {}, Stamp(second * S, 0, NONE))
    assert [s.record.key.seq for s in await made.find(epoch, "air", 1, 8)] == [*range(1, 9)]
    await made.close()


def test_a_disk_that_fails_in_a_search_is_not_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = opened(tmp_path)
    epoch = outbox.begin().epoch
    outbox.commit(drafts(9), clock=MARK)

    def broken(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(outbox._storage.disk, "row_heads", broken)
    with pytest.raises(UnavailableError):
        find(outbox, epoch, "air", 1, 9)
    outbox.close()


async def writer(tmp_path: Path) -> AsyncOutbox:
    return await AsyncOutbox.start(
        tmp_path / "outbox", limit_bytes=LIMIT, boot_id="b1", run_dir=tmp_path,
        merge=summed, ballast_bytes=0,
    )  # fmt: skip


async def test_the_writer_finds_what_is_not_confirmed_and_commits_go_on(tmp_path: Path) -> None:
    made = await writer(tmp_path)
    rows = await made.commit([*drafts(1200), *drafts(3, Stream.EVENT)], {}, MARK)
    made.confirm([s.row for s in rows if s.record.key.seq in (2, 3)])
    epoch = made.epoch.epoch
    finding = asyncio.create_task(made.find(epoch, "air", 1, 1200, 5000))
    await asyncio.sleep(0)
    await made.commit(drafts(1), {}, MARK)
    assert [s.record.key.seq for s in await finding] == [1, *range(4, 1201)]
    assert [s.record.key.seq for s in await made.find(epoch, "event", 1, 3, 1)] == [1]
    await made.close()


async def test_urgent_rows_come_by_themselves(tmp_path: Path) -> None:
    made = await writer(tmp_path)
    kinds = [*drafts(300), *drafts(2, Stream.EVENT), *drafts(300), *drafts(2, Stream.REGISTER)]
    rows = [s for s in await made.commit(kinds) if s.record.key.stream in ("event", "register")]
    assert await made.urgent() == rows
    assert await made.urgent(rows[0].row, 2) == rows[1:3]
    made.confirm([rows[0].row, rows[1].row])
    assert await made.urgent(0, 1) == [rows[2]]
    assert await made.urgent(rows[3].row) == []
    await made.close()


def test_urgent_rows_need_no_look_at_the_others(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    assert outbox._storage.disk is not None
    plan = outbox._storage.disk.rows(
        "EXPLAIN QUERY PLAN SELECT * FROM record WHERE id > 5 AND level = 4 ORDER BY id LIMIT 9"
    )
    assert [row[3] for row in plan] == ["SEARCH record USING INDEX urgent (level=? AND rowid>?)"]
    outbox.close()


async def test_the_link_is_told_in_order(tmp_path: Path) -> None:
    made = await writer(tmp_path)
    await made.link_up()
    assert made._outbox._handover.ranges.text == ""
    going = asyncio.create_task(made.link_up())
    await asyncio.sleep(0)
    made.link_lost((1 << 32) + 77)  # the connection broke before it was told to be up
    await going
    await made.counts()
    assert made._outbox._handover.ranges.text == f"{(1 << 32) + 78}-{INFINITE}"
    await made.close()
    made.link_lost(5)


def test_rows_confirmed_before_a_kill_are_handed_back_until_a_commit(tmp_path: Path) -> None:
    outbox = opened(tmp_path, run=tmp_path)
    outbox.begin()
    stored = outbox.commit(drafts(6), clock=MARK)
    outbox.journal.sent([s.row for s in stored])
    outbox.journal.confirmed([stored[3].row, stored[1].row, 99])
    assert outbox._storage.disk is not None
    outbox._storage.disk._db.execute("UPDATE record SET crc = 1 WHERE id = ?", (stored[1].row,))
    outbox.journal.confirmed([stored[0].row])
    kill(outbox)

    outbox = opened(tmp_path, run=tmp_path)
    outbox.begin()
    handed = [(s.record, s.redelivered) for s in outbox.leftovers]
    assert handed == [(stored[0].record, True), (stored[3].record, True)]
    assert [s.row for s in everything(outbox)] == [stored[n].row for n in (2, 4, 5)]
    kill(outbox)

    outbox = opened(tmp_path, run=tmp_path)
    outbox.begin()
    assert [(s.record, s.redelivered) for s in outbox.leftovers] == handed, (
        "that start did nothing yet"
    )
    epoch = stored[0].record.key.epoch
    assert [s.row for s in find(outbox, epoch, "air", 1, 6)] == [stored[n].row for n in (2, 4, 5)]
    outbox.commit(())
    assert outbox.counts().rows == 3
    kill(outbox)

    outbox = opened(tmp_path, run=tmp_path)
    outbox.begin()
    assert outbox.leftovers == []
    outbox.close()


def test_what_is_handed_back_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epochs, "READBACK_BYTES", 5000)
    outbox = opened(tmp_path, run=tmp_path)
    outbox.begin()
    stored = outbox.commit(drafts(20, Stream.RAW, 1000), clock=MARK)
    outbox.journal.confirmed([s.row for s in stored])
    kill(outbox)
    outbox = opened(tmp_path, run=tmp_path)
    outbox.begin()
    assert [s.record for s in outbox.leftovers] == [s.record for s in stored[:4]]
    assert everything(outbox) == []
    outbox.close()


async def test_the_writer_gives_what_was_handed_back(tmp_path: Path) -> None:
    outbox = opened(tmp_path, run=tmp_path)
    outbox.begin()
    (stored,) = outbox.commit(drafts(1), clock=MARK)
    outbox.journal.confirmed([stored.row])
    kill(outbox)
    made = await writer(tmp_path)
    assert [s.record for s in made.leftovers] == [stored.record]
    await made.close()


# -- links while the disk gives trouble -----------------------------------------------------------


def test_a_link_that_came_up_in_memory_is_written_down_when_the_disk_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = downsampling(tmp_path)
    live(outbox, range(3))
    outbox._storage.switch_to_memory(OSError(5, "Input/output error"))
    outbox.linked()
    live(outbox, range(3, 5))
    outbox.commit([minute(5, s) for s in SOURCES], clock=mark(5))
    assert outbox.counts().in_memory is None
    kill(outbox)
    outbox = Outbox.open(tmp_path / "outbox", limit_bytes=LIMIT, boot_id="b1", ballast_bytes=0)
    assert outbox._storage.disk is not None
    assert outbox._storage.disk.meta("unsent") == ""
    assert len(everything_of(outbox)) >= 18
    outbox.close()


def everything_of(outbox: Outbox) -> list[int]:
    outbox.begin()
    return [s.row for s in everything(outbox)]


def test_an_index_that_is_wrong_is_made_anew_and_no_row_is_lost(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    kept = [s.row for s in outbox.commit(drafts(5, Stream.EVENT), clock=Stamp(S, 0, NONE))]
    outbox.close()
    path = tmp_path / "outbox" / "outbox.db"
    for change in ("'= 4', '= 7'", "'= 7', '= 4'"):  # meanwhile a row is written past it
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("PRAGMA writable_schema = ON")
        other.execute(
            f"UPDATE sqlite_schema SET sql = replace(sql, {change}) WHERE name = 'urgent'"
        )
        other.close()
        if change.startswith("'= 4'"):
            other = sqlite3.connect(path, isolation_level=None)
            other.execute("UPDATE record SET level = 5 WHERE id = ?", (kept[0],))
            other.execute("UPDATE record SET level = 4 WHERE id = ?", (kept[0],))
            other.execute("DELETE FROM record WHERE id = ?", (kept[1],))
            other.close()
    outbox = opened(tmp_path)
    outbox.begin()
    assert outbox.opened.damage is None, "no check at opening finds it"
    outbox.commit([], confirmed=[kept[0]], clock=Stamp(2 * S, 0, NONE))
    outbox.pending(urgent=True)
    for second in (3, 40, 80, 120):
        outbox.commit(drafts(1), clock=Stamp(second * S, 0, NONE))
    assert outbox.counts().in_memory is None
    assert [s.row for s in outbox.pending(urgent=True)][:3] == kept[2:]
    assert {s.row for s in everything(outbox)} >= set(kept[2:])
    assert not (tmp_path / "outbox" / "quarantine").exists()
    outbox.close()


def test_odd_drafts_are_found_in_order(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    epoch = outbox.begin().epoch
    big = Draft(Stream.AIR, "x", 0, 1, {"x": bytes(2_000_000)})
    outbox.commit([*drafts(2), big, *drafts(2)], clock=MARK)
    assert [s.record.key.seq for s in find(outbox, epoch, "air", 1, 9)] == [1, 2, 4, 5]
    outbox.close()
