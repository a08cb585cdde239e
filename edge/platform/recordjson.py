"""A record as a line of JSON, and back.

A line that does not say what it should raises KeyError, TypeError, ValueError or OverflowError.
"""

import base64
import json
from typing import Any

from edge.platform.receivedrecord import Key, ReceivedRecord, RefusedMessage, WallTimes, bounds_text


def key_map(key: Key) -> dict[str, Any]:
    gw, epoch, stream, seq = key
    return {"gw": gw, "epoch": epoch, "stream": stream, "seq": seq}


def wall_map(wall: WallTimes) -> dict[str, Any]:
    bounds = None if wall.bounds is None else json.loads(wall.bounds)
    return {"from": wall.start, "to": wall.end, "tq": wall.tq, "bounds": bounds}


def record_line(entry: ReceivedRecord) -> dict[str, Any]:
    if entry.payload[:1] == b"{":
        payload = {"payload": entry.payload.decode()}
    else:
        payload = {"payload_b64": base64.b64encode(entry.payload).decode("ascii")}
    return {
        "kind": "record",
        **key_map(entry.key),
        "topic": entry.topic,
        "source": entry.source,
        "boot": entry.boot,
        "mono": list(entry.mono),
        **wall_map(entry.wall),
        "received": entry.received,
        "content_type": entry.content_type,
        "digest": entry.digest.hex(),
        **payload,
    }


def refused_line(each: RefusedMessage) -> dict[str, Any]:
    payload = base64.b64encode(each.payload).decode("ascii")
    return {
        "kind": each.kind, "gw": each.gw, "topic": each.topic, "why": each.why, "size": each.size,
        "received": each.received, "payload_b64": payload,
    }  # fmt: skip


def parse_wall(line: dict[str, Any]) -> WallTimes:
    return WallTimes(
        str(line["from"]), str(line["to"]), str(line["tq"]), bounds_text(line["bounds"])
    )


def parse_record_line(line: dict[str, Any]) -> ReceivedRecord:
    """The record that a line of kind `record` holds."""
    start, end = line["mono"]
    text = line.get("payload")
    payload = base64.b64decode(line["payload_b64"]) if text is None else text.encode()
    return ReceivedRecord(
        str(line["topic"]),
        (str(line["gw"]), int(line["epoch"]), str(line["stream"]), int(line["seq"])),
        str(line["source"]),
        int(line["boot"]),
        (int(start), int(end)),
        parse_wall(line),
        str(line["received"]),
        line["content_type"],
        payload,
        bytes.fromhex(line["digest"]),
    )
