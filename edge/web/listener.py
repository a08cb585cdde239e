"""Accepts connections for the page: so many at once, and each has to say something soon.

uvicorn has the protocol; its own server would take any number of handshakes and wait a minute for
each. When all places are taken, the connection goes that has kept the others waiting for longest.
"""

import asyncio
import contextlib
import os
import socket
import ssl
from pathlib import Path
from typing import Final

from uvicorn.config import Config
from uvicorn.server import ServerState

from edge.web.boundedhttp import HEAD_LIMIT, KEEP_ALIVE_S, BoundedHttp
from edge.web.guard import App, Receive, Scope, Send

CONNECTIONS: Final = 40  # a browser opens six; each has some 60 kB of TLS
HANDSHAKE_S: Final = 10.0
GOODBYE_S: Final = 2.0
PAUSE_S: Final = 0.5  # when the system has no descriptor for another one
BACKLOG: Final = 16
SOCKET_MODE: Final = 0o660


def unix_listener(path: Path) -> socket.socket:
    """A socket of that name; what lies there from an earlier start is removed. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    old = os.umask(0o777 & ~SOCKET_MODE)
    try:
        made.bind(str(path))
    except OSError:
        made.close()
        raise
    finally:
        os.umask(old)
    made.listen(BACKLOG)
    return made


def tcp_listener(host: str, port: int) -> socket.socket:
    """On one address. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # with its protocol named, asyncio sends the parts of an answer at once (TCP_NODELAY): it is the
    # difference between 1 and 44 ms
    made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    made.listen(BACKLOG)
    return made


class Listener:
    """Serves `app` (ASGI) on one socket until it is cancelled."""

    def __init__(self, app: App, context: ssl.SSLContext) -> None:
        async def until_the_end(scope: Scope, receive: Receive, send: Send) -> None:
            with contextlib.suppress(asyncio.CancelledError):  # of `_end`: no fault to log
                await app(scope, receive, send)

        self._config = Config(
            until_the_end, http=BoundedHttp, ws="none", lifespan="off", log_config=None,
            access_log=False, proxy_headers=False, server_header=False,
            interface="asgi3",
            h11_max_incomplete_event_size=HEAD_LIMIT, timeout_keep_alive=KEEP_ALIVE_S,
        )  # fmt: skip
        self._context = context
        self._state = ServerState()
        self._handshakes: dict[socket.socket, asyncio.Task[None]] = {}  # the oldest first
        self._spoken: dict[BoundedHttp, None] = {}  # the oldest first

    async def serve(self, listening: socket.socket) -> None:
        """Closes `listening`, and all connections, at its end."""
        self._config.load()
        listening.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    connection, _ = await loop.sock_accept(listening)
                except OSError:  # no descriptor left, or it has gone already
                    await asyncio.sleep(PAUSE_S)  # noqa: TID251  nobody tests its length
                    continue
                self._take(connection)
        finally:
            listening.close()
            await self._end()

    def _take(self, connection: socket.socket) -> None:
        self._forget_closed()
        if len(self._handshakes) + len(self._spoken) >= CONNECTIONS and not self._put_out():
            connection.close()
            return
        connection.setblocking(False)
        task = asyncio.create_task(self._shake_hands(connection))
        self._handshakes[connection] = task

    async def _shake_hands(self, connection: socket.socket) -> None:
        try:
            _, made = await asyncio.get_running_loop().connect_accepted_socket(
                lambda: BoundedHttp(self._config, self._state, {}), connection,
                ssl=self._context,
                ssl_handshake_timeout=HANDSHAKE_S, ssl_shutdown_timeout=GOODBYE_S,
            )  # fmt: skip
            self._spoken[made] = None
        except OSError:  # ssl.SSLError and ConnectionError are: it speaks no TLS, or has gone
            connection.close()
        finally:
            self._handshakes.pop(connection, None)

    def _forget_closed(self) -> None:
        for each in [p for p in self._spoken if p.is_over]:
            del self._spoken[each]

    def _put_out(self) -> bool:
        """Whether there is a place now. Whose request is under way stays."""
        for connection, task in self._handshakes.items():
            del self._handshakes[connection]
            task.cancel()
            return True
        for each in self._spoken:
            if each.is_idle:
                del self._spoken[each]
                each.abort()
                return True
        return False

    async def _end(self) -> None:
        for each in self._spoken:
            each.abort()
        await asyncio.sleep(0)  # noqa: TID251  they hear of it, and so nobody writes any more
        left = [*self._handshakes.values(), *self._state.tasks]
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=GOODBYE_S)
