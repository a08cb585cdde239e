"""A log of the outbox that is damaged or cut: whoever goes on from its states is told.

In the boot in which it happened the run directory knows; after a reboot the log itself does, as far
as another commit follows the damage.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from edge.core import Stamp
from edge.outbox.database import DATABASE_NAME as DB
from edge.outbox.highwater import HIGHWATER_NAME
from edge.outbox.wal import LogTail, classify_wal, inspect_wal
from tests.kit.clock import NONE
from tests.kit.rolledback import RolledBackGateway, S, commits, events, flip


@pytest.mark.parametrize("back", [1, 5])
def test_a_bit_in_the_log_is_seen_in_the_same_boot(box: RolledBackGateway, back: int) -> None:
    box.close_windows(10)
    box.kill()
    flip(box.log, commits(box.log)[-back] + 40)
    assert box.start() == "older"
    assert box.state == 10 - back
    [text] = events(box)  # one damage, one event
    assert "totals do not go on from it" in text


def test_a_bit_in_the_log_is_seen_after_a_reboot_if_another_commit_follows(
    box: RolledBackGateway,
) -> None:
    box.close_windows(10)
    box.kill()
    flip(box.log, commits(box.log)[-5] + 40)
    box.reboot()
    assert box.start() == "older"
    assert box.state == 5
    [text] = events(box)
    assert "log of the outbox is damaged" in text


def test_a_bit_in_the_last_commit_leaves_the_past_in_doubt_after_a_reboot(
    box: RolledBackGateway,
) -> None:
    """It may be what was under way when the power went."""
    box.close_windows(10)
    box.kill()
    flip(box.log, commits(box.log)[-1] + 40)
    box.reboot()
    assert box.start() == "doubtful"
    [text] = events(box)
    assert "is not whole" in text


@pytest.mark.parametrize("reboot", [False, True])
@pytest.mark.parametrize("lost_mark", [False, True])
@pytest.mark.parametrize("back", [1, 2, 6])
def test_one_damage_is_one_event_and_one_loss(
    box: RolledBackGateway, back: int, lost_mark: bool, reboot: bool
) -> None:
    """Whoever finds it: the log itself, or the numbers that were given and are not there."""
    box.close_windows(10)
    box.kill()
    flip(box.log, commits(box.log)[-back] + 40)
    if reboot:
        box.reboot()
    if lost_mark:
        (box.run / HIGHWATER_NAME).unlink(missing_ok=True)
    torn = back == 1 and (reboot or lost_mark)
    assert box.start() == ("doubtful" if torn else "older")
    assert box.outbox is not None
    rows = box.outbox.commit([], {}, [1], Stamp(box.now_ns + S, 0, NONE))
    reported = sorted(row.record.body["event"] for row in rows)
    assert reported == (["storage"] if torn else ["drop", "storage"])


@pytest.mark.parametrize("at", [2, 9, 17, 22, 25])
def test_a_bit_in_the_head_of_the_log_leaves_the_past_in_doubt(
    box: RolledBackGateway, at: int
) -> None:
    box.close_windows(3)
    box.kill()
    flip(box.log, at)
    box.reboot()
    assert box.start() in ("doubtful", "older")


def test_any_bit_of_the_log_is_known_or_harmless(box: RolledBackGateway, tmp_path: Path) -> None:
    """Whatever SQLite forgets for it, nobody goes on from it as if nothing had been."""
    box.close_windows(4)
    box.kill()
    kept, whole = tmp_path / "before", box.log.stat().st_size
    shutil.copytree(box.store, kept)
    seen: dict[str, int] = {}
    for at in (*range(0, 56), *range(56, whole, 61)):
        shutil.rmtree(box.store)
        shutil.copytree(kept, box.store)
        flip(box.log, at)
        box.reboot()
        past = box.start()
        seen[past] = seen.get(past, 0) + 1
        assert past != "known" or box.state == 4, f"bit at {at}"
        box.kill()
    assert seen.keys() >= {"older", "doubtful"}, seen


def test_a_kill_before_the_first_commit_forgets_no_doubt(box: RolledBackGateway) -> None:
    box.close_windows(10)
    box.kill()
    flip(box.log, commits(box.log)[-3] + 40)
    assert box.start() == "older"
    box.kill()
    assert box.start() == "older"


@pytest.mark.parametrize("reboot", [False, True])
@pytest.mark.parametrize("back", [1, 5])
def test_a_second_power_cut_before_the_first_commit_forgets_no_doubt(
    box: RolledBackGateway, back: int, reboot: bool
) -> None:
    """What told of it was the log, and each start empties that."""
    box.close_windows(10)
    box.kill()
    flip(box.log, commits(box.log)[-back] + 40)
    box.reboot()
    past = box.start()
    assert past == ("doubtful" if back == 1 else "older")
    for _ in range(3):
        box.kill()
        if reboot:
            box.reboot()
        assert box.start() == past
    assert len(events(box)) == 1
    box.kill()
    assert box.start() == past, "no state was committed yet"
    box.close_windows(1)
    for _ in range(2):
        box.kill()
        if reboot:
            box.reboot()
        assert box.start() == "known"


def tail(log: Path, ends: Sequence[int]) -> LogTail:
    """Of a log that was cut somewhere, after a reboot."""
    size = log.stat().st_size
    read = sum(at + 24 + 1024 <= size for at in ends)
    frames_read = 0 if not read else (ends[read - 1] - 32) // (24 + 1024) + 1
    return classify_wal(inspect_wal(log.parent), frames_read, same_boot=False)


def test_a_log_that_is_cut_within_a_commit_is_torn_and_at_its_end_whole(
    box: RolledBackGateway, tmp_path: Path
) -> None:
    box.close_windows(3)
    box.kill()
    data, ends = box.log.read_bytes(), commits(box.log)
    path = tmp_path / f"{DB}-wal"
    verdicts: dict[int, LogTail] = {}
    for size in range(0, len(data), 211):
        path.write_bytes(data[:size])
        verdicts[size] = tail(path, ends)
    assert set(verdicts.values()) == {"whole", "torn"}
    for end in ends:
        path.write_bytes(data[: end + 24 + 1024])
        assert tail(path, ends) == "whole"
