"""Why a place cannot be had for a simulation, as one sentence that says what to do."""

import errno
from typing import Final

IN_USE: Final = (errno.EADDRINUSE, errno.EWOULDBLOCK, errno.EBUSY)
NOT_ALLOWED: Final = (errno.EACCES, errno.EPERM, errno.EROFS)
NO_FOLDER: Final = (errno.EEXIST, errno.ENOTDIR)
DEVICES: Final = "/dev/"


def place_trouble(error: OSError, where: str, other: str) -> str:
    """`where` is the folder, the port or the socket that was asked for, `other` what to do."""
    if error.errno is None:  # whoever raised it knew better
        return str(error)
    is_port = where.startswith(DEVICES)
    if error.errno in IN_USE:
        return f"{where} is in use by another program or simulation: end that, or {other}"
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
