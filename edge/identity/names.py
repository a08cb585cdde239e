"""Names of gateways, and what people compare of a key. Only what is written here may be a name."""

import base64
import hashlib
import re
from typing import Final

GATEWAY: Final = r"\A[a-z0-9-]{3,64}\Z"  # a broker's ACL takes it as it is: no `/`, `+`, `#`, `.`
SITE: Final = r"\A[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z"  # one level of a topic, and a file's name
SAN: Final = "urn:kerbstone:gw:"

_GATEWAY: Final = re.compile(GATEWAY)


def is_gateway(name: str) -> bool:
    return _GATEWAY.match(name) is not None


def san(gateway: str) -> str:
    """The URI in the certificate of a gateway."""
    if not is_gateway(gateway):
        raise ValueError(f"{gateway!r:.80} is no name of a gateway: 3 to 64 of a-z, 0-9 and -")
    return f"{SAN}{gateway}"


def comparison(spki: bytes) -> str:
    """What the box shows and the operator sees of the same key: XXXX-XXXX.

    `spki` is the public key as DER, SubjectPublicKeyInfo. 40 bits: enough against a second key
    found while a technician waits, and as much as a person reads without a mistake.
    """
    text = base64.b32encode(hashlib.sha256(spki).digest()).decode("ascii")[:8]
    return f"{text[:4]}-{text[4:]}"


def spki_hash(spki: bytes) -> str:
    """SHA-256 of the public key; its first 16 digits are on the label."""
    return hashlib.sha256(spki).hexdigest()
