"""Limits of the RabbitMQ configuration that ships, on one node, for MQTT 3.1.1 and 5."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import aio_pika
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from deploy.broker.rabbitmq.cluster import HERE
from edge.platform.collector import RECEIVE_MAXIMUM
from edge.platform.recordqueue import QUEUE
from tests.kit.platform import gateway
from tests.kit.postgres import PostgresServer
from tests.kit.rabbit import RabbitNode, missing
from tests.kit.records import E1, record
from tests.kit.waiting import until, wait_until
from tests.platform.sinkprocess import Sinks

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "RabbitMQ is here")
TOPIC = "kerbstone/v1/mitte/gw-0001/up/event"
VERSIONS = (paho.MQTTv311, paho.MQTTv5)
KEYS = ("vm_memory_high_watermark.relative", "channel_max", "mqtt.prefetch")


def shipped() -> dict[str, str]:
    lines = (HERE / "rabbitmq.conf").read_text().splitlines()
    pairs = [line.split(" = ", 1) for line in lines if " = " in line and line[0] != "#"]
    found = dict((key, value) for key, value in pairs)
    return {key: found[key] for key in KEYS}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitNode]:
    conf = "".join(f"{key} = {value}\n" for key, value in shipped().items())
    made = RabbitNode(tmp_path_factory.mktemp("node"), conf)
    try:
        yield made.start()
    finally:
        made.stop()


def connect(
    node: RabbitNode, name: str, version: MQTTProtocolVersion, *, kept: bool = False
) -> paho.Client:
    """`kept`: with a session that lasts, and without acknowledging anything."""
    client = paho.Client(
        CallbackAPIVersion.VERSION2, name, protocol=version, manual_ack=kept,
        clean_session=None if version == paho.MQTTv5 else not kept,
    )  # fmt: skip
    client.max_inflight_messages_set(2000)
    if version == paho.MQTTv5:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 600 if kept else 0
        properties.ReceiveMaximum = 65_535
        client.connect("127.0.0.1", node.port, clean_start=not kept, properties=properties)
    else:
        client.connect("127.0.0.1", node.port)
    client.loop_start()
    wait_until(client.is_connected)
    return client


@contextmanager
def alarm(node: RabbitNode, of: str) -> Iterator[None]:
    """The node has too little `memory`, or `disk`."""
    command, low, shipped_value = {
        "memory": ("set_vm_memory_high_watermark", "0.000001", shipped()[KEYS[0]]),
        "disk": ("set_disk_free_limit", "1000000GB", "50MB"),
    }[of]
    node.ctl(command, low)
    try:
        wait_until(lambda: of in node.ctl("eval", "rabbit_alarm:get_local_alarms()."))
        yield
    finally:
        node.ctl(command, shipped_value)


def end(*clients: paho.Client) -> None:
    for client in clients:
        client.disconnect()
        client.loop_stop()


@pytest.mark.parametrize("version", VERSIONS)
def test_above_its_memory_limit_a_node_confirms_nothing_and_loses_nothing(
    node: RabbitNode, version: MQTTProtocolVersion
) -> None:
    confirmed: list[int] = []
    heard: list[bytes] = []
    platform, gateway = connect(node, "platform", version), connect(node, "gw-0001", version)
    platform.on_message = lambda _client, _data, message: heard.append(bytes(message.payload))
    gateway.on_publish = lambda _client, _data, mid, *_: confirmed.append(mid)
    ready: list[int] = []
    platform.on_subscribe = lambda *_: ready.append(1)
    platform.subscribe("kerbstone/v1/+/+/up/+", qos=1)
    wait_until(lambda: bool(ready))
    gateway.publish(TOPIC, b"0", qos=1)
    wait_until(lambda: len(confirmed) == len(heard) == 1)
    with alarm(node, "memory"):
        for number in range(1, 6):
            gateway.publish(TOPIC, b"%d" % number, qos=1)
        assert not _comes(lambda: len(confirmed) > 1)
        assert len(heard) == 1
    wait_until(lambda: len(confirmed) == len(heard) == 6, seconds=30)
    assert sorted(heard) == [b"%d" % number for number in range(6)]
    end(platform, gateway)


@pytest.mark.parametrize("of", ["memory", "disk"])
async def test_a_sink_empties_the_queue_of_a_node_that_takes_no_receipts(
    node: RabbitNode, postgres: PostgresServer, of: str
) -> None:
    """Else the queue that has filled the disk would need the room that only it can give."""
    sinks = Sinks(node, postgres.database())
    node.ctl(
        "eval", "application:set_env(rabbit, quorum_tick_interval, 200)."
    )  # counts are younger
    try:
        sinks.start().stop()  # now there is the queue
        async with gateway(node) as one:
            await asyncio.gather(*(one.publish(record(number)) for number in range(1, 2501)))
            await until(lambda: node.waiting(QUEUE) == 2500)
            with alarm(node, of):
                sink = sinks.start()
                await until(sinks.empty)
                assert sinks.numbers == list(range(1, 2501))
            await one.publish(record(2501))
            await until(lambda: (E1, "air", 2501) in one.receipted)
            lost = 2501 - len(one.receipted)
            await one.publish(record(1), redelivered=True)
            await until(lambda: (E1, "air", 1) in one.receipted)
        code, counts, said = sink.stop()
        assert (code, counts["stored"], counts["reconnections"]) == (0, 2501, 0)
        assert lost > 0
        assert said.count("RabbitMQ takes no receipts") == 1
    finally:
        sinks.close()
        node.ctl("delete_queue", QUEUE)


def _comes(done: Callable[[], bool], seconds: float = 3.0) -> bool:
    try:
        wait_until(done, seconds=seconds)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize("version", VERSIONS)
def test_a_subscriber_is_given_as_many_as_receipts_takes(
    node: RabbitNode, version: MQTTProtocolVersion
) -> None:
    window = int(shipped()["mqtt.prefetch"])
    assert window == RECEIVE_MAXIMUM
    seen: list[int] = []
    name = f"slow-{int(version)}"
    slow, gateway = connect(node, name, version, kept=True), connect(node, "gw-0002", version)
    ready: list[int] = []
    slow.on_subscribe = lambda *_: ready.append(1)
    slow.on_message = lambda _client, _data, message: seen.append(message.mid)
    slow.subscribe("kerbstone/v1/+/+/up/+", qos=1)
    wait_until(lambda: bool(ready))
    confirmed: list[int] = []
    gateway.on_publish = lambda _client, _data, mid, *_: confirmed.append(mid)
    for _ in range(window + 50):
        gateway.publish(TOPIC, b"x", qos=1)
    wait_until(lambda: len(confirmed) == window + 50, seconds=60)
    wait_until(lambda: len(seen) == window, seconds=30)
    assert not _comes(lambda: len(seen) > window, 1.0)
    for mid in seen[:50]:
        slow.ack(mid, 1)
    wait_until(lambda: len(seen) == window + 50, seconds=30)
    end(slow, gateway)


async def test_a_program_may_open_few_channels(node: RabbitNode) -> None:
    most = int(shipped()["channel_max"])
    async with await aio_pika.connect(node.amqp_url) as connection:
        for _ in range(most):
            await connection.channel()
        with pytest.raises(aio_pika.exceptions.AMQPError, match="channel_max"):
            async with asyncio.timeout(10):
                await connection.channel()
