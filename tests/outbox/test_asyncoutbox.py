"""The outbox for the loop: commits that meet go together, confirmations ride along."""

import asyncio
import contextlib
import sqlite3
import threading
from pathlib import Path

import pytest

from edge.core import Draft, Stream
from edge.outbox import AsyncOutbox, Outbox, OutboxBusyError, StoredRecord, asyncoutbox
from tests.kit.asread import as_read
from tests.kit.outbox import LIMIT, MARK, drafts


async def start(folder: Path, passed_on: list[int] | None = None) -> AsyncOutbox:
    """`passed_on` gets the numbers of rows that nobody's own commit brings."""

    def pass_on(rows: list[StoredRecord]) -> None:
        if passed_on is not None:
            passed_on.extend(stored.record.key.seq for stored in rows)

    return await AsyncOutbox.start(
        folder / "outbox", limit_bytes=LIMIT, boot_id="b1", run_dir=folder, on_rows=pass_on
    )


async def test_commits_that_meet_share_a_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    original = Outbox.commit

    def counted(self: Outbox, *args: object) -> object:
        nonlocal calls
        calls += 1
        return original(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Outbox, "commit", counted)
    made = await start(tmp_path)
    results = await asyncio.gather(*(made.commit(drafts(1), {}, MARK) for _ in range(50)))
    assert calls <= 3
    rows = [stored for result in results for stored in result]
    assert sorted(stored.record.key.seq for stored in rows) == list(range(1, 51))
    assert [stored.row for stored in await made.pending(0, 100)] == [s.row for s in rows]
    await made.close()


async def test_what_was_confirmed_last_has_left_the_database_when_it_is_closed(
    tmp_path: Path,
) -> None:
    made = await start(tmp_path)
    rows = await made.commit(drafts(3), {}, MARK)
    made.confirm([stored.row for stored in rows[:2]])
    await made.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "outbox" / "outbox.db")) as db:
        assert db.execute("SELECT seq FROM record WHERE epoch >= 0").fetchall() == [(3,)]


async def test_a_card_that_does_not_take_the_word_of_it_is_known_to(tmp_path: Path) -> None:
    one = await start(tmp_path)
    assert one.high_water_unsaved is False
    (tmp_path / "outbox" / "highwater").mkdir(parents=True, exist_ok=True)
    # in its thread: another one cannot close the database
    await one._call(
        lambda outbox: outbox._storage.switch_to_memory(OSError(5, "Input/output error"))
    )
    await one.commit(drafts(1))
    assert one.high_water_unsaved is True
    await one.close()


async def test_a_bad_draft_harms_only_its_own_caller(tmp_path: Path) -> None:
    made = await start(tmp_path)
    bad = Draft(Stream.AIR, "a", 0, 1, {"x": object()})
    results = await asyncio.gather(
        made.commit([bad]), made.commit(drafts(2)), made.commit(drafts(3)), return_exceptions=True
    )
    assert isinstance(results[0], TypeError)
    assert sum(len(r) for r in results if isinstance(r, list)) == 5
    assert len(await made.pending()) == 5
    await made.close()


async def test_a_caller_that_is_cancelled_leaves_nothing_half_done(tmp_path: Path) -> None:
    made = await start(tmp_path)
    tasks = [asyncio.create_task(made.commit(drafts(1))) for _ in range(5)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    # its draft may be in or not; those of the others are there exactly once
    seqs = [stored.record.key.seq for stored in await made.pending()]
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(seqs) in (4, 5)
    await made.close()


async def test_confirmed_rows_are_not_pending_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asyncoutbox, "FLUSH_ROWS", 30)
    made = await start(tmp_path)
    rows = [stored.row for stored in await made.commit(drafts(100))]
    made.confirm(rows[:20])
    assert [stored.row for stored in await made.pending(0, 10)] == rows[20:30]
    assert (await made.counts()).rows == 100, "they go with the next commit"
    made.confirm(rows[20:40])  # or by themselves, when they are many
    assert made._flush is not None
    await made._flush
    assert (await made.counts()).rows == 60
    made.confirm(rows[40:75])
    await made._flush  # another one
    assert (await made.counts()).rows == 25
    made.confirm(rows[75:])
    await made.close()
    made = await start(tmp_path)
    assert await made.pending() == []
    assert not made.epoch.unclean
    await made.close()


async def test_a_second_daemon_is_turned_away(tmp_path: Path) -> None:
    made = await start(tmp_path)
    with pytest.raises(OutboxBusyError):
        await start(tmp_path)
    await made.close()


async def test_a_start_that_is_cancelled_does_not_hold_the_loop_until_the_card_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, answered, waited = threading.Event(), threading.Event(), threading.Event()

    def slow(*_: object, **__: object) -> None:
        reached.set()
        if not answered.wait(5):
            waited.set()
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Outbox, "open", slow)
    starting = asyncio.create_task(start(tmp_path))
    assert await asyncio.to_thread(reached.wait, 30)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    answered.set()
    assert not waited.is_set()


async def test_dead_rows_are_declared(tmp_path: Path) -> None:
    made = await start(tmp_path)
    first, second = await made.commit(drafts(2))
    await made.dead_letter(first.row, "nobody wants it")
    made.confirm([second.row])
    (declared,) = await made.commit([], {}, MARK)
    assert declared.record.body["reason"] == "refused"
    assert as_read(declared.record)["range"] == [1, 1]
    await made.close()


async def test_a_flush_passes_on_the_rows_that_rode_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asyncoutbox, "FLUSH_ROWS", 2)
    passed_on: list[int] = []
    made = await start(tmp_path, passed_on)
    rows = [stored.row for stored in await made.commit(drafts(3))]
    first = asyncio.create_task(made.commit(drafts(1)))
    await asyncio.sleep(0)  # it is in the thread: the two that come now wait, and go together
    made.confirm(rows)
    await asyncio.sleep(0)
    second = asyncio.create_task(made.commit(drafts(2)))
    assert [stored.record.key.seq for stored in await first] == [4]
    assert await second == []
    assert made._flush is not None
    await made._flush
    assert passed_on == [5, 6], "each row is given to somebody, once"
    assert [stored.record.key.seq for stored in await made.pending()] == [4, 5, 6]
    await made.close()


@pytest.mark.parametrize("bad", [object(), 1 << 64])
async def test_a_bad_draft_that_rides_with_a_flush_is_its_callers_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: object
) -> None:
    monkeypatch.setattr(asyncoutbox, "FLUSH_ROWS", 2)
    made = await start(tmp_path)
    rows = [stored.row for stored in await made.commit(drafts(3))]
    first = asyncio.create_task(made.commit(drafts(1)))
    await asyncio.sleep(0)
    made.confirm(rows)
    await asyncio.sleep(0)
    second = asyncio.create_task(made.commit([Draft(Stream.AIR, "a", 0, 1, {"x": bad})]))
    await first
    with pytest.raises((TypeError, ValueError)):
        await second
    assert made._flush is not None
    await made._flush
    await made.commit(())
    assert (await made.counts()).rows == 1
    await made.close()


async def test_a_state_that_is_kept_alone_passes_on_the_rows_that_rode_with_it(
    tmp_path: Path,
) -> None:
    passed_on: list[int] = []
    made = await start(tmp_path, passed_on)
    first = asyncio.create_task(made.commit(drafts(1)))
    await asyncio.sleep(0)
    kept = asyncio.create_task(made.keep({"x": (1, b"one")}))
    await asyncio.sleep(0)
    second = asyncio.create_task(made.commit(drafts(2)))
    await asyncio.gather(first, kept)
    assert await second == []
    assert passed_on == [2, 3]
    assert await made.state("x") == (1, b"one")
    await made.close()


async def test_a_state_is_kept_beside_a_draft_that_cannot_be(tmp_path: Path) -> None:
    made = await start(tmp_path)
    first = asyncio.create_task(made.commit(drafts(1)))
    await asyncio.sleep(0)
    kept = asyncio.create_task(made.keep({"x": (1, b"one")}))
    await asyncio.sleep(0)
    second = asyncio.create_task(made.commit([Draft(Stream.AIR, "a", 0, 1, {"x": object()})]))
    await asyncio.gather(first, kept)
    with pytest.raises(TypeError):
        await second
    assert await made.state("x") == (1, b"one")
    await made.close()


async def test_a_journal_that_cannot_be_written_is_said_until_it_can(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.write_text("a file where the folder should be")
    made = await AsyncOutbox.start(
        tmp_path / "outbox", limit_bytes=LIMIT, boot_id="b1", run_dir=run
    )
    rows = [stored.row for stored in await made.commit(drafts(4))]
    assert made.journal_failure is not None
    assert "delivery.journal cannot be written" in made.journal_failure
    made.sent(rows[:3])
    made.confirm(rows[:1])
    run.unlink()
    run.mkdir()
    await made.commit(())  # tried again with each commit
    assert made.journal_failure is None
    made.confirm(rows[1:2])
    assert made._outbox._storage.disk is not None
    made._pool.submit(made._outbox._storage.disk.close).result()  # as after a kill: no goodbye
    made._pool.shutdown()
    made = await AsyncOutbox.start(
        tmp_path / "outbox", limit_bytes=LIMIT, boot_id="b1", run_dir=run
    )
    assert made.journal_failure is None
    # what was sent while the journal was away is known, and so is what was confirmed later
    assert [(s.row, s.redelivered) for s in await made.pending()] == [
        (rows[2], True),
        (rows[3], False),
    ]
    await made.close()


async def test_a_fault_of_who_gets_the_rows_is_not_taken_for_a_bad_draft(tmp_path: Path) -> None:
    """Rows that a commit brings are passed on outside of what is forgiven: twice they would be
    committed again, and the fault would be another's."""

    def faulty(rows: list[StoredRecord]) -> None:
        raise TypeError("a fault of ours")

    made = await AsyncOutbox.start(
        tmp_path / "outbox", limit_bytes=LIMIT, boot_id="b1", run_dir=tmp_path, on_rows=faulty
    )
    with pytest.raises(TypeError, match="a fault of ours"):
        await made.keep({"x": (1, b"y")})
    assert await made.state("x") == (1, b"y")
    with pytest.raises(TypeError, match="a fault of ours"):
        await made._flushed()
    await made.close()
