"""How the city reaches RabbitMQ by AMQP 0-9-1, and what the library says when that has ended.

aio-pika connects. Messages come and go by aiormq below it: one task for each and no second object,
which is a sixth of the CPU of a record less.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import aio_pika
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import (
    AuthenticationError,
    InvalidFrameError,
    ProbableAuthenticationError,
)
from yarl import URL

from edge.platform.subscription import BrokerSource

for _name in ("aio_pika", "aiormq"):  # they log what they raise, too: it would be told twice
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)

PORTS: Final = {"amqp": 5672, "amqps": 5671}
EXCHANGE: Final = "amq.topic"  # where the MQTT plugin publishes
SWAPPED: Final = str.maketrans("/.", "./")  # what the plugin makes of a topic, and back
CONNECT_S: Final = 30.0
CLOSE_S: Final = 5.0  # a broker that does not read hears no goodbye
HEARTBEAT_S: Final = 30
LOST: Final = (aio_pika.exceptions.AMQPError, OSError, RuntimeError)
"""What the library raises when a connection has ended; RuntimeError: the channel was closed."""


class LostConnectionError(Exception):
    """The connection to the broker has ended; what is not acknowledged comes again, to any sink."""


class RefusedError(Exception):
    """The broker is there and refuses, in a whole sentence; another one, or a later try, may do."""


def amqp_url(source: BrokerSource) -> URL:
    """Without a user name the certificate says who we are."""
    external = source.username is None and source.tls is not None
    return URL.build(
        scheme="amqps" if source.tls is not None else "amqp",
        host=source.host,
        port=source.port,
        user=source.username,
        password=source.password,
        path="/",
        query={"heartbeat": str(HEARTBEAT_S), **({"auth": "external"} if external else {})},
    )


async def connect(source: BrokerSource) -> AbstractConnection:
    """Raises RefusedError, or one of LOST."""
    try:
        return await aio_pika.connect(amqp_url(source), timeout=CONNECT_S, ssl_context=source.tls)
    except (AuthenticationError, ProbableAuthenticationError) as error:
        raise RefusedError(f"RabbitMQ refuses the login: {words(error)}") from error
    except InvalidFrameError as error:
        if "Connection.Close " not in str(error):
            raise
        raise RefusedError(
            "RabbitMQ ends the connection while it is opened: this user may not use the virtual "
            "host /, or there are too many connections; RabbitMQ's log says which"
        ) from error


async def disconnect(connection: AbstractConnection | None) -> None:
    """Also one that was never made, or has ended already."""
    if connection is not None:
        with suppress(*LOST):
            async with asyncio.timeout(CLOSE_S):
                await connection.close()


@contextmanager
def lost() -> Iterator[None]:
    """Only calls of the library stand in it: a fault of ours may be a RuntimeError, too."""
    try:
        yield
    except LOST as error:
        raise LostConnectionError(words(error)) from error


def words(error: BaseException) -> str:
    """What it says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__
