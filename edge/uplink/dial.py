"""Name look-up, TCP and TLS in a thread of their own: all three block, and the loop must not.

Not the loop's executor: a name server that is a black hole holds its thread for half a minute, and
an executor's threads are waited for at the end of the process. At most two such threads live.
"""

import asyncio
import contextlib
import socket
import ssl
import threading
from typing import Any, Final

import paho.mqtt.client as paho

from edge.uplink.broker import Broker

MOST: Final = 2
_hung = threading.BoundedSemaphore(MOST)


class Handshake:
    """A TLS context that holds on to the socket it made: paho leaves it open when TLS fails."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._sock: ssl.SSLSocket | None = None
        self.check_hostname = context.check_hostname

    def wrap_socket(self, sock: socket.socket, **options: Any) -> ssl.SSLSocket:
        self._sock = self._context.wrap_socket(sock, **options)
        return self._sock

    def close(self) -> None:
        if self._sock is not None:
            with contextlib.suppress(OSError):
                self._sock.close()


async def dial(client: paho.Client, broker: Broker, handshake: Handshake | None) -> Any:
    """The connected socket, on which paho has written CONNECT. Raises OSError.

    When the caller gives up, the thread closes what it may still open, later.
    """
    loop = asyncio.get_running_loop()
    if not _hung.acquire(blocking=False):
        raise OSError(11, "earlier connections still wait for the name server or for TLS")
    opened: asyncio.Future[Any] = loop.create_future()
    given_up = threading.Event()

    def work() -> None:
        error: OSError | ValueError | None = None
        try:
            # no on_socket_* is set here: paho writes CONNECT itself, and the loop meets the
            # socket only afterwards
            client.connect_timeout = broker.connect_s
            client.connect(broker.host, broker.port, broker.keepalive_s, clean_start=_clean(broker))
        except (OSError, ValueError) as failed:
            error = failed
            if handshake is not None:
                handshake.close()
        finally:
            _hung.release()
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(deliver, error)
            return
        _shut(client)

    def deliver(error: OSError | ValueError | None) -> None:
        sock = client.socket()
        if given_up.is_set() or opened.done():
            _shut(client)
        elif error is not None:
            opened.set_exception(_as_os_error(error))
        elif sock is None:
            opened.set_exception(ConnectionError("the broker closed the connection at once"))
        else:
            opened.set_result(sock)

    threading.Thread(target=work, name="dial", daemon=True).start()
    try:
        return await opened
    except asyncio.CancelledError:
        given_up.set()
        raise


def _clean(broker: Broker) -> Any:
    # with 3.1.1 it is said when the client is made
    return True if broker.protocol == "5" else paho.MQTT_CLEAN_START_FIRST_ONLY


def _as_os_error(error: OSError | ValueError) -> OSError:
    return error if isinstance(error, OSError) else OSError(22, str(error))


def _shut(client: paho.Client) -> None:
    sock: Any = client.socket()
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.close()
