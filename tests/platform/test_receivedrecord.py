"""When two payloads are one record, sent twice."""

import json
from typing import Any

import msgpack
import pytest

from edge.platform.receivedrecord import (
    content_digest,
    same_content,
)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True), ({"a": 1}, {"a": 1.0}, False),
        ({"a": 1}, {"a": True}, False), ({"a": b"1"}, {"a": "1"}, False),
        ({"a": 1, "tq": "ntp"}, {"redelivered": True, "a": 1, "tq": "nts"}, True),
        ({"a": [1, {"b": 2.5}]}, {"a": [1, {"b": 2.5}]}, True), ({"a": 1}, {"a": 1, "b": 1}, False),
    ],
)  # fmt: skip
def test_what_is_one_record_sent_twice(
    one: dict[str, Any], other: dict[str, Any], same: bool
) -> None:
    first, second = msgpack.packb(one), msgpack.packb(other)
    assert same_content(first, second) == same_content(second, first) == same
    assert (content_digest(one) == content_digest(other)) == same
    if "b" not in str(one.values()):
        assert same_content(json.dumps(one).encode(), second) == same
    for damaged in (b"\xff", b"\x90", "text", None, first[:-1]):
        assert not same_content(damaged, second)
    assert same_content(b"\xff", b"\xff")
