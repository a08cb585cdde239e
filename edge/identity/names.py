"""Names of gateways, and what people compare of a key. Only what is written here may be a name."""

import base64
import hashlib
import re
from typing import Final

PLATFORM: Final = "platform"  # what a broker's ACL lets read everybody: no gateway's name
# A broker's ACL takes a name as it is: no `/`, `+`, `#`, `.`
GATEWAY: Final = rf"\A(?!{PLATFORM})[a-z0-9-]{{3,64}}\Z"
SITE: Final = r"\A[a-z0-9_-]{1,64}\Z"  # as the site file has it: one level of a topic
SAN: Final = "urn:kerbstone:gw:"

_GATEWAY: Final = re.compile(GATEWAY)
_PLATFORM: Final = re.compile(rf"\A{PLATFORM}[a-z0-9-]{{0,{64 - len(PLATFORM)}}}\Z")


def is_gateway(name: str) -> bool:
    return _GATEWAY.match(name) is not None


def is_platform(name: str) -> bool:
    """Whether it is one of those that the city's own programs have."""
    return _PLATFORM.match(name) is not None


def san(gateway: str) -> str:
    """The URI in the certificate of a gateway."""
    if not is_gateway(gateway):
        text = f"{gateway!r:.80} is not a gateway name: 3 to 64 of a-z, 0-9 and -"
        raise ValueError(f"{text}; not {PLATFORM}...")
    return f"{SAN}{gateway}"


def comparison_code(spki: bytes) -> str:
    """What the box shows and the operator sees of the same key: XXXX-XXXX.

    `spki` is the public key as DER, SubjectPublicKeyInfo. 40 bits: enough against a second key
    found while a technician waits, and as much as a person reads without a mistake.
    """
    text = base64.b32encode(hashlib.sha256(spki).digest()).decode("ascii")[:8]
    return f"{text[:4]}-{text[4:]}"


def spki_hash(spki: bytes) -> str:
    """SHA-256 of the public key; its first 16 digits are on the label."""
    return hashlib.sha256(spki).hexdigest()
