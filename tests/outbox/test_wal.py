"""Damage inside the write-ahead log shortens it, and so does a power cut: they are told apart."""

import io
import os
import random
import shutil
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from edge.core import Stream
from edge.outbox import Outbox
from edge.outbox.database import DATABASE_NAME
from edge.outbox.epochs import read_epoch_file
from edge.outbox.wal import WalLog, classify_wal, inspect_wal
from edge.outbox.walframes import (
    FRAME_HEADER,
    WAL_HEADER,
    WAL_MAGIC,
    has_commits,
    wal_checksum,
    wal_frames,
)
from tests.kit.harm import HARMS
from tests.kit.outbox import MARK, drafts, everything, opened

COMMITS = 12
SAME = "b1"  # the boot


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as kill -9 leaves it: a database, and a log with all commits of its start."""
    folder = tmp_path_factory.mktemp("alive")
    outbox = opened(folder)
    outbox.begin()
    for n in range(COMMITS):
        outbox.commit(drafts(3, size=300), {"totals": (1, b"%d" % n)}, clock=MARK)
    copy = tmp_path_factory.mktemp("left") / "left"
    shutil.copytree(folder, copy)  # who closes it empties its log
    outbox.close()
    return copy


def again(left: Path, to: Path) -> Path:
    shutil.copytree(left, to)
    return to / "outbox" / f"{DATABASE_NAME}-wal"


def places(log: Path) -> Iterator[int]:
    """Where its frames begin."""
    data = log.read_bytes()
    page = WAL_HEADER.unpack_from(data)[2]
    yield from range(WAL_HEADER.size, len(data), FRAME_HEADER.size + page)


def commits(log: Path) -> list[int]:
    data = log.read_bytes()
    return [at for at in places(log) if FRAME_HEADER.unpack_from(data, at)[1]]


def flip(path: Path, at: int, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


def start(folder: Path, boot: str = SAME) -> tuple[Outbox, int]:
    """It with how many rows it has."""
    outbox = opened(folder, boot=boot)
    outbox.begin()
    return outbox, len(everything(outbox))


def test_a_page_that_has_no_number_ends_a_log_as_it_does_for_sqlite(
    left: Path, tmp_path: Path
) -> None:
    log = again(left, tmp_path / "x")
    middle, data = commits(log)[COMMITS // 2], log.read_bytes()
    log.write_bytes(sealed(data[:middle] + bytes(4) + data[middle + 4 :]))
    with log.open("rb") as file:
        whole = [frame.place - FRAME_HEADER.size for frame in wal_frames(file) if frame.whole]
    assert whole == [at for at in places(log) if at < middle]
    cut = again(left, tmp_path / "cut")
    os.truncate(cut, middle)
    rows = [
        rows_of(each.with_name(DATABASE_NAME)) for each in (log, cut, again(left, tmp_path / "all"))
    ]
    assert rows[0] == rows[1] < rows[2], "what SQLite finds"


def rows_of(database: Path) -> int:
    with closing(sqlite3.connect(database)) as db:
        return int(db.execute("SELECT count(*) FROM record").fetchone()[0])


def sealed(log: bytes) -> bytes:
    """It with checksums that are right."""
    magic, _, page, *_ = WAL_HEADER.unpack_from(log)
    sums = wal_checksum((0, 0), log[:24], little=magic == WAL_MAGIC)
    made = log[: WAL_HEADER.size]
    for at in range(WAL_HEADER.size, len(log), FRAME_HEADER.size + page):
        image = log[at + FRAME_HEADER.size : at + FRAME_HEADER.size + page]
        sums = wal_checksum(sums, log[at : at + 8] + image, little=magic == WAL_MAGIC)
        made += log[at : at + 16] + struct.pack(">II", *sums) + image
    return made


def test_what_is_whole_is_whole_after_a_kill_and_after_a_cut(left: Path, tmp_path: Path) -> None:
    for name in (SAME, "another"):
        again(left, tmp_path / name)
        outbox, rows = start(tmp_path / name, name)
        assert (outbox.opened.damage, rows) == (None, 3 * COMMITS)
        outbox.close()


def test_a_bit_in_the_middle_is_told_and_what_is_lost_is_declared(
    left: Path, tmp_path: Path
) -> None:
    log = again(left, tmp_path / "x")
    flip(log, commits(log)[COMMITS // 2] + 100)
    outbox, rows = start(tmp_path / "x", "another")
    assert rows < 3 * COMMITS, "SQLite stops there, and says nothing"
    assert outbox.opened.damage is not None
    assert "log" in outbox.opened.damage
    former = read_epoch_file(left / "outbox").epoch
    [(key, drop)] = outbox._losses.pending.items()
    assert key == (former, "*", "damage")
    assert drop.count is None, "nobody knows how many"
    outbox.close()


def parted(log: Path, at: int) -> bool:
    """Whether this byte is of the last commit but one, whose head lies in two sectors: what it says
    of itself may be what lay there before."""
    end = commits(log)[-2]
    return end <= at < end + FRAME_HEADER.size + 1024 and end % 512 > 512 - 16


@pytest.mark.parametrize("boot", [SAME, "another"])
def test_no_bit_takes_rows_away_in_silence_and_none_is_declared_for_nothing(
    left: Path, tmp_path: Path, boot: str
) -> None:
    """Only of the very last transaction it cannot be told after a power cut."""
    rng = random.Random(boot)
    reported = 0
    for n in range(150):
        log = again(left, tmp_path / str(n))
        at = rng.randrange(log.stat().st_size if n % 3 else WAL_HEADER.size)
        ends = commits(log)
        latest = ends[-1] if boot == SAME else ends[-2] + FRAME_HEADER.size + 1024
        reported_so = at < latest and not parted(log, at)
        flip(log, at, rng.randrange(8))
        outbox, rows = start(tmp_path / str(n), boot)
        gone = 3 * COMMITS - rows
        if reported_so:
            assert (gone > 0) == (outbox.opened.damage is not None), f"{n}: byte {at}, {gone} rows"
        else:
            assert gone <= 6, f"{n}: byte {at}"
        reported += outbox.opened.damage is not None
        outbox.close()
        shutil.rmtree(tmp_path / str(n))
    assert reported > 50


@pytest.mark.parametrize("zero", [True, False])
def test_a_last_transaction_that_the_power_tore_is_no_damage(
    left: Path, tmp_path: Path, zero: bool
) -> None:
    """Its first frame never reached the card, its last one did; or the log just ends."""
    log = again(left, tmp_path / "x")
    data, ends = bytearray(log.read_bytes()), commits(log)
    first = next(at for at in places(log) if at > ends[-2])
    if zero:
        size = ends[-1] - ends[-2]
        data[first : first + 512] = bytes(min(512, size))
        log.write_bytes(data)
    else:
        log.write_bytes(data[: first + 700])
    outbox, rows = start(tmp_path / "x", "another")
    assert (outbox.opened.damage, rows) == (None, 3 * COMMITS - 3)
    assert outbox.opened.log == "torn", "it may have been answered, and sent: nobody knows"
    outbox.close()


def test_a_head_that_is_being_written_anew_over_an_old_log_is_no_damage(
    left: Path, tmp_path: Path
) -> None:
    """All of that log is in the database already, and a power cut tore its new head."""
    log = again(left, tmp_path / "x")
    shutil.copy(log, tmp_path / "kept")
    with sqlite3.connect(log.with_name(DATABASE_NAME)) as other:
        other.execute("PRAGMA wal_checkpoint(FULL)")
    other.close()
    data = bytearray((tmp_path / "kept").read_bytes())
    data[12:20] = random.Random(1).randbytes(8)
    log.write_bytes(data)
    outbox, rows = start(tmp_path / "x", "another")
    assert (outbox.opened.damage, rows) == (None, 3 * COMMITS)
    outbox.close()


@pytest.mark.parametrize("harmed", [None, 0, COMMITS // 2])
def test_each_start_has_a_log_of_its_own(left: Path, tmp_path: Path, harmed: int | None) -> None:
    """So what is left of a transaction that was torn is never taken for a later one."""
    log = again(left, tmp_path / "x")
    if harmed is not None:
        flip(log, (commits(log)[harmed] if harmed else WAL_HEADER.size) + 100)
    outbox = opened(tmp_path / "x", boot=SAME)
    outbox.begin()
    shutil.copytree(tmp_path / "x", tmp_path / "killed")
    outbox.close()
    found = inspect_wal(tmp_path / "killed" / "outbox")
    assert (len(found.commits), found.commits[-1]) == (1, found.last), "of its first commit"
    outbox, _ = start(tmp_path / "killed")
    assert outbox.opened.damage is None
    outbox.close()


def test_a_log_keeps_its_length_over_a_start(left: Path, tmp_path: Path) -> None:
    """A file that grows costs the file system more than one that is written over."""
    log = again(left, tmp_path / "x")
    length = log.stat().st_size
    outbox, _ = start(tmp_path / "x")
    assert log.stat().st_size == length
    outbox.close()


def test_a_kill_before_the_first_commit_takes_no_verdict_with_it(
    left: Path, tmp_path: Path
) -> None:
    log = again(left, tmp_path / "x")
    flip(log, commits(log)[COMMITS // 2] + 100)
    outbox = opened(tmp_path / "x", boot=SAME)
    shutil.copytree(tmp_path / "x", tmp_path / "killed")
    first = outbox.opened.damage
    outbox.close()
    outbox, _ = start(tmp_path / "killed")
    assert outbox.opened.damage == first is not None
    assert outbox._losses.pending, "what is lost is declared"
    outbox.close()


def test_the_checksum_is_that_of_sqlite(left: Path) -> None:
    log = inspect_wal(left / "outbox")
    assert log.whole
    assert log.last == log.commits[-1]
    assert classify_wal(log, log.last + 1, same_boot=False) == "whole"
    assert classify_wal(log, log.last, same_boot=False) == "torn"
    assert classify_wal(log, log.last, same_boot=True) == "damaged"
    assert classify_wal(log, 0, same_boot=False) == "damaged"
    assert wal_checksum((0, 0), bytes(24), little=True) == (0, 0)


@pytest.mark.parametrize("size", [0, 31, 55, 56, 1080, 5000])
def test_rubbish_is_no_log(tmp_path: Path, size: int) -> None:
    for seed in range(20):
        (tmp_path / DATABASE_NAME).write_bytes(random.Random(seed).randbytes(4096))
        (tmp_path / f"{DATABASE_NAME}-wal").write_bytes(random.Random(seed).randbytes(size))
        found = inspect_wal(tmp_path)
        assert found == (
            WalLog(without_header=True) if size >= WAL_HEADER.size + FRAME_HEADER.size else WalLog()
        )
        assert classify_wal(found, 0, same_boot=False) != "damaged", "a cut may leave such a head"


@pytest.mark.parametrize("harm", ["zeroed", "flipped at its head"])
def test_a_head_that_is_no_head_is_damage_where_no_power_was_cut(
    left: Path, tmp_path: Path, harm: str
) -> None:
    for seed in range(10):
        log = again(left, tmp_path / str(seed))
        HARMS[harm](log, random.Random(seed))
        outbox, rows = start(tmp_path / str(seed))
        assert rows == 3 * COMMITS or outbox.opened.damage is not None
        outbox.close()


def test_events_are_lost_rows_too(left: Path, tmp_path: Path) -> None:
    log = again(left, tmp_path / "x")
    flip(log, commits(log)[2] + 60)
    outbox, _ = start(tmp_path / "x", "another")
    stored = outbox.commit([], confirmed=[1], clock=MARK)
    bodies = [each.record.body for each in stored if each.record.key.stream == Stream.EVENT]
    assert any(body.get("event") == "drop" and body["reason"] == "damage" for body in bodies)
    assert any("log of the outbox is damaged" in str(body.get("text")) for body in bodies)
    outbox.close()


def test_a_salt_that_is_damaged_in_the_last_frame_leaves_no_whole_log(
    left: Path, tmp_path: Path
) -> None:
    """SQLite takes such a frame for one of the log before."""
    for at in (8, 11, 12, 15):
        log = again(left, tmp_path / str(at))
        flip(log, commits(log)[-1] + at)
        outbox, rows = start(tmp_path / str(at), "another")
        assert (rows, outbox.opened.log) == (3 * COMMITS - 3, "torn")
        outbox.close()


def test_frames_of_a_transaction_that_was_rolled_back_make_a_torn_one_no_damage(
    left: Path, tmp_path: Path
) -> None:
    """A large one is written before its end is known; what it left lies behind the next one."""
    log = again(left, tmp_path / "x")
    data, ends = log.read_bytes(), commits(log)
    size = FRAME_HEADER.size + 1024
    stale = bytearray(data[ends[0] + size : ends[0] + 3 * size])
    for at in (0, size):
        stale[at + 4 : at + 8] = bytes(4)  # none of them ends a transaction
    torn = bytearray(data)
    first = next(at for at in places(log) if at > ends[-2])
    torn[first + 100] ^= 1
    log.write_bytes(torn + stale)
    outbox, rows = start(tmp_path / "x", "another")
    assert (outbox.opened.damage, rows) == (None, 3 * COMMITS - 3)
    assert outbox.opened.log == "torn"
    outbox.close()


def test_what_lay_in_a_sector_before_ends_no_transaction(left: Path, tmp_path: Path) -> None:
    """A cut in a long transaction kept half of a frame's head: in its other half is an old one."""
    log = again(left, tmp_path / "x")
    data, ends = bytearray(log.read_bytes()), commits(log)
    size = FRAME_HEADER.unpack_from(data, ends[-1])[1]
    begin = next(at for at in places(log) if at > ends[2])  # one transaction from here on
    split = [at for at in places(log) if at > begin and at % 512 > 512 - 16]
    for at in places(log):
        if at >= begin:
            data[at + 4 : at + 8] = bytes(4)
    data[begin + 24 : begin + 1048] = bytes(1024)
    for at in split:
        data[at + 4 : at + 8] = size.to_bytes(4)
    log.write_bytes(data)
    assert split
    outbox, rows = start(tmp_path / "x", "another")
    assert (outbox.opened.damage, outbox.opened.log, rows) == (None, "torn", 6)
    outbox.close()


def test_a_torn_frame_with_a_size_that_no_database_had_ends_no_transaction(
    left: Path, tmp_path: Path
) -> None:
    """Too large or too small: of what a cut has torn, a word of its head may be anything."""
    for size in (1, 1 << 31):
        log = again(left, tmp_path / str(size))
        data, ends = bytearray(log.read_bytes()), commits(log)
        first = next(at for at in places(log) if at > ends[-2] and at % 512 <= 512 - 16)
        assert first < ends[-1]
        data[first + 4 : first + 8] = size.to_bytes(4)
        log.write_bytes(data)
        outbox, rows = start(tmp_path / str(size), "another")
        assert (outbox.opened.damage, outbox.opened.log) == (None, "torn")
        assert rows == 3 * COMMITS - 3
        outbox.close()


def test_a_frame_of_no_page_ends_the_log_whatever_its_sums_say(tmp_path: Path) -> None:
    """SQLite, walDecodeFrame: page numbers begin with 1."""
    head = struct.pack(">6I", 0x377F0682, 3_007_000, 1024, 0, 5, 6)
    sums = wal_checksum((0, 0), head, little=True)
    data = head + struct.pack(">2I", *sums)
    for page in (1, 2, 0, 3):
        frame, image = struct.pack(">2I", page, page), bytes(1024)
        sums = wal_checksum(sums, frame + image, little=True)
        data += frame + struct.pack(">4I", 5, 6, *sums) + image
    found = list(wal_frames(io.BytesIO(data)))
    assert [(each.page, each.whole) for each in found] == [
        (1, True), (2, True), (0, False), (3, False),
    ]  # fmt: skip
    assert [each.place for each in found] == [56 + n * (24 + 1024) for n in range(4)]
    (tmp_path / "wal").write_bytes(data)
    assert has_commits(tmp_path / "wal")
    (tmp_path / "wal").write_bytes(data[: 56 + 1024 - 1])
    assert not has_commits(tmp_path / "wal"), "a frame that is cut is none"
    assert not has_commits(tmp_path / "none")


@pytest.mark.parametrize(("magic", "form"), [(0x377F0682, 3_007_001), (0x377F0680, 3_007_000)])
def test_a_log_of_another_program_is_not_ours_to_judge(
    tmp_path: Path, magic: int, form: int
) -> None:
    head = struct.pack(">6I", magic, form, 1024, 0, 5, 6)
    sums = struct.pack(">2I", *wal_checksum((0, 0), head, little=True))
    path = tmp_path / f"{DATABASE_NAME}-wal"
    path.write_bytes(head + sums + bytes(24 + 1024))
    assert inspect_wal(tmp_path) == WalLog()
    path.write_bytes(b"")
    assert inspect_wal(tmp_path) == WalLog()
