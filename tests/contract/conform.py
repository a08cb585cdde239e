"""Is a message what the contract declares, to the last field? For tests of everything that sends.

`conforms(message)` takes what `wire.decode` gives, `conforms_down(topic, payload)` what is
published to a gateway. Both raise AssertionError with the place and the reason.
"""

import json
import zlib
from collections.abc import Mapping
from typing import Any

import msgpack
import msgspec

from edge.wire import DecodedMessage
from edge.wire.contract.catalogue import BY_NAME, LAST, DeclaredMessage, declared
from edge.wire.contract.points import point_hook
from edge.wire.contract.raw import Table

DOWN = {each.address: each for each in BY_NAME.values() if each.direction == "down"}


def conforms(message: DecodedMessage) -> None:
    """It is declared, every field of it is, and all is in its range."""
    found = named(message)
    assert message.kind != "last" or found.name in LAST, f"{found.name} is never retained as last"
    checked(found, message.sent, f"{message.topic.kind} {message.topic.stream}")
    if found.name == "raw":
        tables = msgpack.unpackb(zlib.decompress(message.sent["tables"]))
        _converted(tables, list[Table], "raw tables")
    if message.topic.kind == "answer":
        assert message.sent["verb"] == message.topic.source, "the topic names another verb"
        assert ("error" in message.sent) is not message.sent["ok"], "an error, or done"


def conforms_down(topic: str, payload: bytes) -> DeclaredMessage:
    """The same for a message on its way down; returns which it is."""
    address = "down" + topic.rpartition("/down")[2]
    assert address in DOWN, f"no message is declared for {address}"
    checked(DOWN[address], json.loads(payload), address)
    return DOWN[address]


def named(message: DecodedMessage) -> DeclaredMessage:
    """Which message it is."""
    try:
        return declared(message.kind, message.sent)
    except LookupError:
        raise AssertionError(f"{message.topic} is not declared in the contract") from None


def checked(message: DeclaredMessage, data: Mapping[str, Any], where: str) -> None:
    """`data` is such a message."""
    if message.name == "event":
        kinds = [str(each.__struct_config__.tag) for each in message.types]
        assert data.get("event") in kinds, f"event {data.get('event')!r} is not declared"
    _converted(data, message.type, where)


def _converted(data: Any, kind: Any, where: str) -> None:
    try:
        msgspec.convert(data, kind, dec_hook=point_hook)
    except msgspec.ValidationError as error:
        raise AssertionError(f"{where}: {error}; it says {data!r:.400}") from error
