"""What memory holds goes through tmpfs and comes back whole, or the loss of it is told."""

import os
from io import BytesIO
from pathlib import Path

import msgpack
import pytest

from edge.core import Draft, RecordKey, Stamp, Stream
from edge.outbox import commitlog as module
from edge.outbox.commitlog import (
    COMMIT_FRAMES,
    COMMIT_LOG_NAME,
    CommitLog,
    LoggedCommit,
    RecoveredLog,
    _pack,
    recover_commit_log,
)
from edge.outbox.drops import DropRange, PendingDrops
from edge.outbox.epochs import EpochStart, PreviousStart
from edge.outbox.memoryoutbox import MemoryOutbox
from edge.outbox.rowformat import DamagedRowError, OutboxRow, make_row, pack_body
from tests.kit.clock import NTP

S = 1_000_000_000
FORMER = PreviousStart(7, 1, {"air": 5})
START = EpochStart(3, 3 << 32, 2, "boot", False, FORMER, True, 7, owner="site/gw")
NO_MAP = COMMIT_FRAMES.pack(msgpack.packb([]))
MARK = Stamp(5 * S, 6 * S, NTP)


def rows(first: int, count: int = 1) -> list[OutboxRow]:
    made = []
    for seq in range(first, first + count):
        draft = Draft(Stream.AIR, "hut", seq * S, (seq + 1) * S, {"n": seq})
        key = RecordKey(START.epoch, Stream.AIR, seq)
        made.append(make_row((3 << 32) + seq, key, draft, 2, pack_body(draft)))
    return made


FIRST = LoggedCommit(
    rows(1, 3), {"a": (1, b"x"), "b": (2, b"y")}, (), 41, {"air": 4}, PendingDrops(), MARK
)
LOST = PendingDrops(
    {(7, "air", "full"): DropRange(1, 9, 4), (6, "*", "damage"): DropRange(1, None, None)}
)
SECOND = LoggedCommit(
    rows(4), {"b": (3, b"z")}, ((START.epoch + 1, START.epoch + 2),), 40, {"event": 2}, LOST
)


def write(log: CommitLog, *commits: LoggedCommit, known: frozenset[str] | None = None) -> None:
    for each in commits:
        log.commit(START, known, True, 1 << 20, each, each)


def left(folder: Path) -> RecoveredLog:
    found = recover_commit_log(folder, MemoryOutbox(1 << 20))
    assert found is not None
    return found


def test_what_was_committed_comes_back_as_it_was(tmp_path: Path) -> None:
    log = CommitLog(tmp_path)
    write(log, FIRST, SECOND, known=frozenset({"a"}))
    found = left(tmp_path)
    assert (found.token, found.drops_unread, found.owner) == (log.token, True, "site/gw")
    assert (found.number, found.epoch, found.boot, found.boot_id) == (3, 3 << 32, 2, "boot")
    assert (found.former, found.trusted_owners) == (FORMER, frozenset({"a"}))
    assert list(found.memory.rows.values()) == rows(3, 2), "two had left meanwhile"
    assert found.memory.states == {"a": (1, b"x"), "b": (3, b"z")}
    assert found.memory.reached == 41
    assert (found.counters, found.drops, found.mark) == ({"air": 4, "event": 2}, LOST, MARK)
    assert (found.clean, found.damaged) == (False, False)
    assert found.latest() == PreviousStart(3 << 32, 2, {"air": 3, "event": 1})
    log.mark_clean()
    assert left(tmp_path).clean
    write(log, FIRST)
    assert left(tmp_path).counters == found.counters, "nothing is written after a goodbye"


def test_what_has_numbered_nothing_names_the_start_before_it(tmp_path: Path) -> None:
    write(CommitLog(tmp_path), LoggedCommit())
    found = left(tmp_path)
    assert (found.latest(), found.mark, found.trusted_owners) == (FORMER, None, None)


def test_a_commit_that_is_damaged_is_said_and_the_others_count(tmp_path: Path) -> None:
    write(CommitLog(tmp_path), FIRST, LoggedCommit(rows(9)), SECOND)
    path = tmp_path / COMMIT_LOG_NAME
    data = bytearray(path.read_bytes())
    place = data.rindex(msgpack.packb({"n": 9}))
    data[place + 1] ^= 1
    path.write_bytes(data)
    found = left(tmp_path)
    assert found.damaged
    assert [row.seq for row in found.memory.rows.values()] == [3, 4]


def test_a_log_that_is_longer_than_is_read_counts_as_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the byte: what lies behind is lost, and somebody must say so."""
    write(CommitLog(tmp_path), FIRST, SECOND)
    size = (tmp_path / COMMIT_LOG_NAME).stat().st_size
    for limit, damaged in ((size, False), (size - 1, True)):
        monkeypatch.setattr(module, "READ_LIMIT", limit)
        assert left(tmp_path).damaged is damaged


@pytest.mark.parametrize("cut", [1, 5, 12, 40])
def test_a_tail_that_is_cut_was_never_acknowledged(tmp_path: Path, cut: int) -> None:
    write(CommitLog(tmp_path), FIRST, LoggedCommit(rows(9)))
    path = tmp_path / COMMIT_LOG_NAME
    path.write_bytes(path.read_bytes()[:-cut])
    found = left(tmp_path)
    assert (found.damaged, len(found.memory.rows)) == (False, 3)


def test_what_has_no_beginning_or_is_of_another_version_is_damage(tmp_path: Path) -> None:
    path = tmp_path / COMMIT_LOG_NAME
    assert recover_commit_log(tmp_path, MemoryOutbox(1 << 20)) is None
    assert recover_commit_log(None, MemoryOutbox(1 << 20)) is None
    write(CommitLog(tmp_path), FIRST)
    data = path.read_bytes()
    head = data[: next(COMMIT_FRAMES.read(BytesIO(data))).end]
    for wrong in (b"", head[:-1], bytes((data[0] ^ 1,)) + data[1:], head[:-1] + b"?"):
        path.write_bytes(wrong)
        with pytest.raises(DamagedRowError, match="neither a log"):
            recover_commit_log(tmp_path, MemoryOutbox(1 << 20))
    for wrong in (_pack({"token": 1}) + data, head + _pack({"rows": 5}), head + NO_MAP):
        path.write_bytes(wrong)
        with pytest.raises(DamagedRowError, match=COMMIT_LOG_NAME):
            recover_commit_log(tmp_path, MemoryOutbox(1 << 20))


def test_a_log_that_has_grown_is_made_anew_of_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COMPACT_SLACK_BYTES", 100)
    log = CommitLog(tmp_path)
    whole = LoggedCommit(rows(9))
    sizes = []
    for _ in range(8):
        log.commit(START, None, False, 200, FIRST, whole)
        sizes.append((tmp_path / COMMIT_LOG_NAME).stat().st_size)
    assert sizes != sorted(sizes), "it grows, and is made anew"
    assert max(sizes) < 3 * (2 * 200 + 100)
    assert list(tmp_path.iterdir()) == [tmp_path / COMMIT_LOG_NAME]


def test_what_lies_in_the_way_of_a_new_one_is_removed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"of somebody else")
    (tmp_path / COMMIT_LOG_NAME).with_suffix(".new").symlink_to(target)
    write(CommitLog(tmp_path), FIRST)
    assert target.read_bytes() == b"of somebody else"
    assert len(left(tmp_path).memory.rows) == 3


def test_without_room_for_the_rows_their_numbers_are_kept_as_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tmpfs that takes the head and a short commit, and cuts the rows."""
    real = os.write

    def cut(fd: int, data: bytes) -> int:
        return real(fd, data[:400])

    log = CommitLog(tmp_path)
    large = LoggedCommit(rows(1, 20), {"a": (1, b"x")}, (), 50, {"air": 21}, LOST, MARK)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", cut)
        write(log, large)
    assert log.trouble is not None
    assert "No space left" in log.trouble or "no space left" in log.trouble
    found = left(tmp_path)
    assert (found.memory.rows, found.memory.states, found.mark) == ({}, {}, MARK)
    assert found.drops == {**LOST, (START.epoch, "air", "memory"): DropRange(1, 20, 20)}
    assert (found.counters, found.memory.reached) == ({"air": 21}, 50)
    write(log, FIRST)
    assert len(left(tmp_path).memory.rows) == 3
    assert log.trouble is None, "there is room again"
    log.remove()
    assert recover_commit_log(tmp_path, MemoryOutbox(1 << 20)) is None


def test_what_is_committed_after_a_log_was_removed_is_in_a_new_one(tmp_path: Path) -> None:
    log = CommitLog(tmp_path)
    write(log, FIRST)
    former = left(tmp_path).token
    log.remove()
    write(log, SECOND)
    found = left(tmp_path)
    assert found.token != former, "the disk has that one already, and not this one"
    assert list(found.memory.rows.values()) == rows(4)


def test_memory_counts_its_rows_by_their_streams_and_gives_them_in_order() -> None:
    memory = MemoryOutbox(1 << 20)
    event = Draft(Stream.EVENT, "door", 0, 1, {})
    one = make_row(
        (3 << 32) + 9, RecordKey(START.epoch, Stream.EVENT, 1), event, 2, pack_body(event)
    )
    memory.write([*rows(1, 3), one], {}, (), PendingDrops())
    assert memory.tally() == {"air": 3, "event": 1}
    first = rows(1)[0].id
    assert [row.seq for row in memory.after(first, 2)] == [2, 3]
    assert memory.after(first, 5, urgent=True) == [one]
    assert (memory.after(one.id, 5), memory.size > 4 * 300) == ([], True)
    memory.remove(first)
    memory.remove(first)
    assert memory.tally() == {"air": 2, "event": 1}
