"""JSON Schema (draft 2020-12) from the declarations: one self-contained document per message."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

from edge.core import TimeQuality
from edge.wire.contract.catalogue import EVENTS, DeclaredMessage
from edge.wire.contract.header import Header
from edge.wire.contract.points import Gauge, Total
from edge.wire.contract.raw import Table
from edge.wire.contract.recordtypes import ANY_EVENT, point_schema

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
VERSION: Final = 1  # `v` on the wire, and in the names
REF: Final = "#/$defs/{name}"
FOREIGN: Final = frozenset({"discriminator"})
"""OpenAPI's word, of which JSON Schema does not know: a strict validator refuses it."""

Schema = dict[str, Any]


def schema_of(message: DeclaredMessage) -> Schema:
    """The schema of one message. Fields that nobody has declared are allowed: adding is free."""
    wanted = [message.type, Header, Gauge, Total, Table, ANY_EVENT]
    (top, *_), defs = msgspec.json.schema_components(
        wanted, schema_hook=point_schema, ref_template=REF
    )
    defs = _spelt_out(defs, TimeQuality)
    defs = {name: _open(each) for name, each in _reached(top, defs, message).items()}
    for name, each in defs.items():
        if name != "Header" and "Header" in defs:
            defs[name] = _shared(each, defs["Header"])
    if message.name == "event":
        top, defs["Event"] = _growing(top), _later(defs["Event"], list(EVENTS))
    return {
        "$schema": DRAFT,
        "$id": f"urn:kerbstone:v{VERSION}:{message.name}",
        "title": message.title,
        "x-topic": message.topic,
        "x-direction": message.direction,
        "x-retained": message.retained,
        "x-content-types": list(message.content_types),
        **{key: value for key, value in top.items() if key not in FOREIGN},
        "$defs": dict(sorted(defs.items())),
    }


def _growing(top: Schema) -> Schema:
    """Kinds of events are added over the years; who does not know one, passes it on."""
    return {**top, "anyOf": [*top["anyOf"], {"$ref": "#/$defs/Event"}], "x-grows": True}


def _later(event: Schema, known: list[str]) -> Schema:
    """What an event of a kind has to be that only a later version declares."""
    kind = {"type": "string", "not": {"enum": sorted(known)}}
    return {
        **event,
        "description": "An event of a kind that a later version declares.",
        "properties": {**event["properties"], "event": kind},
    }


def _spelt_out(node: Any, words: type[StrEnum]) -> Any:
    """These few words stand where they are used, and are no definition of their own."""
    if isinstance(node, dict):
        if node.get("$ref") == REF.format(name=words.__name__):
            node = {**node, "enum": sorted(words)}
            del node["$ref"]
        return {name: _spelt_out(each, words) for name, each in node.items()}
    return [_spelt_out(each, words) for each in node] if isinstance(node, list) else node


def _reached(top: Any, defs: Mapping[str, Schema], message: DeclaredMessage) -> dict[str, Schema]:
    """The definitions that this message needs; a record shares its header's, too."""
    todo, found = list(_refs(top)), dict[str, Schema]()
    if any(issubclass(each, Header) for each in message.types):
        todo.append("Header")
    if message.name == "raw":
        todo.append("Table")  # `tables` holds it, packed
    if message.name == "event":
        todo.append("Event")
    while todo:
        name = todo.pop()
        if name not in found:
            found[name] = defs[name]
            todo += _refs(defs[name])
    return found


def _refs(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"].removeprefix("#/$defs/")] if isinstance(node.get("$ref"), str) else []
        return own + [name for each in node.values() for name in _refs(each)]
    if isinstance(node, list):
        return [name for each in node for name in _refs(each)]
    return []


def _open(schema: Schema) -> Schema:
    """The declarations are strict for our tests; a consumer has to bear what is added later."""
    strict = ("additionalProperties", False)
    open_schema = {key: value for key, value in schema.items() if (key, value) != strict}
    if "description" in open_schema:
        open_schema["description"] = " ".join(open_schema["description"].split())
    return open_schema


def _shared(schema: Schema, header: Schema) -> Schema:
    """Fields of the header stand in one place."""
    known = header["properties"]
    properties = {
        name: {"$ref": f"#/$defs/Header/properties/{name}"} if known.get(name) == each else each
        for name, each in schema.get("properties", {}).items()
    }
    return {**schema, "properties": properties} if properties else schema
