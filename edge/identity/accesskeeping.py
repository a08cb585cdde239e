"""Where a box has what opens its page: from its claim, or made by itself.

A box whose claim brings none makes its own, once, and leaves them on the boot partition for the
technician: whoever holds the card owns the box anyway.
"""

import hashlib
from pathlib import Path
from typing import Final

import msgspec

from edge.durable.readfile import read_file
from edge.identity.bootpartition import BootPartition
from edge.identity.pageaccess import (
    AccessPointKey,
    PageAccess,
    access_page,
    make_access,
    network_name,
)
from edge.identity.statefolder import ACCESS_POINT, LABEL_KEPT, LOGIN, StateFolder

SERIAL_FILE: Final = Path("/sys/firmware/devicetree/base/serial-number")
MACHINE_ID: Final = Path("/etc/machine-id")
SERIAL_DIGITS: Final = 8


def keep_access(
    store: StateFolder, boot: BootPartition, access: PageAccess, gateway: str, claim: str = ""
) -> None:
    """Those of a claim, which go with it once it is used; without `claim` somebody at the box wants
    them. Raises OSError."""
    if claim and _is_label_kept(store, claim):
        boot.remove_access()
        return
    store.remove(LABEL_KEPT)
    found = AccessPointKey(network=network_name(gateway), psk=access.wifi_psk)
    for name, data in (
        (LOGIN, f"{access.login_secret}\n".encode()),
        (ACCESS_POINT, msgspec.json.encode(found)),
    ):
        if store.get(name) != data:
            store.put(name, data)
    boot.remove_access()


def _is_label_kept(store: StateFolder, claim: str) -> bool:
    """Whether a backup has brought what the label inside the door opens, and this is the claim of
    that swap. A later claim has a label of its own."""
    kept = store.get(LABEL_KEPT)
    if kept == b"":
        store.put(LABEL_KEPT, claim.encode())
    return kept in (b"", claim.encode())


def provide_access(store: StateFolder, boot: BootPartition, serial: str) -> bool:
    """Make both where there are none, if the boot partition can show them. Raises OSError.

    Shown first: a kill in between makes others, and never leaves some that nobody has seen.
    """
    if store.get(LOGIN) is not None and store.get(ACCESS_POINT) is not None:
        return False
    access, secret = make_access()
    if not boot.write_access(access_page(network_name(serial), access.wifi_psk, secret)):
        return False
    key = AccessPointKey(network=network_name(serial), psk=access.wifi_psk)
    store.put(LOGIN, f"{access.login_secret}\n".encode())
    store.put(ACCESS_POINT, msgspec.json.encode(key))
    return True


def board_serial(serial: Path = SERIAL_FILE, machine: Path = MACHINE_ID) -> str:
    """What the maker has printed on the board, its last digits; without it one of this card."""
    number = (read_file(serial, 256) or b"").decode("ascii", "replace").strip("\0\n ").lower()
    if number.isalnum():
        return number[-SERIAL_DIGITS:]
    text = read_file(machine, 256) or b""
    return hashlib.sha256(b"kerbstone access point\n" + text).hexdigest()[:SERIAL_DIGITS]
