"""What takes too long is left behind, and what fails is said by whoever waits for it."""

import threading

import pytest

from edge.diagnose.timelimit import within


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
