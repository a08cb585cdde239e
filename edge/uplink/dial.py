"""Name look-up, TCP and TLS, in threads: all three block, and the loop must not.

`CachingResolver` keeps the addresses of a host that worked for the day the name server is silent.
An old address is no weaker than a new one: with TLS it is the certificate that says who is there.

`BlockingCalls` are threads of their own and not the loop's executor: a name server that is a black
hole holds its thread for half a minute, and an executor's threads are waited for at the end of the
process. So who gives up leaves at once.
"""

import asyncio
import contextlib
import errno
import ipaddress
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from edge.uplink.broker import Broker, open_tunnel
from edge.uplink.connectfailure import expired_error, not_yet_error

T = TypeVar("T")
LOG: Final = logging.getLogger("kerbstone.mqtt")

RESOLVE_TIMEOUT_S: Final = 3.0  # for the name server, where addresses are known
CACHE_HOSTS: Final = 8  # hosts
CACHE_ADDRESSES: Final = 8  # of one host

Address = tuple[socket.AddressFamily, Any]
"""Family and what `connect` takes, with the port."""
Resolve = Callable[[str, int], tuple[Address, ...]]
NO_CHECK_TIME: Final = 0x200000  # X509_V_FLAG_NO_CHECK_TIME: the ssl module has no name for it
YEARS_10_NS: Final = 3653 * 86_400 * 1_000_000_000
MIN_TIMEOUT_S: Final = 0.1  # for one address, however many there are


class BlockingCalls:
    """At most `most` threads at one time; with all of them hung, the next fails at once."""

    def __init__(self, name: str, most: int, busy: str) -> None:
        self._name, self._busy = name, busy
        self._free = threading.BoundedSemaphore(most)

    async def run(self, work: Callable[[], T], discard: Callable[[T], None]) -> T:
        """The result of `work`. Raises OSError, also for its ValueError.

        When the caller gives up, a result that still comes goes to `discard`.
        """
        if not self._free.acquire(blocking=False):
            raise OSError(errno.EAGAIN, self._busy)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def deliver(result: T) -> None:
            if done.done():  # cancelled
                discard(result)
            else:
                done.set_result(result)

        def fail(error: OSError) -> None:
            if not done.done():
                done.set_exception(error)

        def thread() -> None:
            notify: Callable[[], None]
            came: list[T] = []
            try:
                came.append(work())
                notify = partial(deliver, came[0])
            except (OSError, ValueError) as failed:
                error = failed if isinstance(failed, OSError) else OSError(22, str(failed))
                notify = partial(fail, error)
            finally:
                self._free.release()  # before anybody hears of it, and asks again
            try:
                loop.call_soon_threadsafe(notify)
            except RuntimeError:  # the loop has ended meanwhile
                for result in came:
                    discard(result)

        try:
            threading.Thread(target=thread, name=self._name, daemon=True).start()
        except RuntimeError as error:  # no thread to be had
            self._free.release()
            raise OSError(errno.EAGAIN, str(error)) from None
        try:
            return await done
        except asyncio.CancelledError:
            if not done.cancelled() and done.exception() is None:  # both in the same moment
                discard(done.result())
            raise


def resolve_host(host: str, port: int) -> tuple[Address, ...]:
    """What the system's resolver says; blocks. Raises socket.gaierror, or ValueError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple((family, place) for family, _, _, _, place in found)[:CACHE_ADDRESSES]


class CachingResolver:
    """Looks up in a thread, at most two at one time. Lives as long as the process."""

    def __init__(self, look_up: Resolve = resolve_host) -> None:
        self._look_up = look_up
        busy = "earlier look-ups still wait for the name server; is it reachable?"
        self._lookups = BlockingCalls("lookup", 2, busy)
        self._worked: dict[tuple[str, int], tuple[Address, ...]] = {}

    async def find(self, host: str, port: int) -> tuple[Address, ...]:
        """Addresses to try, in this order: what worked, what is said now, what was said then.

        Raises OSError (`socket.gaierror` is one) when nothing is known.
        """
        known = self._worked.get((host, port), ())
        if _is_literal(host):
            return self._look_up(host, port)
        try:
            async with asyncio.timeout(RESOLVE_TIMEOUT_S if known else None):
                resolved = await self._lookups.run(
                    lambda: self._look_up(host, port), lambda _: None
                )
        except OSError as error:  # TimeoutError is one
            if not known:
                raise
            LOG.debug("%s: the name server fails (%s): using the last known addresses", host, error)
            return known
        first = [address for address in known[:1] if address in resolved]
        rest = [address for address in (*resolved, *known) if address not in first]
        return tuple(dict.fromkeys(first + rest))[:CACHE_ADDRESSES]

    def mark_worked(
        self, host: str, port: int, address: Address, tried: tuple[Address, ...]
    ) -> None:
        """`address`, one of those `tried`, led to the broker."""
        others = [other for other in tried if other != address]
        self._worked.pop((host, port), None)
        while len(self._worked) >= CACHE_HOSTS:
            del self._worked[next(iter(self._worked))]
        self._worked[host, port] = (address, *others)


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


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
            return dial_address(broker, address, max(MIN_TIMEOUT_S, share_s), floor_ns)
        except OSError as error:
            first = first or error
    raise first or OSError(f"{(broker.proxy or (broker.host,))[0]} has no address")


def dial_address(
    broker: Broker, address: Address, within_s: float, floor_ns: int | None
) -> DialledSocket:
    """TCP, proxy and TLS, at one address; blocks. `floor_ns`: see `Broker`. Raises OSError."""
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
        if ends_ns <= floor_ns:
            text = f"the broker's certificate expired on {ends}, before the last known time"
            raise expired_error(text)
        if begins_ns > floor_ns + YEARS_10_NS:
            text = f"the broker's certificate is valid only from {begins}"
            raise not_yet_error(f"{text}, 10 years after the last known time")
    return begins_ns


def _discard(dialled: DialledSocket) -> None:
    with contextlib.suppress(OSError):
        dialled.sock.close()
