"""HTTPS for the desk: TLS 1.3, a thread for each connection, and an end to everything.

One request a connection. A slow client holds its own thread, until its time is over, and no other:
handshakes are not done by the thread that accepts.
"""

import contextlib
import socket
import socketserver
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from edge.core import ConfigError
from edge.identity.tls import NO_CHECK_TIME
from edge.provision.desk import Desk
from edge.provision.handler import Handler
from edge.provision.home import Home

LINGER_S: Final = 2.0
DRAIN: Final = 1 << 20  # bytes
CLOSE: Final = "the connection ended: "


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, and numbers of connections."""

    idle_s: float = 10.0  # between two bytes
    whole_s: float = 30.0  # for a connection, from its first byte to its last
    threads: int = 64
    each: int = 16  # of one address: boxes behind one modem share it


class EnrolServer(socketserver.TCPServer):
    """Raises OSError when the address cannot be had."""

    allow_reuse_address = True
    request_queue_size = 64

    def __init__(
        self,
        listen: str,
        context: ssl.SSLContext,
        desk: Desk,
        log: Callable[[str], None],
        limits: Limits | None = None,
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        host, _, port = listen.rpartition(":")
        host = host.strip("[]")
        if ":" in host:
            self.address_family = socket.AF_INET6
        self.desk = desk
        self.log = log
        self._context = context
        self._limits = limits or Limits()
        self._tick = tick
        self._lock = threading.Lock()
        self._open: dict[socket.socket, float] = {}
        self._count: Counter[str] = Counter()
        super().__init__((host, int(port)), Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for it, if there is still one for this address."""
        address = str(client_address[0])
        with self._lock:
            full = self._count.total() >= self._limits.threads
            if full or self._count[address] >= self._limits.each:
                request.close()
                return
            self._count[address] += 1
        work = threading.Thread(target=self._work, args=(request, client_address), daemon=True)
        work.start()

    def service_actions(self) -> None:
        """After each turn: whoever has had the whole time is cut off."""
        now = time.monotonic()
        with self._lock:
            for each, end in self._open.items():
                if now >= end:
                    _cut(each)
        self._tick()

    def _work(self, request: socket.socket, client_address: Any) -> None:
        address = str(client_address[0])
        tls = request
        try:
            request.settimeout(self._limits.idle_s)
            tls = self._context.wrap_socket(
                request, server_side=True, do_handshake_on_connect=False
            )
            with self._lock:
                self._open[tls] = time.monotonic() + self._limits.whole_s
            tls.do_handshake()
            Handler(tls, client_address, self)
            _linger(tls)
        except (OSError, ValueError) as error:  # ValueError: ssl's, for a socket cut off meanwhile
            self.log(f"{address}: {CLOSE}{error}")
        finally:
            with self._lock:
                self._open.pop(tls, None)
                self._count[address] -= 1
                self._count += Counter()  # forget those who have gone
            tls.close()


def context(home: Home) -> ssl.SSLContext:
    """TLS 1.3; a client certificate may come, and then must be from our CA. Raises ConfigError.

    Its dates are left to the desk: an identity that has expired may still renew.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.verify_mode = ssl.CERT_OPTIONAL
    made.verify_flags |= NO_CHECK_TIME
    made.options |= ssl.OP_IGNORE_UNEXPECTED_EOF  # Content-Length says what is torn
    made.num_tickets = 0  # one request a connection: nothing is resumed
    try:
        made.load_cert_chain(home.server, home.server_key)
        made.load_verify_locations(home.ca)
    except (OSError, ssl.SSLError) as error:
        text = f"{home.server}, {home.server_key}, {home.ca}: no key and certificates: {error}"
        raise ConfigError(f"{text}; `kerbstone provision ca` makes them") from None
    return made


def _linger(tls: ssl.SSLSocket) -> None:
    """Closed with bytes unread, TCP would throw away the answer before the other side has it."""
    tls.settimeout(LINGER_S)
    with contextlib.suppress(OSError, ValueError):
        tls.unwrap()
    left = DRAIN
    with contextlib.suppress(OSError):
        socket.socket.shutdown(tls, socket.SHUT_WR)
        while left > 0 and (piece := socket.socket.recv(tls, 65536)):
            left -= len(piece)


def _cut(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        socket.socket.shutdown(each, socket.SHUT_RDWR)  # not SSLSocket's: its thread still uses it
