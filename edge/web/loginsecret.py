"""The line of the secret that opens the page: where it lies, and who looks at it.

It comes from `--login FILE`, from the credential that provisioning has brought, or from what
`kerbstone web secret` has written. A look takes 16 MB for a moment (scrypt): there is one thread
for it, and only a few may wait.
"""

import asyncio
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from edge.core.pagecertificate import LOGIN_NAME
from edge.core.secrethash import LINE_LIMIT, SecretHashError, check_secret_hash, is_secret
from edge.durable.readfile import read_file

WAITING: Final = 4  # looks that may wait for the one that is under way
CREDENTIAL: Final = LOGIN_NAME  # its name in systemd's LoadCredential=


class NoSecretError(Exception):
    """Nobody can log in; the text says why, and what to do. Everybody who comes to the page may
    read it: it names no folder."""


class BusyError(Exception):
    """Too many are trying at this moment."""


def secret_files(
    given: Path | None, state: Path, environ: Mapping[str, str] = os.environ
) -> tuple[Path, ...]:
    """Where the line may lie, in the order in which they count."""
    credentials = environ.get("CREDENTIALS_DIRECTORY")
    handed = (Path(credentials) / CREDENTIAL,) if credentials else ()
    return (given,) if given is not None else (*handed, state / LOGIN_NAME)


def read_secret_line(files: tuple[Path, ...]) -> str:
    """The line that counts; an empty file is none. Raises NoSecretError."""
    for path in files:
        try:
            line = (read_file(path, LINE_LIMIT + 2) or b"").decode("ascii", "replace").strip()
        except OSError as error:
            why = error.strerror or "it is longer than a secret's line"
            raise NoSecretError(f"{path.name} cannot be read: {why}") from error
        if not line:
            continue
        try:
            return check_secret_hash(line)
        except SecretHashError as error:
            raise NoSecretError(f"{path.name}: {error}; `sudo kerbstone web secret`") from error
    raise NoSecretError("this box has no secret for its page yet: `sudo kerbstone web secret`")


class SecretLook:
    """Compares what is typed with the line, one at a time. `close` ends its thread."""

    def __init__(self, files: tuple[Path, ...]) -> None:
        self._files = files
        self._thread = ThreadPoolExecutor(1, "login")
        self._waiting = 0

    async def is_right(self, secret: str) -> bool:
        """Raises NoSecretError, and BusyError when too many wait."""
        if self._waiting > WAITING:
            raise BusyError
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, self._look, secret)
        finally:
            self._waiting -= 1

    def problem(self) -> str:
        """Why nobody can log in; empty when one can."""
        try:
            read_secret_line(self._files)
        except NoSecretError as error:
            return str(error)
        return ""

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _look(self, secret: str) -> bool:
        return is_secret(secret, read_secret_line(self._files))
