"""The way to one broker, stage by stage and each by itself: name, port, proxy, TLS; then what it
makes of a login. Everything here opens connections; what they mean is decided in `brokerchecks`.

The first stages say nothing of MQTT, so they disturb nobody: a broker takes a session away from
whoever holds it only when a CONNECT comes. TLS is tried as the daemon does it. Where that fails,
once more for each thing that is checked in it, so that one fault does not hide another.
"""

import select
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, Final

from edge.durable.timelimit import within
from edge.uplink.broker import Broker
from edge.uplink.certificatedates import der_dates_s
from edge.uplink.dial import NO_CHECK_TIME, Address, DialledSocket, dial_address, resolve_host
from edge.uplink.inflight import ConnectionLostError

STAGE_S: Final = 10.0  # of each stage: what takes longer is of no use to the daemon
NAMES_TOLD: Final = 4
ALERT_S: Final = 1.0  # after the handshake: with TLS 1.3 a client is refused then


@dataclass(frozen=True, slots=True)
class Tried:
    """One thing that was tried: why it failed, or what was seen."""

    error: Exception | None = None
    seen: str = ""


@dataclass(slots=True)
class BrokerWay:
    """What was found on the way to one broker. None: it was not tried, or does not apply."""

    broker: Broker
    addresses: tuple[str, ...] = ()
    name: Tried | None = None
    port: Tried | None = None
    proxy: Tried | None = None
    tls: Tried | None = None  # as the daemon does it
    authority: Tried | None = None
    host_name: Tried | None = None
    dates: Tried | None = None
    dates_s: tuple[int, int] | None = None  # of the broker's certificate, Unix time
    names: tuple[str, ...] = ()  # for which it is, where its authority is known
    own: Tried | None = None  # our certificate, as the broker answers it within ALERT_S
    left: list[Address] = field(default_factory=list)  # those that accept a connection


def walk(
    way: BrokerWay, fresh: Callable[[], Broker], floor_ns: int | None, step: Callable[[str], None]
) -> None:
    """Go as far as it leads. `fresh` makes the broker anew, with a context that may be changed;
    `floor_ns` dates certificates where the clock cannot be right. `step` is called before each
    stage, and may raise to end it."""
    broker = way.broker
    host, port = broker.proxy or (broker.host, broker.port)
    step(f"the name {host}")
    found: Sequence[Address] = ()
    try:
        found = within(STAGE_S, lambda: resolve_host(host, port))
        way.addresses = tuple(dict.fromkeys(str(place[0]) for _, place in found))
        way.name = Tried(seen=", ".join(way.addresses))
    except (OSError, ValueError) as error:  # a name that cannot be one is a ValueError
        way.name = Tried(error)
        return
    step(f"port {port} of {host}")
    way.port = _try_port(way, found)
    if way.port.error is not None:
        return
    if broker.proxy is not None:
        step(f"the proxy {host}")
        way.proxy = _attempt(lambda: _open(replace(broker, tls=None), way, floor_ns))
        if way.proxy.error is not None:
            return
    if broker.tls is not None:
        step(f"TLS with {broker.host}")
        _try_tls(way, fresh, floor_ns)


def _try_port(way: BrokerWay, found: Sequence[Address]) -> Tried:
    """All addresses: a broker that listens at one of them only is seen by some boxes only."""
    first, share_s = None, STAGE_S / max(1, len(found))
    refused: list[str] = []
    took_ms = 0.0
    for family, place in found:
        start_s = time.monotonic()
        try:
            with socket.socket(family, socket.SOCK_STREAM) as sock:
                sock.settimeout(share_s)
                sock.connect(place)
            took_ms = took_ms or (time.monotonic() - start_s) * 1000
            way.left.append((family, place))
        except OSError as error:
            first = first or error
            refused.append(str(place[0]))
    if not way.left:
        return Tried(first or OSError("there is no address"))
    more = f"; not at {', '.join(refused)}" if refused else ""
    return Tried(seen=f"open at {way.left[0][1][0]} after {took_ms:.0f} ms{more}")


def _attempt(work: Callable[[], DialledSocket]) -> Tried:
    try:
        work().sock.close()
    except (OSError, ValueError) as error:
        return Tried(error)
    return Tried(seen="passed")


def _open(broker: Broker, way: BrokerWay, floor_ns: int | None) -> DialledSocket:
    return dial_address(broker, way.left[0], STAGE_S, floor_ns)


def _try_tls(way: BrokerWay, fresh: Callable[[], Broker], floor_ns: int | None) -> None:
    try:
        dialled = _open(fresh(), way, floor_ns)
    except (OSError, ValueError) as error:
        way.tls = Tried(error)
        _try_each(way, fresh, floor_ns)
        return
    sock: Any = dialled.sock
    with closing(sock):
        way.tls = Tried(seen=f"{sock.version()}, {(sock.cipher() or ('',))[0]}")
        way.authority = way.host_name = way.dates = Tried(seen="verified")
        way.dates_s = _dates(sock)
        way.own = _refused(sock)


def _try_each(way: BrokerWay, fresh: Callable[[], Broker], floor_ns: int | None) -> None:
    """Each thing by itself: what the first handshake did not come to may be wrong, too."""
    tls = way.tls.error if way.tls is not None else None
    if not isinstance(tls, ssl.SSLCertVerificationError):
        return

    def handshake(*, authority: bool = False, name: bool = False, dates: bool = False) -> Tried:
        broker = fresh()
        context = broker.tls
        assert context is not None, "it has TLS"
        context.check_hostname = name
        context.verify_mode = ssl.CERT_REQUIRED if authority else ssl.CERT_NONE
        if not dates:
            context.verify_flags = ssl.VerifyFlags(context.verify_flags | NO_CHECK_TIME)
        try:
            dialled = _open(broker, way, floor_ns if dates else None)
        except (OSError, ValueError) as error:
            return Tried(error)
        sock: Any = dialled.sock
        with closing(sock):
            way.dates_s = way.dates_s or _dates(sock)
            way.names = way.names or _names(sock)
            return Tried(seen=f"{sock.version()}, {(sock.cipher() or ('',))[0]}")

    first = handshake()
    way.tls = first
    way.authority = handshake(authority=True)
    if way.authority.error is None:
        way.host_name = handshake(authority=True, name=True)
        way.dates = handshake(authority=True, dates=True)


def _dates(sock: ssl.SSLSocket) -> tuple[int, int] | None:
    der = sock.getpeercert(binary_form=True)
    if der is None:
        return None
    try:
        return der_dates_s(der)
    except (ValueError, IndexError):
        return None


def _names(sock: ssl.SSLSocket) -> tuple[str, ...]:
    """Python reads a certificate only where it has verified it."""
    certificate: Any = sock.getpeercert()
    found = certificate.get("subjectAltName", ()) if certificate else ()
    return tuple(str(name) for kind, name in found if kind in ("DNS", "IP Address"))[:NAMES_TOLD]


def _refused(sock: ssl.SSLSocket) -> Tried:
    """What the broker says of our certificate right after the handshake; MQTT lets it say nothing
    else before our CONNECT."""
    sock.settimeout(ALERT_S)
    if not sock.pending() and not select.select([sock], [], [], ALERT_S)[0]:
        return Tried(seen="no objection")
    try:
        ended = not sock.recv(1)
    except TimeoutError:  # it was no record for us: a session ticket
        return Tried(seen="no objection")
    except OSError as error:
        return Tried(error)
    if ended:
        return Tried(ConnectionLostError("the broker hung up right after the handshake"))
    return Tried(seen="no objection")
