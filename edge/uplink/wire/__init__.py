"""The wire format: topics and payloads, both ways. Pure; what the broker sees is a promise."""

from edge.uplink.wire.batches import raw_body, raw_sweeps
from edge.uplink.wire.decode import Message, decode
from edge.uplink.wire.down import (
    Command,
    Receipt,
    decode_command,
    decode_receipts,
    decode_spread,
    encode_command,
    encode_receipts,
    parse_ranges,
)
from edge.uplink.wire.records import JSON, MSGPACK, RAW, Payload, encode, encode_json, iso
from edge.uplink.wire.seal import START, link_of, link_of_map, signed_bytes
from edge.uplink.wire.strict import MAX_PAYLOAD, ForeignError, WireError
from edge.uplink.wire.topics import Topic, Topics, gateway_of, identifier, is_down, parse_topic

__all__ = [
    "JSON", "MAX_PAYLOAD", "MSGPACK", "RAW", "START", "Command", "ForeignError", "Message",
    "Payload", "Receipt", "Topic", "Topics", "WireError", "decode", "decode_command",
    "decode_receipts", "decode_spread", "encode", "encode_command", "encode_json",
    "encode_receipts", "gateway_of", "identifier", "is_down", "iso", "link_of", "link_of_map",
    "parse_ranges", "parse_topic", "raw_body", "raw_sweeps", "signed_bytes",
]  # fmt: skip
