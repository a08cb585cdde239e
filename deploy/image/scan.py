"""Looks for what must not be in an image: secrets, passwords, open ports, rights that nobody needs.

    python -m deploy.image.scan IMAGE.img | ROOT [BOOT]

ROOT and BOOT are folders. It ends with 1 when it has found something, and says what to do.
"""

import argparse
import json
import os
import re
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from deploy.image import units

LARGEST: Final = 4 << 20  # of a file that is searched
# with a body: programs that can read keys hold the first line alone
KEY: Final = re.compile(
    rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+(?:[\w-]+: .*\s+)*[A-Za-z0-9+/=]{32,}"
)
# no password is right for these; an empty field would let everybody in
LOCKED: Final = re.compile(r"[*!]{1,2}")
SETUID: Final = {
    "usr/bin/chage", "usr/bin/chfn", "usr/bin/chsh", "usr/bin/expiry", "usr/bin/gpasswd",
    "usr/bin/mount", "usr/bin/newgrp", "usr/bin/passwd", "usr/bin/ssh-agent", "usr/bin/su",
    "usr/bin/umount",
    "usr/lib/dbus-1.0/dbus-daemon-launch-helper", "usr/lib/openssh/ssh-keysign",
    "usr/lib/polkit-1/polkit-agent-helper-1", "usr/sbin/unix_chkpwd", "usr/bin/pkexec",
}  # fmt: skip
# keys of its self-test, which everybody knows
PUBLIC_KEYS: Final = re.compile(r"usr/lib/[a-z0-9_-]+/libgnutls\.so[0-9.]*")
NEVER: Final = {
    "etc/apt/sources.list": "names the mirror of the machine that built it",
    "etc/apt/apt.conf.d/99mmdebstrap": "is of the machine that built it",
    "var/lib/systemd/random-seed": "would be the same in all boxes",
    "var/lib/systemd/credential.secret": "would be the same in all boxes",
    "var/lib/NetworkManager/secret_key": "would be the same in all boxes",
}
EMPTY: Final = {
    "var/lib/kerbstone": "state of one box",
    "var/lib/kerbstone-link": "state of one box",
    "var/lib/kerbstone-web": "the certificate of one box",
    "var/lib/kerbstone-identity": "the identity of one box",
    "etc/NetworkManager/system-connections": "a profile may hold a secret: the claim has it",
    "etc/apt/sources.list.d": "names the mirror of the machine that built it",
    "root": "somebody's files",
    "home": "somebody's files",
    "var/log": "a log of the build",
}
WIFI: Final = re.compile(r"^\s*(?:psk|wep-key\d|password|sae_password)\s*=\s*\S", re.MULTILINE)


def findings(root: Path, boot: Path | None = None) -> list[str]:
    """All that is wrong in a tree, and in the files of its boot partition."""
    checks: list[Callable[[Path], Iterator[str]]] = [
        _accounts,
        _identity,
        _named,
        _wifi,
        _tree,
        _doors,
        units.wrong,
    ]
    found = [row for check in checks for row in check(root)]
    if boot is not None:
        found += _boot(boot)
    return found


def _accounts(root: Path) -> Iterator[str]:
    for name in ("etc/shadow", "etc/gshadow", "etc/passwd"):
        for row in _text(root / name).splitlines():
            user, _, rest = row.partition(":")
            word = rest.partition(":")[0]
            if name == "etc/passwd":
                if word != "x":
                    yield f"{name}: {user} has a password field {word!r}, and not x"
            elif name == "etc/gshadow" and word == "":
                continue  # of a group: nobody can join by a password
            elif not word or not LOCKED.fullmatch(word):
                yield f"{name}: {user} has a password, or needs none: it has to be locked (*)"


def _identity(root: Path) -> Iterator[str]:
    if _text(root / "etc/machine-id").strip():
        yield "etc/machine-id is not empty: all boxes would be the same machine"
    bus = root / "var/lib/dbus/machine-id"
    if bus.exists() and not bus.is_symlink():
        yield "var/lib/dbus/machine-id is a file: it has to be a link to etc/machine-id"
    for path in (root / "etc/ssh").glob("ssh_host_*"):
        yield f"etc/ssh/{path.name}: a host key belongs to one box"


def _named(root: Path) -> Iterator[str]:
    for name, why in NEVER.items():
        if (root / name).exists():
            yield f"{name} {why}"
    for name, why in EMPTY.items():
        folder = root / name
        if folder.is_dir() and any(folder.iterdir()):
            yield f"{name} is not empty: {why}"


def _wifi(root: Path) -> Iterator[str]:
    for folder in ("etc/NetworkManager", "etc/wpa_supplicant", "usr/lib/NetworkManager"):
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and path.suffix != ".sh" and WIFI.search(_text(path)):
                yield f"{path.relative_to(root)} holds a password of a network"


def _tree(root: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(root):
        for name in (*folders, *names):
            path = Path(folder, name)
            there = path.lstat()
            short = path.relative_to(root).as_posix()
            if stat.S_ISLNK(there.st_mode) or short.startswith("dev/"):
                continue
            if there.st_mode & 0o002 and not there.st_mode & stat.S_ISVTX:
                yield f"{short}: everybody may write to it"
            if not stat.S_ISREG(there.st_mode):
                continue
            if there.st_mode & 0o6000 and short not in SETUID:
                yield f"{short} runs with another user's rights, and is not on the list"
            if name == "authorized_keys":
                yield f"{short}: somebody's key opens every box"
            if PUBLIC_KEYS.fullmatch(short) or there.st_size > LARGEST:
                continue
            if KEY.search(path.read_bytes()):
                yield f"{short} holds a private key"


def _doors(root: Path) -> Iterator[str]:
    if (root / "usr/sbin/sshd").exists():
        printed = " ".join(
            _text(path) for path in sorted((root / "etc/ssh/sshd_config.d").glob("*.conf"))
        )
        for line in ("PasswordAuthentication no", "KbdInteractiveAuthentication no"):
            if line not in printed:
                yield f"etc/ssh/sshd_config.d does not say {line!r}"
    options = [
        row.split() for row in _text(root / "etc/fstab").splitlines() if not row.startswith("#")
    ]
    if not any(row[1:2] == ["/"] and "ro" in row[3].split(",") for row in options if len(row) > 3):
        yield "etc/fstab does not mount the root read-only"


def _boot(boot: Path) -> Iterator[str]:
    line = _text(boot / "cmdline.txt")
    if "console=ttyS" in line or "console=ttyAMA" in line or "console=serial" in line:
        yield "cmdline.txt: a console on the serial port that devices need"
    if "ro" not in line.split():
        yield "cmdline.txt does not mount the root read-only"
    for word in ("init=", "systemd.debug", "single", "rescue", "emergency"):
        if any(each.startswith(word) for each in line.split()):
            yield f"cmdline.txt has {word}: a shell without a password"
    for path in sorted(boot.rglob("*")):
        if path.name.startswith(("kerbstone-", "ssh", "userconf", "wpa_supplicant")):
            yield f"boot: {path.name} belongs to one box"
        elif path.is_file() and path.stat().st_size <= LARGEST and KEY.search(path.read_bytes()):
            yield f"boot: {path.name} holds a private key"


def _text(path: Path) -> str:
    return path.read_text("utf-8", "replace") if path.is_file() and not path.is_symlink() else ""


def unpack(image: Path, folder: Path) -> tuple[Path, Path]:
    """Root and boot of an image as folders."""
    rows = json.loads(_out(["sfdisk", "--json", str(image)]))["partitiontable"]["partitions"]
    root, boot = folder / "root", folder / "boot"
    root.mkdir()
    boot.mkdir()
    at = [row["start"] * 512 for row in rows]
    _out(["mcopy", "-s", "-Q", "-i", f"{image}@@{at[0]}", "::/*", f"{boot}/"])
    system = f"{image}?offset={at[1]}"
    _out(["debugfs", "-R", f"rdump / {root}", system])
    _modes(root, system)
    return root, boot


def _modes(root: Path, system: str) -> None:
    """Modes as they are in the image: `rdump` leaves out setuid, setgid and sticky bits."""
    folders = [Path(folder) for folder, _, _ in os.walk(root)]
    wanted = "".join(f'ls -p "/{each.relative_to(root).as_posix()}"\n' for each in folders)
    seen, number = 0, -1
    for line in _out(["debugfs", "-f", "-", system], wanted).splitlines():
        fields = line.split("/")
        if line.startswith("debugfs: ls -p"):
            number += 1
        elif len(fields) == 8 and fields[5] not in ("", ".", ".."):
            path = folders[number] / fields[5]
            seen += 1
            if not path.is_symlink() and path.exists():
                path.chmod(int(fields[2], 8) & 0o7777)
    if number + 1 != len(folders) or not seen:
        raise ValueError(f"debugfs told of {number + 1} of {len(folders)} folders of {system}")


def _out(command: Sequence[str], text: str = "") -> str:
    done = subprocess.run(command, check=True, capture_output=True, input=text.encode())
    return done.stdout.decode("utf-8", "replace")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.image.scan", description=__doc__)
    parser.add_argument("what", type=Path, metavar="IMAGE|ROOT")
    parser.add_argument("boot", type=Path, nargs="?", help="the boot partition's files, for a ROOT")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="kerbstone-scan-") as name:
        root, boot = args.what, args.boot
        if args.what.is_file():
            root, boot = unpack(args.what.absolute(), Path(name))
        found = findings(root, boot)
        count = sum(len(files) for _, _, files in os.walk(root))
    for row in found:
        print(row)
    print(f"{count} files: {len(found)} findings")
    return 1 if found or not count else 0


if __name__ == "__main__":
    sys.exit(main())
