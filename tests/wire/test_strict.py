"""Bounds of what a payload may be: just so much passes, and one more does not."""

import json
from typing import Any

import msgpack
import pytest

from edge.wire import WireError, decode, strict
from edge.wire.down import MAX_DOWN, decode_reconnect_spread, parse_ranges
from edge.wire.down import decode_receipts as receipts
from edge.wire.strict import (
    MAX_ARRAY,
    MAX_DEPTH,
    MAX_INT,
    MAX_PAYLOAD,
    check_value,
    load_json,
    load_msgpack,
)

GW = "gw-0001"
AIR = f"kerbstone/v1/s/{GW}/up/air/hut"


def nested(depth: int) -> Any:
    found: Any = 1
    for level in range(depth - 1):
        found = [found] if level % 2 else {"a": found}
    return found


PAST: list[tuple[Any, Any, str]] = [
    (nested(MAX_DEPTH), nested(MAX_DEPTH + 1), "nested deeper"),
    (MAX_INT - 1, MAX_INT, "64 bits"),
    (-MAX_INT, -MAX_INT - 1, "64 bits"),
    (1.5, float("inf"), "not a number"),
    ({"1": 2}, {1: 2}, "key that is not text"),
    ({"1": 2, "b": 3}, {"1": 2, b"b": 3}, "key that is not text"),
    ({"ä": 1}, {"\ud800": 1}, "half a surrogate pair"),
    ("ä", "\ud800", "half a surrogate pair"),
    ([None, True, b"x", (1,)], [{1}], "a value of type set"),
]


@pytest.mark.parametrize(("sound", "wrong", "why"), PAST, ids=[why for _, _, why in PAST])
def test_within_its_bound_it_passes_and_beyond_it_is_refused(
    sound: Any, wrong: Any, why: str
) -> None:
    assert check_value(sound) is sound
    with pytest.raises(WireError, match=why):
        check_value(wrong)


def test_so_many_values_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict, "MAX_ITEMS", 6)  # all levels together
    check_value([1, [2, 3], 4])
    with pytest.raises(WireError, match="more than 6 values"):
        check_value([1, [2, 3], 4, 5])


def test_an_array_is_as_long_as_it_may_be_and_no_longer() -> None:
    assert len(load_msgpack(msgpack.packb([0] * MAX_ARRAY))) == MAX_ARRAY
    for wrong in ([0] * (MAX_ARRAY + 1), {str(n): 0 for n in range(MAX_ARRAY + 1)}):
        with pytest.raises(WireError, match="not MessagePack"):
            load_msgpack(msgpack.packb(wrong))


def test_a_key_stands_once_in_either_encoding() -> None:
    for load, data in ((load_json, b'{"a":1,"a":2}'), (load_msgpack, b"\x82\xa1a\x01\xa1a\x02")):
        with pytest.raises(WireError, match=r"^a key occurs twice"):
            load(data)


def test_a_payload_is_as_long_as_it_may_be_and_no_longer() -> None:
    with pytest.raises(WireError, match="bytes; "):
        decode(AIR, b"{" + b" " * MAX_PAYLOAD)
    with pytest.raises(WireError, match="gw is "):  # looked at
        decode(AIR, b"{}" + b" " * (MAX_PAYLOAD - 2))


def test_what_comes_down_is_as_long_as_it_may_be_and_no_longer() -> None:
    payload = json.dumps({"v": 1, "gw": GW, "receipts": []}).encode()
    longest = payload.ljust(MAX_DOWN)
    assert receipts(longest, GW) == []
    with pytest.raises(WireError, match="bytes; "):
        receipts(longest + b" ", GW)
    assert decode_reconnect_spread(b'{"v": 1, "spread_s": 3600}') == 3600.0
    with pytest.raises(WireError, match="spread_s"):
        decode_reconnect_spread(b'{"v": 1, "spread_s": 3601}')


def ranges(*pairs: list[Any], epoch: Any = 7, stream: Any = "air") -> list[dict[str, Any]]:
    return [{"epoch": epoch, "stream": stream, "ranges": list(pairs)}]


def test_ranges_are_pairs_in_order_and_not_without_end() -> None:
    assert parse_ranges(ranges([1, 1], [5, 9], epoch=0), "x")[0].ranges == ((1, 1), (5, 9))
    pairs: list[list[Any]] = [[0, 1], [2, 1], [1], [1, "2"]]
    for pair in pairs:
        with pytest.raises(WireError, match="not a pair of numbers"):
            parse_ranges(ranges(pair), "x")
    wrong: list[Any] = [ranges(epoch=-1), ranges(stream="aire"), ranges(epoch=1 << 63), [[]]]
    for found in wrong:
        with pytest.raises(WireError, match="no epoch, stream and ranges"):
            parse_ranges(found, "x")
    with pytest.raises(WireError, match="x is not a list"):
        parse_ranges({}, "x")
