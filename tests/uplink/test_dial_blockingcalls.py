"""Work in a thread: who gives up gets nothing, and nothing that was opened is forgotten."""

import asyncio
import errno
import threading
from collections.abc import Callable

import pytest

from edge.uplink.dial import BlockingCalls


class AtOnce:
    """A thread that has done its work before anybody else runs."""

    def __init__(self, target: Callable[[], None], **_: object) -> None:
        self.start = target


class NoneLeft:
    """The system has no thread to give."""

    def __init__(self, **_: object) -> None:
        pass

    def start(self) -> None:
        raise RuntimeError("can't start new thread")


async def test_a_result_that_comes_in_the_moment_of_giving_up_is_discarded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threading, "Thread", AtOnce)
    calls, discarded = BlockingCalls("x", 1, "busy"), list[str]()
    task = asyncio.create_task(calls.run(lambda: "socket", discarded.append))
    for _ in range(2):  # it waits; the result is there, and it has not run since
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert discarded == ["socket"]
    assert await calls.run(lambda: "next", discarded.append) == "next"
    assert discarded == ["socket"]


async def test_without_a_thread_it_fails_and_the_place_is_free_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = BlockingCalls("x", 1, "busy")
    with monkeypatch.context() as patch:
        patch.setattr(threading, "Thread", NoneLeft)
        for _ in range(2):
            with pytest.raises(OSError, match="new thread") as reported:
                await calls.run(lambda: 1, lambda _: None)
            assert reported.value.errno == errno.EAGAIN
    assert await calls.run(lambda: 1, lambda _: None) == 1


async def test_a_wrong_value_is_an_error_as_any_other_and_more_than_may_be_fail_at_once() -> None:
    calls, release = BlockingCalls("x", 1, "all are busy"), threading.Event()

    def wrong() -> int:
        raise ValueError("a host of no name")

    with pytest.raises(OSError, match="a host of no name"):
        await calls.run(wrong, lambda _: None)
    first = asyncio.create_task(calls.run(lambda: release.wait(30), lambda _: None))
    await asyncio.sleep(0)
    with pytest.raises(OSError, match="all are busy"):
        await calls.run(lambda: True, lambda _: None)
    release.set()
    assert await first
