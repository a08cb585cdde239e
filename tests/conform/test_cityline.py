"""The city's line at a real mosquitto: what a gateway has published, as it was published."""

import asyncio
import subprocess
from collections.abc import Callable

import pytest

from edge.conform.cityline import LineLostError, MqttCityLine
from edge.conform.evidence import Arrival
from edge.platform.subscription import BrokerSource, UnreachableError
from edge.wire import JSON, Payload, Topics
from tests.kit.broker import Mosquitto, free_port
from tests.kit.clock import RealClock
from tests.kit.rawbroker import RawBroker, raw_broker

TOPICS = Topics("kerbstone/v1", "test", "gw-1")


def publish(broker: Mosquitto, topic: str, *options: str) -> None:
    command = ["mosquitto_pub", "-p", str(broker.port), "-V", "5", "-t", topic, "-m", "{}"]
    properties = ["-D", "publish", "content-type", JSON]
    subprocess.run([*command, *properties, *options], check=True, timeout=30)


async def until(done: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not done():
            await asyncio.sleep(0.02)


def line_to(broker: Mosquitto | RawBroker, client_id: str = "conform") -> MqttCityLine:
    port = int(broker.url.rpartition(":")[2])
    return MqttCityLine(BrokerSource("127.0.0.1", port, client_id), RealClock())


def test_qos_and_retain_are_seen_as_the_gateway_gave_them(broker: Mosquitto) -> None:
    publish(broker, TOPICS.meta, "-q", "1", "-r")  # before: nothing of it comes as live

    async def listen() -> tuple[list[Arrival], dict[str, Arrival]]:
        came: list[Arrival] = []
        async with line_to(broker) as line:
            await line.begin(TOPICS, came.append)
            for qos in ("0", "1", "2"):
                publish(broker, f"{TOPICS.up}/air/x", "-q", qos)
            publish(broker, TOPICS.status, "-q", "1", "-r")
            publish(broker, f"{TOPICS.up}/a/b/c", "-q", "1")
            await until(lambda: len(came) == 5)
            line.check()
            return came, await line.held([TOPICS.status, TOPICS.meta, TOPICS.last("x")])

    came, held = asyncio.run(listen())
    assert sorted((each.qos, each.retain) for each in came) == [
        (0, False), (1, False), (1, False), (1, True), (2, False),
    ]  # fmt: skip
    assert {each.content_type for each in came} == {JSON}
    assert held.keys() == {TOPICS.status, TOPICS.meta}


def test_it_speaks_takes_over_and_says_when_its_own_connection_is_lost(broker: Mosquitto) -> None:
    async def play() -> None:
        came: list[Arrival] = []
        async with line_to(broker) as line, line_to(broker, "gw-1") as gateway:
            await line.begin(TOPICS, lambda _arrival: None)
            await gateway.begin(TOPICS, came.append)
            await line.publish(TOPICS.status, Payload(b"{}", JSON), retain=True)
            await until(lambda: came)
            assert came[0].retain
            await line.take_over("gw-1")
            await until(lambda: is_lost(gateway))
            line.check()
            broker.kill()
            await until(lambda: is_lost(line))
            with pytest.raises(LineLostError):
                await line.held([TOPICS.status])

    asyncio.run(play())


def test_a_broker_that_goes_before_we_listen_is_not_reached(broker: Mosquitto) -> None:
    async def play() -> None:
        async with line_to(broker) as line:
            broker.kill()
            await until(lambda: not line._client._client.is_connected())
            with pytest.raises(UnreachableError):
                await line.begin(TOPICS, lambda _arrival: None)

    asyncio.run(play())


async def test_who_may_not_look_at_what_is_retained_hears_it() -> None:
    """Or the gateway had the blame: nothing of it would be retained."""
    async with raw_broker() as broker, line_to(broker) as line:
        broker.suback = lambda name: 0x87 if name == TOPICS.meta else 1
        await line.begin(TOPICS, lambda _arrival: None)
        with pytest.raises(LineLostError, match=f"refuses the subscription to {TOPICS.meta}"):
            await line.held([TOPICS.status, TOPICS.meta])


async def test_a_connection_that_ends_while_we_look_is_told() -> None:
    """Or what had not come by then would not be retained."""
    async with raw_broker() as broker, line_to(broker) as line:

        def ends_behind(_name: str) -> int:
            asyncio.get_running_loop().call_later(0.1, broker.hang_up)
            return 1

        broker.suback = ends_behind
        with pytest.raises(LineLostError):
            await line.held([TOPICS.status])


async def test_who_may_not_listen_at_all_hears_it() -> None:
    async with raw_broker() as broker, line_to(broker) as line:
        broker.suback = lambda _name: 0x87
        with pytest.raises(UnreachableError, match="refuses the subscription to"):
            await line.begin(TOPICS, lambda _arrival: None)


def test_a_fault_of_ours_is_not_told_as_a_lost_connection(broker: Mosquitto) -> None:
    def fails(_arrival: Arrival) -> None:
        raise ValueError("of ours")

    async def play() -> None:
        async with line_to(broker) as line:
            await line.begin(TOPICS, fails)
            publish(broker, TOPICS.status)
            await until(lambda: line._reader and line._reader.done())
            with pytest.raises(ValueError, match="of ours"):
                line.check()

    asyncio.run(play())


def is_lost(line: MqttCityLine) -> bool:
    try:
        line.check()
    except LineLostError:
        return True
    return False


def test_without_a_broker_there_is_no_line() -> None:
    async def play() -> None:
        line = MqttCityLine(BrokerSource("127.0.0.1", free_port(), "conform"), RealClock())
        with pytest.raises(UnreachableError):
            async with line:
                pass

    asyncio.run(play())
