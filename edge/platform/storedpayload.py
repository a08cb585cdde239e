"""A stored payload, held against the row that it is found by."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import msgpack

from edge.core.numbers import decode_steps
from edge.platform.auditreport import AuditFinding, record_name
from edge.platform.receivedrecord import ReceivedRecord, load_payload
from edge.wire import WireError


def sent_or_damage(
    entry: ReceivedRecord, load: Callable[[bytes], dict[str, Any]] = load_payload
) -> dict[str, object] | AuditFinding:
    """The stored payload, held against the columns it is found by."""
    try:
        sent = load(entry.payload)
        header = sent["gw"], sent["epoch"], sent["stream"], sent["seq"], sent["boot"]
        if header != (*entry.key, entry.boot) or list(entry.mono) != list(sent["mono"]):
            why = "the payload has another key than its row"
        elif sent.get("source", "") != entry.source or not entry.fits_topic:
            why = "topic, source and payload of the row do not belong to one record"
        else:
            return sent
    except (WireError, KeyError, TypeError) as error:
        why = f"{error}"
    text = f"{record_name(*entry.key)}: the stored payload is damaged: {why}"
    return AuditFinding("damage", text, entry.key)


def load_passed(payload: bytes) -> dict[str, Any]:
    """Of a record that was decoded strictly when it came, and whose digest is looked at now: what
    has changed since is another content. Raises WireError."""
    try:
        found = json.loads(payload) if payload[:1] == b"{" else msgpack.unpackb(payload)
    except (ValueError, RecursionError, msgpack.UnpackException) as error:
        raise WireError(f"it cannot be read: {error!s:.200}") from error
    if not isinstance(found, dict):
        raise WireError("the stored payload is not a map")
    return found


def stands_for(sent: Mapping[str, Any]) -> int:
    """How many numbers a record stands for: its own, and those that it covers."""
    covers = sent.get("covers")
    if covers is None:
        return 1
    try:
        return len(set(decode_steps(covers)))
    except ValueError:
        return 1
