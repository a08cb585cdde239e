"""What a draft or a record says, as a map: as it is kept and sent."""

from typing import Any

from edge.core import Draft, Record
from edge.wire.contract.body import body_map


def told(what: Draft | Record) -> dict[str, Any]:
    """A new map, so that a test may change it."""
    return dict(body_map(what.body))
