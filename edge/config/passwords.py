"""The password for the broker: from a file of its own, never from site.toml."""

from pathlib import Path
from typing import Final

from edge.config.model import Uplink
from edge.core import ConfigError

PASSWORD_LIMIT: Final = 1024  # bytes


def uplink_password(uplink: Uplink) -> str | None:
    """The password, or None when none was configured. Raises ConfigError."""
    return None if uplink.password_file is None else read_password(Path(uplink.password_file))


def read_password(path: Path) -> str:
    """The one line of this file. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            data = file.read(PASSWORD_LIMIT + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    text = data.removesuffix(b"\n").removesuffix(b"\r")
    if not text or len(data) > PASSWORD_LIMIT or b"\n" in text or b"\0" in text:
        raise ConfigError(f"{path}: one line with the password belongs in it")
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: the password is not UTF-8 text") from error
