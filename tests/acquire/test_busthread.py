"""What a bus brings crosses to the main loop in batches, and a fault of ours is not hidden."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from edge.acquire import busthread
from edge.acquire.busthread import BusThread, EdgeBridge, ThreadBridge
from edge.core import Edge


async def test_items_cross_in_order_and_in_batches() -> None:
    got: list[Sequence[int]] = []
    bridge: ThreadBridge[int] = ThreadBridge(asyncio.get_running_loop(), got.append)

    async def main() -> None:
        for i in range(1000):
            bridge.put([i])
        await asyncio.Event().wait()

    thread = BusThread("x", main)
    thread.start()
    while sum(map(len, got)) < 1000:
        await asyncio.sleep(0.001)
    assert thread.stop()
    assert [i for batch in got for i in batch] == list(range(1000))
    assert len(got) < 1000


async def test_a_busy_main_loop_costs_the_oldest_and_they_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(busthread, "QUEUE_ITEMS", 10)
    got: list[Sequence[int]] = []
    bridge: ThreadBridge[int] = ThreadBridge(asyncio.get_running_loop(), got.append)
    for i in range(25):
        bridge.put([i])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert got == [list(range(15, 25))]
    assert bridge.dropped == 15


async def test_edges_that_fall_out_are_lost_edges_of_their_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(busthread, "QUEUE_ITEMS", 4)
    got: list[Edge] = []
    bridge = EdgeBridge(asyncio.get_running_loop(), got.extend)
    for i in range(6):
        bridge.put([Edge("a", bool(i % 2), i, i + 1), Edge("b", True, i, i + 1, lost=2)])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [(e.line, e.seqno, e.lost) for e in got] == [
        ("a", 5, 4),
        ("b", 5, 4 * 3 + 2),
        ("a", 6, 0),
        ("b", 6, 2),
    ]


async def test_what_the_main_loop_cannot_take_is_a_fault_of_ours() -> None:
    def deliver(items: Sequence[int]) -> None:
        raise ZeroDivisionError

    bridge: ThreadBridge[int] = ThreadBridge(asyncio.get_running_loop(), deliver)
    bridge.put([1])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert isinstance(bridge.error, ZeroDivisionError)


async def test_a_call_runs_on_the_bus_and_a_fault_is_kept() -> None:
    go = asyncio.Event()

    async def main() -> None:
        while not go.is_set():
            await asyncio.sleep(0.001)
        raise ZeroDivisionError

    thread = BusThread("x", main)
    thread.start()

    async def answer() -> int:
        return 42

    assert await asyncio.wrap_future(thread.call(answer)) == 42
    go.set()
    while thread.alive:
        await asyncio.sleep(0.001)
    assert isinstance(thread.error, ZeroDivisionError)
    assert thread.stop()


async def test_what_crosses_after_the_cut_reaches_nobody() -> None:
    got: list[int] = []
    bridge: ThreadBridge[int] = ThreadBridge(asyncio.get_running_loop(), got.extend)
    bridge.put([1])
    bridge.cut()
    assert got == [1], "it was brought in time"
    bridge.put([2])
    bridge._items.append(3)  # a thread that had looked just before the cut
    bridge._drain()
    await asyncio.sleep(0)
    assert got == [1]


async def test_a_thread_that_was_abandoned_ends_when_it_comes_back_and_its_error_is_nobodys() -> (
    None
):
    stuck, entered = threading.Event(), threading.Event()
    ended: list[str] = []

    async def main() -> None:
        try:
            entered.set()
            stuck.wait()
            await asyncio.sleep(0)
            ended.append("went on")
        finally:
            ended.append("ended")
            raise ZeroDivisionError

    thread = BusThread("x", main)
    thread.start()
    assert await asyncio.to_thread(entered.wait, 60)
    assert not thread.stop(0.0)
    thread.abandon()
    stuck.set()
    while thread.alive:
        await asyncio.sleep(0.001)
    assert ended == ["ended"]
    assert thread.error is None
