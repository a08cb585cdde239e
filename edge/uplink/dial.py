"""Name look-up, TCP and TLS, in threads: all three block, and the loop must not."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from edge.uplink.blockingcalls import BlockingCalls
from edge.uplink.broker import Broker
from edge.uplink.resolver import Address, CachingResolver
from edge.uplink.tunnel import open_tunnel

NO_CHECK_TIME: Final = 0x200000  # X509_V_FLAG_NO_CHECK_TIME: the ssl module has no name for it
YEARS_10_NS: Final = 3653 * 86_400 * 1_000_000_000
MIN_TIMEOUT_S: Final = 0.1  # for one address, however many there are

_resolver: Final = CachingResolver()
_dials: Final = BlockingCalls("dial", 2, "earlier connection attempts still wait for TCP or TLS")
_flags: Final = threading.Lock()


@dataclass(frozen=True, slots=True)
class DialledSocket:
    """An open socket, with TLS where the broker has it."""

    sock: socket.socket
    not_before_ns: int | None  # of the server's certificate, Unix time
    address: Address


async def dial(broker: Broker, resolver: CachingResolver = _resolver) -> DialledSocket:
    """Raises OSError. When the caller gives up, the thread closes what it may still open, later."""
    until_s = time.monotonic() + broker.connect_s
    floor_ns = broker.floor_ns() if broker.floor_ns is not None else None
    place = broker.proxy or (broker.host, broker.port)  # a proxy knows the broker's name itself
    found = await resolver.find(*place)
    dialled = await _dials.run(lambda: _reach(broker, found, until_s, floor_ns), _discard)
    resolver.mark_worked(*place, dialled.address, found)
    return dialled


def set_user_timeout(sock: socket.socket, keepalive_s: float) -> None:
    """The kernel gives a connection up when nothing it sent is acknowledged for so long.

    It finds a dead link while data waits; where nothing waits, the keep-alive does.
    """
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None and keepalive_s:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, option, int(1500 * keepalive_s))


def _reach(
    broker: Broker, addresses: Sequence[Address], until_s: float, floor_ns: int | None
) -> DialledSocket:
    first: OSError | None = None
    for number, address in enumerate(addresses):
        # one that swallows everything leaves time for the others
        share_s = (until_s - time.monotonic()) / (len(addresses) - number)
        try:
            return _connect(broker, address, max(MIN_TIMEOUT_S, share_s), floor_ns)
        except OSError as error:
            first = first or error
    raise first or OSError(f"{(broker.proxy or (broker.host,))[0]} has no address")


def _connect(
    broker: Broker, address: Address, within_s: float, floor_ns: int | None
) -> DialledSocket:
    until_s = time.monotonic() + within_s
    family, place = address
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(within_s)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        set_user_timeout(sock, broker.keepalive_s)
        sock.connect(place)
        if broker.proxy is not None:
            open_tunnel(sock, broker.host, broker.port, until_s)
        if broker.tls is None:
            return DialledSocket(sock, None, address)
        secure = _wrap(broker.tls, sock, broker.host, dated=floor_ns is None)
        sock = secure
        secure.settimeout(max(MIN_TIMEOUT_S, until_s - time.monotonic()))
        secure.do_handshake()
        # mypy takes the answer for a bare dict; without verification it is an empty one
        certificate: Any = secure.getpeercert()
        not_before_ns = _dates(certificate, floor_ns) if certificate else None
        return DialledSocket(secure, not_before_ns, address)
    except BaseException:
        sock.close()
        raise


def _wrap(context: ssl.SSLContext, sock: socket.socket, name: str, *, dated: bool) -> ssl.SSLSocket:
    """Before the handshake. `dated` False: certificates are not compared with the wall clock.

    A connection takes its flags from the context when it is made, so they need to stand there
    for this moment only. Chain and name are verified in any case.
    """
    with _flags:
        before = context.verify_flags
        if not dated:
            context.verify_flags = ssl.VerifyFlags(before | NO_CHECK_TIME)
        try:
            return context.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False)
        finally:
            context.verify_flags = before


def _dates(certificate: dict[str, Any], floor_ns: int | None) -> int:
    """When the certificate became valid (Unix ns). Raises SSLCertVerificationError.

    With a floor, which has certainly passed, it must not have ended before it, and must not begin
    so long after it that no honest box could have slept through that time.
    """
    begins, ends = certificate["notBefore"], certificate["notAfter"]
    begins_ns = ssl.cert_time_to_seconds(begins) * 1_000_000_000
    ends_ns = ssl.cert_time_to_seconds(ends) * 1_000_000_000
    if floor_ns is not None:
        text = ""
        if ends_ns <= floor_ns:
            text = f"the broker's certificate expired on {ends}, before the last known time"
        elif begins_ns > floor_ns + YEARS_10_NS:
            text = f"the broker's certificate is valid only from {begins}"
            text += ", 10 years after the last known time"
        if text:
            raise ssl.SSLCertVerificationError(1, text)
    return begins_ns


def _discard(dialled: DialledSocket) -> None:
    with contextlib.suppress(OSError):
        dialled.sock.close()
