"""Near the end of a byte budget records go together each quarter of an hour, and merge first."""

import asyncio
import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.core import Draft, Stamp, Stream
from edge.core.walltime import QUARTER_NS
from edge.uplink.backloggate import SETTLED_NS
from edge.uplink.broker import Broker, make_broker
from tests.kit.broker import SUBSCRIBER, Make, Mosquitto, Subscriber
from tests.kit.clock import NTP, RealClock
from tests.kit.uplink import GW, UplinkGateway, box
from tests.kit.waiting import until, wait_until
from tests.outbox.test_downsample import MINUTE, WALL

UP = f"kerbstone/v1/stadtmitte/{GW}/up"
PUBLISHER = SUBSCRIBER.replace("_sub", "_pub")


class Moved(RealClock):
    """Begins with a quarter of an hour, and can be moved ahead."""

    def __init__(self) -> None:
        self.start_ns, self.ahead_ns = time.monotonic_ns(), SETTLED_NS

    def now(self) -> Stamp:
        mono_ns = self.ahead_ns + time.monotonic_ns() - self.start_ns
        return Stamp(mono_ns, WALL + mono_ns, NTP)

    async def sleep_until(self, mono_ns: int) -> None:
        await asyncio.sleep(max(0.0, (mono_ns - self.now().mono_ns) / 1e9))


def minute(number: int) -> Draft:
    body = {"covered_s": 60.0, "n": 1}
    return Draft(Stream.AIR, "hut", number * MINUTE, (number + 1) * MINUTE, body)


def summed(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    return {"covered_s": a["covered_s"] + b["covered_s"], "n": a["n"] + b["n"]}


def patient(broker: Mosquitto) -> Broker:
    """The clock of these tests jumps, and a silence is nothing to it."""
    return make_broker(broker.url, GW, keepalive_s=7200)


def records(listener: Subscriber, count: int) -> list[dict[str, Any]]:
    return [json.loads(line.partition(" ")[2]) for line in listener.stop(count)]


async def minutes(gateway: UplinkGateway, first: int, last: int) -> None:
    """As the daemon does: each minute is committed when it has passed."""
    clock = gateway.clock
    assert isinstance(clock, Moved)
    for number in range(first, last):
        clock.ahead_ns = (number + 1) * MINUTE
        await gateway.commit([minute(number)])


async def held(gateway: UplinkGateway) -> None:
    await until(lambda: gateway.sender._delivery.send_queue.saving)


async def turns(gateway: UplinkGateway, count: int = 3) -> None:
    """The sender has looked around so many times."""
    for _ in range(count):
        gateway.sender._wake.set()
        await asyncio.sleep(0.02)


async def test_what_can_wait_goes_together_and_an_alarm_at_once(
    mosquitto: Make, tmp_path: Path
) -> None:
    broker = mosquitto()
    listener = Subscriber(broker, f"{UP}/air/#", "-t", f"{UP}/event/#")
    async with box(tmp_path, patient(broker), merge=summed, clock=Moved()) as gateway:
        counts = gateway.sender.counts
        gateway.connect()
        await minutes(gateway, 0, 1)
        await until(lambda: counts.confirmed == 1)
        gateway.sender.set_saver_level(1)
        await held(gateway)
        await minutes(gateway, 1, 6)
        alarm = {"event": "tamper", "text": "the door"}
        await gateway.commit([Draft(Stream.EVENT, "door", MINUTE, MINUTE, alarm)])
        await until(lambda: counts.confirmed == 2)
        await turns(gateway)
        assert counts.sent == 2, "the alarm, and nothing else"
        gateway.clock.ahead_ns = QUARTER_NS + SETTLED_NS  # type: ignore[attr-defined]
        await turns(gateway)
        await until(lambda: counts.confirmed == 7)
        await held(gateway)
    found = records(listener, 7)
    assert [record["stream"] for record in found] == ["air", "event", *["air"] * 5]
    assert [record.get("backfilled") for record in found] == [None, None, *[True] * 5]


async def test_with_more_of_it_minutes_become_quarters(mosquitto: Make, tmp_path: Path) -> None:
    broker = mosquitto()
    listener = Subscriber(broker, f"{UP}/air/#")
    async with box(tmp_path, patient(broker), merge=summed, clock=Moved()) as gateway:
        gateway.connect()
        await until(lambda: gateway.sender.connected)
        gateway.sender.set_saver_level(2)
        await held(gateway)
        await minutes(gateway, 0, 15)
        gateway.clock.ahead_ns += SETTLED_NS  # type: ignore[attr-defined]
        await turns(gateway)
        await until(lambda: gateway.sender.counts.confirmed == 1)
        await held(gateway)
        await minutes(gateway, 15, 20)
        gateway.sender.set_saver_level(0)
        await until(lambda: gateway.sender.counts.confirmed == 6)
    quarter, *rest = records(listener, 6)
    assert quarter["covers"] == [[1, 15, 1]]
    assert quarter["n"] == 15
    assert [record["seq"] for record in rest] == [*range(16, 21)], "not asked for any more"
    assert "covers" not in rest[0]


async def test_after_an_outage_minutes_merge_before_they_go(
    mosquitto: Make, tmp_path: Path
) -> None:
    broker = mosquitto()
    listener = Subscriber(broker, f"{UP}/air/#")
    async with box(tmp_path, patient(broker), merge=summed, clock=Moved()) as gateway:
        gateway.connect()
        await until(lambda: gateway.sender.connected)
        gateway.sender.set_saver_level(2)
        await held(gateway)
        await minutes(gateway, 0, 5)
        await gateway.disconnect()
        await minutes(gateway, 5, 30)
        gateway.clock.ahead_ns += SETTLED_NS  # type: ignore[attr-defined]
        gateway.connect()
        await until(lambda: gateway.sender.counts.confirmed >= 2)
        await held(gateway)
    found = records(listener, 2)
    assert [record["covers"] for record in found] == [[[1, 15, 1]], [[16, 30, 1]]]


async def test_asked_for_while_nothing_can_go_it_holds_at_once(
    mosquitto: Make, tmp_path: Path
) -> None:
    broker = mosquitto()
    listener = Subscriber(broker, f"{UP}/air/#")
    async with box(tmp_path, patient(broker), merge=summed, clock=Moved()) as gateway:
        await minutes(gateway, 0, 15)
        gateway.sender.set_saver_level(2)
        gateway.connect()
        await until(lambda: gateway.sender.counts.confirmed >= 1)
    (quarter,) = records(listener, 1)
    assert quarter["covers"] == [[1, 15, 1]]


async def test_without_a_data_saver_all_goes_at_once_again(mosquitto: Make, tmp_path: Path) -> None:
    broker = mosquitto()
    async with box(tmp_path, patient(broker), merge=summed, clock=Moved()) as gateway:
        gateway.connect()
        await until(lambda: gateway.sender.connected)
        gateway.sender.set_saver_level(1)
        await held(gateway)
        await minutes(gateway, 0, 3)
        gateway.sender.set_saver_level(0)
        await until(lambda: gateway.sender.counts.confirmed == 3)
        await minutes(gateway, 3, 4)
        await until(lambda: gateway.sender.counts.confirmed == 4)


async def test_a_lost_connection_opens_no_gate_and_a_new_process_knows_of_none(
    mosquitto: Make, tmp_path: Path
) -> None:
    broker = mosquitto()
    listener = Subscriber(broker, f"{UP}/air/#")
    async with box(tmp_path, patient(broker), merge=summed, clock=Moved()) as gateway:
        gateway.connect()
        await until(lambda: gateway.sender.connected)
        gateway.sender.set_saver_level(1)
        await held(gateway)
        await minutes(gateway, 0, 3)
        link = gateway.sender._link
        assert link is not None
        sock: Any = link._client.socket()
        sock.shutdown(2)
        await until(lambda: gateway.sender.counts.connections == 2)
        await turns(gateway)
        assert gateway.sender.counts.sent == 0
    async with box(tmp_path, patient(broker), merge=summed, clock=Moved()) as gateway:
        gateway.connect()
        await until(lambda: gateway.sender.counts.confirmed == 3)
    assert [record["seq"] for record in records(listener, 3)] == [1, 2, 3]


def retained(broker: Mosquitto) -> dict[str, int]:
    """The last records that somebody finds who comes now: source and number."""
    listener = Subscriber(broker, f"{UP}/#", "-F", "%r %t %p")
    end = [PUBLISHER, "-p", str(broker.port), "-t", f"{UP}/end", "-m", "end"]
    subprocess.run(end, check=True, timeout=60)
    wait_until(lambda: any(line.endswith("/end end") for line in listener.lines))
    found = [line.removeprefix("1 ") for line in listener.stop() if line.startswith("1 ")]
    pairs = [line.partition(" ")[::2] for line in found if f"{UP}/last/" in line]
    return {topic.rpartition("/")[2]: json.loads(payload)["seq"] for topic, payload in pairs}


async def test_no_last_record_is_an_old_one_while_bytes_are_spared(
    mosquitto: Make, tmp_path: Path
) -> None:
    broker = mosquitto()
    async with box(tmp_path, patient(broker), merge=summed, clock=Moved(), last_s=1) as gateway:
        gateway.connect()
        await until(lambda: gateway.sender.connected)
        await minutes(gateway, 0, 1)
        await until(lambda: gateway.sender.counts.confirmed == 1)
        await turns(gateway)
        assert retained(broker) == {"hut": 1}
        gateway.sender.set_saver_level(1)
        await held(gateway)
        await turns(gateway)
        assert retained(broker) == {}, "at once, not after the first quarter"
        await minutes(gateway, 1, 15)
        gateway.clock.ahead_ns += SETTLED_NS  # type: ignore[attr-defined]
        await turns(gateway)
        await until(lambda: gateway.sender.counts.confirmed == 15)
        await held(gateway)
        assert retained(broker) == {}, "what goes in a quarter's batch is no present value"
        gateway.sender.set_saver_level(0)
        await turns(gateway)
        await minutes(gateway, 15, 16)
        await until(lambda: gateway.sender.counts.confirmed == 16)
        await turns(gateway)
        assert retained(broker) == {"hut": 16}


async def test_what_the_process_before_left_is_taken_away_too(
    mosquitto: Make, tmp_path: Path
) -> None:
    broker = mosquitto()
    async with box(tmp_path, patient(broker), merge=summed, clock=Moved(), last_s=1) as gateway:
        gateway.connect()
        await until(lambda: gateway.sender.connected)
        await minutes(gateway, 0, 1)
        await until(lambda: gateway.sender.counts.confirmed == 1)
        await turns(gateway)
    assert retained(broker) == {"hut": 1}
    async with box(tmp_path, patient(broker), merge=summed, clock=Moved(), last_s=1) as gateway:
        gateway.sender.set_saver_level(1)
        await minutes(gateway, 1, 2)
        gateway.connect()
        await until(lambda: gateway.sender.connected)
        gateway.clock.ahead_ns = QUARTER_NS + SETTLED_NS  # type: ignore[attr-defined]
        await turns(gateway)
        await until(lambda: gateway.sender.counts.confirmed == 1)
        await turns(gateway)
        assert retained(broker) == {}
