"""A database that is behind its epoch file has lost a start: that is said, and not passed over."""

from pathlib import Path

from edge.core import Draft, Stamp, Stream
from edge.outbox import Outbox
from edge.outbox.epochs import (
    BLIND_STARTS,
    EPOCH_FILE,
    START_COUNT_WRAP,
    EpochFile,
    later_count,
    plan_epoch,
    write_epoch_file,
)
from tests.kit.clock import NONE

S = 1_000_000_000


def opened(folder: Path) -> Outbox:
    return Outbox.open(folder, limit_bytes=8 << 20, boot_id="b", ballast_bytes=0)


def drafts(count: int) -> list[Draft]:
    return [Draft(Stream.AIR, "hut", n * S, (n + 1) * S, {"n": n}) for n in range(count)]


def test_a_log_that_is_gone_with_a_whole_start_in_it_is_declared(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.begin()
    first.commit(drafts(1), clock=Stamp(S, S, NONE))
    first.close()  # the log goes into the database
    second = opened(tmp_path)
    lost = second.begin().epoch
    second.commit(drafts(3), clock=Stamp(S, S, NONE))
    log = (tmp_path / "outbox.db-wal").read_bytes()
    assert log, "this start is in the log only"
    for file in tmp_path.iterdir():
        (tmp_path / "copy").mkdir(exist_ok=True)
        if file.is_file() and not file.name.endswith("-wal"):
            (tmp_path / "copy" / file.name).write_bytes(file.read_bytes())
    third = opened(tmp_path / "copy")
    epoch = third.begin()
    assert epoch.unclean
    assert epoch.epoch >> 32 == (lost >> 32) + 1, "no number of a start comes twice"
    found = third.commit([], confirmed=[1], clock=Stamp(2 * S, S, NONE))
    bodies = [stored.record.body for stored in found]
    assert [body["event"] for body in bodies] == ["storage", "drop"]
    assert bodies[1]["epoch_of"] == lost
    third.close()
    second.close()


def test_an_ordinary_kill_is_no_loss(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.begin()
    first.commit(drafts(1), clock=Stamp(S, S, NONE))
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in tmp_path.iterdir():
        if file.is_file():
            (copy / file.name).write_bytes(file.read_bytes())
    second = opened(copy)
    second.begin()
    assert second.commit([], confirmed=[1], clock=Stamp(2 * S, S, NONE)) == []
    second.close()
    first.close()


def test_without_a_database_the_epoch_file_alone_counts_on(tmp_path: Path) -> None:
    """A start has a number by chance only where nothing is known of those before it."""
    write_epoch_file(tmp_path, EpochFile(starts=7, boots=3, boot_id="b", epoch=7 << 32))
    start = plan_epoch(None, tmp_path, "b")
    assert (start.number, start.boot) == (8, 3)
    (tmp_path / EPOCH_FILE).unlink()
    assert plan_epoch(None, tmp_path, "b").number in BLIND_STARTS


def test_of_two_starts_the_one_behind_the_wrap_is_the_later_one() -> None:
    last = START_COUNT_WRAP - 1
    for one, two, later in ((last, 0, 0), (last - 3, 5, 5), (last - 1, last, last), (3, 7, 7)):
        assert later_count(one, two) == later_count(two, one) == later
    assert later_count(9, BLIND_STARTS[-1]) == BLIND_STARTS[-1], "no wrap lies so far apart"
