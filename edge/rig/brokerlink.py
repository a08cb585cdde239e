"""The way between a box and its broker: a TCP forwarder that can be closed, swallow, delay, narrow,
damage and reset, in a thread of its own.

    with BrokerLink("127.0.0.1", broker_port) as link:
        box_connects_to(link.port)
        link.set(LinkFault("latency", 0.5))

It loses no packets: TCP within one machine sends them again before anybody notices. What is random
comes from the seed.
"""

import asyncio
import contextlib
import random
from collections import deque
from dataclasses import dataclass, field
from typing import Final, Literal

from edge.rig.tcpforwarder import HERE, TcpForwarder, first_of

LinkMode = Literal["fine", "down", "black_hole", "latency", "bandwidth", "chunk_loss"]
MODES: Final[tuple[LinkMode, ...]] = ("down", "black_hole", "latency", "bandwidth", "chunk_loss")
CHUNK: Final = 512  # bytes; so small that a narrow way is no stutter
JITTER: Final = 0.2  # of the latency, more or less
BITS: Final = 1000 / 8  # bytes in a kbit
NS: Final = 1_000_000_000
HELD: Final = 1024  # chunks under way in one direction; more wait with who sends them


@dataclass(frozen=True, slots=True)
class LinkFault:
    """`amount`: seconds of latency, kbit/s of bandwidth, the share of chunks that are lost."""

    mode: LinkMode
    amount: float = 0.0


@dataclass(slots=True)
class LinkCounts:
    """What went through it since it was there, and what did not."""

    connections: int = 0
    refused: int = 0
    """Connections that ended at once: the way was closed, or nobody listened behind it."""
    ended: int = 0
    """Connections that were cut."""
    passed: int = 0
    """Chunks that went through as they came."""
    swallowed: int = 0
    delayed: int = 0
    """Chunks that came later, for latency or for bandwidth."""
    bytes_up: int = 0


@dataclass(slots=True, eq=False)
class _Pair:
    """One connection: the box's end and the broker's. A dead one has lost bytes in a hole: nobody
    hears of it until its client gives up."""

    client: asyncio.StreamWriter
    broker: asyncio.StreamWriter | None = None
    dead: bool = False
    given_up: asyncio.Event = field(default_factory=asyncio.Event)


class BrokerLink(TcpForwarder):
    """Forwards `port` of this machine, at `listen`, to `host` and `to_port`."""

    def __init__(
        self, host: str, to_port: int, seed: int = 1, listen: tuple[str, int] = (HERE, 0)
    ) -> None:
        super().__init__("rig-link", listen)
        self._to = host, to_port
        self._chance = random.Random(f"{seed}/link")
        self._fault = LinkFault("fine")
        self._pairs: set[_Pair] = set()
        self.counts = LinkCounts()

    def set(self, fault: LinkFault) -> None:
        """From now on. What has lived in a hole stays dead."""
        self._fault = fault
        if fault.mode == "down":
            self.reset()

    def reset(self) -> None:
        """Every connection ends at once, with a RST."""
        self._loop.call_soon_threadsafe(self._cut)

    # in the thread

    def _cut(self) -> None:
        for pair in list(self._pairs):
            self.counts.ended += 1
            self._end(pair)

    def _end(self, pair: _Pair) -> None:
        pair.given_up.set()
        for end in filter(None, (pair.client, pair.broker)):
            end.transport.abort()

    async def _take(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        pair = _Pair(client)
        self._pairs.add(pair)
        try:
            await self._serve(reader, pair)
        except OSError:
            pass  # one end has gone
        finally:
            self._pairs.discard(pair)
            self._end(pair)
            for end in filter(None, (pair.client, pair.broker)):
                with contextlib.suppress(OSError):
                    await end.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, pair: _Pair) -> None:
        counts = self.counts
        if self._fault.mode == "down":
            counts.refused += 1
            return
        counts.connections += 1
        if self._fault.mode == "black_hole":  # it is accepted here, and nobody hears of it
            pair.dead = True
            while data := await reader.read(CHUNK):
                counts.swallowed += len(data) > 0
            return
        try:
            answers, pair.broker = await asyncio.open_connection(*self._to)
        except OSError:
            counts.refused += 1
            return
        await first_of(self._way(reader, pair.broker, pair), self._way(answers, pair.client, pair))

    async def _way(
        self, source: asyncio.StreamReader, to: asyncio.StreamWriter, pair: _Pair
    ) -> None:
        """One direction. What comes is due at a moment, and leaves in its order."""
        due: deque[tuple[int, bytes]] = deque()
        more, room = asyncio.Event(), asyncio.Event()
        giving = asyncio.ensure_future(self._give(due, more, room, to, pair))
        last_ns = 0
        try:
            while data := await source.read(CHUNK):
                if to is pair.broker:
                    self.counts.bytes_up += len(data)
                at_ns = self._due_ns(data, pair, last_ns)
                if at_ns is None:
                    continue
                last_ns = at_ns
                due.append((at_ns, data))
                more.set()
                while len(due) >= HELD:
                    room.clear()
                    await room.wait()
            if pair.dead and to is pair.client:  # the broker gave up: he does not hear it
                await pair.given_up.wait()
            while due and not giving.done():
                room.clear()
                await room.wait()
        finally:
            giving.cancel()
            await asyncio.gather(giving, return_exceptions=True)

    def _due_ns(self, data: bytes, pair: _Pair, last_ns: int) -> int | None:
        """When it has to leave, never before `last_ns`; None: never."""
        fault, counts = self._fault, self.counts
        if fault.mode == "black_hole":
            pair.dead = True
        lost = fault.mode == "chunk_loss" and self._chance.random() < fault.amount
        if pair.dead or lost:
            counts.swallowed += 1
            return None
        now_ns = self._clock.now().mono_ns
        at_ns = max(now_ns, last_ns)
        if fault.mode == "latency":
            late_s = fault.amount * (1 + self._chance.uniform(-JITTER, JITTER))
            at_ns = max(at_ns, now_ns + round(late_s * NS))
        elif fault.mode == "bandwidth":
            at_ns += round(len(data) / (fault.amount * BITS) * NS)
        counts.delayed += at_ns > now_ns
        counts.passed += at_ns == now_ns
        return at_ns

    async def _give(
        self, due: deque[tuple[int, bytes]], more: asyncio.Event, room: asyncio.Event,
        to: asyncio.StreamWriter, pair: _Pair,
    ) -> None:  # fmt: skip
        while True:
            while not due:
                room.set()
                more.clear()
                await more.wait()
            at_ns, data = due[0]
            if at_ns > self._clock.now().mono_ns:
                await self._clock.sleep_until(at_ns)
            if self._fault.mode == "black_hole":  # what was under way is gone, too
                pair.dead = True
            if not pair.dead:
                with contextlib.suppress(OSError):
                    to.write(data)
                    await to.drain()
            due.popleft()
            room.set()
