"""The wire format: topics and payloads, both ways. Pure; what the broker sees is a promise."""

from edge.uplink.wire.batches import raw_body, raw_sweeps
from edge.uplink.wire.decode import Message, decode
from edge.uplink.wire.records import JSON, MSGPACK, RAW, Payload, encode, encode_json, iso
from edge.uplink.wire.strict import MAX_PAYLOAD, WireError
from edge.uplink.wire.topics import Topic, Topics, identifier, parse_topic

__all__ = [
    "JSON", "MAX_PAYLOAD", "MSGPACK", "RAW", "Message", "Payload", "Topic", "Topics", "WireError",
    "decode", "encode", "encode_json", "identifier", "iso", "parse_topic", "raw_body", "raw_sweeps",
]  # fmt: skip
