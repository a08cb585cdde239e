"""The part of a gateway that sends, in process: a real outbox, and a sender behind it.

An example:

    async with box(tmp_path, broker.url) as gateway:
        gateway.connect()
        await gateway.commit(drafts(1, 10))
        await until(lambda: gateway.sender.counts.confirmed >= 10)
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from edge.core import Draft, Stream
from edge.outbox import AsyncOutbox, StoredRecord
from edge.uplink.broker import Broker, make_broker
from edge.uplink.sender import Sender, SenderHooks, SenderOptions
from edge.wire import Topics
from tests.kit.clock import RealClock

GW = "gw-0001"
S = 1_000_000_000


def drafts(first: int, count: int, stream: Stream = Stream.AIR) -> list[Draft]:
    return [
        Draft(stream, "hut_air", number * S, (number + 1) * S, {"covered_s": 1.0, "n": number})
        for number in range(first, first + count)
    ]


def large(count: int, stream: Stream = Stream.AIR) -> list[Draft]:
    return [Draft(stream, "big", n, n, {"text": "x" * 400, "n": n}) for n in range(count)]


class UplinkGateway:
    """What `edge.gateway` joins: an outbox, and a sender that is fed with its commits."""

    def __init__(self, writer: AsyncOutbox, sender: Sender, clock: RealClock) -> None:
        self.writer, self.sender, self.clock = writer, sender, clock
        self.alarms: list[tuple[str, str]] = []
        self.task: asyncio.Task[None] | None = None

    def connect(self) -> None:
        self.task = asyncio.create_task(self.sender.run())

    async def disconnect(self) -> None:
        if self.task is not None:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.task

    async def commit(self, made: list[Draft]) -> list[StoredRecord]:
        now = self.clock.now()
        stored = await self.writer.commit(made, {}, now)
        self.sender.offer(stored, now.mono_ns)
        return stored


@contextlib.asynccontextmanager
async def box(
    folder: Path,
    broker: Broker | str,
    encoding: Any = "json",
    beat: Any = None,
    sealed: Any = None,
    merge: Any = None,
    known: Any = None,
    clock: RealClock | None = None,
    **terms: Any,
) -> AsyncIterator[UplinkGateway]:
    writer = await AsyncOutbox.start(
        folder / "outbox", limit_bytes=8 << 20, boot_id="b", run_dir=folder, merge=merge
    )
    clock = clock or RealClock()
    alarms: list[tuple[str, str]] = []
    if isinstance(broker, str):
        broker = make_broker(broker, GW)
    sender = Sender(
        [broker] if isinstance(broker, Broker) else broker,
        Topics("kerbstone/v1", "stadtmitte", GW),
        GW,
        writer,
        clock,
        boot=writer.epoch.boot,
        epoch=writer.epoch.epoch,
        options=SenderOptions(encoding=encoding, **terms),
        hooks=SenderHooks(
            status=lambda: {"epoch": writer.epoch.epoch},
            meta=lambda: {"devices": {}},
            alarm=lambda kind, text: alarms.append((kind, text)),
            watchdog=beat or (lambda: None),
            certificate_accepted=known or (lambda known: None),
            sealed=sealed or (lambda record, *moments: None),
        ),
    )
    made = UplinkGateway(writer, sender, clock)
    made.alarms = alarms
    try:
        yield made
    finally:
        await made.disconnect()
        await writer.close()


def numbers(lines: list[str], stream: str = "air") -> Iterator[int]:
    import json

    for line in lines:
        topic, _, payload = line.partition(" ")
        if f"/up/{stream}/" in topic:
            yield json.loads(payload)["seq"]
