"""What was kept in memory finds its way to the disk, or to the next start."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from edge.core import Stamp, Stream
from edge.durable.framedlog import AppendedFile
from edge.outbox.commitlog import COMMIT_LOG_NAME, recover_commit_log
from edge.outbox.memoryoutbox import MemoryOutbox
from edge.outbox.rowformat import DamagedRowError
from tests.acquire.test_stage_odd_files import as_nobody
from tests.kit.clock import NTP
from tests.kit.outbox import S, drafts, everything, kill, opened
from tests.long import more, size
from tests.outbox.failover import IOERR, at
from tests.outbox.faulty import FaultyDisk

pytestmark = pytest.mark.usefixtures("faulty")


@pytest.mark.parametrize("of", [Stream.AIR, Stream.EVENT])
def test_memory_finds_its_way_to_an_outbox_that_is_full(tmp_path: Path, of: Stream) -> None:
    """Of lower classes there are rows to be dropped, of events there may be none: then it is what
    memory holds that does not fit. Every number is there, or declared."""
    outbox = opened(tmp_path, limit=2 << 20)
    epoch = outbox.begin().epoch
    n = 1
    while outbox.counts().dropped == 0:
        outbox.commit(drafts(100, of, size=1000), clock=at(n))
        n += 1
    FaultyDisk.fail(IOERR)
    for _ in range(5):
        outbox.commit(drafts(50, size=1000), clock=at(n))
        n += 1
    assert outbox.counts().in_memory is not None
    FaultyDisk.heal()
    outbox.commit([], clock=at(n + 100))
    assert outbox.counts().in_memory is None
    there = {s.record.key.seq for s in everything(outbox) if s.record.key.stream is Stream.AIR}
    declared = [d for (e, s, _), d in outbox._losses.pending.items() if (e, s) == (epoch, "air")]
    lost = sum(drop.count or 0 for drop in declared)
    assert len(there) + lost == outbox._numbers.counters["air"] - 1
    outbox.close()


def test_a_stop_in_memory_looks_at_the_disk_once_more(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    FaultyDisk.fail(IOERR)
    made = outbox.commit(drafts(3, Stream.EVENT), clock=at(1))
    FaultyDisk.heal()
    made += outbox.commit(drafts(1), clock=at(5))
    outbox.close()
    outbox = opened(tmp_path)
    assert not outbox.begin().unclean
    assert {s.record.key for s in made} <= {s.record.key for s in everything(outbox)}
    outbox.close()


def test_a_stop_without_a_disk_leaves_all_to_the_next_start(tmp_path: Path) -> None:
    outbox = opened(tmp_path, run=tmp_path)
    outbox.begin()
    FaultyDisk.fail(IOERR)
    made = outbox.commit(drafts(3), {"x": (1, b"x")}, clock=at(1))
    outbox.close()
    assert (tmp_path / COMMIT_LOG_NAME).exists()
    FaultyDisk.heal()
    outbox = opened(tmp_path, run=tmp_path)
    epoch = outbox.begin()
    assert epoch.former is not None
    assert (epoch.former.last, epoch.unclean) == ({"air": 3}, False)
    assert [s.record.key for s in everything(outbox)] == [s.record.key for s in made]
    assert outbox.state("x") == (1, b"x")
    assert not (tmp_path / COMMIT_LOG_NAME).exists()
    outbox.close()


def test_a_tmpfs_without_room_still_tells_which_numbers_are_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = opened(tmp_path, run=tmp_path)
    epoch = outbox.begin().epoch
    FaultyDisk.fail(IOERR)
    original = AppendedFile.append

    def append(file: AppendedFile, frame: bytes) -> None:
        if len(frame) > 1000:
            raise OSError(28, "No space left on device")
        original(file, frame)

    monkeypatch.setattr(AppendedFile, "append", append)
    outbox.commit(drafts(30, size=100), clock=at(1))
    assert outbox._storage.commit_log.trouble is not None
    outbox.close()
    FaultyDisk.heal()
    outbox = opened(tmp_path, run=tmp_path)
    former = outbox.begin().former
    assert former is not None
    assert former.last == {"air": 30}
    drop = outbox._losses.pending[epoch, "air", "memory"]
    assert (drop.first, drop.last, drop.count) == (1, 30, 30)
    outbox.close()


def test_what_was_confirmed_of_memory_is_known_to_the_next_start_without_a_disk_too(
    tmp_path: Path,
) -> None:
    """Else a row that the city has would be sent once more by each start, and sealed by none."""
    outbox = opened(tmp_path, run=tmp_path)
    outbox.begin()
    FaultyDisk.fail(IOERR)
    made = outbox.commit(drafts(3), clock=at(1))
    outbox.journal.sent([stored.row for stored in made])
    outbox.journal.confirmed([made[1].row])
    outbox.journal.close()  # as kill -9 leaves both places
    outbox._storage.commit_log._close()
    outbox = opened(tmp_path, run=tmp_path)
    outbox.begin()
    assert outbox.counts().in_memory is not None
    handed = [(stored.row, stored.record, stored.redelivered) for stored in outbox.leftovers]
    assert handed == [(made[1].row, made[1].record, True)]
    outbox.close()


@pytest.mark.parametrize("cut", [0, 1, 9, 40, 200])
def test_a_torn_log_of_memory_never_stops_a_start(tmp_path: Path, cut: int) -> None:
    outbox = opened(tmp_path, run=tmp_path)
    outbox.begin()
    FaultyDisk.fail(IOERR)
    for n in range(3):
        outbox.commit(drafts(1, at=n), clock=at(n + 1))
    outbox.close()
    FaultyDisk.heal()
    log = tmp_path / COMMIT_LOG_NAME
    log.write_bytes(log.read_bytes()[:cut] if cut < 200 else b"\xff" * cut)
    outbox = opened(tmp_path, run=tmp_path)
    outbox.begin()
    assert outbox.commit(drafts(1), clock=at(10))
    outbox.close()


def test_a_state_that_was_kept_in_memory_is_given_back(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    outbox.commit([], {"engine": (1, b"old"), "lanes": (1, b"same")}, clock=at(1))
    FaultyDisk.fail(IOERR, device=False)
    outbox.commit(drafts(1), {"engine": (2, b"new")}, clock=at(2))
    assert outbox.counts().in_memory is not None
    assert (outbox.state("engine"), outbox.state("lanes")) == ((2, b"new"), None)
    FaultyDisk.heal()
    outbox.commit([], clock=at(200))
    outbox.commit([], clock=at(300))
    assert outbox.counts().in_memory is None
    assert (outbox.state("engine"), outbox.state("lanes")) == ((2, b"new"), (1, b"same"))
    outbox.close()


def test_who_asked_in_vain_while_the_disk_was_there_is_believed_later(tmp_path: Path) -> None:
    """What lay on it was damaged, and is no better than what is counted in memory."""
    outbox = opened(tmp_path)
    outbox.begin()
    outbox.commit([], {"engine": (1, b"before")}, clock=at(1))
    outbox.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "outbox" / "outbox.db")) as db:
        db.execute("UPDATE state SET data = x'00'")
        db.commit()
    outbox = opened(tmp_path)
    outbox.begin()
    assert outbox.state("engine") is None
    FaultyDisk.fail(IOERR)
    outbox.commit(drafts(1), {"engine": (1, b"counted")}, clock=at(1))
    FaultyDisk.heal()
    outbox.commit([], clock=at(200))
    outbox.commit([], clock=at(300))
    assert (outbox.counts().in_memory, outbox._storage.owners.restart) == (None, None)
    outbox.close()
    again = opened(tmp_path)
    again.begin()
    assert again.state("engine") == (1, b"counted")
    again.close()


def test_what_half_a_return_brought_to_the_disk_leaves_it_once_it_is_confirmed(
    tmp_path: Path,
) -> None:
    """The disk fails again at any statement of it."""
    for after in range(0, 120, 3):
        outbox = opened(tmp_path / str(after))
        outbox.begin()
        outbox.commit(drafts(1), clock=at(1))
        FaultyDisk.fail(IOERR, device=False)
        outbox.commit(drafts(1), clock=at(2))
        rows = [stored.row for stored in outbox.commit(drafts(9, at=50), clock=at(3))]
        FaultyDisk.fail(IOERR, after=after)
        outbox.commit([], clock=at(200))
        outbox.commit([], clock=at(300))
        outbox.commit([], confirmed=rows, clock=at(301))
        FaultyDisk.heal()
        for second in (400, 500, 600):
            outbox.commit([], clock=at(second))
        assert outbox.counts().in_memory is None
        assert not {stored.row for stored in everything(outbox)} & set(rows)
        outbox.close()


@more
@pytest.mark.parametrize("steps", range(15, 60, size(3, 1)))
def test_a_power_cut_while_memory_is_brought_back_leaves_no_number_unexplained(
    tmp_path: Path, steps: int
) -> None:
    outbox = opened(tmp_path)  # without a tmpfs: what is in memory goes with the power
    outbox.begin()
    outbox.commit(drafts(2), clock=at(1))
    outbox._storage.switch_to_memory(OSError(5, "Input/output error"))
    outbox.commit([*drafts(3), *drafts(2, Stream.EVENT), *drafts(2, Stream.RAW)], clock=at(2))
    outbox.commit([], clock=at(3))  # the first look again is half a minute later
    FaultyDisk.fail(IOERR, steps)
    outbox.commit([], clock=at(60))
    FaultyDisk.heal()
    if outbox._storage.disk is not None:
        outbox._storage.disk.close()
    outbox.journal.close()

    outbox = opened(tmp_path, boot="b2")
    former = outbox.begin().former
    assert former is not None
    there: dict[str, set[int]] = {}
    for stored in everything(outbox):
        there.setdefault(stored.record.key.stream, set()).add(stored.record.key.seq)
    for stream, last in former.last.items():
        assert there.get(stream) == set(range(1, last + 1)), stream
    assert set(there) <= set(former.last), "and none is there that is not counted"
    outbox.close()


def test_a_log_of_memory_that_cannot_be_read_is_said_to_be_lost(tmp_path: Path) -> None:
    """Somebody has run it once by hand, as root: its file is not the service's."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "commit.log").write_bytes(b"x" * 100)
    (run / "commit.log").chmod(0o600)
    with as_nobody(run), pytest.raises(DamagedRowError):
        recover_commit_log(run, MemoryOutbox(1 << 20))


def test_what_left_meanwhile_leaves_the_disk_however_much_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two rows in one transaction, of more than two."""
    monkeypatch.setattr("edge.outbox.catchup.DELETE_BATCH_ROWS", 2)
    outbox = opened(tmp_path)
    outbox.begin()
    rows = [stored.row for stored in outbox.commit(drafts(8), clock=at(1))]
    FaultyDisk.fail(IOERR)
    outbox.commit([], confirmed=[*rows[:2], *rows[3:]], clock=at(2))
    FaultyDisk.heal()
    outbox.commit([], clock=at(100))
    outbox.commit([], clock=at(200))
    disk = outbox._storage.disk
    assert disk is not None
    assert [row for row in rows if disk.row(row) is not None] == [rows[2]]
    outbox.close()


def test_numbers_that_have_left_memory_again_are_counted_on_the_disk(tmp_path: Path) -> None:
    """Else the next commit would find the counter where nobody left it."""
    outbox = opened(tmp_path)
    outbox.begin()
    outbox.commit(drafts(2), clock=at(1))
    FaultyDisk.fail(IOERR)
    made = outbox.commit(drafts(3), clock=at(2))
    outbox.commit([], confirmed=[stored.row for stored in made], clock=at(3))
    FaultyDisk.heal()
    outbox.commit([], clock=at(100))
    outbox.commit([], clock=at(200))
    (one,) = outbox.commit(drafts(1), clock=at(201))
    assert (one.record.key.seq, outbox.counts().in_memory) == (6, None)
    kill(outbox)
    outbox = opened(tmp_path)
    former = outbox.begin().former
    assert former is not None
    assert former.last["air"] == 6
    outbox.close()


def test_a_log_of_memory_that_is_on_the_disk_is_not_brought_there_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill before it could be removed: what has left since would come back."""
    outbox = opened(tmp_path, run=tmp_path)
    outbox.begin()
    FaultyDisk.fail(IOERR)
    rows = [stored.row for stored in outbox.commit(drafts(3), clock=at(1))]
    monkeypatch.setattr(outbox._storage.commit_log, "remove", lambda: None)
    FaultyDisk.heal()
    outbox.commit([], clock=at(100))
    outbox.commit([], clock=at(200))
    outbox.commit([], confirmed=rows, clock=at(201))
    kill(outbox)
    assert (tmp_path / COMMIT_LOG_NAME).exists()
    outbox = opened(tmp_path, run=tmp_path)
    outbox.begin()
    assert not set(rows) & {stored.row for stored in everything(outbox)}
    outbox.close()


def test_rows_that_come_from_memory_at_the_next_boot_keep_their_clock(tmp_path: Path) -> None:
    outbox = opened(tmp_path, run=tmp_path)
    boot = outbox.begin().boot
    FaultyDisk.fail(IOERR)
    synced = Stamp(5 * S, 1_790_000_000 * S, NTP)
    outbox.commit(drafts(2), clock=synced)
    outbox.close()
    FaultyDisk.heal()
    outbox = opened(tmp_path, boot="b2", run=tmp_path)
    assert outbox.begin().boot == boot + 1
    assert {stored.record.boot for stored in everything(outbox)} == {boot}
    assert outbox.marks(boot) == [synced]
    outbox.close()
