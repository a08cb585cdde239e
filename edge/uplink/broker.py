"""Where the broker is and how to be let in: put together once, secrets never shown."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edge.core import ConfigError, endpoint
from edge.uplink.tunnel import parse_proxy

Protocol = Literal["5", "3.1.1"]


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
    return getattr(error, "reason", None) or error.strerror or str(error)
