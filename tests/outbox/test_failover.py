"""While the disk gives trouble, and after it: found by a review, each of these lost rows."""

from pathlib import Path

import pytest

from edge.core import Stream
from edge.outbox.database import DATABASE_NAME
from edge.outbox.memoryoutbox import MemoryOutbox
from edge.outbox.quarantine import QUARANTINE_KEEP, quarantine, quarantine_usage
from tests.kit.outbox import LIMIT, drafts, everything, opened
from tests.outbox.failover import CORRUPT, IOERR, at, rows_in
from tests.outbox.faulty import FaultyDisk

pytestmark = pytest.mark.usefixtures("faulty")


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
    assert quarantine_usage(tmp_path / "outbox")[0] == int(device), "put aside once, or not at all"
    FaultyDisk.heal()
    outbox.commit([], clock=at(2000))
    assert outbox.counts().in_memory is None
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
    assert outbox.opened.in_memory is not None
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
    quarantine(folder, DATABASE_NAME, LIMIT)
    for _ in range(2 * QUARANTINE_KEEP):
        opened(tmp_path).close()
        quarantine(folder, DATABASE_NAME, LIMIT)
    assert quarantine_usage(folder)[0] == QUARANTINE_KEEP
    assert rows_in(folder) == 50


def test_without_a_disk_a_state_is_what_was_kept_last(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    outbox.commit([], {"x": (1, b"old"), "y": (1, b"y")}, clock=at(1))
    FaultyDisk.fail(IOERR)
    outbox.commit([], {"x": (2, b"new")}, clock=at(2))
    assert outbox.state("x") == (2, b"new")
    assert (outbox.counts().in_memory or "").startswith("The outbox goes on in memory: ")
    FaultyDisk.heal()
    outbox.close()


# -- what is said and remembered ------------------------------------------------------------------


@pytest.mark.long
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


def test_a_row_that_is_refused_in_memory_is_counted(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    FaultyDisk.fail(IOERR)
    made = outbox.commit(drafts(2), clock=at(1))
    outbox.dead_letter(made[0].row, "too large")
    assert outbox.counts().dropped == 1
    FaultyDisk.heal()
    outbox.commit([], clock=at(10))
    outbox.commit([], clock=at(50))
    assert made[0].row not in [s.row for s in everything(outbox)]
    outbox.close()


def test_memory_remembers_only_rows_that_may_be_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.outbox.memoryoutbox.CONFIRMED_LIMIT", 3)
    memory = MemoryOutbox(1 << 20)
    memory.reached = 100
    for number in range(98, 1000):
        memory.remove(number)
    assert (memory.removed.ranges(), memory.forgotten_count) == ([(98, 100)], 0)
    for number in (10, 20, 97):
        memory.remove(number)
    assert (memory.removed.ranges(), memory.forgotten_count) == ([(10, 10), (20, 20), (97, 100)], 0)
    for number in (9, 21):  # what lies beside a range takes no more room
        memory.remove(number)
    assert (memory.removed.ranges(), memory.forgotten_count) == ([(9, 10), (20, 21), (97, 100)], 0)
    memory.remove(30)
    assert (memory.removed.count(), memory.forgotten_count) == (3, 1)
