"""What the daemon holds at this moment, for all who look on: one question for all of them.

The daemon's answer to `live` is cut into parts; a viewer gets the parts that its page shows, when
they have changed. While nobody looks, nothing is asked.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Final

from edge.control.protocol import NO_DAEMON_TEXT
from edge.core.clock import AsyncClock
from edge.web.daemonasker import DaemonAnswer, DaemonAsker
from edge.web.plainjson import json_text
from edge.web.publicanswer import public_answer, public_text

EVERY_NS: Final = (
    550_000_000  # the daemon makes its answer anew at most every 0.5 s: each look is new
)
LEAST_NS: Final = 50_000_000  # between an answer and the next question
STILL_NS: Final = 5_000_000_000  # a viewer hears at least so often that this page is alive
VIEWERS: Final = 8
PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "box": ("site", "gateway", "site_name", "names"),
    "time": ("uptime_s", "clock"),
    "devices": ("devices",),
    "lanes": ("lanes",),
    "contacts": ("contacts",),
    "link": ("link",),
    "queue": ("queue",),
    "issues": ("issues",),
}
"""Part: keys of the answer. A part of one key is that value."""

BEFORE_ALL: Final = json_text({"state": "busy", "text": "", "late_s": 0})


class FullError(Exception):
    """VIEWERS look on already."""


class LiveFeed:
    """Asks as long as somebody looks on."""

    def __init__(self, asker: DaemonAsker, clock: AsyncClock) -> None:
        self._asker, self._clock = asker, clock
        self._task: asyncio.Task[None] | None = None
        self._viewers = 0
        self._number = -1
        self._changed = asyncio.Event()
        self._parts: dict[str, str] = {}  # of the last answer, as JSON
        self._public: dict[str, str] = {}  # the same for who has not logged in
        self._daemon = self._public_daemon = BEFORE_ALL
        self._good_ns: int | None = None

    @property
    def viewers(self) -> int:
        return self._viewers

    @contextlib.asynccontextmanager
    async def seat(self, wanted: Iterable[str]) -> AsyncIterator["Seat"]:
        """A place for one viewer, for these parts of PARTS. Raises FullError."""
        if self._viewers >= VIEWERS:
            raise FullError
        self._viewers += 1
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        try:
            yield Seat(self, wanted)
        finally:
            self._viewers -= 1
            if not self._viewers:
                await self._stop()

    async def next_number(self, seen: int) -> int:
        """The number of the newest look, once it is another than `seen`."""
        if seen == self._number:
            await self._changed.wait()
        return self._number

    def now_ns(self) -> int:
        return self._clock.now().mono_ns

    def daemon(self, *, public: bool) -> str:
        """How the daemon is, as JSON: state, text, late_s (seconds since its last answer).
        `public`: for who has not logged in."""
        return self._public_daemon if public else self._daemon

    def part(self, name: str, *, public: bool) -> str | None:
        """A part of the last answer as JSON, which may be old; None before the first one.
        `public`: for who has not logged in."""
        return (self._public if public else self._parts).get(name)

    async def _run(self) -> None:
        while True:
            began_ns = self.now_ns()
            self._take(await self._asker.ask("live"))
            await self._clock.sleep_until(max(self.now_ns() + LEAST_NS, began_ns + EVERY_NS))

    def _take(self, found: DaemonAnswer) -> None:
        now_ns = self.now_ns()
        if found.answer is not None:
            try:
                self._parts = _texts(found.answer)
                self._public = _texts(public_answer("live", found.answer))
                self._good_ns = now_ns
            except RecursionError:
                found = DaemonAnswer("refused", text=NO_DAEMON_TEXT)
        late_s = 0 if self._good_ns is None else round((now_ns - self._good_ns) / 1e9)
        told = {"state": found.state, "text": found.text, "late_s": late_s}
        self._daemon = json_text(told)
        self._public_daemon = json_text({**told, "text": public_text(found.state, found.text)})
        self._number += 1
        self._changed.set()
        self._changed.clear()

    async def _stop(self) -> None:
        task, self._task = self._task, None
        self._parts, self._public, self._good_ns = {}, {}, None
        self._daemon = self._public_daemon = BEFORE_ALL
        self._number = -1  # whoever comes next waits for a look
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


class Seat:
    """One viewer: which parts it wants, and what it has of them."""

    def __init__(self, feed: LiveFeed, wanted: Iterable[str]) -> None:
        asked = set(wanted)
        self._feed, self._parts = feed, [each for each in PARTS if each in asked]
        self._sent: dict[str, str] = {}
        self._told_ns = -STILL_NS
        self._seen = -1

    async def look(self) -> None:
        """Wait for the next look."""
        self._seen = await self._feed.next_number(self._seen)

    def news(self, *, public: bool) -> str:
        """Its events as they go over the wire; "" when nothing is new. `public`: for who has not
        logged in."""
        found, now_ns = [], self._feed.now_ns()
        daemon = self._feed.daemon(public=public)
        if self._sent.get("daemon") != daemon or now_ns - self._told_ns >= STILL_NS:
            self._sent["daemon"], self._told_ns = daemon, now_ns
            found.append(event_text("daemon", daemon))
        for name in self._parts:
            part = self._feed.part(name, public=public)
            if part is not None and self._sent.get(name) != part:
                self._sent[name] = part
                found.append(event_text(name, part))
        return "".join(found)


def event_text(name: str, data: str) -> str:
    """One event of a stream; `data` is JSON in one line."""
    return f"event: {name}\ndata: {data}\n\n"


def _texts(answer: Mapping[str, Any]) -> dict[str, str]:
    return {part: json_text(_part(answer, part)) for part in PARTS}


def _part(answer: Mapping[str, Any], part: str) -> Any:
    keys = PARTS[part]
    if len(keys) == 1:
        return answer.get(keys[0])
    return {key: answer.get(key) for key in keys}
