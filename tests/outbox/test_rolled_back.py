"""A database that is older than what was numbered from it: whoever goes on from its states is told.

A copy of an earlier day is put back, or the outbox went on in memory: in the boot in which it
happened the run directory knows; after a reboot what stands beside the database does, to within a
quarter of an hour.
"""

import shutil

import pytest

from edge.core import Stamp
from edge.outbox.highwater import HIGHWATER_NAME
from tests.kit.clock import NONE
from tests.kit.rolledback import RolledBackGateway, S, events


def stopped_and_rolled_back(box: RolledBackGateway) -> None:
    """A stop in order, and then the copy of an earlier start."""
    box.close_windows(3)
    box.kill()
    copy = box.copied()
    box.start()
    box.close_windows(3)
    box.stop()
    box.put_back(copy)


def test_a_copy_that_is_put_back_after_a_stop_is_seen_even_after_a_reboot(
    box: RolledBackGateway,
) -> None:
    stopped_and_rolled_back(box)
    box.reboot()
    assert box.start() == "older"
    assert box.state == 3


def test_a_copy_of_some_minutes_ago_that_is_put_back_after_a_stop_is_seen_after_a_reboot(
    box: RolledBackGateway,
) -> None:
    box.close_windows(3)
    copy = box.copied()
    box.close_windows(2)
    box.stop()
    box.put_back(copy)
    box.reboot()
    assert box.start() == "older"
    assert box.state == 3


def test_a_copy_of_the_same_start_is_seen(box: RolledBackGateway) -> None:
    """A box runs for months in one start: the count of starts says nothing then."""
    box.close_windows(3)
    copy = box.copied()
    box.close_windows(70)
    box.kill()
    shutil.rmtree(box.store)
    copy.rename(box.store)
    assert box.start() == "older", "the run directory knows"
    box.kill()


def test_a_copy_of_an_hour_ago_is_seen_after_a_power_cut(box: RolledBackGateway) -> None:
    box.close_windows(3)
    copy = box.copied()
    box.close_windows(70)
    box.kill()
    shutil.copy(box.store / HIGHWATER_NAME, copy / HIGHWATER_NAME)
    shutil.rmtree(box.store)
    copy.rename(box.store)
    box.reboot()
    assert box.start() == "older"


def test_a_copy_without_a_mark_is_in_doubt_until_states_are_committed(
    box: RolledBackGateway,
) -> None:
    """The count of starts told of it, and the first start has moved that on."""
    stopped_and_rolled_back(box)
    (box.store / HIGHWATER_NAME).unlink()
    box.reboot()
    assert box.start() == "older"
    box.kill()
    box.reboot()
    assert box.start() == "older"
    assert box.outbox is not None
    rows = box.outbox.commit([], {}, [1], Stamp(box.now_ns + S, 0, NONE))
    assert sorted(row.record.body["event"] for row in rows) == ["drop", "storage"]


@pytest.mark.parametrize("reboot", [False, True])
def test_an_ordinary_kill_leaves_no_doubt(box: RolledBackGateway, reboot: bool) -> None:
    for _ in range(4):
        box.close_windows(5)
        box.kill()
        if reboot:
            box.reboot()
        assert box.start() == "known"
        assert events(box) == []
    assert box.state == 20
    box.stop()
    assert box.start() == "known"


def test_a_power_cut_while_the_outbox_is_in_memory_is_seen(box: RolledBackGateway) -> None:
    box.close_windows(3)
    box.fall()
    box.close_windows(3)
    box.reboot()
    assert box.start() == "older"
    assert box.state == 3


def test_a_card_that_takes_no_word_at_first_is_told_as_soon_as_it_takes_one(
    box: RolledBackGateway,
) -> None:
    box.close_windows(3)
    box.fall()
    mark = box.store / HIGHWATER_NAME
    mark.rename(mark.with_name("kept"))
    mark.mkdir()
    box.close_windows(1)
    mark.rmdir()
    mark.with_name("kept").rename(mark)
    box.close_windows(2)
    box.reboot()
    assert box.start() == "older"


def test_a_kill_while_the_outbox_is_in_memory_leaves_no_doubt(box: RolledBackGateway) -> None:
    box.close_windows(3)
    box.fall()
    box.close_windows(3)
    assert box.start() == "known"
    assert box.state == 6
