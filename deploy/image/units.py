"""Which units start by themselves in a tree, and which of them may."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PLACES: Final = ("etc/systemd/system", "usr/lib/systemd/system")
# what the image starts, with the reason why it does not listen
ALLOWED: Final = {
    "NetworkManager.service",  # a client of DHCP
    "NetworkManager-dispatcher.service",
    "ModemManager.service",
    "dbus-org.freedesktop.ModemManager1.service",
    "dbus-org.freedesktop.nm-dispatcher.service",
    "chrony.service",  # port 0, cmdport 0
    "chronyd.service",
    "ssh.service",  # only with a key on the boot partition: a drop-in
    "sshd.service",
    "dbus-fi.w1.wpa_supplicant1.service",
    "NetworkManager-wait-online.service",
    "systemd-pstore.service",  # moves what the kernel left at a crash
    "kerbstone.service",
    "kerbstone-claim.service",
    "kerbstone-access-point.path",  # looks at a folder
    "kerbstone-data-ready.service",
    "kerbstone-enrol.service",
    "kerbstone-link.service",
    "kerbstone-network.service",
}
MUST_BE_MASKED: Final = ("getty@.service", "serial-getty@.service", "console-getty.service")
LOOPBACK: Final = re.compile(r"^BindToDevice\s*=\s*lo$", re.MULTILINE)
NETWORK: Final = re.compile(
    r"^Listen(?:Stream|Datagram|SequentialPacket)\s*=\s*(?![/%@])(\S+)", re.MULTILINE
)


def started(root: Path) -> dict[str, Path]:
    """What some *.wants or *.requires of /etc pulls in, and sockets of any; without masked ones."""
    found: dict[str, Path] = {}
    for place in PLACES:
        for link in sorted((root / place).glob("*.[wr]*s/*")):
            if link.parent.suffix not in (".wants", ".requires") or masked(root, link.name):
                continue
            if place.startswith("etc") or link.suffix == ".socket":
                found[link.name] = link
    return found


def masked(root: Path, name: str) -> bool:
    """Itself, or the template of which it is one."""
    names = {name, re.sub(r"@[^.]*\.", "@.", name)}
    paths = [root / "etc/systemd/system" / each for each in names]
    return any(path.is_symlink() and str(path.readlink()) == "/dev/null" for path in paths)


def file_of(root: Path, name: str) -> Path | None:
    """The unit's file, without following links out of the tree."""
    for place in PLACES:
        path = root / place / name
        if path.is_file() and not path.is_symlink():
            return path
    return None


def wrong(root: Path) -> Iterator[str]:
    """Services that nobody has looked at, sockets on the network, logins at a console."""
    for name in sorted(started(root)):
        if name.endswith(".service") and name not in ALLOWED:
            yield f"{name} is enabled, and not on the list in deploy/image/units.py"
        if name.endswith(".socket"):
            path = file_of(root, name)
            text = path.read_text("utf-8", "replace") if path else ""
            if LOOPBACK.search(text):
                continue  # whatever its address: the kernel takes no packet from elsewhere
            for port in NETWORK.findall(text):
                yield f"{name} listens at {port}"
    if (root / "usr/lib/systemd/systemd").exists():
        for name in MUST_BE_MASKED:
            if not masked(root, name):
                yield f"{name} is not masked: somebody could log in at a console"
        if not masked_generator(root, "systemd-ssh-generator"):
            yield "systemd-ssh-generator is not masked: it opens sockets for ssh"


def masked_generator(root: Path, name: str) -> bool:
    if not (root / "usr/lib/systemd/system-generators" / name).exists():
        return True
    path = root / "etc/systemd/system-generators" / name
    return path.is_symlink() and str(path.readlink()) == "/dev/null"
