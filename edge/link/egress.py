"""Whom the daemon may speak to: a drop-in for its unit, made of its configuration.

The kernel's filter knows addresses, not names. Names are resolved when the drop-in is written, and
again by a timer; a broker that moves is out of reach until then. What a name meant before stays
allowed while it cannot be resolved, and so do the name servers while there are no others: after a
boot the daemon gets through before the network has said anything. An allowed address is allowed
with all its ports.
"""

import ipaddress
import json
import logging
import re
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from edge.core import endpoint

ADDRESSES_LIMIT: Final = 64  # addresses; a name with more of them is no broker
NAME: Final = "50-egress.conf"

PROXY: Final = re.compile(r"http://(\[[0-9a-f:.]+\]|[a-z0-9.-]+):[0-9]{1,5}/?\Z")

log = logging.getLogger(__name__)

Resolve = Callable[[str], Sequence[str]]


def configured_hosts(site: Mapping[str, Any]) -> list[str]:
    """Brokers and converters of a site's file, each once; errors are for `check` to report."""
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


@dataclass(frozen=True, slots=True)
class KnownAddresses:
    """Addresses by the names of brokers and converters, and those of the name servers."""

    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    servers: Sequence[str] = ()

    def to_json(self) -> str:
        return json.dumps({"names": dict(self.names), "servers": list(self.servers)})


def parse_known(text: str) -> KnownAddresses:
    """What the run before has written; nothing of it when it is damaged."""
    try:
        found = json.loads(text)
        names, servers = found["names"], found["servers"]
        lists = [servers, *names.values()]
        whole = all(type(each) is list and all(type(x) is str for x in each) for each in lists)
        return KnownAddresses(names, servers) if whole else KnownAddresses()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return KnownAddresses()


def allowed_addresses(
    names: Iterable[str],
    servers: Sequence[str],
    known: KnownAddresses,
    resolve: Resolve = resolve,
) -> tuple[KnownAddresses, list[str]]:
    """What is allowed now, and the names that could not be resolved: these keep what they meant."""
    found: dict[str, list[str]] = {}
    failed: list[str] = []
    for name in names:
        try:
            now: Sequence[str] = resolve(name)
        except (OSError, UnicodeError) as error:
            failed.append(name)
            now = known.names.get(name, ())
            log.warning("%s: %s; %s", name, error, "the last addresses stay" if now else "closed")
        found[name] = _usable(now)
    return KnownAddresses(found, _usable(servers) or _usable(known.servers)), failed


def render_drop_in(found: KnownAddresses) -> str:
    """The text of the drop-in. The unit itself denies all and allows this machine."""
    lines = ["# Made from the site file by `python -m edge.link egress`; a change here is lost."]
    lines.append("[Service]")
    for one in sorted({one for each in found.names.values() for one in each} | {*found.servers}):
        lines.append(f"IPAddressAllow={one}")
    return "\n".join(lines) + "\n"


def _usable(found: Iterable[str]) -> list[str]:
    return sorted({str(one) for one in map(_address, found) if one is not None})[:ADDRESSES_LIMIT]


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
