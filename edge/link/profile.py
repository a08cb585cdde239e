"""A claim's network profile as files: for NetworkManager, the enrolment and chrony. Pure.

All are in /run, made anew at each boot: the root may be read-only, and a password of a Wi-Fi lies
in one place less. In a keyfile a value can never become a line, a key or a section
(nm-settings-keyfile(5) and GLib's key files: one `key=value` a line, `\\s \\n \\t \\r \\\\` are
escapes, blanks at the start of a value are dropped).
"""

import ipaddress
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final

from edge.identity.network import Network

ESCAPES: Final = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}

Sections = Mapping[str, Mapping[str, str]]
CONNECTIONS: Final = "run/NetworkManager/system-connections"
MAIN_CONNECTION: Final = f"{CONNECTIONS}/kerbstone.nmconnection"
TRUNK_CONNECTION: Final = f"{CONNECTIONS}/kerbstone-trunk.nmconnection"
PROXY_FILE: Final = "run/kerbstone-network/proxy.env"
NTP_FILE: Final = "run/chrony-dhcp/kerbstone.sources"  # a `sourcedir` of Debian's chrony.conf
ALL_FILES: Final = (MAIN_CONNECTION, TRUNK_CONNECTION, PROXY_FILE, NTP_FILE)

# fixed, so that the profile is found again by what keeps it connected
UUID: Final = "6f5c3c0e-5d0e-4c6f-9d52-6b6572627374"
TRUNK_UUID: Final = "6f5c3c0e-5d0e-4c6f-9d52-7472756e6b00"
TYPES: Final = {"ethernet": "ethernet", "wifi": "wifi", "cellular": "gsm"}
DISABLED_IP: Final[Sections] = {"ipv4": {"method": "disabled"}, "ipv6": {"method": "disabled"}}


def escape_text(value: str) -> str:
    """A value as one line. Raises ValueError for what no key file can hold."""
    for char in value:
        if char not in ESCAPES and unicodedata.category(char) in ("Cc", "Cs"):
            raise ValueError(f"{char!r} cannot stand in a NetworkManager profile")
    bare = value.strip(" ")
    if not bare:
        return "\\s" * len(value)
    before, _, after = value.partition(bare)
    inner = "".join(ESCAPES.get(char, char) for char in bare)
    return "\\s" * len(before) + inner + "\\s" * len(after)


def ssid_octets(value: str) -> str:
    """An SSID: it is bytes, not text, and as a list of numbers it needs no escapes."""
    return "".join(f"{byte};" for byte in value.encode())


def join_list(values: Sequence[str]) -> str:
    """Addresses; none of them holds a semicolon."""
    return "".join(f"{value};" for value in values)


def render_keyfile(sections: Sections) -> str:
    """The file. Values come through `escape_text`, `ssid_octets` or `join_list`, or are ours."""
    lines = ["# Made from the claim at each boot; a change here is lost."]
    for name, pairs in sections.items():
        lines += ["", f"[{name}]", *(f"{key}={value}" for key, value in pairs.items())]
    return "\n".join(lines) + "\n"


def file_mode(path: str) -> int:
    """chronyd reads its sources again as a user of its own; the others may hold a password."""
    return 0o644 if path == NTP_FILE else 0o600


def profile_files(network: Network) -> dict[str, str]:
    """Path below the root -> text. What is not in it must not be there: see `ALL_FILES`."""
    found = {MAIN_CONNECTION: render_keyfile(_main(network))}
    if network.vlan is not None:
        trunk = {"id": "kerbstone-trunk", "uuid": TRUNK_UUID, "type": "ethernet"}
        found[TRUNK_CONNECTION] = render_keyfile({"connection": trunk | _forever(), **DISABLED_IP})
    if network.proxy is not None:
        found[PROXY_FILE] = _proxy(network.proxy)
    if network.ntp:
        found[NTP_FILE] = "".join(f"server {host} iburst\n" for host in network.ntp)
    return found


def _main(network: Network) -> Sections:
    kind = TYPES[network.kind] if network.vlan is None else "vlan"
    connection = {"id": "kerbstone", "uuid": UUID, "type": kind} | _forever()
    found: dict[str, Mapping[str, str]] = {"connection": connection}
    if network.vlan is not None:
        connection["interface-name"] = f"vlan{network.vlan}"
        found["vlan"] = {"flags": "1", "id": str(network.vlan), "parent": TRUNK_UUID}
    if network.ssid is not None:
        found["wifi"] = {"mode": "infrastructure", "ssid": ssid_octets(network.ssid)}
    if network.psk is not None:
        found["wifi-security"] = {"key-mgmt": "wpa-psk", "psk": escape_text(network.psk)}
    if network.kind == "cellular":
        gsm = {
            "apn": network.apn,
            "username": network.user,
            "password": network.password,
            "pin": network.pin,
        }
        found["gsm"] = {key: escape_text(value) for key, value in gsm.items() if value is not None}
    return found | {"ipv4": _ip(network, 4), "ipv6": _ip(network, 6)}


def _forever() -> dict[str, str]:
    """NetworkManager gives up after four attempts unless it is configured otherwise."""
    return {"autoconnect": "true", "autoconnect-priority": "100", "autoconnect-retries": "0"}


def _ip(network: Network, version: int) -> Mapping[str, str]:
    """One family. A static IPv6 address says that the site has no IPv4; not the other way round."""
    own = [one for one in network.dns if ipaddress.ip_address(one).version == version]
    named = {"dns": join_list(own), "ignore-auto-dns": "true"} if own else {}
    if network.address is None:
        return {"method": "auto"} | named
    if ipaddress.ip_address(network.address).version != version:
        # a name server is no use in a family that is off
        return {"method": "disabled"} if version == 4 else {"method": "auto"} | named
    static = {"method": "manual", "address1": f"{network.address}/{network.prefix}"}
    if network.gateway is not None:
        static["gateway"] = network.gateway
    return static | named


def _proxy(url: str) -> str:
    names = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
    here = "localhost,127.0.0.1,::1"
    return "".join(f"{name}={url}\n" for name in names) + f"NO_PROXY={here}\nno_proxy={here}\n"
