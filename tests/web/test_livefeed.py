"""One question for all who look on, none while nobody looks, and only what has changed is sent."""

import asyncio
import json
from typing import Any, cast

import pytest

from edge.web.daemonasker import DaemonAnswer, DaemonAsker
from edge.web.livefeed import EVERY_NS, VIEWERS, FullError, LiveFeed
from tests.kit.clock import VirtualClock


class Daemon:
    """Answers what it is told to, and counts."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer = DaemonAnswer("ok", {"lanes": [], "site": "a", "gateway": "b"})

    async def ask(self, verb: str, timeout_s: float = 5.0, **words: Any) -> DaemonAnswer:
        self.asked += 1
        return self.answer


def made() -> tuple[LiveFeed, Daemon, VirtualClock]:
    clock, daemon = VirtualClock(), Daemon()
    return LiveFeed(cast("DaemonAsker", daemon), clock), daemon, clock


async def news(seat: Any, clock: VirtualClock) -> str:
    """What the next look brings, and what was there before it."""
    found = ""
    for _ in range(2):
        task = asyncio.create_task(seat.look())
        await clock.run(EVERY_NS / 1e9)
        await task
        found += seat.news(public=False)
    return found


async def test_nobody_looks_and_nothing_is_asked() -> None:
    feed, daemon, clock = made()
    await clock.run(30)
    assert daemon.asked == 0
    async with feed.seat(["lanes"]) as seat:
        await news(seat, clock)
    count = daemon.asked
    await clock.run(30)
    assert daemon.asked == count


async def test_all_viewers_cost_one_question() -> None:
    feed, daemon, clock = made()
    async with feed.seat(["lanes"]), feed.seat(["box"]), feed.seat(["lanes"]):
        await clock.run(11)
        assert 18 <= daemon.asked <= 22


async def test_a_part_is_sent_when_it_is_another_and_only_to_who_wants_it() -> None:
    feed, daemon, clock = made()
    async with feed.seat(["lanes", "nonsense"]) as seat:
        first = await news(seat, clock)
        assert "event: lanes" in first
        assert "event: box" not in first
        assert await news(seat, clock) == ""
        daemon.answer = DaemonAnswer("ok", {"lanes": [{"name": "north_1"}]})
        assert "north_1" in await news(seat, clock)


async def test_a_daemon_that_is_gone_is_said_and_what_it_said_last_stays() -> None:
    feed, daemon, clock = made()
    async with feed.seat(["lanes"]) as seat:
        await news(seat, clock)
        daemon.answer = DaemonAnswer("silent", text="no answer within 5 s")
        found = await news(seat, clock)
        assert '"state":"silent"' in found
        await clock.run(10)
        late = await news(seat, clock)
        assert json.loads(late.partition("data: ")[2].split("\n")[0])["late_s"] >= 9
        assert feed.part("lanes", public=False) == "[]"


async def test_who_begins_to_look_is_not_told_how_the_daemon_was_for_the_last_viewer() -> None:
    feed, daemon, clock = made()
    async with feed.seat(["lanes"]) as seat:
        assert '"state":"ok"' in await news(seat, clock)
    await clock.run(3600)
    daemon.answer = DaemonAnswer("stopped", text="it does not run")
    async with feed.seat(["lanes"]) as seat:
        assert '"state":"ok"' not in await news(seat, clock)


async def test_an_answer_that_nests_too_deep_to_be_sent_is_said_and_the_next_one_is_shown() -> None:
    feed, daemon, clock = made()
    deep: list[Any] = []
    for _ in range(200_000):  # for each version of Python
        deep = [deep]
    daemon.answer = DaemonAnswer("ok", {"lanes": deep})
    async with feed.seat(["lanes"]) as seat:
        assert '"state":"refused"' in await news(seat, clock)
        daemon.answer = DaemonAnswer("ok", {"lanes": []})
        found = await news(seat, clock)
        assert '"state":"ok"' in found
        assert "event: lanes" in found


async def test_so_many_look_on_and_no_more() -> None:
    feed, _, _ = made()
    async with contextlib_stack(feed, VIEWERS):
        with pytest.raises(FullError):
            async with feed.seat([]):
                pass
    assert feed.viewers == 0


def contextlib_stack(feed: LiveFeed, count: int) -> Any:
    """So many seats."""
    from contextlib import AsyncExitStack, asynccontextmanager

    @asynccontextmanager
    async def all_of_them() -> Any:
        async with AsyncExitStack() as stack:
            for _ in range(count):
                await stack.enter_async_context(feed.seat([]))
            yield

    return all_of_them()
