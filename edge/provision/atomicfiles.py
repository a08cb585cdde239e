"""Files that are whole or not there, and keys that only their owner reads."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from edge.core import ConfigError

READ_LIMIT: Final = 1 << 20
OWNER_MODE: Final = 0o600


def read_file(path: Path, what: str) -> bytes:
    """Raises ConfigError when it is not there, is too large, or cannot be read."""
    try:
        with path.open("rb") as handle:
            data = handle.read(READ_LIMIT + 1)
    except OSError as error:
        raise ConfigError(f"{path}: {what} cannot be read: {error.strerror}") from None
    if len(data) > READ_LIMIT:
        raise ConfigError(f"{path}: this is not a {what}: more than {READ_LIMIT} bytes")
    return data


class PendingFile(NamedTuple):
    """A file to be, and who may read it; `group` None is the writer's."""

    path: Path
    data: bytes
    mode: int = 0o644
    group: int | None = None


def replace_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace it: a power cut leaves the old one or the new one. Raises OSError."""
    replace_files([PendingFile(path, data, mode)])


def replace_files(parts: Sequence[PendingFile]) -> None:
    """Replace several, in this order: what fails before the first is in place changes nothing."""
    staged: list[tuple[Path, Path]] = []
    try:
        for part in parts:
            staged.append((_write_beside(part), part.path))
        for new, path in staged:
            new.replace(path)
    finally:
        for new, _ in staged:
            new.unlink(missing_ok=True)
    for folder in {part.path.parent for part in parts}:
        fsync_folder(folder)


def stage_file(part: PendingFile) -> None:
    """Where nobody looks yet: on the disk when it returns. Raises OSError."""
    new = _write_beside(part)
    new.replace(part.path)


def _write_beside(part: PendingFile) -> Path:
    """Beside its place, and on the disk."""
    handle, name = tempfile.mkstemp(dir=part.path.parent, prefix=f".{part.path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            if part.group is not None:
                os.fchown(file.fileno(), -1, part.group)
            os.fchmod(file.fileno(), part.mode)
            file.write(part.data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def create_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """As `write`, and never over a file that is there. Raises ConfigError."""
    if path.exists():
        raise ConfigError(f"{path} is there already: move it away, or choose another folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, data, mode)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None


def fsync_folder(folder: Path) -> None:
    """The names in it are on the disk. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
