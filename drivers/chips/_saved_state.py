"""What a gas index algorithm has learnt, as it is kept over a restart: of one sensor, and young.

Source: Sensirion/gas-index-algorithm: states are worth keeping after three hours of continuous
operation, and are not used after an interruption of more than ten minutes.
"""

from typing import Final

LEARNT_READS: Final = 3 * 3600  # one a second
OLDEST_S: Final = 600.0

HEAD: Final = b"voc 1"
LIMIT: Final = 256  # bytes; more was not kept by us


def pack_state(identity: str, state: bytes) -> bytes:
    """What to keep of the sensor with this serial number."""
    return b"\n".join((HEAD, identity.encode(), state))


def unpack_state(kept: bytes, identity: str) -> bytes:
    """The state that was kept of this very sensor; b"" when it is of another, or no such thing."""
    parts = kept[:LIMIT].split(b"\n", 2)
    if len(parts) < 3 or parts[:2] != [HEAD, identity.encode()]:
        return b""
    return parts[2]


def is_young(age_s: float) -> bool:
    """Whether a state of this age (seconds; below 0: nobody knows) may still be used."""
    return 0 <= age_s <= OLDEST_S
