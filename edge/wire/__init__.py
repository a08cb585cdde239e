"""The wire format: topics and payloads, both ways. Pure; what the broker sees is a promise."""

from edge.wire.batches import raw_body, raw_sweeps
from edge.wire.decode import DecodedMessage, decode
from edge.wire.digestchain import CHAIN_START, chain_map, chain_record, signed_bytes
from edge.wire.down import (
    Command,
    Receipt,
    decode_command,
    decode_receipts,
    decode_reconnect_spread,
    encode_command,
    encode_receipts,
    parse_ranges,
)
from edge.wire.records import JSON, MSGPACK, RAW, Payload, encode, encode_json, iso_time
from edge.wire.strict import MAX_PAYLOAD, WireError, WrongGatewayError
from edge.wire.topics import (
    Topic,
    Topics,
    check_identifier,
    gateway_of,
    is_down,
    parse_topic,
)

__all__ = [
    "CHAIN_START",
    "JSON",
    "MAX_PAYLOAD",
    "MSGPACK",
    "RAW",
    "Command",
    "DecodedMessage",
    "Payload",
    "Receipt",
    "Topic",
    "Topics",
    "WireError",
    "WrongGatewayError",
    "chain_map",
    "chain_record",
    "check_identifier",
    "decode",
    "decode_command",
    "decode_receipts",
    "decode_reconnect_spread",
    "encode",
    "encode_command",
    "encode_json",
    "encode_receipts",
    "gateway_of",
    "is_down",
    "iso_time",
    "parse_ranges",
    "parse_topic",
    "raw_body",
    "raw_sweeps",
    "signed_bytes",
]  # fmt: skip
