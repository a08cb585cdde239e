"""The journal of deliveries: whatever becomes of its bytes, it repeats at worst, and says so."""

import asyncio
import os
import random
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.core import Stamp
from edge.outbox import AsyncOutbox, Outbox, StoredRecord
from edge.outbox.deliveryjournal import (
    JOURNAL_NAME,
    DeliveryJournal,
    RecoveredJournal,
    recover_journal,
)
from tests.kit.clock import NONE
from tests.kit.memory import in_memory
from tests.kit.outbox import LIMIT, MARK, S, drafts, everything, kill, opened
from tests.long import examples

SENT, CONFIRMED, ROWS = range(2, 12), range(5, 9), 20


def killed(folder: Path) -> list[StoredRecord]:
    """An outbox whose process died when some rows had been sent, and some of these confirmed."""
    outbox = opened(folder, run=folder)
    outbox.begin()
    rows = outbox.commit(drafts(ROWS), clock=MARK)
    outbox.journal.sent([rows[n].row for n in SENT])
    outbox.journal.confirmed([rows[n].row for n in CONFIRMED])
    kill(outbox)
    return rows


def next_start(folder: Path, rows: list[StoredRecord]) -> str | None:
    """What is wrong with a start on what lies in the folder. It leaves the database as it was."""
    outbox = opened(folder, run=folder)
    try:
        outbox.begin()
        found = {stored.row: stored.redelivered for stored in everything(outbox)}
    finally:
        kill(outbox)
    for n, stored in enumerate(rows):
        if n not in CONFIRMED and stored.row not in found:
            return f"row {n} counts as confirmed"
        if n in SENT and n not in CONFIRMED and not found[stored.row]:
            return f"row {n} was sent, and does not say so"
    return None


def test_no_flipped_bit_confirms_a_row_or_hides_that_it_was_sent(tmp_path: Path) -> None:
    rows = killed(tmp_path)
    good = (tmp_path / JOURNAL_NAME).read_bytes()
    wrong: dict[tuple[int, int], str] = {}
    for place in range(len(good)):
        bit = random.Random(place).randrange(8)
        data = bytearray(good)
        data[place] ^= 1 << bit
        (tmp_path / JOURNAL_NAME).write_bytes(data)
        try:
            found = next_start(tmp_path, rows)
        except Exception as error:  # noqa: BLE001  whatever it is: the daemon would not start
            found = repr(error)
        if found is not None:
            wrong[place, bit] = found
    assert not wrong, f"{len(wrong)} of {len(good)} bits: {list(wrong.items())[:3]}"


@settings(
    max_examples=examples(50),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_random_words_in_it_repeat_at_worst(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    with in_memory(tmp_path_factory.mktemp("journal")) as folder:
        damaged_at_random(folder, data)


def damaged_at_random(folder: Path, data: st.DataObject) -> None:
    rows = killed(folder)
    found = bytearray((folder / JOURNAL_NAME).read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(found) - 1))
        word = data.draw(st.binary(min_size=1, max_size=16))
        found[at : at + len(word)] = word
    (folder / JOURNAL_NAME).write_bytes(found)
    assert next_start(folder, rows) is None
    # what is not known is not known at the second start either, which finds a whole journal
    assert next_start(folder, rows) is None


def test_another_owners_journal_tells_nothing(tmp_path: Path) -> None:
    rows = killed(tmp_path)
    outbox = Outbox.open(
        tmp_path / "outbox", limit_bytes=LIMIT, boot_id="b1", run_dir=tmp_path, owner="x/gw-2"
    )
    outbox.begin()
    found = everything(outbox)
    assert {stored.row for stored in found} == {stored.row for stored in rows}
    assert all(stored.redelivered for stored in found)
    outbox.close()


def test_what_nobody_knows_after_a_power_cut_is_not_known_after_a_kill(tmp_path: Path) -> None:
    rows = killed(tmp_path)
    (tmp_path / JOURNAL_NAME).unlink()  # as a power cut does
    for _ in range(2):
        outbox = opened(tmp_path, run=tmp_path)
        outbox.begin()
        assert [(s.row, s.redelivered) for s in everything(outbox)] == [(s.row, True) for s in rows]
        outbox.journal.retain_only(())
        kill(outbox)


def test_no_process_has_sent_rows_of_a_start_that_only_begins(tmp_path: Path) -> None:
    """A store that was rolled back with its epoch file: the same numbers come a second time."""
    killed(tmp_path)
    for path in (tmp_path / "outbox").iterdir():
        path.unlink()
    outbox = opened(tmp_path, run=tmp_path)
    (tmp_path / "epochs").unlink()
    outbox.begin()
    rows = outbox.commit(drafts(ROWS), clock=MARK)
    assert [(s.row, s.redelivered) for s in everything(outbox)] == [(s.row, False) for s in rows]
    outbox.close()


@pytest.mark.long
async def test_rows_that_are_sent_while_the_disk_comes_back_are_not_forgotten(
    tmp_path: Path,
) -> None:
    """The loop sends and hears, the outbox's thread finds the database: each at its own time."""
    store, away = tmp_path / "outbox", tmp_path / "away"
    outbox = opened(tmp_path, run=tmp_path)
    outbox.begin()
    outbox.journal.sent(range(1, 15_000))  # reading them back takes the thread a while
    outbox.journal.retain_only(())
    kill(outbox)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for round_ in range(5):
            store.rename(away)
            store.write_text("no disk")
            made = await AsyncOutbox.start(store, limit_bytes=LIMIT, boot_id="b1", run_dir=tmp_path)
            assert made.opened.in_memory is not None
            rows = [stored.row for stored in await made.commit(drafts(2000), clock=mark(1))]
            store.unlink()
            away.rename(store)
            back = asyncio.create_task(made.commit((), clock=mark(100)))
            rng = random.Random(round_)
            lost, sent = rows, list[int]()
            while lost and not back.done():
                some, lost = lost[:3], lost[3:]
                made.sent(some)
                if rng.random() < 0.3:
                    made.confirm(some[:1])
                    some = some[1:]
                sent += some
                await asyncio.sleep(0)
            await back
            assert (await made.counts()).in_memory is None, "the disk is back"
            flying = set(made._outbox.journal._open)
            assert set(sent) <= flying, f"{len(set(sent) - flying)} of {len(sent)} are forgotten"
            made._pool.submit(kill, made._outbox).result()
            made._pool.shutdown()
            outbox = opened(tmp_path, run=tmp_path)
            outbox.begin()
            redelivered = {stored.row for stored in everything(outbox) if stored.redelivered}
            assert set(sent) <= redelivered, "the next process says so of all"
            outbox.journal.sent(range(1, 15_000))
            outbox.journal.retain_only(())
            kill(outbox)
    finally:
        sys.setswitchinterval(before)


def mark(second: int) -> Stamp:
    return Stamp(second * S, second * S, NONE)


def test_a_journal_follows_no_link_and_says_when_it_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"of somebody else")
    (tmp_path / JOURNAL_NAME).with_suffix(".new").symlink_to(target)
    journal = DeliveryJournal(tmp_path, "site/gw")
    journal.continue_from(RecoveredJournal())
    journal.sent([7])
    assert target.read_bytes() == b"of somebody else"
    assert journal.trouble is None
    assert recover_journal(tmp_path, "site/gw").maybe_sent(7)
    with monkeypatch.context() as patch:  # a full tmpfs
        patch.setattr(os, "write", lambda fd, data: len(data) - 1)
        journal.sent([8])
    assert journal.trouble is not None
    assert "cannot be written: no space left" in journal.trouble
    assert not (tmp_path / JOURNAL_NAME).exists(), "half an entry would hide all that follow"
    said = journal.trouble
    journal.sent([9])
    assert journal.trouble == said, "what is not open is not written to"
    journal.close()


def test_what_was_left_behind_stays_until_there_is_something_to_go_on_from(tmp_path: Path) -> None:
    """The database may not have been seen yet: a kill then must not cost what is known."""
    first = DeliveryJournal(tmp_path, "site/gw")
    first.continue_from(RecoveredJournal())
    first.sent([7])
    first.close()
    second = DeliveryJournal(tmp_path, "site/gw")
    second.sent([8])
    assert second.trouble is None
    assert recover_journal(tmp_path, "site/gw").maybe_sent(7)
    second.close()
