"""What opens the door to the page: the secret of its login, and the key of the access point.

Provisioning writes both into the claim; the login's as a line of scrypt, because nobody but the
page needs it. `accesskeeping.py` says where a box has them.
"""

import hashlib
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from edge.core.pageaddress import page_url
from edge.core.printedsecret import make_printed_secret
from edge.core.secrethash import LINE_LIMIT, check_secret_hash, hash_secret

NETWORK_PREFIX: Final = "kerbstone-"
NETWORK_BYTES: Final = 32  # of an SSID

WifiKey = Annotated[str, Meta(pattern=r"\A[!-~]{12,63}\Z")]  # WPA: 8 to 63; a short one is guessed


class PageAccess(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `access` of a claim. `login_secret` is a line of edge.core.secrethash."""

    login_secret: Annotated[str, Meta(min_length=1, max_length=LINE_LIMIT)]
    wifi_psk: WifiKey

    def __post_init__(self) -> None:
        check_secret_hash(self.login_secret)


class AccessPointKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Name and key of the access point, in the state folder and in a credential."""

    network: Annotated[str, Meta(min_length=1, max_length=NETWORK_BYTES)]
    psk: WifiKey


def network_name(gateway: str) -> str:
    """The name of the access point: what is printed on the case. A long one is cut, and ends with
    the beginning of its hash, so that two boxes never have the same."""
    name = f"{NETWORK_PREFIX}{gateway}"
    if len(name) <= NETWORK_BYTES:
        return name
    return f"{name[: NETWORK_BYTES - 7]}-{hashlib.sha256(gateway.encode()).hexdigest()[:6]}"


def make_access() -> tuple[PageAccess, str]:
    """Of a new box, and the login's secret in clear, which is kept by nobody but the caller."""
    secret = make_printed_secret()
    return PageAccess(login_secret=hash_secret(secret), wifi_psk=make_printed_secret()), secret


def access_page(network: str, wifi_psk: str, secret: str) -> str:
    """What the technician reads on the boot partition."""
    rows = {
        "Wi-Fi": network,
        "passphrase": wifi_psk,
        "page": page_url(),
        "secret": secret,
    }
    head = "This box made these itself, because its claim has none. Note them, then delete this.\n"
    return head + "".join(f"{name + ':':<13}{text}\n" for name, text in rows.items())


def read_access_point(data: bytes | None) -> AccessPointKey | None:
    """None where there is none, or it is damaged."""
    try:
        return msgspec.json.decode(data or b"", type=AccessPointKey)
    except ValueError:  # a MsgspecError is one
        return None
