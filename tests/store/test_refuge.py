"""While the disk gives trouble, and after it: found by a review, each of these lost rows."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.core import Stream
from edge.store import Mark, Outbox
from edge.store.database import NAME
from edge.store.files import KEEP, quarantine, quarantined, read_ledger
from edge.store.memory import Memory
from edge.store.rows import DamagedError
from edge.store.spool import NAME as SPOOL
from edge.store.spool import read_left
from edge.store.starts import BLIND
from tests.acquire.test_stage_strange import as_nobody
from tests.store.faulty import FaultyDisk, FaultyPlace, away, back
from tests.store.test_outbox import LIMIT, S, drafts, everything, kill, opened

IOERR, CORRUPT = sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT


@pytest.fixture(autouse=True)
def _faulty(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("edge.store.place.Disk", FaultyDisk)
    monkeypatch.setattr("edge.store.outbox.Place", FaultyPlace)
    FaultyDisk.heal()
    yield
    FaultyDisk.heal()


def at(second: int) -> Mark:
    return Mark(second * S, second * S, "none")


def rows_in(folder: Path) -> int:
    """In all databases of a folder, those put aside among them."""
    found = 0
    for path in folder.rglob(NAME):
        other = sqlite3.connect(path)
        found += other.execute("SELECT count(*) FROM record").fetchone()[0]
        other.close()
    return found


def blind(folder: Path) -> Outbox:
    """A start that finds no card, and it comes back once the outbox has begun."""
    away(folder / "outbox")
    outbox = opened(folder, boot="blind")
    outbox.begin()
    return outbox


def returned(folder: Path, outbox: Outbox) -> None:
    back(folder / "outbox")
    outbox.commit([], clock=at(200))
    outbox.commit([], clock=at(300))
    assert outbox.counts().ram is None


# -- damage that is none ------------------------------------------------------------------------


@pytest.mark.parametrize("device", [True, False])
def test_a_database_that_is_called_corrupt_again_and_again_is_never_deleted(
    tmp_path: Path, device: bool
) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    outbox.commit(drafts(50), clock=at(1))
    FaultyDisk.fail(CORRUPT, device=device)
    for n in range(2, 30):
        outbox.commit(drafts(1, at=n), clock=at(n * 31))
    assert quarantined(tmp_path / "outbox")[0] == int(device), "put aside once, or not at all"
    FaultyDisk.heal()
    outbox.commit([], clock=at(2000))
    assert outbox.counts().ram is None
    assert len(everything(outbox)) >= 28
    outbox.close()
    assert rows_in(tmp_path / "outbox") >= 50 + 28


def test_corrupt_from_a_device_that_does_not_work_changes_nothing_at_a_start(
    tmp_path: Path,
) -> None:
    """After an I/O error SQLite says CORRUPT of a database that is whole."""
    outbox = opened(tmp_path)
    outbox.begin()
    made = outbox.commit(drafts(5), clock=at(1))
    outbox.close()
    FaultyDisk.fail(CORRUPT, device=False)
    outbox = opened(tmp_path)
    assert outbox.opened.quarantined is None
    assert outbox.opened.ram is not None
    outbox.begin()
    FaultyDisk.heal()
    outbox.commit([], clock=at(10))
    outbox.commit([], clock=at(50))
    assert {s.row for s in made} <= {s.row for s in everything(outbox)}
    outbox.close()


def test_a_database_without_records_never_pushes_out_one_that_has_some(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    outbox.commit(drafts(50), clock=at(1))
    outbox.close()
    folder = tmp_path / "outbox"
    quarantine(folder, NAME, LIMIT)
    for _ in range(2 * KEEP):
        opened(tmp_path).close()
        quarantine(folder, NAME, LIMIT)
    assert quarantined(folder)[0] == KEEP
    assert rows_in(folder) == 50


# -- blind starts -------------------------------------------------------------------------------


def test_a_blind_start_never_meets_the_rows_of_others(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    former = outbox.begin()
    made = outbox.commit(drafts(5), clock=at(5))
    outbox.close()
    outbox = blind(tmp_path)
    new = outbox.commit(drafts(3, at=50), clock=at(10))
    epoch = new[0].record.key.epoch
    assert former.epoch < epoch < 1 << 53
    assert epoch >> 32 in range(BLIND.start, BLIND.stop + 1)
    outbox.commit([], confirmed=[new[0].row], clock=at(11))
    returned(tmp_path, outbox)
    left = {stored.record.key for stored in everything(outbox)}
    assert {stored.record.key for stored in (*made, *new[1:])} <= left
    assert new[0].record.key not in left
    outbox.close()
    outbox = opened(tmp_path, boot="blind")
    following = outbox.begin()
    assert following.former is not None
    assert following.former.epoch == epoch < following.epoch, "counting goes on from it"
    outbox.close()


def test_rows_from_before_a_blind_start_keep_their_clock(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    boot = outbox.begin().boot
    made = outbox.commit(drafts(2), clock=Mark(5 * S, 1_790_000_000 * S, "ntp"))
    outbox.close()
    outbox = blind(tmp_path)
    outbox.commit(drafts(1), clock=at(10))
    returned(tmp_path, outbox)
    outbox.close()
    for name in ("blind", "b3", "b4"):
        outbox = opened(tmp_path, boot=name)
        outbox.begin()
        outbox.commit(drafts(1), clock=at(10))
        assert outbox.marks(boot), "their rows are not delivered yet"
        outbox.close()
    assert made[0].record.boot == boot


def test_counts_never_fall_and_declarations_survive_a_blind_start(tmp_path: Path) -> None:
    for n in range(3):
        outbox = opened(tmp_path, limit=1 << 20, boot=f"b{n}")
        epoch = outbox.begin()
        for k in range(10):
            outbox.commit(drafts(100, size=1000), clock=at(100 * k + 1))
        kept = outbox._drops.copy()
        outbox.close()
    assert kept
    outbox = blind(tmp_path)
    outbox.commit(drafts(1), clock=at(10))
    returned(tmp_path, outbox)
    assert outbox._disk is not None
    assert kept.keys() <= outbox._disk.drops().keys()
    assert outbox._disk.word("starts", 0) == outbox._start.number
    assert read_ledger(tmp_path / "outbox").starts == outbox._start.number > epoch.epoch >> 32
    assert outbox._start.boot > epoch.boot
    outbox.close()


def test_states_that_could_not_be_read_are_not_overwritten(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    outbox.commit([], {"energy": (1, b"123456")}, clock=at(1))
    outbox.close()
    outbox = blind(tmp_path)
    assert outbox.state("energy") is None
    outbox.commit(drafts(1), {"energy": (1, b"0"), "new": (1, b"n")}, clock=at(10))
    assert outbox.restart is None
    returned(tmp_path, outbox)
    outbox.commit(drafts(1), {"energy": (1, b"1")}, clock=at(400))
    assert outbox.restart is not None, "somebody should start the daemon anew"
    assert outbox.state("energy") == (1, b"123456")
    assert outbox.state("new") == (1, b"n")
    outbox.commit(drafts(1), {"energy": (1, b"2")}, clock=at(4000))
    assert outbox.state("energy") == (1, b"2"), "nobody did, for an hour"
    assert outbox.restart is None
    outbox.close()


# -- the way back -------------------------------------------------------------------------------


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
    assert outbox.counts().ram is not None
    FaultyDisk.heal()
    outbox.commit([], clock=at(n + 100))
    assert outbox.counts().ram is None
    there = {s.record.key.seq for s in everything(outbox) if s.record.key.stream is Stream.AIR}
    declared = [d for (e, s, _), d in outbox._drops.items() if (e, s) == (epoch, "air")]
    lost = sum(drop.count or 0 for drop in declared)
    assert len(there) + lost == outbox._next["air"] - 1
    outbox.close()


def test_what_left_meanwhile_leaves_the_disk_however_much_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two rows in one transaction, of more than two."""
    monkeypatch.setattr("edge.store.catchup.GONE", 2)
    outbox = opened(tmp_path)
    outbox.begin()
    rows = [stored.row for stored in outbox.commit(drafts(8), clock=at(1))]
    FaultyDisk.fail(IOERR)
    outbox.commit([], confirmed=[*rows[:2], *rows[3:]], clock=at(2))
    FaultyDisk.heal()
    outbox.commit([], clock=at(100))
    outbox.commit([], clock=at(200))
    disk = outbox._disk
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
    assert (one.record.key.seq, outbox.counts().ram) == (6, None)
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
    monkeypatch.setattr(outbox._spool, "remove", lambda: None)
    FaultyDisk.heal()
    outbox.commit([], clock=at(100))
    outbox.commit([], clock=at(200))
    outbox.commit([], confirmed=rows, clock=at(201))
    kill(outbox)
    assert (tmp_path / SPOOL).exists()
    outbox = opened(tmp_path, run=tmp_path)
    outbox.begin()
    assert not set(rows) & {stored.row for stored in everything(outbox)}
    outbox.close()


def test_rows_that_come_from_memory_at_the_next_boot_keep_their_clock(tmp_path: Path) -> None:
    outbox = opened(tmp_path, run=tmp_path)
    boot = outbox.begin().boot
    FaultyDisk.fail(IOERR)
    synced = Mark(5 * S, 1_790_000_000 * S, "ntp")
    outbox.commit(drafts(2), clock=synced)
    outbox.close()
    FaultyDisk.heal()
    outbox = opened(tmp_path, boot="b2", run=tmp_path)
    assert outbox.begin().boot == boot + 1
    assert {stored.record.boot for stored in everything(outbox)} == {boot}
    assert outbox.marks(boot) == [synced]
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


def test_without_a_disk_a_state_is_what_was_kept_last(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    outbox.commit([], {"x": (1, b"old"), "y": (1, b"y")}, clock=at(1))
    FaultyDisk.fail(IOERR)
    outbox.commit([], {"x": (2, b"new")}, clock=at(2))
    assert outbox.state("x") == (2, b"new")
    assert (outbox.counts().ram or "").startswith("The outbox goes on in memory: ")
    FaultyDisk.heal()
    outbox.close()


def test_a_stop_without_a_disk_leaves_all_to_the_next_start(tmp_path: Path) -> None:
    outbox = opened(tmp_path, run=tmp_path)
    outbox.begin()
    FaultyDisk.fail(IOERR)
    made = outbox.commit(drafts(3), {"x": (1, b"x")}, clock=at(1))
    outbox.close()
    assert (tmp_path / SPOOL).exists()
    FaultyDisk.heal()
    outbox = opened(tmp_path, run=tmp_path)
    epoch = outbox.begin()
    assert epoch.former is not None
    assert (epoch.former.last, epoch.unclean) == ({"air": 3}, False)
    assert [s.record.key for s in everything(outbox)] == [s.record.key for s in made]
    assert outbox.state("x") == (1, b"x")
    assert not (tmp_path / SPOOL).exists()
    outbox.close()


def test_a_tmpfs_without_room_still_tells_which_numbers_are_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = opened(tmp_path, run=tmp_path)
    epoch = outbox.begin().epoch
    FaultyDisk.fail(IOERR)
    original = outbox._spool._append

    def append(frame: bytes) -> None:
        if len(frame) > 1000:
            raise OSError(28, "No space left on device")
        original(frame)

    monkeypatch.setattr(outbox._spool, "_append", append)
    outbox.commit(drafts(30, size=100), clock=at(1))
    assert outbox._spool.trouble is not None
    outbox.close()
    FaultyDisk.heal()
    outbox = opened(tmp_path, run=tmp_path)
    former = outbox.begin().former
    assert former is not None
    assert former.last == {"air": 30}
    drop = outbox._drops[epoch, "air", "memory"]
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
    outbox._spool._close()
    outbox = opened(tmp_path, run=tmp_path)
    outbox.begin()
    assert outbox.counts().ram is not None
    handed = [(stored.row, stored.record, stored.again) for stored in outbox.handed]
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
    log = tmp_path / SPOOL
    log.write_bytes(log.read_bytes()[:cut] if cut < 200 else b"\xff" * cut)
    outbox = opened(tmp_path, run=tmp_path)
    outbox.begin()
    assert outbox.commit(drafts(1), clock=at(10))
    outbox.close()


# -- what is said and remembered ------------------------------------------------------------------


def test_a_disk_that_comes_and_goes_makes_few_events_and_counts_the_others(
    tmp_path: Path,
) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    events = []
    for n in range(24 * 60 * 2):  # a day
        FaultyDisk.heal()
        if n % 4 == 1:
            FaultyDisk.fail(IOERR)
        rows = outbox.commit(drafts(1, at=n), clock=at((n + 1) * 30))
        events += [s.record.body for s in rows if s.record.key.stream is Stream.EVENT]
    assert len(events) <= 24 * 12
    assert sum("held back" in body["text"] for body in events) >= 23
    FaultyDisk.heal()
    for n in range(3000, 3300):
        events += [s.record.body for s in outbox.commit([], clock=at(n * 30))]
    assert events[-1]["state"] == "off", "what is said last is how it stands"
    outbox.close()


def test_a_state_that_was_kept_in_memory_is_given_back(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    outbox.commit([], {"engine": (1, b"old"), "lanes": (1, b"same")}, clock=at(1))
    FaultyDisk.fail(IOERR, device=False)
    outbox.commit(drafts(1), {"engine": (2, b"new")}, clock=at(2))
    assert outbox.counts().ram is not None
    assert (outbox.state("engine"), outbox.state("lanes")) == ((2, b"new"), None)
    FaultyDisk.heal()
    outbox.commit([], clock=at(200))
    outbox.commit([], clock=at(300))
    assert outbox.counts().ram is None
    assert (outbox.state("engine"), outbox.state("lanes")) == ((2, b"new"), (1, b"same"))
    outbox.close()


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
        assert outbox.counts().ram is None
        assert not {stored.row for stored in everything(outbox)} & set(rows)
        outbox.close()


def test_a_row_that_is_refused_in_memory_is_counted(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    FaultyDisk.fail(IOERR)
    made = outbox.commit(drafts(2), clock=at(1))
    outbox.dead(made[0].row, "too large")
    assert outbox.counts().dropped == 1
    FaultyDisk.heal()
    outbox.commit([], clock=at(10))
    outbox.commit([], clock=at(50))
    assert made[0].row not in [s.row for s in everything(outbox)]
    outbox.close()


def test_memory_remembers_only_rows_that_may_be_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.store.memory.GONE_LIMIT", 3)
    memory = Memory(1 << 20)
    memory.reached = 100
    for number in range(98, 1000):
        memory.remove(number)
    assert (memory.gone.ranges(), memory.forgotten) == ([(98, 100)], 0)
    for number in (10, 20, 97):
        memory.remove(number)
    assert (memory.gone.ranges(), memory.forgotten) == ([(10, 10), (20, 20), (97, 100)], 0)
    memory.remove(30)
    assert (memory.gone.count(), memory.forgotten) == (3, 1)


@pytest.mark.parametrize("steps", range(15, 60))
def test_a_power_cut_while_memory_is_brought_back_leaves_no_number_unexplained(
    tmp_path: Path, steps: int
) -> None:
    outbox = opened(tmp_path)  # without a tmpfs: what is in memory goes with the power
    outbox.begin()
    outbox.commit(drafts(2), clock=at(1))
    outbox._medium.fall(OSError(5, "Input/output error"))
    outbox.commit([*drafts(3), *drafts(2, Stream.EVENT), *drafts(2, Stream.RAW)], clock=at(2))
    outbox.commit([], clock=at(3))  # the first look again is half a minute later
    FaultyDisk.fail(IOERR, steps)
    outbox.commit([], clock=at(60))
    FaultyDisk.heal()
    if outbox._disk is not None:
        outbox._disk.close()
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
    (run / "memory.log").write_bytes(b"x" * 100)
    (run / "memory.log").chmod(0o600)
    with as_nobody(run), pytest.raises(DamagedError):
        read_left(run, Memory(1 << 20))
