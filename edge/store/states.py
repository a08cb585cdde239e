"""An owner's state as it lies on disk, and back. What is long is compressed, to spare the card."""

from typing import Final

from edge.store.dictionary import DEFLATED, deflated, inflated
from edge.store.rows import DamagedError, checksum

LONG_STATE: Final = 300  # bytes; a shorter one takes no page of its own, or hardly any
MAX_STATE: Final = 16 << 20  # bytes; a longer one is not compressed


def pack_state(data: bytes) -> bytes:
    """As it is, or compressed when it is long, or looks as if it were compressed."""
    if data[:1] != DEFLATED and not LONG_STATE < len(data) <= MAX_STATE:
        return data
    return deflated(data)


def state_of(owner: str, version: int, stored: object, crc: int) -> bytes:
    """Back; the checksum is over what is stored. Raises DamagedError."""
    if not isinstance(stored, bytes) or checksum(owner, version, stored) != crc:
        raise DamagedError(f"checksum of the state of {owner}")
    if stored[:1] != DEFLATED:
        return stored
    try:
        return inflated(stored, MAX_STATE)
    except ValueError as error:
        raise DamagedError(f"state of {owner}: {error}") from error
