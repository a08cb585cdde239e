"""What mosquitto has acknowledged is still there after kill -9; the daemon's uplink through it."""

import asyncio
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.uplink.mqtt import MqttConnection
from edge.wire import Receipt, encode_receipts
from tests.kit.caller import Caller
from tests.kit.citybroker import DOWN, UP, CityBroker, running
from tests.kit.uplink import box, drafts
from tests.kit.waiting import until

TYPE = "application/json"
OWN = UP.format("gw-0001")
SAVED_S = 1.5  # long enough for a file to be written
FILTER = "kerbstone/v1/+/+/up/#"
LAST = 1000


@pytest.fixture
def city(tmp_path: Path) -> Iterator[CityBroker]:
    with running(tmp_path / "city") as city:
        yield city


async def test_what_was_confirmed_waits_through_kill_9(city: CityBroker) -> None:
    """For a subscriber that has a session, and is away. Killed a second after the last PUBACK."""
    await leave_a_session(city)
    caller, link = await publish(city, range(50))
    await until(lambda: len(caller.answers) == 50)
    await asyncio.sleep(SAVED_S)
    city.stop()
    assert {answer for _, answer in caller.answers} == {0}
    await link.close()
    city.start()
    assert await kept(city) == list(range(50))


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
async def test_killed_between_the_answer_and_its_file_it_has_lost_what_it_answered(
    city: CityBroker,
) -> None:
    """Nothing helps at the broker: it answers, and writes its file at the end of the same turn."""
    await leave_a_session(city)
    assert city._process is not None
    words = [
        "strace",
        "-p",
        str(city._process.pid),
        "-e",
        "trace=rename",
        "-o",
        str(city.folder / "trace"),
    ]
    kill = ["-e", "inject=rename:signal=SIGKILL:when=5"]
    with subprocess.Popen([*words, *kill], stderr=subprocess.PIPE) as strace:
        assert strace.stderr is not None
        if b"attached" not in strace.stderr.readline():
            pytest.skip("strace may not look at another process here")
        caller = Caller()
        link = await caller.open(city.gateways.broker(city.gateway("gw-0001"), "any"))
        sent = 0
        while not caller.lost:  # the fifth file may be that of the fourth message
            await asyncio.sleep(0.01)
            if link.publish(sent, OWN, b"%d" % sent, TYPE) is None:
                sent += 1
                await until(lambda: bool(caller.lost) or len(caller.answers) == sent)  # noqa: B023
        answered = len(caller.answers)
        assert caller.answers == [(number, 0) for number in range(answered)]
        assert 3 <= answered <= 5
        await link.close()
    city.stop()
    city.start()
    assert await kept(city) == list(range(answered - 1))


async def test_what_a_connected_subscriber_has_not_acknowledged_is_lost_with_the_broker(
    city: CityBroker,
) -> None:
    """Only what waits for a place in the subscriber's window is a change for `autosave`."""
    idle = paho.Client(
        CallbackAPIVersion.VERSION2,
        protocol=paho.MQTTv5,
        manual_ack=True,
        reconnect_on_failure=False,  # its thread would wait a second first
    )
    seen: list[bytes | bytearray] = []
    ready = threading.Event()
    idle.on_subscribe = lambda *_: ready.set()
    idle.on_message = lambda _client, _data, message: seen.append(message.payload)
    idle.tls_set_context(city.platforms.context(city.platform))
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = 86_400
    port = city.platforms.port
    idle.connect("127.0.0.1", port, clean_start=False, properties=properties)
    idle.loop_start()
    await until(idle.is_connected)
    idle.subscribe(FILTER, qos=1)
    await until(ready.is_set)
    caller, link = await publish(city, range(10))
    await until(lambda: len(caller.answers) == len(seen) == 10)
    await asyncio.sleep(SAVED_S)
    city.stop()
    idle.disconnect()
    idle.loop_stop()
    await link.close()
    assert {answer for _, answer in caller.answers} == {0}
    city.start()
    assert await kept(city) == []


async def test_saved_every_five_minutes_it_loses_what_it_has_acknowledged_and_receipts_bring_it(
    city: CityBroker, tmp_path: Path
) -> None:
    """The two lines for more than 20 gateways; the gateway has `confirm = "platform"`."""
    city.stop()
    conf = city.folder / "mosquitto.conf"
    text = conf.read_text().replace("autosave_on_changes true", "autosave_on_changes false")
    conf.write_text(text.replace("autosave_interval 1\n", "autosave_interval 300\n"))
    city.start()
    await leave_a_session(city)
    place = city.gateways.broker(city.gateway("gw-0001"), "gw-0001")
    async with box(tmp_path, place, receipt_s=2.0) as gateway:
        gateway.connect()
        await gateway.commit(drafts(0, 20))
        table = gateway.sender._table
        await until(lambda: gateway.sender.counts.sent == 20 and not table.in_flight)
        assert gateway.sender.unconfirmed == 20, "acknowledged, and not receipted"
        city.stop()
        city.start()
        seen: set[int] = set()
        topic = DOWN.format("gw-0001").replace("mitte", "stadtmitte")
        back = city.platforms.client(city.platform, "store", fresh=False)
        async with asyncio.timeout(60), back as platform:
            await platform.subscribe(FILTER, qos=1)
            async for message in platform.messages:
                if "/up/air/" not in str(message.topic):
                    continue
                record = json.loads(message.payload)
                assert record["redelivered"], "the queue is gone, so it can only be a repeat"
                seen.add(record["seq"])
                stored = Receipt(record["epoch"], "air", ((record["seq"], record["seq"]),))
                for receipt in encode_receipts("gw-0001", [stored]):
                    await platform.publish(topic, receipt.data, qos=1)
                if len(seen) == 20:
                    break
        await until(lambda: gateway.sender.unconfirmed == 0)


async def leave_a_session(city: CityBroker) -> None:
    async with city.platforms.client(city.platform, "store", fresh=False) as away:
        await away.subscribe(FILTER, qos=1)


async def publish(city: CityBroker, numbers: range) -> tuple[Caller, MqttConnection]:
    caller = Caller()
    link = await caller.open(city.gateways.broker(city.gateway("gw-0001"), "any"))
    for sent in numbers:
        await until(lambda: bool(link.room))
        assert link.publish(sent, OWN, b"%d" % sent, TYPE) is None
    return caller, link


async def kept(city: CityBroker) -> list[int]:
    """What the session still has: all that comes before a message that is sent now."""
    found: list[int] = []
    async with asyncio.timeout(60), city.platforms.client(city.platform, "s", fresh=False) as back:
        _, link = await publish(city, range(LAST, LAST + 1))
        async for message in back.messages:
            assert isinstance(message.payload, bytes)
            if int(message.payload) == LAST:
                break
            found.append(int(message.payload))
    await link.close()
    return sorted(found)


async def test_the_uplink_delivers_a_record_to_the_platform(
    city: CityBroker, tmp_path: Path
) -> None:
    place = city.gateways.broker(city.gateway("gw-0001"), "gw-0001")
    async with (
        city.platforms.client(city.platform, "store") as platform,
        box(tmp_path, place) as gateway,
    ):
        await platform.subscribe(FILTER, qos=1)
        gateway.connect()
        await gateway.commit(drafts(0, 3))
        found: list[int] = []
        async for message in platform.messages:
            if "/up/air/" in str(message.topic):
                found.append(json.loads(message.payload)["seq"])
            if len(found) == 3:
                break
        assert sorted(found) == [1, 2, 3]
        await until(lambda: not gateway.alarms)
