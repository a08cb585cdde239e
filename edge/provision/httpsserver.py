"""HTTPS for the enrolment service: TLS 1.3, a thread for each connection, and an end to everything.

One request a connection. A slow client holds its own thread, until its time is over, and no other:
handshakes are not done by the thread that accepts. When all threads are taken, a new client gets
the place of one that has not said yet what it wants: of the network that holds most, the oldest.
"""

import contextlib
import http.server
import ipaddress
import socket
import socketserver
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from edge.core import ConfigError
from edge.identity.httpsclient import NO_CHECK_TIME
from edge.provision.enrolservice import EnrolService
from edge.provision.serverdir import ServerDirectory

LINGER_S: Final = 2.0
DRAIN_BYTES: Final = 1 << 20  # bytes
CLOSED_TEXT: Final = "the connection ended: "
EVICTED_TEXT: Final = "its place was given to another client"


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Seconds, and numbers of connections."""

    idle_s: float = 10.0  # between two bytes
    total_s: float = 30.0  # for a connection, from its first byte to its last
    threads: int = 64
    each: int = 16  # of one network: boxes behind one modem share it


@dataclass(slots=True)
class _Connection:
    """A connection, which holds a thread. `at_work`: its request is here, and its
    answer is not yet on its way."""

    network: str
    socket: socket.socket
    end_s: float
    at_work: bool = False


class EnrolServer(socketserver.TCPServer):
    """`handler` reads a request and answers it. Raises OSError when the address cannot be had."""

    allow_reuse_address = True
    request_queue_size = 64

    def __init__(
        self,
        listen: str,
        context: ssl.SSLContext,
        service: EnrolService,
        handler: type[http.server.BaseHTTPRequestHandler],
        log: Callable[[str], None],
        limits: ConnectionLimits | None = None,
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        host, _, port = listen.rpartition(":")
        host = host.strip("[]")
        if ":" in host:
            self.address_family = socket.AF_INET6
        self.service = service
        self.log = log
        self._context = context
        self._limits = limits or ConnectionLimits()
        self._tick = tick
        self._lock = threading.Lock()
        self._places: list[_Connection] = []  # the oldest first
        self._threads = 0  # also of those that were put out and have not ended yet
        super().__init__((host, int(port)), handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for it, unless all are at work."""
        end_s = time.monotonic() + self._limits.total_s
        place = _Connection(client_network(str(client_address[0])), request, end_s)
        with self._lock:
            if not self._make_room(place.network):
                request.close()
                return
            self._places.append(place)
            self._threads += 1
        try:
            args = (place, client_address)
            threading.Thread(target=self._work, args=args, daemon=True).start()
        except RuntimeError as error:  # this machine has no thread for us
            self._release(place)
            request.close()
            self.log(f"{client_address[0]}: {CLOSED_TEXT}{error}")

    def service_actions(self) -> None:
        """After each turn: whoever has had the whole time is cut off."""
        now = time.monotonic()
        with self._lock:
            for each in self._places:
                if now >= each.end_s:
                    _cut_connection(each.socket)
        self._tick()

    @contextlib.contextmanager
    def at_work(self, connection: socket.socket) -> Iterator[None]:
        """While the request on it is answered nobody takes its place. Raises ConnectionError when
        it is gone already."""
        with self._lock:
            place = next((each for each in self._places if each.socket is connection), None)
            if place is None:
                raise ConnectionError(EVICTED_TEXT)
            place.at_work = True
        try:
            yield
        finally:
            place.at_work = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Of accepting. What a client did is logged where it is answered."""
        self.log(f"{client_address[0]}: {CLOSED_TEXT}{sys.exc_info()[1]!r}")

    def _make_room(self, wanted_by: str) -> bool:
        """Whether there is a place, if need be that of a client who has not asked for anything."""
        count = Counter(each.network for each in self._places)
        crowded = count[wanted_by] >= self._limits.each
        if not crowded and len(self._places) < self._limits.threads:
            return True
        idle = [
            each
            for each in self._places
            if not each.at_work and (each.network == wanted_by or not crowded)
        ]
        if not idle or self._threads >= 2 * self._limits.threads:
            return False
        out = max(idle, key=lambda each: count[each.network])  # the first one of them
        self._places.remove(out)
        _cut_connection(out.socket)
        return True

    def _release(self, place: _Connection) -> None:
        with self._lock:
            self._threads -= 1
            with contextlib.suppress(ValueError):  # it was put out
                self._places.remove(place)

    def _work(self, place: _Connection, client_address: Any) -> None:
        address, request = str(client_address[0]), place.socket
        tls = request
        try:
            request.settimeout(self._limits.idle_s)
            tls = self._context.wrap_socket(
                request, server_side=True, do_handshake_on_connect=False
            )
            with self._lock:
                place.socket = tls
                if place not in self._places:
                    raise ConnectionError(EVICTED_TEXT)
            tls.do_handshake()
            self.finish_request(tls, client_address)
            _linger(tls)
        except (OSError, ValueError) as error:  # ValueError: ssl's, for a socket cut off meanwhile
            self.log(f"{address}: {CLOSED_TEXT}{error}")
        finally:
            self._release(place)
            tls.close()


def client_network(address: str) -> str:
    """Whose it is: of IPv6 everybody has 2**64 addresses."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False))


def tls_context(directory: ServerDirectory) -> ssl.SSLContext:
    """TLS 1.3; a client certificate may come, and then must be from our CA. Raises ConfigError.

    Its dates are left to the service: an identity that has expired may still renew.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.verify_mode = ssl.CERT_OPTIONAL
    made.verify_flags |= NO_CHECK_TIME
    made.options |= ssl.OP_IGNORE_UNEXPECTED_EOF  # Content-Length says what is torn
    made.num_tickets = 0  # one request a connection: nothing is resumed
    try:
        made.load_cert_chain(directory.server, directory.server_key)
        made.load_verify_locations(directory.ca)
    except (OSError, ssl.SSLError) as error:
        files = f"{directory.server}, {directory.server_key}, {directory.ca}"
        text = f"{files}: no key and certificates: {error}"
        raise ConfigError(f"{text}; `kerbstone provision ca` makes them") from None
    return made


def _linger(tls: ssl.SSLSocket) -> None:
    """Closed with bytes unread, TCP would throw away the answer before the other side has it."""
    tls.settimeout(LINGER_S)
    with contextlib.suppress(OSError, ValueError):
        tls.unwrap()
    left = DRAIN_BYTES
    with contextlib.suppress(OSError):
        socket.socket.shutdown(tls, socket.SHUT_WR)
        while left > 0 and (piece := socket.socket.recv(tls, 65536)):
            left -= len(piece)


def _cut_connection(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        socket.socket.shutdown(each, socket.SHUT_RDWR)  # not SSLSocket's: its thread still uses it
