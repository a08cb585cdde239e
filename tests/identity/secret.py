"""All forms in which a private key could leave, and what two boxes have in common."""

import base64
import re
from collections.abc import Iterable
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

SHORT: Final = 16  # bytes of a secret that is worth looking for
RUN: Final = re.compile(rb"(?:[A-Za-z0-9+/]\n?){16,}={0,2}")


def forms(pem: bytes) -> list[bytes]:
    """Of a key in a file: the number itself, in hex, in base64 at each offset, as PEM."""
    key = load_pem_private_key(pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    d = key.private_numbers().private_value.to_bytes(32, "big")
    middle = b"".join(pem.split(b"\n")[1:-2])
    found = [d, d[::-1], d.hex().encode(), d.hex().upper().encode(), b"PRIVATE KEY", middle[:40]]
    return found + [base64.b64encode(bytes(n) + d)[8:40] for n in range(3)]


def decoded(data: bytes) -> bytes:
    """What is in it, and what its base64 hides, once more in there (a claim's certificate)."""
    parts = [data]
    for _ in range(2):
        words = re.findall(rb"[A-Za-z0-9+/]{16,}={0,2}", parts[-1].replace(b"\n", b""))
        parts.append(b"\n".join(_decode(word) for word in words))
    return b"\n".join(parts)


def _decode(word: bytes) -> bytes:
    whole = word.rstrip(b"=")
    return base64.b64decode(whole[: len(whole) // 4 * 4])


def bare(data: bytes) -> bytes:
    """With what base64 hides in its place: so it is the same wherever it begins."""
    return RUN.sub(lambda run: b"\n" + _decode(run[0].replace(b"\n", b"")) + b"\n", data)


def windows(files: Iterable[bytes], size: int = SHORT) -> set[bytes]:
    """Each run of bytes of this length, in whatever place."""
    found = set()
    for each in files:
        data = bare(each)
        found |= {data[at : at + size] for at in range(len(data) - size + 1)}
    return found


def shared(one: Iterable[bytes], other: Iterable[bytes], public: Iterable[bytes]) -> set[bytes]:
    """What both hold, and nobody has published: not even its beginning, or its end."""
    known = windows(public, SHORT // 2)
    both = windows(one) & windows(other)
    return {w for w in both if w[: SHORT // 2] not in known and w[SHORT // 2 :] not in known}
