"""A file under its name is the old one or the new one, after a kill and after a power cut.

Written under another name beside its place, synced, renamed, and its folder synced: whoever reads
it never sees a part. A file that cannot be written leaves nothing of itself. What a kill leaves
lies under that other name, and the next write removes it, whatever it is.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from edge.durable.folders import fsync_folder

NEW_SUFFIX: Final = ".new"  # whatever still has that name after a start is rubbish
PRIVATE: Final = 0o600
OPENING: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC  # it follows no link


def new_name(path: Path) -> Path:
    """`NAME.new`, for a folder with one writer."""
    return path.with_name(f"{path.name}{NEW_SUFFIX}")


def hidden_name(path: Path) -> Path:
    """`.NAME.new`, where somebody else reads all files of a folder: NetworkManager and chrony skip
    hidden names."""
    return path.with_name(f".{path.name}{NEW_SUFFIX}")


def own_name(path: Path) -> Path:
    """`.NAME.RANDOM`, where two processes may replace the same file at the same moment."""
    return path.with_name(f".{path.name}.{os.urandom(4).hex()}")


def replace_file(
    path: Path,
    data: bytes,
    mode: int = PRIVATE,
    *,
    new: Path | None = None,
    group: int | None = None,
    exact_mode: bool = False,
    sync: bool = True,
) -> None:
    """Replace it. `new`: the name until then, NEW_SUFFIX if none is given. Raises OSError.

    The umask takes from `mode`, except with `exact_mode`: that needs fchmod, and a FAT refuses it.
    `group` as in `write_file`. `sync`: not in tmpfs, which forgets with the power anyway.
    """
    new = new_name(path) if new is None else new
    try:
        write_file(new, data, mode, group=group, exact_mode=exact_mode, sync=sync)
        new.replace(path)
    except BaseException:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise
    if sync:
        fsync_folder(path.parent)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """The name to write under what is too large for memory; it becomes `path` when all went well.

    Nothing is synced: for what can be made again. Raises OSError.
    """
    new = new_name(path)
    try:
        yield new
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


@contextmanager
def replacing_for_good(path: Path) -> Iterator[IO[bytes]]:
    """As `replacing`, of what cannot be made again: a private file to write to, which is durable
    under its name when all went well. Raises OSError."""
    new = new_name(path)
    try:
        with os.fdopen(open_new(new), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    fsync_folder(path.absolute().parent)


def write_pieces(path: Path, pieces: Iterable[bytes], mode: int = PRIVATE) -> None:
    """As `write_file`, piece by piece, of what is too large for memory. Raises OSError."""
    fd = open_new(path, mode)
    try:
        for piece in pieces:
            write_all(fd, piece)
        os.fsync(fd)
    finally:
        os.close(fd)


def write_file(
    path: Path,
    data: bytes,
    mode: int = PRIVATE,
    *,
    group: int | None = None,
    exact_mode: bool = False,
    sync: bool = True,
) -> None:
    """Write it where nobody looks yet; its name is durable only when its folder is synced.

    `group` gets it before it holds anything; None: the writer's. Raises OSError.
    """
    fd = open_new(path, PRIVATE if exact_mode else mode)
    try:
        # who has no right to chown need not have it for his own group
        if group is not None and os.fstat(fd).st_gid != group:
            os.fchown(fd, -1, group)
        if exact_mode:
            os.fchmod(fd, mode)
        write_all(fd, data)
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)


def open_new(path: Path, mode: int = PRIVATE, flags: int = 0) -> int:
    """A descriptor of a file that nobody had; what is there may belong to somebody, or be a link to
    somewhere, and is removed. Raises OSError."""
    try:
        return os.open(path, OPENING | flags, mode)
    except FileExistsError:
        path.unlink(missing_ok=True)
        return os.open(path, OPENING | flags, mode)


def write_all(fd: int, data: bytes) -> None:
    """All of it, also where a nearly full disk takes it in parts. Raises OSError."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def replace_link(link: Path, target: str, *, new: Path | None = None, sync: bool = True) -> None:
    """Make the symbolic link lead to `target`, in one step. Raises OSError."""
    new = new_name(link) if new is None else new
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(link)
    if sync:
        fsync_folder(link.parent)
