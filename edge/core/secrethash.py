"""A secret that people type, kept as a line that does not tell it: scrypt (RFC 7914).

`scrypt$N$r$p$SALT$HASH`, salt and hash in URL-safe base64. Provisioning writes such a line into a
claim, and the page of the gateway checks what is typed against it.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import Final

N: Final = 1 << 14  # with r = 8: 16 MiB for the time of one look
R: Final = 8
P: Final = 1
SALT_BYTES: Final = 16
HASH_BYTES: Final = 32
MOST_BYTES: Final = 64 << 20  # a line may ask for so much memory, and no more
LINE_LIMIT: Final = 256  # characters
SECRET_LIMIT: Final = 256  # characters


class SecretHashError(ValueError):
    """The line is none of ours. The text says why, and never repeats the line."""


def hash_secret(secret: str) -> str:
    """The line of a secret, with a new salt. Raises SecretHashError for one that is too long."""
    if not 0 < len(secret) <= SECRET_LIMIT:
        raise SecretHashError(f"a secret has 1 to {SECRET_LIMIT} characters")
    salt = secrets.token_bytes(SALT_BYTES)
    made = _scrypt(secret, salt, N, R, P)
    return "$".join(("scrypt", f"{N}", f"{R}", f"{P}", _text(salt), _text(made)))


def is_secret(secret: str, line: str) -> bool:
    """Whether it is the line's secret; takes the same time for each that is not.
    Raises SecretHashError when the line is damaged.
    """
    salt, expected, n, r, p = _parse(line)
    if not 0 < len(secret) <= SECRET_LIMIT:
        return False
    return hmac.compare_digest(_scrypt(secret, salt, n, r, p), expected)


def check_secret_hash(line: str) -> str:
    """The line itself. Raises SecretHashError when it is none."""
    _parse(line)
    return line


def _parse(line: str) -> tuple[bytes, bytes, int, int, int]:
    parts = line.split("$")
    if len(line) > LINE_LIMIT or len(parts) != 6 or parts[0] != "scrypt":
        raise SecretHashError("not a line of the form scrypt$N$r$p$SALT$HASH")
    try:
        n, r, p = (int(each) if each.isascii() and each.isdecimal() else 0 for each in parts[1:4])
        salt, made = (base64.b64decode(each, b"-_", validate=True) for each in parts[4:])
    except (ValueError, binascii.Error) as error:
        raise SecretHashError("salt and hash are URL-safe base64") from error
    if n < 2 or n & (n - 1) or not r >= 1 or not 1 <= p <= 16 or 128 * n * r * p > MOST_BYTES:
        raise SecretHashError(f"N is a power of two, r and p are small: {MOST_BYTES >> 20} MiB")
    if len(salt) < 8 or len(made) != HASH_BYTES:
        raise SecretHashError(f"the salt has at least 8 bytes, the hash {HASH_BYTES}")
    return salt, made, n, r, p


def _scrypt(secret: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    data = secret.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(
        data, salt=salt, n=n, r=r, p=p, maxmem=MOST_BYTES + (1 << 20), dklen=HASH_BYTES
    )


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii")
