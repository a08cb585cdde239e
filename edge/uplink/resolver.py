"""The addresses of a host; those that worked are kept for the day the name server is silent.

An old address is no weaker than a new one: with TLS it is the certificate that says who is there.
"""

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Callable
from typing import Any, Final

from edge.uplink.blockingcalls import BlockingCalls

LOG: Final = logging.getLogger("kerbstone.mqtt")

RESOLVE_TIMEOUT_S: Final = 3.0  # for the name server, where addresses are known
CACHE_HOSTS: Final = 8  # hosts
CACHE_ADDRESSES: Final = 8  # of one host

Address = tuple[socket.AddressFamily, Any]
"""Family and what `connect` takes, with the port."""
Resolve = Callable[[str, int], tuple[Address, ...]]


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
