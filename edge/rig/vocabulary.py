"""The words that expectations may use, from the contract of the wire: events, flags, reasons."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args

from msgspec import inspect

from edge.core import Grade, Reason
from edge.wire.contract.catalogue import EVENTS
from edge.wire.contract.issues import IssueName

STATE: Final = "state"
DETAILS: Final = ("fault", "cause", "condition", "reason", "kind", "step")
"""The fields of an event that say which of its kind it is: `chatter` of a `sensor_fault`."""


def _words(kind: inspect.Type) -> Iterator[str]:
    """The closed list that a field's type is, if it is one."""
    match kind:
        case inspect.LiteralType(values=values):
            yield from map(str, values)
        case inspect.EnumType(cls=cls):
            yield from (str(each.value) for each in cls)
        case inspect.UnionType(types=types):
            for each in types:
                yield from _words(each)
        case inspect.Metadata(type=inner):
            yield from _words(inner)


def _fields(event: type[Any]) -> Mapping[str, frozenset[str]]:
    """Field -> its closed list, of those that have one."""
    found = inspect.type_info(event)
    fields = found.fields if isinstance(found, inspect.StructType) else ()
    return {each.name: frozenset(_words(each.type)) for each in fields}


_FIELDS: Final = {name: _fields(event) for name, event in EVENTS.items()}


def _named(kinds: Mapping[str, Mapping[str, frozenset[str]]]) -> frozenset[str]:
    """The kinds, and what says which of its kind an event is."""
    details = (fields.get(key, frozenset()) for fields in kinds.values() for key in DETAILS)
    return frozenset(kinds).union(*details)


def kinds_called(word: str) -> frozenset[str]:
    """Kinds of events that may be called so: `sensor_fault` of `chatter`."""
    return frozenset(
        name
        for name, fields in _FIELDS.items()
        if word == name or any(word in fields.get(key, ()) for key in DETAILS)
    )


EVENT_WORDS: Final = _named(_FIELDS)
FLAGS: Final = _named(
    {name: fields for name, fields in _FIELDS.items() if "on" in fields.get(STATE, ())}
)
"""Of events that go on and off."""
GAP_REASONS: Final = _FIELDS["gap"]["reason"]
ISSUES: Final[frozenset[str]] = frozenset(get_args(IssueName))
REASONS: Final = frozenset(map(str, Reason)) | {
    f"{grade}:{reason}" for grade in Grade if grade is not Grade.GOOD for reason in Reason
}
"""As `quality` has them: the reason alone, or with its grade."""
LANE_FIGURES: Final = ("volume", "occupancy", "speed", "length", "headway", "gap")
"""What the record of a lane has in place of points."""
