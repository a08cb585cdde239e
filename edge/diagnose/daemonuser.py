"""As whom the daemon runs, and what that user may open: the doctor is mostly somebody else.

Sources: unix(7), SO_PEERCRED; proc_pid_status(5), `Groups`; systemd.exec(5), SupplementaryGroups=.
"""

import grp
import os
import pwd
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.control.protocol import SOCKET_NAME
from edge.health.kernelfiles import ROOT, matching_files, parse_number, read_text

USER: Final = "kerbstone"  # of systemd/kerbstone.service
UNIT: Final = "kerbstone.service"
CONTROL_FOLDERS: Final = ("etc/systemd/system.control", "run/systemd/system.control")
UNIT_FOLDERS: Final = ("etc/systemd/system", "run/systemd/system", "usr/lib/systemd/system",
                       "lib/systemd/system")  # fmt: skip
PEER: Final = struct.Struct("3i")  # struct ucred: pid, uid, gid


@dataclass(frozen=True, slots=True)
class DaemonUser:
    """A user, with the groups that its processes have."""

    name: str
    number: int
    groups: frozenset[int]

    def may(self, path: Path, mode: int) -> bool | None:
        """Whether the mode of a file or folder lets it (6: read and write, 4: read, 3: make files
        in a folder). None when the file cannot be seen. The folders above are not looked at."""
        try:
            stat = path.stat()
        except OSError:
            return None
        shift = 6 if stat.st_uid == self.number else 3 if stat.st_gid in self.groups else 0
        return self.number == 0 or (stat.st_mode >> shift) & mode == mode


def running_user(run_dir: Path) -> DaemonUser | None:
    """Of the daemon that listens there; None for root, who may do all, and when none is seen."""
    with suppress(OSError, KeyError):
        number = (run_dir / SOCKET_NAME).stat().st_uid
        who = pwd.getpwuid(number)
        groups = _groups_of(_peer(run_dir / SOCKET_NAME))
        if groups is None:  # as the system knows that user now
            groups = frozenset(os.getgrouplist(who.pw_name, who.pw_gid))
        return DaemonUser(who.pw_name, number, groups) if number else None
    return None


def installed_user(root: Path = ROOT) -> DaemonUser | None:
    """As whom the unit would start it; None where it is not installed."""
    if not (settings := list(unit_settings(root))):
        return None
    words = [word for key, value in settings if key == "SupplementaryGroups" for word in value]
    with suppress(KeyError):
        who = pwd.getpwnam(USER)
        groups = {*os.getgrouplist(USER, who.pw_gid), *_numbers(words)}
        return DaemonUser(USER, who.pw_uid, frozenset(groups))
    return None


def unit_settings(root: Path = ROOT) -> Iterator[tuple[str, list[str]]]:
    """Keys of the daemon's unit and its drop-ins, each with its words; nothing where there is
    none. As systemd.unit(5) has it: drop-ins by their names, of one name that of the first folder.
    """
    folders = [root / folder for folder in UNIT_FOLDERS]
    units = [folder / UNIT for folder in folders if (folder / UNIT).is_file()][:1]
    if not units:
        return
    drop_ins: dict[str, Path] = {}
    for folder in (*(root / each for each in CONTROL_FOLDERS), *folders):
        for file in matching_files(folder, f"{UNIT}.d/*.conf"):
            drop_ins.setdefault(file.name, file)
    for file in (*units, *(drop_ins[name] for name in sorted(drop_ins))):
        for line in (read_text(file) or "").splitlines():
            key, mark, value = line.partition("=")
            if mark and not key.startswith(("#", ";")):
                yield key.strip(), value.split()


def _numbers(names: Iterable[str]) -> Iterator[int]:
    for name in names:
        with suppress(KeyError):
            yield grp.getgrnam(name).gr_gid


def _peer(path: Path) -> int | None:
    """The process behind a socket."""
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(1.0)
        link.connect(str(path))
        pid, _, _ = PEER.unpack(link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size))
        return int(pid)
    return None


def _groups_of(pid: int | None, root: Path = ROOT) -> frozenset[int] | None:
    if pid is None:
        return None
    found: set[int] = set()
    for line in (read_text(root / f"proc/{pid}/status") or "").splitlines():
        key, _, rest = line.partition(":")
        words = rest.split()
        if key == "Gid":
            found |= {number for word in words if (number := parse_number(word)) is not None}
        if key == "Groups":
            found |= {number for word in words if (number := parse_number(word)) is not None}
            return frozenset(found)
    return None
