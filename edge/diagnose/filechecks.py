"""Files, folders and ports: what the gateway's user may do, and which secrets others may read.

The doctor is mostly run by root, who may do everything. So it is asked what *that* user may, by the
modes of the files.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from drivers.buses.host import look_up_node
from edge.config import GpioBus, I2cBus, ModbusRtuBus, SerialBus, Site
from edge.diagnose.checks import CheckId, CheckResult, fault, passed, unchecked, warn
from edge.diagnose.daemonuser import DaemonUser
from edge.diagnose.examination import closed_text
from edge.gateway.uplinksetup import TlsFiles

READ, WRITE_FOLDER, READ_WRITE = 4, 3, 6
PTY_PREFIX: Final = "/dev/pts/"  # whoever simulates a device holds its other end, too


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A file that only the gateway may read; `mode` None: it is not there, or `closed` to us."""

    name: str
    mode: int | None
    readable: bool | None  # by the gateway's user
    closed: str = ""


def read_secrets(site: Site, tls: TlsFiles, user: DaemonUser | None) -> list[SecretFile]:
    """Key and password, as far as files are named. Their contents are not read."""
    uplink = site.uplink
    names = [None if tls.key is None else str(tls.key), uplink.password_file]
    return [_secret(Path(name), user, tls.enrolled) for name in names if name]


def _secret(path: Path, user: DaemonUser | None, enrolled: bool) -> SecretFile:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except PermissionError as error:
        return SecretFile(str(path), None, None, closed_text(error))
    except OSError:
        return SecretFile(str(path), None, None)
    if enrolled:  # systemd hands the daemon a copy
        return SecretFile(str(path), mode, True)
    readable = os.access(path, os.R_OK) if user is None else user.may(path, READ)
    return SecretFile(str(path), mode, readable)


def secret_results(secrets: Sequence[SecretFile], who: str) -> Iterator[CheckResult]:
    """`who` is the user of the gateway, for people."""
    check: CheckId = "secret_files"
    if not secrets:
        yield unchecked(check, "neither a key nor a password is configured")
    for one in secrets:
        if one.closed:
            yield unchecked(check, one.closed, one.name)
        elif one.mode is None:
            remedy = "Put it there, or correct the site file"
            yield fault(check, f"{one.name} is not there", remedy, one.name)
        elif one.readable is False:
            remedy = f"chown {who} {one.name}; chmod 600 {one.name}"
            yield fault(check, f"{who} may not read {one.name}", remedy, one.name)
        elif one.mode & 0o007:
            cause = f"Everybody on this machine may read {one.name} (mode {one.mode:o})"
            yield warn(check, cause, f"chmod 600 {one.name}", one.name)
        else:
            yield passed(check, f"mode {one.mode:o}", one.name)


def bus_right_results(
    site: Site, buses: Sequence[str], user: DaemonUser | None
) -> Iterator[CheckResult]:
    """Whether the ports of these buses are open to the gateway's user."""
    check: CheckId = "bus_rights"
    for name in buses:
        match site.buses[name]:
            case SerialBus(port=node) | ModbusRtuBus(port=node):
                pass
            case I2cBus(path=node) | GpioBus(chip=node):
                pass
            case _:
                continue  # a converter in the network asks nobody
        found = look_up_node(node)
        if not node.startswith("/") or found.path.startswith(PTY_PREFIX):
            yield unchecked(check, "it is simulated", name)
        elif user is None:
            yield unchecked(check, "no user is known as whom the gateway runs", name)
        elif (may := user.may(Path(found.path), READ_WRITE)) is None:
            yield unchecked(check, "first: bus_port", name)
        elif may:
            yield passed(check, f"{user.name} may open {node}", name)
        else:
            cause = (
                f"{name}: the daemon's user {user.name} is not in the group {found.group} of {node}"
            )
            remedy = f"usermod -aG {found.group} {user.name}, and restart the daemon"
            yield fault(check, cause, remedy, name)


def store_results(site: Site, user: DaemonUser | None) -> Iterator[CheckResult]:
    """The folders that the gateway writes. systemd makes its own at the start of the unit."""
    check: CheckId = "store_rights"
    who = "you" if user is None else user.name
    for name in (site.store.dir, site.store.run_dir):
        folder = Path(name)
        if not folder.exists():
            above = next((each for each in folder.parents if each.exists()), folder)
            if _may_write(above, user) or (user is not None and _made_by_unit(folder)):
                yield passed(check, "it is made at the first start", name)
            else:
                remedy = f"install -d -o {who} -m 750 {name}"
                cause = f"{name} is not there, and {who} may not make it in {above}"
                yield fault(check, cause, remedy, name)
        elif not folder.is_dir():
            yield fault(check, f"{name} is no folder", "Name a folder in [store]", name)
        elif not _may_write(folder, user):
            remedy = f"chown {who} {name}; chmod u+rwx {name}"
            yield fault(check, f"{who} may not write {name}", remedy, name)
        else:
            yield passed(check, f"{who} may write it", name)


def _may_write(folder: Path, user: DaemonUser | None) -> bool:
    if user is None:
        return os.access(folder, os.W_OK | os.X_OK)
    return user.may(folder, WRITE_FOLDER) is not False


def _made_by_unit(folder: Path) -> bool:
    return str(folder) in ("/var/lib/kerbstone", "/run/kerbstone")
