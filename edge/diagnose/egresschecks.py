"""Which addresses systemd lets the gateway's service reach: the doctor himself is not filtered, and
may reach what the gateway may not.

Source: systemd.resource-control(5), IPAddressAllow= and IPAddressDeny=.
"""

import ipaddress
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from edge.diagnose.checks import CheckResult, fault, passed, unchecked, warn
from edge.diagnose.daemonuser import UNIT, unit_settings
from edge.health.kernelfiles import ROOT

NO_UNIT: Final = f"{UNIT} is not installed on this machine"
LOCAL: Final = ("127.0.0.0/8", "::1/128")  # what `localhost` means to systemd


def egress_networks(root: Path = ROOT) -> list[str] | None:
    """What systemd lets the service reach, as words of IPAddressAllow=; None: it filters nothing,
    or there is no unit here."""
    allowed: list[str] = []
    filtered = False
    for key, words in unit_settings(root):
        if key == "IPAddressDeny":
            filtered = bool(words)
        if key == "IPAddressAllow":
            allowed = [*allowed, *words] if words else []
    return allowed if filtered else None


def egress_result(
    addresses: Sequence[str], allowed: Sequence[str] | None, about: str
) -> CheckResult:
    """Whether the addresses of a broker (or its proxy) are among those that are let through. The
    doctor himself is not filtered: he may reach what the gateway may not."""
    if allowed is None:
        return unchecked("egress", NO_UNIT, about)
    if not addresses:
        return unchecked("egress", "first: dns", about)
    networks = list(_networks(allowed))
    closed = [
        one for one in addresses
        if "any" not in allowed and not any(_is_in(one, network) for network in networks)
    ]  # fmt: skip
    if not closed:
        return passed("egress", f"let through: {', '.join(addresses)}", about)
    cause = f"systemd does not let the gateway reach {', '.join(closed)}"
    remedy = "`systemctl restart kerbstone-egress`; if that fails, read `journalctl -u "
    remedy += "kerbstone-egress`"
    make = warn if len(closed) < len(addresses) else fault
    return make("egress", cause, remedy, about)


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(words: Sequence[str]) -> Iterator[Network]:
    for word in words:
        for text in LOCAL if word == "localhost" else (word,):
            with suppress(ValueError):
                yield ipaddress.ip_network(text, strict=False)


def _is_in(address: str, network: Network) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]) in network
    except ValueError:
        return False
