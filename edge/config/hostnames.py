"""Names and addresses of hosts: what can be none. Source: RFC 1123, RFC 6943."""

import ipaddress
import re
from typing import Final

LIKE_IPV4: Final = re.compile(r"[0-9.]+")
IN_A_NAME: Final = re.compile(r"[\w.-]+")  # letters of any script: the DNS has a form for them
NUMBERS: Final = 4  # of an IPv4 address


def host_trouble(host: str) -> str:
    """Why this is no host, and what would be; empty where it may be one."""
    if ":" in host:  # an IPv6 address
        return ""
    if LIKE_IPV4.fullmatch(host):
        return _address_trouble(host)
    if not IN_A_NAME.fullmatch(host):
        wrong = next(letter for letter in host if not IN_A_NAME.fullmatch(letter))
        return f"{host}: the name of a host has no {wrong}; its parts have dots between them"
    if "_" in host:
        return f"{host}: the name of a host has no _, and many resolvers refuse it; is it a -?"
    return ""


def _address_trouble(host: str) -> str:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        numbers = host.split(".")
        if len(numbers) == NUMBERS + 1:
            address = ".".join(numbers[:NUMBERS])
            return f"{host}: the port stands behind a colon: {address}:{numbers[NUMBERS]}"
        return f"{host} is no address: one has four numbers from 0 to 255, such as 192.0.2.20"
    return ""
