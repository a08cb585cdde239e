"""A card that turns read-only: what lies there is sent, also what is in the log alone."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from edge.outbox import Outbox, StoredRecord, inspect_outbox
from edge.outbox.memoryoutbox import MemoryOutbox
from edge.outbox.readonlydisk import READING_NOTICE, is_read_only
from tests.kit.asread import as_read
from tests.kit.broker import BINARY, Mosquitto
from tests.kit.outbox import LIMIT, drafts, everything
from tests.kit.uplink import box
from tests.kit.waiting import until
from tests.outbox.failover import at
from tests.outbox.readonly import card
from tests.outbox.test_outboxinspector import picture
from tests.outbox.test_rowsearch import find

COUNT = 700
WRITE = """
import os, sys
from pathlib import Path
from edge.core import Stamp
from edge.outbox import Outbox
from tests.kit.clock import NTP
from tests.outbox.test_outbox import LIMIT, S, drafts
folder, run, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
outbox = Outbox.open(folder, limit_bytes=LIMIT, boot_id="b1", run_dir=run, ballast_bytes=0)
outbox.begin()
for n in range(0, count, 100):
    rows = outbox.commit(drafts(100, at=n), clock=Stamp((n + 1) * S, 1_790_000_000 * S, NTP))
    print(*(each.row for each in rows), flush=True)
os.kill(os.getpid(), 9)
"""


def written(folder: Path, run: Path, count: int = COUNT) -> list[int]:
    """By a process that was killed: nothing of it is in the database but what SQLite put there."""
    run.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", WRITE, str(folder), str(run), str(count)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == -9, done.stderr
    assert (folder / "outbox.db-wal").stat().st_size > 10_000
    return [int(word) for word in done.stdout.split()]


def opened(folder: Path, run: Path, boot: str = "b1") -> Outbox:
    outbox = Outbox.open(folder, limit_bytes=LIMIT, boot_id=boot, run_dir=run, ballast_bytes=0)
    outbox.begin()
    return outbox


def rows_of(stored: list[StoredRecord]) -> list[int]:
    return [each.row for each in stored]


def killed(outbox: Outbox) -> None:
    outbox._storage.readonly_disk.end()
    outbox.journal.close()
    outbox._storage.commit_log._close()


def test_what_lies_on_a_read_only_card_is_read_and_stays_sent_until_the_next_boot(
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    with card(tmp_path) as there:
        place = there.folder / "outbox"
        rows = written(place, run)
        there.read_only()
        before = picture(place)

        outbox = opened(place, run)
        assert READING_NOTICE in str(outbox.opened.in_memory) or READING_NOTICE in str(
            outbox.counts().in_memory
        )
        assert rows_of(everything(outbox)) == rows, "also those that are in the log alone"
        assert outbox.marks(1), "and what dates them"
        assert outbox.counts().rows == COUNT
        new = outbox.commit(drafts(5, at=5000), clock=at(1))
        assert rows_of(everything(outbox)) == [*rows, *(n.row for n in new if n.row not in rows)]
        more = outbox.commit([], confirmed=[*rows[:300], rows[400], new[0].row], clock=at(2))
        [text] = [each.record.body["text"] for each in more]
        assert "not even the word" in text
        left = [row for row in [*rows, *rows_of(new), *rows_of(more)]
                if row not in {*rows[:300], rows[400], new[0].row}]  # fmt: skip
        assert rows_of(everything(outbox)) == left
        assert outbox.counts().rows == len(left)
        found = find(outbox, outbox.pending()[0].record.key.epoch, "air", 301, 310)
        assert [each.record.key.seq for each in found] == list(range(301, 311))
        killed(outbox)

        outbox = opened(place, run)
        assert rows_of(everything(outbox))[: len(left)] == left, "it is remembered in tmpfs"
        assert outbox.counts().rows == len(everything(outbox))
        killed(outbox)

        shutil.rmtree(run)  # a reboot
        run.mkdir()
        outbox = opened(place, run, "b2")
        found = everything(outbox)
        assert rows_of(found) == rows
        assert all(each.redelivered for each in found)
        killed(outbox)
        assert picture(place) == before


def test_a_card_that_is_writable_again_loses_what_was_confirmed_meanwhile(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with card(tmp_path) as there:
        place = there.folder / "outbox"
        rows = written(place, run, 1600)
        there.read_only()
        outbox = opened(place, run)
        outbox.commit(drafts(5, at=5000), confirmed=rows[:1500], clock=at(1))
        left = rows_of(everything(outbox))
        outbox.commit([], clock=at(40))
        assert outbox.counts().in_memory is not None
        there.writable()
        outbox.commit([], clock=at(80))
        outbox.commit([], clock=at(120))
        assert outbox.counts().in_memory is None
        assert [row for row in rows_of(everything(outbox)) if row in left] == left
        assert not set(rows[:1500]) & set(rows_of(everything(outbox)))
        outbox.close()


def test_a_fault_of_the_file_system_under_a_running_outbox(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    with card(tmp_path, ext4=True) as there:
        outbox = opened(there.folder / "outbox", run)
        rows = rows_of(outbox.commit(drafts(200), clock=at(1)))
        there.fail()
        rows += rows_of(outbox.commit(drafts(10, at=900), clock=at(2)))
        outbox.commit([], clock=at(3))
        assert outbox.counts().in_memory is not None
        outbox.commit([], clock=at(40))
        outbox.commit([], confirmed=rows[:50], clock=at(80))
        assert set(rows[50:]) <= set(rows_of(everything(outbox)))
        assert not set(rows[:50]) & set(rows_of(everything(outbox)))
        killed(outbox)


def test_without_the_right_to_write_it_is_the_same(tmp_path: Path) -> None:
    """Permission bits, for whom they count: root becomes nobody for a while."""
    run = tmp_path / "run"
    rows = written(tmp_path / "outbox", run)
    root = os.geteuid() == 0
    for path in (tmp_path / "outbox", *(tmp_path / "outbox").iterdir()):
        path.chmod(0o555 if path.is_dir() else 0o444)
    tmp_path.chmod(0o755)
    if root:
        os.seteuid(65534)
    try:
        outbox = Outbox.open(tmp_path / "outbox", limit_bytes=LIMIT, boot_id="b1", ballast_bytes=0)
        outbox.begin()
        assert rows_of(everything(outbox)) == rows
        outbox._storage.readonly_disk.end()
    finally:
        if root:
            os.seteuid(0)
        (tmp_path / "outbox").chmod(0o755)


def test_a_damaged_row_on_a_read_only_card_is_declared_and_not_asked_for_again(
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    with card(tmp_path) as there:
        place = there.folder / "outbox"
        rows = written(place, run)
        other = sqlite3.connect(place / "outbox.db")
        other.execute("UPDATE record SET body = x'00' WHERE id = ?", (rows[3],))
        other.commit()
        other.close()
        there.read_only()
        outbox = opened(place, run)
        for _ in range(3):
            assert rows_of(everything(outbox)) == [*rows[:3], *rows[4:]]
        assert outbox.counts().damaged == 1
        made = outbox.commit([], confirmed=rows[:1], clock=at(9))
        drop = [as_read(each.record) for each in made if each.record.body["event"] == "drop"]
        assert [(each["reason"], each["range"]) for each in drop] == [("damage", [4, 4])]
        outbox.dead_letter(rows[9], "no")
        assert rows[9] not in rows_of(everything(outbox))
        killed(outbox)


def test_a_look_from_outside_at_a_read_only_card(tmp_path: Path) -> None:
    with card(tmp_path) as there:
        place = there.folder / "outbox"
        written(place, tmp_path / "run")
        there.read_only()
        assert inspect_outbox(place, LIMIT).rows == COUNT


@pytest.mark.skipif(not Path(BINARY).exists(), reason="needs mosquitto")
def test_an_error_that_says_read_only_is_believed_and_another_is_not(tmp_path: Path) -> None:
    """The folder itself can be written."""
    outbox = Outbox.open(tmp_path, limit_bytes=LIMIT, boot_id="b", ballast_bytes=0)
    outbox.close()
    errors: list[Exception | None] = [OSError(30, "Read-only file system"), None]
    for statement in ("DELETE FROM record", "no statement"):
        with closing(sqlite3.connect(f"file:{tmp_path}/outbox.db?mode=ro", uri=True)) as db:
            try:
                db.execute(statement)
            except sqlite3.Error as error:
                errors.append(error)
    assert [is_read_only(tmp_path, error) for error in errors] == [False, False, True, False]
    assert not is_read_only(tmp_path / "away", None)


async def test_a_read_only_card_empties_itself_into_the_broker(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path / "broker").start()
    try:
        with card(tmp_path) as there:
            rows = written(there.folder / "outbox", tmp_path / "run")
            there.read_only()
            run = tmp_path / "run"
            (run / "outbox").symlink_to(there.folder / "outbox")
            async with box(run, broker.url) as gateway:
                assert (await gateway.writer.counts()).in_memory is not None
                gateway.connect()
                await until(lambda: gateway.sender.counts.confirmed >= COUNT)
                await gateway.commit(drafts(3, at=9000))
                await until(lambda: gateway.sender.counts.confirmed >= COUNT + 3)
                await gateway.commit([])
                left = {each.row for each in await gateway.writer.pending()}
                assert not left & set(rows)
    finally:
        broker.kill()


# -- what has left, in memory ---------------------------------------------------------------------


def test_a_million_rows_that_left_take_no_memory_and_no_time() -> None:
    memory = MemoryOutbox(1 << 20)
    memory.reached = 1 << 21
    for number in range(1, 200_001):
        memory.remove(number)
    assert memory.removed.ranges() == [(1, 200_000)]
    assert memory.removed.range_end_after(0) == 200_000
    assert memory.removed.range_end_after(200_000) == 200_000
    memory.remove(memory.reached + 1)
    assert memory.reached + 1 not in memory.removed, "it was never on disk"


def test_what_the_disk_says_of_itself_is_what_it_is(tmp_path: Path) -> None:
    error = sqlite3.OperationalError("attempt to write a readonly database")
    (tmp_path / "outbox.db").write_bytes(b"")
    assert not is_read_only(tmp_path, error), "a disk that fails for a moment"
    error.sqlite_errorcode = sqlite3.SQLITE_READONLY | 4 << 8  # the extended code of a moved file
    assert is_read_only(tmp_path, error)
    assert not is_read_only(tmp_path, OSError(5, "no answer"))
    assert not is_read_only(tmp_path / "missing", None)
    assert not is_read_only(tmp_path, None)
