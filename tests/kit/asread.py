"""What a draft or a record says, as a map: as whoever reads it finds it."""

from typing import Any

from msgspec import msgpack

from edge.core import Draft, Record


def as_read(what: Draft | Record) -> dict[str, Any]:
    """A new map, so that a test may change it."""
    found: dict[str, Any] = msgpack.decode(msgpack.encode(what.body))
    return found
