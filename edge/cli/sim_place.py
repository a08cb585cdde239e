"""Why a place cannot be had for a simulation, as one sentence that says what to do."""

import errno
import re
from typing import Final

IN_USE: Final = (errno.EADDRINUSE, errno.EWOULDBLOCK, errno.EBUSY)
NOT_ALLOWED: Final = (errno.EACCES, errno.EPERM, errno.EROFS)
NO_FOLDER: Final = (errno.EEXIST, errno.ENOTDIR)
DEVICES: Final = "/dev/"
TCP: Final = re.compile(r"([^/]+):(\d+)")  # host and port
ROOTS_BELOW: Final = 1024  # such ports


def place_trouble(error: OSError, where: str, other: str) -> str:
    """`where` is the folder, the port or the socket that was asked for, `other` what to do."""
    if error.errno is None:  # whoever raised it knew better
        return str(error)
    is_port = where.startswith(DEVICES)
    if error.errno in IN_USE:
        return f"{where} is in use by another program or simulation: end that, or {other}"
    if (tcp := TCP.fullmatch(where)) is not None:
        return _tcp_trouble(error, where, tcp[1], int(tcp[2]), other)
    if error.errno in NOT_ALLOWED and not is_port:
        why = "read-only" if error.errno == errno.EROFS else "not yours to write in"
        return f"{where} cannot be written, because the folder is {why}: {other}"
    if error.errno in NOT_ALLOWED:
        return f"{where} may not be opened by this user: join the group dialout, or {other}"
    if error.errno in NO_FOLDER:
        return f"{where} cannot be made, because there is a file of that name: {other}"
    if error.errno == errno.ENOENT and is_port:
        return f"{where} is not there: plug the adapter in, or {other}"
    if error.errno == errno.ENOENT:
        return f"{where} cannot be made, because its folder is not there: make that, or {other}"
    return f"{where} cannot be used ({error.strerror or error}): {other}"


def _tcp_trouble(error: OSError, where: str, host: str, port: int, other: str) -> str:
    if error.errno in NOT_ALLOWED and port < ROOTS_BELOW:
        why = f"a port below {ROOTS_BELOW} is for root; take another, such as 5020"
        return f"{where} cannot be had: {why}"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine: {other}"
    return f"{where} cannot be used ({error.strerror or error}): {other}"
