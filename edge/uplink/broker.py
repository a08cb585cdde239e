"""Where the broker is and how to be let in: put together once, secrets never shown; and the way to
it through an HTTP proxy (CONNECT, RFC 9110 section 9.3.6).
"""

import re
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from edge.core import ConfigError, endpoint

MAX_RESPONSE_BYTES: Final = 8192  # bytes of an answer's head
PROXY: Final = re.compile(r"http://(\[[0-9a-f:.]+\]|[a-z0-9.-]+):([0-9]{1,5})/?")
STATUS: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: ([ -~]{0,80})[ -~]*)?\r?\n")
MIN_WAIT_S: Final = 0.1
Protocol = Literal["5", "3.1.1"]


def parse_proxy(text: str) -> tuple[str, int]:
    """Host and port of `http://host:port`. Raises ValueError."""
    found = PROXY.fullmatch(text)
    if found is None or not 0 < int(found[2]) < 65_536:
        raise ValueError(f"{text!r:.80} is not a proxy: write http://host:port in lower case")
    return found[1].strip("[]"), int(found[2])


def open_tunnel(sock: socket.socket, host: str, port: int, until_s: float) -> None:
    """Through the proxy at the other end of `sock` to host and port, until a monotonic time.

    What comes behind the answer is lost: neither TLS nor MQTT lets a server speak first.
    Raises OSError.
    """
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    _wait(sock, until_s)
    sock.sendall(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode("ascii"))
    head = b""
    while b"\n\r\n" not in head and b"\n\n" not in head:
        _wait(sock, until_s)
        data = sock.recv(1024)
        head += data
        if not data or len(head) > MAX_RESPONSE_BYTES:
            raise ConnectionError("the proxy's answer to CONNECT cannot be read")
    status = STATUS.match(head)
    if status is None:
        raise ConnectionError("the server at the proxy's address does not speak HTTP")
    if not status[1].startswith(b"2"):
        status_text = b" ".join(status.groups(b"")).decode("ascii").strip()
        raise ConnectionError(f"the proxy refuses a connection to {place}: {status_text}")


def _wait(sock: socket.socket, until_s: float) -> None:
    left_s = until_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("the proxy is too slow")
    sock.settimeout(max(MIN_WAIT_S, left_s))


@dataclass(frozen=True, slots=True)
class Broker:
    """One broker. `tls` None is a plain connection."""

    host: str
    port: int
    client_id: str
    tls: ssl.SSLContext | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    keepalive_s: int = 30
    window: int = 200  # messages that may be unacknowledged at one time
    protocol: Protocol = "5"
    connect_s: float = 10.0  # for name look-up, TCP, TLS and CONNACK together
    answer_s: float = 20.0  # the oldest unacknowledged message; then the link counts as dead
    floor_ns: Callable[[], int | None] | None = field(default=None, repr=False)
    """The last time (Unix ns) that has certainly passed, while the wall clock is not to be
    trusted; else None. Then certificates are dated by it, and not by the wall clock."""

    proxy: tuple[str, int] | None = None  # an HTTP proxy that is asked for the way

    def __str__(self) -> str:
        return f"mqtt{'s' if self.tls else ''}://{self.host}:{self.port}"


def make_broker(
    url: str,
    client_id: str,
    *,
    ca: Path | None = None,
    cert: Path | None = None,
    key: Path | None = None,
    username: str | None = None,
    password: str | None = None,
    keepalive_s: int = 30,
    window: int = 200,
    protocol: Protocol = "5",
    floor_ns: Callable[[], int | None] | None = None,
    proxy: str | None = None,
) -> Broker:
    """A broker from the words of a configuration. Reads the certificates. Raises ConfigError."""
    try:
        place = endpoint(url)
    except ValueError as error:
        raise ConfigError(f"uplink.url: {error}") from None
    if not place.tls and (ca or cert or key):
        raise ConfigError("uplink.url: certificates need mqtts://, not mqtt://")
    try:
        through = None if proxy is None else parse_proxy(proxy)
    except ValueError as error:
        raise ConfigError(f"uplink.proxy: {error}") from None
    if password is not None and username is None:
        raise ConfigError("uplink.password_file needs uplink.username")
    return Broker(
        place.host,
        place.port,
        client_id,
        tls=_context(ca, cert, key) if place.tls else None,
        username=username,
        password=password,
        keepalive_s=keepalive_s,
        window=window,
        protocol=protocol,
        floor_ns=floor_ns,
        proxy=through,
    )


def _context(ca: Path | None, cert: Path | None, key: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"uplink.ca: {ca}: {_certificate_error(error)}") from None
    if key is not None and cert is None:
        raise ConfigError("uplink.key needs uplink.cert")
    if cert is not None:
        try:
            context.load_cert_chain(cert, key)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"uplink.cert: {cert}, {key or cert}: {_certificate_error(error)}"
            ) from None
    return context


def _certificate_error(error: OSError) -> str:
    reason = error.reason if isinstance(error, ssl.SSLError) else ""
    return reason or error.strerror or str(error)
