"""How a box reaches the network: the table `network` of a claim.

Every text ends in a file of NetworkManager or ModemManager: none may hold a control character.
"""

import ipaddress
import re
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

Host = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?\Z")]
Address = Annotated[str, Meta(max_length=45)]
Text = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"\A[^\x00-\x1f\x7f-\x9f]+\Z")]

SSID_BYTES: Final = 32
PSK: Final = re.compile(r"\A([\x20-\x7e]{8,63}|[0-9A-Fa-f]{64})\Z")
ONLY_FOR_KIND: Final = {  # which kind a key belongs to
    "vlan": "ethernet",
    "ssid": "wifi",
    "psk": "wifi",
    "apn": "cellular",
    "user": "cellular",
    "password": "cellular",
    "pin": "cellular",
}


class Network(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One link. No `address` is DHCP (or what the modem's network gives)."""

    kind: Literal["ethernet", "wifi", "cellular"] = "ethernet"
    address: Address | None = None
    prefix: Annotated[int, Meta(ge=1, le=128)] | None = None
    gateway: Address | None = None
    dns: Annotated[tuple[Address, ...], Meta(max_length=4)] = ()
    vlan: Annotated[int, Meta(ge=1, le=4094)] | None = None
    ssid: Text | None = None
    psk: Annotated[str, Meta(min_length=8, max_length=64)] | None = None
    apn: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9.-]{0,99}\Z")] | None = None
    user: Text | None = None
    password: Text | None = None
    pin: Annotated[str, Meta(pattern=r"\A[0-9]{4,8}\Z")] | None = None
    proxy: Annotated[str, Meta(max_length=256)] | None = None
    ntp: Annotated[tuple[Host, ...], Meta(max_length=8)] = ()

    def __post_init__(self) -> None:
        for key, kind in ONLY_FOR_KIND.items():
            if getattr(self, key) is not None and kind != self.kind:
                raise ValueError(f"`{key}` is for kind = {kind!r}, and this is {self.kind!r}")
        if self.kind == "wifi" and self.ssid is None:
            raise ValueError("kind = 'wifi' needs `ssid`")
        if self.kind == "cellular" and self.apn is None:
            raise ValueError("kind = 'cellular' needs `apn`")
        if self.ssid is not None and len(self.ssid.encode()) > SSID_BYTES:
            raise ValueError(f"`ssid` is longer than {SSID_BYTES} bytes")
        if self.psk is not None and not PSK.match(self.psk):
            raise ValueError("`psk` is 8 to 63 printable ASCII characters, or 64 hex digits")
        self._static()
        for each in self.dns:
            _ip("dns", each)
        if self.proxy is not None:
            _proxy(self.proxy)

    def _static(self) -> None:
        if self.address is None:
            if self.prefix is not None or self.gateway is not None:
                raise ValueError("`prefix` and `gateway` need `address`; without it DHCP gives all")
            return
        if self.kind == "cellular":
            raise ValueError("`address` is not for kind = 'cellular': its network gives it")
        if self.prefix is None:
            raise ValueError("`address` needs `prefix`, as 24 for 255.255.255.0")
        own = _ip("address", self.address)
        try:
            net = ipaddress.ip_network(f"{own}/{self.prefix}", strict=False)
        except ValueError:
            raise ValueError(f"`prefix` {self.prefix} is too long for {own}") from None
        if self.gateway is None:
            return
        gateway = _ip("gateway", self.gateway)
        if gateway == own or gateway not in net:
            raise ValueError(f"`gateway` {gateway} is no other address of {net}")


def _ip(key: str, text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        found = None
    if found is None or "%" in text or found.is_multicast or found.is_unspecified:
        raise ValueError(f"`{key}` {text!r:.60} is no address of a host") from None
    return found


def _proxy(text: str) -> None:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    plain = f"http://{parts.hostname}:{port}"
    if text != plain or not re.fullmatch(r"[a-z0-9.-]{1,253}", parts.hostname or ""):
        raise ValueError(f"`proxy` {text!r:.80} is not of the form http://host:port, in lower case")
