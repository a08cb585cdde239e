"""Files that an operator names or gets: what is wrong with one is said in a sentence."""

from pathlib import Path
from typing import Final

from edge.core import ConfigError
from edge.durable import atomicwrite

READ_LIMIT: Final = 1 << 20
OWNER_MODE: Final = 0o600


def read_file(path: Path, what: str) -> bytes:
    """Also a pipe. Raises ConfigError when it is not there, is too large, or cannot be read."""
    try:
        with path.open("rb") as handle:
            data = handle.read(READ_LIMIT + 1)
    except OSError as error:
        raise ConfigError(f"{path}: {what} cannot be read: {error.strerror}") from None
    if len(data) > READ_LIMIT:
        raise ConfigError(f"{path}: this is not a {what}: more than {READ_LIMIT} bytes")
    return data


def replace_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace it, whatever the umask; a server and a command may do so at the same moment. Raises
    OSError."""
    new = atomicwrite.own_name(path)
    atomicwrite.replace_file(path, data, mode, new=new, exact_mode=True)


def create_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """As `replace_file`, and never over a file that is there. Raises ConfigError."""
    if path.exists():
        raise ConfigError(f"{path} is there already: move it away, or choose another folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, data, mode)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
