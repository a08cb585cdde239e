"""What a record says besides its header: the base of the Structs that producers fill.

The fields stand in the order in which they go out, since bytes are kept, sent and sealed. Sending
adds the header (`header.py`); `recordtypes.py` joins both for documents and tests.
"""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from msgspec import UNSET, UnsetType, to_builtins

from edge.core import Body
from edge.wire.contract.terms import Amount, Steps, WireStruct, Yes, meaning

T = TypeVar("T")


class RecordBody(WireStruct, kw_only=True):
    """A field that may be left out has the default UNSET."""


Text = Annotated[str, meaning("One sentence for people, in English.")]
Covered = Annotated[
    Amount, meaning("Observed part of the window. `gap` events report the rest.", "s")
]
Partial = Annotated[
    Yes, meaning("The window ended early: a stop, or the time became known or jumped.")
]
Covers = Annotated[
    Steps,
    meaning(
        "In a merged record: the numbers that it replaces and its own, as steps"
        " [first, last, step] (decision 11)."
    ),
]


def known(value: T | None) -> T | UnsetType:
    """What nobody knows is left out."""
    return UNSET if value is None else value


def body_map(body: Body | Mapping[str, Any]) -> Mapping[str, Any]:
    """A body as it is kept and sent: plain maps, lists, numbers and texts.

    One that was read back is such a map already.
    """
    if isinstance(body, Mapping):
        return body
    found: dict[str, Any] = to_builtins(body, builtin_types=(bytes,))
    return found
