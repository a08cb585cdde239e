"""An owner's state as it lies on disk, and back. What is long is compressed, to spare the card."""

from typing import Final

from edge.outbox.deflate import DEFLATE_MARKER, compress, decompress
from edge.outbox.rowformat import DamagedRowError, row_checksum

COMPRESS_STATE_FROM: Final = 300  # bytes; a shorter one takes no page of its own, or hardly any
MAX_STATE: Final = 16 << 20  # bytes; a longer one is not compressed


def pack_state(data: bytes) -> bytes:
    """As it is, or compressed when it is long, or looks as if it were compressed."""
    if data[:1] != DEFLATE_MARKER and not COMPRESS_STATE_FROM < len(data) <= MAX_STATE:
        return data
    return compress(data)


def unpack_state(owner: str, version: int, stored: object, crc: int) -> bytes:
    """Back; the checksum is over what is stored. Raises DamagedRowError."""
    if not isinstance(stored, bytes) or row_checksum(owner, version, stored) != crc:
        raise DamagedRowError(f"checksum of the state of {owner}")
    if stored[:1] != DEFLATE_MARKER:
        return stored
    try:
        return decompress(stored, MAX_STATE)
    except ValueError as error:
        raise DamagedRowError(f"state of {owner}: {error}") from error
