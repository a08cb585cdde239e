"""Where a broker is: `mqtts://host:8883`, taken apart. The one reader of such a URL."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
HOST_LIMIT: Final = 253  # characters of a name in the DNS (RFC 1035)
LOGIN: Final = re.compile(r"(?:(?<=://)|^(?![a-z]+://)).*@", re.S)
LOCAL: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A broker's address."""

    host: str
    port: int
    tls: bool

    @property
    def local(self) -> bool:
        """Nothing leaves this machine."""
        return self.host in LOCAL


def without_login(url: str) -> str:
    """A URL as others may see it: dots for its user and password."""
    return LOGIN.sub("...@", url)


def endpoint(url: str, ports: Mapping[str, int] = PORTS) -> Endpoint:
    """Take a URL apart. `ports` has two schemes, the second one with TLS.

    Raises ValueError with a text for a person.
    """
    scheme, found, _ = url.partition("://")
    plain, secure = ports
    if not found:
        shown = without_login(url)
        raise ValueError(f'"{shown}" has no scheme; write "{secure}://{shown}", or "{plain}://..."')
    if scheme not in ports:
        raise ValueError(
            f'"{scheme}://" is not known; "{plain}://" or "{secure}://" (TLS) belongs here'
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("host or port cannot be read; a port is from 1 to 65535") from None
    if "@" in parts.netloc:
        raise ValueError("no user or password here; use username and password_file")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("nothing may come after the port; topics begin with prefix")
    host = parts.hostname or ""
    if not host or len(host) > HOST_LIMIT or any(c.isspace() for c in host):
        raise ValueError("the name or address of the broker is missing or cannot be right")
    if port == 0:
        raise ValueError("0 is no port; a port is from 1 to 65535")
    return Endpoint(host, port or ports[scheme], scheme == secure)
