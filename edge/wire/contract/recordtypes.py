"""A record as a whole, header and body: for schemas and for tests. The daemon does not load it."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from msgspec import NODEFAULT, UNSET, defstruct
from msgspec.structs import fields

from edge.wire.contract.body import RecordBody, Text
from edge.wire.contract.event import Event, SensorFault
from edge.wire.contract.header import Header, Since, Sourced
from edge.wire.contract.points import PointSummary
from edge.wire.contract.terms import meaning


def record_type(
    stream: str,
    body: type[RecordBody],
    header: type[Header] = Sourced,
    more: Sequence[tuple[str, Any]] = (),
) -> type[Any]:
    """The Struct of a body's records, with the body's name; `more` are further fields."""
    known = Annotated[Literal[stream], meaning("The stream.")]  # type: ignore[valid-type]
    own = [
        (each.name, each.type, UNSET) if each.default is not NODEFAULT else (each.name, each.type)
        for each in fields(body)
    ]
    config = body.__struct_config__
    return defstruct(
        body.__name__,
        [("stream", known), *more, *own],
        bases=(header,),
        namespace={"__doc__": body.__doc__},
        kw_only=True,
        tag_field=config.tag_field,
        tag=config.tag,
        forbid_unknown_fields=config.forbid_unknown_fields,
    )


def event_type(body: type[Event]) -> type[Any]:
    """The same of an event; sending dates one back that may have begun earlier."""
    return record_type("event", body, Since if body is SensorFault else Sourced)


ANY_EVENT = record_type("event", Event, more=[("text", Text)])


def point_schema(kind: type) -> dict[str, Any]:
    """For msgspec: which of the two a point is, as a schema."""
    if kind != PointSummary:
        raise NotImplementedError(f"no rule for {kind}")
    return {"anyOf": [{"$ref": "#/$defs/Gauge"}, {"$ref": "#/$defs/Total"}]}
