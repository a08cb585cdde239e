"""Two sinks between a cluster and PostgreSQL, and each part killed in turn: what the broker has
acknowledged is stored, once."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.platform.openstore import open_store
from edge.platform.recordqueue import DEAD, QUEUE
from tests.cluster.rabbit import GATEWAYS, Rabbit
from tests.cluster.sinks import FILES, ClusterSinks, messages
from tests.cluster.street import ClusterGateways, Key
from tests.kit.postgres import PostgresServer, missing, socket_folder

BEFORE_S, WITHOUT_S = 3.0, 6.0
DURABLE = ("-c", "synchronous_commit=on")


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    if why := missing():
        pytest.skip(why)
    server = PostgresServer.made(socket_folder(), options=DURABLE)
    yield server
    server.stop()


def stored(database: str) -> Counter[Key]:
    store = open_store(database, write=False)
    with contextlib.closing(store):
        return Counter(
            (name, each.key[3]) for name in GATEWAYS for each in store.records(name, "air")
        )


async def test_all_that_is_acknowledged_is_stored_once_whatever_is_killed(
    rabbit: Rabbit, postgres: PostgresServer, tmp_path: Path
) -> None:
    database = postgres.database()
    sinks = ClusterSinks(rabbit, database, tmp_path)
    sinks.start(0)
    sinks.start(1)
    try:
        async with ClusterGateways.of(rabbit, tmp_path / "gateways") as street:
            async with street.busy():
                await asyncio.sleep(BEFORE_S)
                for number in (0, 1):
                    sinks.kill(number)
                    await asyncio.sleep(BEFORE_S)
                    sinks.start(number)
                    await asyncio.sleep(BEFORE_S)
                postgres.kill()
                await asyncio.sleep(WITHOUT_S)
                await asyncio.to_thread(postgres.start)
                for node in rabbit.nodes:
                    await asyncio.sleep(BEFORE_S)
                    node.kill()
                    await asyncio.sleep(WITHOUT_S)
                    node.start()
                    await asyncio.to_thread(node.wait)
                    await asyncio.to_thread(rabbit.settle)
            assert street.confirmed == street.sent
            assert street.nobody == 0
            async with asyncio.timeout(120):
                while street.sent - stored(database).keys() or messages(rabbit, QUEUE):
                    await asyncio.sleep(1)
            found = stored(database)
            print(f"\nsent and acknowledged {len(street.sent)}, stored {found.total()}")
            assert found == Counter(street.sent), sinks.said
        assert messages(rabbit, DEAD) == 0
    finally:
        sinks.close()


def test_a_sink_has_no_more_rights_than_it_needs(rabbit: Rabbit, postgres: PostgresServer) -> None:
    """It cannot publish to a queue of its choice, nor listen to anything but the one queue."""
    import aio_pika

    from edge.platform.amqp import PORTS, amqp_url
    from edge.platform.subscription import parse_source

    ca, cert, key = (rabbit.folder / f"{name}" for name in FILES)
    source = parse_source(
        f"amqps://127.0.0.1:{rabbit.nodes[0].amqp_port}", "", ca=ca, cert=cert, key=key, ports=PORTS
    )

    async def refused(what: str) -> bool:
        connection = await aio_pika.connect(amqp_url(source), ssl_context=source.tls)
        channel = await connection.channel()
        try:
            match what:
                case "make a queue":
                    await channel.declare_queue("mine", exclusive=True)
                case "read the dead letters":
                    await (await channel.get_queue(DEAD)).get(timeout=5)
                case "write into a queue":
                    message = aio_pika.Message(b"x")
                    await channel.default_exchange.publish(message, "mqtt-subscription-x")
                case "send a record":
                    exchange = await channel.get_exchange("amq.topic", ensure=False)
                    await exchange.publish(aio_pika.Message(b"x"), "kerbstone.v1.a.b.up.air")
                case "send a receipt":
                    exchange = await channel.get_exchange("amq.topic", ensure=False)
                    await exchange.publish(
                        aio_pika.Message(b"x"), "kerbstone.v1.a.b.down.receipt", mandatory=False
                    )
        except aio_pika.exceptions.ChannelClosed as error:
            return "ACCESS_REFUSED" in str(error)
        finally:
            await connection.close()
        return False

    for what in ("make a queue", "read the dead letters", "write into a queue", "send a record"):
        assert asyncio.run(refused(what)), what
    assert not asyncio.run(refused("send a receipt"))
