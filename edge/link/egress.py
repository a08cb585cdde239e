"""Whom the daemon may speak to: a drop-in for its unit, made of its configuration.

The kernel's filter knows addresses, not names. Names are resolved when the drop-in is written, and
again by a timer; a broker that moves is out of reach until then. What a name meant before stays
allowed while it cannot be resolved. An allowed address is allowed with all its ports.
"""

import ipaddress
import logging
import re
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from edge.core import endpoint

MOST: Final = 64  # addresses; a name with more of them is no broker
NAME: Final = "50-egress.conf"

PROXY: Final = re.compile(r"http://(\[[0-9a-f:.]+\]|[a-z0-9.-]+):[0-9]{1,5}/?\Z")

log = logging.getLogger(__name__)

Resolve = Callable[[str], Sequence[str]]


def hosts(site: Mapping[str, Any]) -> list[str]:
    """Brokers and converters of a site's file, each once; errors are for `check` to tell."""
    uplink = _table(site, "uplink")
    proxy = PROXY.match(str(uplink.get("proxy", "")))
    fallback = uplink.get("fallback", [])
    urls = [uplink.get("url"), *(fallback if isinstance(fallback, list) else [])]
    found: list[str] = [] if proxy is None else [proxy[1].strip("[]")]
    for url in urls if proxy is None else ():  # the proxy looks for the brokers itself
        try:
            found.append(endpoint(str(url)).host)
        except ValueError:
            continue
    for bus in _table(site, "bus").values():
        if isinstance(bus, dict) and isinstance(bus.get("host"), str):
            found.append(bus["host"])
    return list(dict.fromkeys(found))


def nameservers(resolv: str) -> list[str]:
    """Addresses of resolv.conf."""
    words = (line.split() for line in resolv.splitlines())
    return [word[1].partition("%")[0] for word in words if word[:1] == ["nameserver"] and word[1:]]


def resolve(host: str) -> Sequence[str]:
    """Raises OSError when nobody knows the name."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


def addresses(
    names: Iterable[str], known: Mapping[str, Sequence[str]], resolve: Resolve = resolve
) -> dict[str, list[str]]:
    """Name -> addresses. A name that cannot be resolved now keeps those of `known`."""
    found: dict[str, list[str]] = {}
    for name in names:
        try:
            now: Sequence[str] = resolve(name)
        except (OSError, UnicodeError) as error:
            now = known.get(name, ())
            log.warning("%s: %s; %s", name, error, "the last addresses stay" if now else "closed")
        usable = sorted({str(one) for one in map(_address, now) if one is not None})
        found[name] = usable[:MOST]
    return found


def drop_in(found: Mapping[str, Sequence[str]], servers: Sequence[str] = ()) -> str:
    """The text of the drop-in. The unit itself denies all and allows this machine."""
    lines = ["# Made of the site's file by `python -m edge.link egress`; a change here is lost."]
    lines.append("[Service]")
    usable = {str(one) for one in map(_address, servers) if one is not None}
    for one in sorted({one for each in found.values() for one in each} | usable):
        lines.append(f"IPAddressAllow={one}")
    return "\n".join(lines) + "\n"


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """None for what is no address of one other machine: `any` must not slip in."""
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    odd = found.is_unspecified or found.is_multicast or found.is_loopback
    return None if odd else found


def _table(site: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = site.get(name)
    return found if isinstance(found, dict) else {}
