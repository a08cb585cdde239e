"""What takes too long is left behind, and what fails is said by whoever waits for it."""

import sys
import threading

import pytest

from edge.durable.timelimit import within


def test_what_comes_in_time_is_given() -> None:
    assert within(5.0, lambda: None) is None
    assert within(5.0, lambda: 7) == 7


def test_what_fails_fails_where_it_is_waited_for() -> None:
    with pytest.raises(ZeroDivisionError):
        within(5.0, lambda: 1 // 0)


def test_what_hangs_is_left_behind() -> None:
    released, before = threading.Event(), {*threading.enumerate()}
    with pytest.raises(TimeoutError, match=r"no answer within 0.02 s"):
        within(0.02, lambda: released.wait(60))
    (left,) = {*threading.enumerate()} - before
    assert left.daemon, "it ends with the process"
    released.set()
    left.join(10)


def test_whatever_ends_it_is_told_at_once() -> None:
    """Not as a disk or a name server that does not answer."""
    with pytest.raises(SystemExit):
        within(5.0, lambda: sys.exit(3))


def test_its_own_time_limit_is_not_ours() -> None:
    def work() -> None:
        raise TimeoutError("the broker said nothing")

    with pytest.raises(TimeoutError, match="the broker said nothing"):
        within(5.0, work)
