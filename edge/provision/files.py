"""Files that are whole or not there, and keys that only their owner reads."""

import os
import tempfile
from pathlib import Path
from typing import Final

from edge.core import ConfigError

LARGEST: Final = 1 << 20
OWNER: Final = 0o600


def read(path: Path, what: str) -> bytes:
    """Raises ConfigError when it is not there, is too large, or cannot be read."""
    try:
        with path.open("rb") as handle:
            data = handle.read(LARGEST + 1)
    except OSError as error:
        raise ConfigError(f"{path}: {what} cannot be read: {error.strerror}") from None
    if len(data) > LARGEST:
        raise ConfigError(f"{path}: this is no {what}: more than {LARGEST} bytes")
    return data


def write(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace it: a power cut leaves the old one or the new one. Raises OSError."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync(path.parent)


def write_new(path: Path, data: bytes, mode: int = 0o644) -> None:
    """As `write`, and never over a file that is there. Raises ConfigError."""
    if path.exists():
        raise ConfigError(f"{path} is there already: move it away, or choose another folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, data, mode)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
