"""The folders of a site, and its buses: the daemon holds all of them, or does not start."""

import contextlib
import errno
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from edge.config import Site
from edge.control.buslock import BusLock
from edge.control.protocol import SOCKET_NAME
from edge.durable.filelock import FolderLock

SOCKET_PATH: Final = 107  # bytes, of sockaddr_un
# a card that cannot be written just now: the outbox goes on in memory, and says so
BROKEN_DISK_ERRNOS: Final = frozenset({errno.EROFS, errno.EIO, errno.ENOSPC})


class SiteBusyError(Exception):
    """Another process works in a folder or on a bus of this site."""


class SiteFolderError(Exception):
    """A folder of the site cannot be made or written."""


Locks = list[BusLock | FolderLock]


def lock_site(site: Site, buses: Iterable[str]) -> Locks:
    """Make the folders, take their locks and those of all buses. Raises SiteBusyError,
    SiteFolderError."""
    run_dir = Path(site.store.run_dir)
    socket_path = run_dir / SOCKET_NAME
    if len(os.fsencode(socket_path)) > SOCKET_PATH:
        raise SiteFolderError(f"store.run_dir: {socket_path} is too long for a socket; shorten it")
    for key, name in (("dir", site.store.dir), ("run_dir", site.store.run_dir)):
        folder = Path(name)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if key == "dir" and error.errno in BROKEN_DISK_ERRNOS:
                continue
            raise _no_folder(key, folder, error) from error
    return _locked(run_dir, Path(site.store.dir), buses)


def _locked(folder: Path, store: Path, buses: Iterable[str]) -> Locks:
    locks: Locks = []
    try:
        _lock_folder("run_dir", folder, locks)
        with contextlib.suppress(OSError):  # then the outbox goes on in memory, and says so
            _lock_folder("dir", store, locks)
        for bus in buses:
            lock = BusLock(folder, bus)
            if not lock.take():
                raise SiteBusyError(lock.in_use())
            locks.append(lock)
    except BaseException as error:
        for held in locks:
            held.release()
        if isinstance(error, OSError):
            raise _no_folder("run_dir", folder, error) from error
        raise
    return locks


def _lock_folder(key: str, folder: Path, locks: Locks) -> None:
    """Two daemons in one folder would take each other's stage, socket or outbox for their own."""
    lock = FolderLock(folder)
    if not lock.take():
        raise SiteBusyError(
            f"store.{key} = {folder} is in use by {lock.holder()}, a daemon that runs already: "
            f"stop it first (systemctl stop kerbstone), or give each its own store.{key}"
        )
    locks.append(lock)


def _no_folder(key: str, folder: Path, error: OSError) -> SiteFolderError:
    return SiteFolderError(
        f"store.{key} = {folder}: {error.strerror}; run as the user kerbstone or as root, or set "
        f"store.{key} to a folder of yours"
    )
