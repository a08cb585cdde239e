"""What a byte budget saves: the nominal street, by MQTT and mutual TLS, at each level."""

import asyncio
from pathlib import Path
from typing import Final

import pytest

from edge.core import Stamp, Stream
from edge.process.merge import merge_bodies
from edge.uplink.broker import make_broker
from tests.bench.report import Report
from tests.kit.citybroker import running
from tests.kit.clock import NTP, RealClock
from tests.kit.link import CountingProxy
from tests.kit.uplink import box
from tests.kit.virtualgateway import MONO_0, WALL_0, Commit, S, lived
from tests.kit.waiting import until
from tests.week.offline import Again

pytestmark = pytest.mark.bench

MINUTES: Final = 120
DAYS: Final = 1440 / MINUTES


class Virtual(RealClock):
    """As late as the last commit; who sleeps is woken at once, and looks."""

    def __init__(self) -> None:
        self.mono_ns = MONO_0

    def now(self) -> Stamp:
        return Stamp(self.mono_ns, WALL_0 + self.mono_ns - MONO_0, NTP)

    async def sleep_until(self, mono_ns: int) -> None:
        await asyncio.sleep(0.01)


async def spent(folder: Path, hour: list[Commit], level: int) -> float:
    """MB of a day, up and down: payload of TCP, without the keep-alive."""
    clock = Virtual()
    with running(folder / "city") as city, CountingProxy(city.gateways.port) as line:
        cert, key = city.gateway("gw-0001")
        broker = make_broker(
            f"mqtts://127.0.0.1:{line.port}", "gw-0001",
            ca=folder / "city/ca.crt", cert=cert, key=key,
        )  # fmt: skip
        async with box(
            folder, broker, "msgpack", clock=clock, merge=merge_bodies, backlog_per_s=1e6
        ) as gateway:
            sender = gateway.sender
            gateway.connect()
            await until(lambda: sender.connected)
            sender.set_saver_level(level)
            send_queue = sender._delivery.send_queue
            await until(lambda: send_queue.saving or not level)
            before, minutes, made = line.up + line.down, 0, 0
            for commit in Again(hour):
                clock.mono_ns = commit.at_ns
                at = clock.now()
                drafts = [each for each in commit.drafts if each.stream != Stream.HEALTH]
                rows = await gateway.writer.commit(drafts, {}, at)
                sender.offer(rows, at.mono_ns)
                made += len(rows)
                minutes += commit.closes
                if not level:
                    await until(lambda: not sender.unconfirmed and not send_queue.fresh)
                elif minutes % 15 == 0 and commit.closes:
                    clock.mono_ns += 11 * S
                    sender._wake.set()
                    await until(lambda: not send_queue.saving)
                    await until(lambda: send_queue.saving)
                if minutes == MINUTES:
                    break
            return (line.up + line.down - before) * DAYS / 1e6


async def test_bytes_of_a_day_at_each_level(tmp_path: Path, report: Report) -> None:
    hour = lived(60)
    found = []
    for level in range(3):
        folder = tmp_path / str(level)
        folder.mkdir()
        found.append(await spent(folder, hour, level))
    for level, words in ((1, "together each quarter"), (2, "quarters of an hour")):
        report.add(f"bytes of a day, {words}", found[level], found[0], "MB/day", "as usual")
    assert found[2] < found[1] < found[0]
