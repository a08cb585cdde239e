"""What comes down to a gateway is hostile until it is parsed, and comes out as it went in."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core import Stream
from edge.wire import (
    Receipt,
    WireError,
    decode_command,
    decode_receipts,
    decode_reconnect_spread,
    encode_command,
    encode_receipts,
)
from edge.wire.down import MAX_DOWN

NUMBERS = st.integers(1, 2**53 - 1)
RANGES = st.tuples(NUMBERS, NUMBERS).map(lambda pair: (min(pair), max(pair)))
RECEIPTS = st.builds(
    Receipt,
    st.integers(0, 2**53 - 1),
    st.sampled_from([str(stream) for stream in Stream]),
    st.lists(RANGES, min_size=1, max_size=40).map(tuple),
)


@given(st.lists(RECEIPTS, max_size=60))
def test_receipts_come_out_as_they_went_in(receipts: list[Receipt]) -> None:
    payloads = encode_receipts("gw-1", receipts)
    assert all(len(payload.data) <= MAX_DOWN for payload in payloads)
    found = [each for payload in payloads for each in decode_receipts(payload.data, "gw-1")]
    as_pairs = [(r.epoch, r.stream, pair) for r in receipts for pair in r.ranges]
    assert [(r.epoch, r.stream, pair) for r in found for pair in r.ranges] == as_pairs


def test_many_ranges_are_several_messages() -> None:
    ranges = tuple((2**52 + 2 * n, 2**52 + 2 * n) for n in range(2500))
    payloads = encode_receipts("gw-1", [Receipt(2**52, "traffic", ranges)])
    assert len(payloads) == 3
    assert max(len(payload.data) for payload in payloads) <= MAX_DOWN
    found = [pair for p in payloads for r in decode_receipts(p.data, "gw-1") for pair in r.ranges]
    assert tuple(found) == ranges


@given(st.binary(max_size=200))
def test_any_bytes_are_a_wire_error_or_a_list(payload: bytes) -> None:
    with pytest.raises(WireError):
        decode_receipts(payload, "gw-1")
    with pytest.raises(WireError):
        decode_command("resend", payload, "gw-1")


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


@given(JSON_LIKE, JSON_LIKE, JSON_LIKE)
def test_wrong_types_are_wire_errors(epoch: object, stream: object, ranges: object) -> None:
    body = {"epoch": epoch, "stream": stream, "ranges": ranges}
    payload = json.dumps({"v": 1, "gw": "gw-1", "receipts": [body]}).encode()
    try:
        found = decode_receipts(payload, "gw-1")
    except WireError:
        return
    assert all(1 <= first <= last for each in found for first, last in each.ranges)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"gw": "gw-2"}, "this is gw-1"),
        ({"v": 2}, "reads 1"),
        ({"v": True}, "reads 1"),
        ({"receipts": {}}, "not a list"),
        ({"receipts": [{"epoch": -1, "stream": "air", "ranges": []}]}, "has no epoch"),
        ({"receipts": [{"epoch": 1, "stream": "x", "ranges": []}]}, "has no epoch"),
        ({"receipts": [{"epoch": 1, "stream": "air", "ranges": [[2, 1]]}]}, "not a pair"),
        ({"receipts": [{"epoch": 1, "stream": "air", "ranges": [[1, 1]] * 2001}]}, "more than"),
    ],
)
def test_a_wrong_receipt_says_what_is_wrong(change: dict[str, object], says: str) -> None:
    payload = json.dumps({"v": 1, "gw": "gw-1", "receipts": []} | change).encode()
    with pytest.raises(WireError, match=says):
        decode_receipts(payload, "gw-1")


def test_a_command_comes_out_as_it_went_in() -> None:
    payload = encode_command("gw-1", 77, "abc", {"ranges": []})
    command = decode_command("resend", payload.data, "gw-1")
    assert (command.verb, command.epoch, command.id) == ("resend", 77, "abc")
    assert command.arguments == {"ranges": []}


@pytest.mark.parametrize("id_", ["", "x" * 65, "a\nb"])
def test_a_commands_id_is_short_and_printable(id_: str) -> None:
    with pytest.raises(WireError):
        decode_command("status", encode_command("gw-1", 1, id_, {}).data, "gw-1")


@pytest.mark.parametrize(("payload", "seconds"), [(b"", 0.0), (b'{"v":1,"spread_s":600}', 600.0)])
def test_a_spread_is_seconds(payload: bytes, seconds: float) -> None:
    assert decode_reconnect_spread(payload) == seconds


@pytest.mark.parametrize("value", ["-1", "3601", "true", '"60"', "null", "1e999"])
def test_a_wrong_spread_is_refused(value: str) -> None:
    with pytest.raises(WireError):
        decode_reconnect_spread(b'{"v":1,"spread_s":%s}' % value.encode())
