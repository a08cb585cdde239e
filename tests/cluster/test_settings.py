"""What each setting of the cluster is for: the same without it loses, or stands still."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.uplink.mqtt import BrokerRefusedError, ConnectionLostError, MqttConnection, Will
from tests.cluster.platform import FILTERS, ClusterPlatform
from tests.cluster.rabbit import Rabbit
from tests.cluster.street import ClusterGateways
from tests.kit.caller import Caller
from tests.kit.citybroker import UP
from tests.kit.waiting import until

TYPE = "application/json"
UNSPECIFIC, QUOTA = 131, 151
OWN = UP.format("gw-0001")
POLICY = "^mqtt-subscription-.*qos1$"


@pytest.fixture
def city(rabbit: Rabbit) -> Iterator[Rabbit]:
    """With the policy that ships, and a session that is empty, before and after."""
    rabbit.forget_session()
    yield rabbit
    shipped = json.loads((rabbit.folder / "definitions.json").read_text())["policies"][0]
    policy(rabbit, shipped["definition"])
    rabbit.nodes[0].ctl("set_disk_free_limit", "2GB")
    rabbit.forget_session()


def policy(city: Rabbit, definition: dict[str, object]) -> None:
    words = ("sessions", POLICY, json.dumps(definition), "--apply-to", "quorum_queues")
    city.nodes[0].ctl("set_policy", *words)


def glances(city: Rabbit, times: int) -> int:
    """How often a platform that never acknowledges is given the message that waits."""
    found = 0
    for number in range(times):
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 86_400
        client = paho.Client(
            CallbackAPIVersion.VERSION2, "platform", protocol=paho.MQTTv5, manual_ack=True
        )
        seen: list[bytes] = []
        client.on_message = lambda _client, _data, message, seen=seen: seen.append(message.payload)
        place = city.places[number % 3]
        client.tls_set_context(place.context(city.platform))
        client.connect("127.0.0.1", place.port, clean_start=False, properties=properties)
        end = time.monotonic() + 2
        while not seen and time.monotonic() < end:
            client.loop(0.1)
        found += len(seen)
        client._sock_close()
    return found


@pytest.mark.parametrize(("definition", "given"), [
    ({"delivery-limit": -1}, 25),
    ({"delivery-limit": 20}, 21),  # what RabbitMQ 4.0 does unless it is told otherwise
])  # fmt: skip
async def test_a_message_is_kept_however_often_its_delivery_fails(
    city: Rabbit, definition: dict[str, object], given: int
) -> None:
    """With the limit that is usual it is gone after 21 failures, although it was confirmed."""
    policy(city, definition)
    async with city.session(0) as away:
        await away.subscribe(FILTERS)
    caller = Caller()
    link = await caller.open(city.brokers("gw-0001")[0])
    assert link.publish(1, OWN, b"{}", TYPE) is None
    await until(lambda: caller.answers == [(1, 0)])
    await link.close()
    assert await asyncio.to_thread(glances, city, 25) == given


async def test_with_a_limit_for_sessions_one_that_is_full_stops_the_gateways(city: Rabbit) -> None:
    """So there is none: the disk is the limit, and it refuses no record."""
    policy(city, {"delivery-limit": -1, "max-length": 5, "overflow": "reject-publish"})
    async with city.session(0) as away:
        await away.subscribe(FILTERS)
    caller = Caller()
    link = await caller.open(city.brokers("gw-0001")[1])
    for number in range(20):
        assert link.publish(number, OWN, b"{}", TYPE) is None
        await until(lambda count=number + 1: len(caller.answers) == count)  # type: ignore[misc]
    await link.close()
    assert caller.answers[0][1] == 0
    refused = caller.answers[-1][1]
    assert isinstance(refused, BrokerRefusedError)
    assert refused.code == UNSPECIFIC


async def test_a_full_disk_stops_confirmations_and_loses_nothing(
    city: Rabbit, tmp_path: Path
) -> None:
    platform = ClusterPlatform(city)
    async with ClusterGateways.of(city, tmp_path) as street, platform.listening(1):
        async with street.busy():
            await asyncio.sleep(2)
            await asyncio.to_thread(city.nodes[0].ctl, "set_disk_free_limit", "900000GB")
            await asyncio.sleep(3)
            before = len(street.confirmed)
            await asyncio.sleep(5)
            assert len(street.confirmed) == before < len(street.sent)
            await asyncio.to_thread(city.nodes[0].ctl, "set_disk_free_limit", "2GB")
        await platform.have(street.sent)
        assert street.sent <= platform.seen.keys()
        assert street.nobody == 0


async def test_connections_have_a_limit_in_all_nodes_together(city: Rabbit) -> None:
    """Whoever comes too late is told, and his gateway stays away for a while."""
    limits = json.loads(city.nodes[1].ctl("list_vhost_limits", "--formatter", "json"))["value"]
    assert json.loads(limits) == {"max-connections": 10_000}
    city.nodes[0].ctl("set_vhost_limits", '{"max-connections": 1}')
    try:
        link = await Caller().open(city.brokers("gw-0001")[0])
        await asyncio.sleep(1)  # connections are counted from events
        with pytest.raises(BrokerRefusedError) as caught:
            await Caller().open(city.brokers("gw-0002")[1])
        await link.close()
    finally:
        city.nodes[0].ctl("set_vhost_limits", '{"max-connections": 10000}')
    assert caught.value.code == QUOTA


async def test_what_is_retained_stays_at_its_node_and_is_not_found_by_a_wildcard(
    city: Rabbit,
) -> None:
    """So the state of a gateway is known from its births, in a session that lasts."""
    status = "kerbstone/v1/kept/gw-0002/up/status"
    gateway = Caller()
    link = await gateway.open(city.brokers("gw-0002")[0])
    assert link.publish(1, status, b'{"state":"online"}', TYPE, retain=True) is None
    await until(lambda: len(gateway.answers) == 1)
    found = []
    for place in city.places:
        for topic in (status, FILTERS[0][0]):
            caller = Caller()
            other = await caller.open(place.broker(city.platform, "platform"), subscribe=[topic])
            await asyncio.sleep(0.5)
            await other.close()
            found.append(len(caller.messages))
    assert found == [1, 0, 0, 0, 0, 0]
    await link.close()


async def test_the_will_of_a_gateway_dies_with_its_node(city: Rabbit) -> None:
    """Its next birth says where it is; one that died with the node is still called online."""
    status = UP.format("gw-0001").replace("event", "status")
    will = Will(status, b'{"state":"offline"}', TYPE)
    platform = Caller()
    held = await platform.open(
        city.places[1].broker(city.platform, "platform"), subscribe=["kerbstone/v1/+/+/up/status"]
    )
    for node in (2, 0):
        lost: list[ConnectionLostError] = []
        link = await MqttConnection.open(
            city.brokers("gw-0001", node)[0], will=will, on_answer=lambda *_: None,
            on_lost=lost.append,
        )  # fmt: skip
        if node:
            link._cut(ConnectionLostError("as if its power had gone"))
            await until(lambda: len(platform.messages) == 1)
        else:
            city.nodes[node].kill()
            await until(lambda lost=lost: len(lost) == 1)  # type: ignore[misc]
            await asyncio.sleep(5)
        assert [message.topic for message in platform.messages] == [status]
        await link.close()
    await held.close()
    city.nodes[0].start()
    await asyncio.to_thread(city.nodes[0].wait)
    await asyncio.to_thread(city.settle)


async def test_with_classic_queues_nothing_is_confirmed_while_one_node_is_away(
    tmp_path: Path, rabbit: Rabbit
) -> None:
    """The node that has the session; nothing is lost either, it waits at the gateways."""
    quorum = "mqtt.durable_queue_type = quorum"
    city = Rabbit(tmp_path / "city", [(quorum, quorum.replace("quorum", "classic"))])
    try:
        city.start()
        platform = ClusterPlatform(city)
        async with ClusterGateways.of(city, tmp_path / "street") as street:
            async with platform.listening(0):
                async with street.busy():
                    await asyncio.sleep(2)
                    city.nodes[0].kill()
                    await asyncio.sleep(3)
                    before = len(street.confirmed)
                    await asyncio.sleep(10)
                    assert len(street.confirmed) == before < len(street.sent)
                    city.nodes[0].start()
                    await asyncio.to_thread(city.nodes[0].wait)
                await platform.have(street.sent)
            print(
                f"\nclassic: {before} confirmed before the kill, none in 10 s after it; "
                f"{len(street.sent)} sent, {len(platform.seen.keys() & street.sent)} received"
            )
            assert street.sent <= platform.seen.keys()
    finally:
        city.stop()
