"""What the broker sees, declared: every payload with its units, ranges and meanings.

The daemon does not load it. The documents under `docs/contract/` are made from it, and tests hold
what is really sent against it.
"""

from edge.wire.contract.catalogue import (
    BY_NAME,
    EVENTS,
    LAST,
    MESSAGES,
    DeclaredMessage,
    declared,
)
from edge.wire.contract.points import point_hook
from edge.wire.contract.raw import Table
from edge.wire.contract.schemas import DRAFT, VERSION, Schema, schema_of

__all__ = [
    "BY_NAME", "DRAFT", "EVENTS", "LAST", "MESSAGES", "VERSION", "DeclaredMessage", "Schema",
    "Table",
    "declared", "point_hook", "schema_of",
]  # fmt: skip
