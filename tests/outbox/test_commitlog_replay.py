"""What memory holds comes back from its log as it was, whatever was committed and cut off."""

import random
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core import Draft, RecordKey, Stamp, Stream
from edge.outbox.commitlog import (
    COMMIT_LOG_NAME,
    CommitLog,
    LoggedCommit,
    RecoveredLog,
    recover_commit_log,
)
from edge.outbox.drops import DropRange, PendingDrops
from edge.outbox.epochs import EpochStart, PreviousStart
from edge.outbox.memoryoutbox import MemoryOutbox
from edge.outbox.rowformat import OutboxRow, make_row, pack_body
from tests.kit.clock import NONE, NTP, RTC
from tests.long import examples

LARGE = 64 << 20  # bytes: nothing is dropped, and no log is made anew
NUMBERS = st.integers(1, 40)

rows = st.builds(
    lambda number, stream: make_row(
        number, RecordKey(7, stream, number), draft := Draft(stream, "s", 0, 1, {"n": number}), 3,
        pack_body(draft),
    ),
    NUMBERS, st.sampled_from([Stream.AIR, Stream.EVENT]),
)  # fmt: skip
commits = st.builds(
    LoggedCommit,
    rows=st.lists(rows, max_size=4),
    states=st.dictionaries(st.sampled_from("abc"), st.tuples(NUMBERS, st.binary(max_size=4))),
    out=st.lists(st.tuples(NUMBERS, NUMBERS).map(lambda pair: (min(pair), max(pair))), max_size=2),
    reached=NUMBERS,
    counters=st.dictionaries(st.sampled_from(["air", "event"]), NUMBERS),
    drops=st.dictionaries(
        st.tuples(NUMBERS, st.just("air"), st.just("full")),
        st.builds(DropRange, NUMBERS, NUMBERS, NUMBERS)
        | st.builds(DropRange, NUMBERS, st.none(), st.none()),
        max_size=2,
    ).map(PendingDrops),
    mark=st.none() | st.builds(Stamp, NUMBERS, NUMBERS, st.sampled_from([NONE, RTC, NTP])),
)
starts = st.builds(
    EpochStart,
    number=NUMBERS, epoch=NUMBERS, boot=NUMBERS, boot_id=st.sampled_from(["b1", "b2"]),
    same_boot=st.booleans(), unclean=st.booleans(), previous_epoch=NUMBERS,
    former=st.none() | st.builds(PreviousStart, NUMBERS, NUMBERS, st.just({"air": 3})),
    owner=st.sampled_from(["", "s/gw"]),
)  # fmt: skip
known = st.none() | st.frozensets(st.sampled_from("abc"))


def reported(left: RecoveredLog) -> tuple[object, ...]:
    memory = left.memory
    return (
        left.token, left.number, left.epoch, left.boot, left.boot_id, left.former,
        left.trusted_owners, left.drops_unread, left.owner, left.counters, left.drops, left.mark,
        left.clean, left.damaged,
        memory.rows, memory.states, memory.reached, memory.size, memory.removed.ranges(),
    )  # fmt: skip


@settings(deadline=None, max_examples=examples(60))
@given(starts, known, st.booleans(), st.lists(commits, min_size=1, max_size=4), st.booleans())
def test_all_that_was_committed_comes_back(
    start: EpochStart,
    known: frozenset[str] | None,
    unread: bool,
    done: list[LoggedCommit],
    clean: bool,
) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        folder = Path(name)
        log = CommitLog(folder)
        expected = RecoveredLog(
            log.token, start.number, start.epoch, start.boot, start.boot_id, start.former, known,
            unread, start.owner, MemoryOutbox(LARGE), clean=clean,
        )  # fmt: skip
        for commit in done:
            log.commit(start, known, unread, LARGE, commit, commit)
            apply(expected, commit)
        size = (folder / COMMIT_LOG_NAME).stat().st_size
        if clean:
            log.mark_clean()
        found = recover_commit_log(folder, MemoryOutbox(LARGE))
        assert found is not None
        assert reported(found) == reported(expected)
        assert found.latest() == (
            PreviousStart(start.epoch, start.boot, {s: n - 1 for s, n in expected.counters.items()})
            if expected.counters
            else start.former
        )
        log.remove()
        assert (recover_commit_log(folder, MemoryOutbox(LARGE)) is None) != clean
        assert size > 100


def apply(left: RecoveredLog, commit: LoggedCommit) -> None:
    """As the process that committed has it in memory."""
    memory = left.memory
    memory.reached = max(memory.reached, commit.reached)
    for first, last in commit.out:
        for number in range(first, last + 1):
            memory.remove(number)
    memory.write(commit.rows, commit.states, (), PendingDrops())
    left.counters.update(commit.counters)
    left.drops = commit.drops
    left.mark = commit.mark or left.mark


def test_a_log_much_larger_than_what_memory_holds_is_made_anew(tmp_path: Path) -> None:
    draft = Draft(Stream.AIR, "s", 0, 1, {"n": random.Random(1).randbytes(300_000)})
    row = make_row(1, RecordKey(7, Stream.AIR, 1), draft, 3, pack_body(draft))
    whole = LoggedCommit(rows=[row], reached=1)
    start = EpochStart(1, 7, 3, "b", False, None, False, 0)
    log = CommitLog(tmp_path)
    sizes = []
    for _ in range(12):
        log.commit(start, None, False, len(row.body), whole, whole)
        sizes.append((tmp_path / COMMIT_LOG_NAME).stat().st_size)
    assert max(sizes) < (2 << 20) + 4 * len(row.body)
    assert sizes != sorted(sizes)
    assert kept(tmp_path) == {1: row}
    log.remove()


def kept(folder: Path) -> dict[int, OutboxRow]:
    left = recover_commit_log(folder, MemoryOutbox(LARGE))
    assert left is not None
    return left.memory.rows
