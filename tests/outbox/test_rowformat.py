"""A record as bytes and back: long bodies are compressed, damage is found."""

import contextlib
import hashlib
import json
import zlib
from pathlib import Path
from typing import Any, cast

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core import Draft, RecordKey, Stream
from edge.outbox.deflate import DEFLATE_MARKER, DICTIONARY, compress, decompress
from edge.outbox.rowformat import (
    COMPRESS_FROM_BYTES,
    MAX_BODY,
    DamagedRowError,
    make_row,
    pack_body,
    row_body,
    row_checksum,
    row_numbers,
    row_to_record,
)

DICTIONARY_SHA256 = "157e5191ca5d26281d57cde89c53a67cb5d1fb1e65e8a14e19248be6b393463d"
EXAMPLES = Path(__file__).parents[2] / "docs" / "contract" / "examples"
HEADER = {"v", "gw", "epoch", "stream", "seq", "source", "boot", "from", "to", "tq", "mono"}

POINTS = {f"p{n}": {"mean": 230.1, "n": 60, "quality": {"good": 60}} for n in range(20)}
LONG = Draft(Stream.ENERGY, "meter", 1, 2, {"covered_s": 60.0, "points": POINTS})
SHORT = Draft(Stream.ENERGY, "meter", 1, 2, {"covered_s": 60.0, "points": {}})
BATCH = Draft(Stream.RAW, "", 1, 2, {"n": 1, "tables": bytes(4 * COMPRESS_FROM_BYTES)})
KEY = RecordKey(7, Stream.ENERGY, 1)


@pytest.mark.parametrize("draft", [LONG, SHORT, BATCH])
def test_a_body_comes_back_as_it_was(draft: Draft) -> None:
    key = RecordKey(7, draft.stream, 1)
    assert row_to_record(make_row(1, key, draft, 3, pack_body(draft))).body == draft.body


def test_a_long_body_is_kept_short_and_a_batch_is_not_compressed_twice() -> None:
    assert len(pack_body(LONG)) < COMPRESS_FROM_BYTES < len(pack_body(BATCH))


@pytest.mark.parametrize("cut", [1, 10, 100])
def test_a_compressed_body_that_is_cut_is_damage_even_with_a_sound_checksum(cut: int) -> None:
    row = make_row(1, KEY, LONG, 3, pack_body(LONG)[:-cut])
    assert row_checksum(*row[2:10]) == row.crc
    with pytest.raises(DamagedRowError):
        row_to_record(row)


@pytest.mark.parametrize("number", [1 << 64, -(1 << 63) - 1])
def test_an_integer_of_more_than_64_bits_is_a_wrong_value_as_any_other(number: int) -> None:
    with pytest.raises(ValueError, match="serialize ints"):
        pack_body(Draft(Stream.AIR, "x", 0, 1, {"n": [number]}))


def test_the_dictionary_is_what_it_was_when_the_rows_on_disk_were_written() -> None:
    assert hashlib.sha256(DICTIONARY).hexdigest() == DICTIONARY_SHA256, "it never changes"


def test_a_long_body_that_was_not_compressed_is_read_as_it_is() -> None:
    assert row_to_record(make_row(1, KEY, LONG, 3, msgpack.packb(LONG.body))).body == LONG.body


@pytest.mark.parametrize("name", ["air", "energy", "lane", "health"])
def test_what_the_gateway_sends_is_kept_in_less_than_half_of_its_bytes(name: str) -> None:
    payload = json.loads((EXAMPLES / f"{name}.json").read_text("utf-8"))[0]["payload"]
    body = {key: value for key, value in payload.items() if key not in HEADER}
    draft = Draft(Stream.ENERGY, "x", 1, 2, body)
    kept = pack_body(draft)
    assert kept[:1] == DEFLATE_MARKER
    assert len(kept) < len(msgpack.packb(body)) / 2
    assert row_to_record(make_row(1, KEY, draft, 3, kept)).body == body


def test_what_deflate_would_make_longer_stays_as_it_is() -> None:
    noise = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(20))
    draft = Draft(Stream.EVENT, "x", 1, 2, {"n": noise})
    assert pack_body(draft) == msgpack.packb(draft.body)


@pytest.mark.parametrize(
    "body",
    [
        compress(msgpack.packb({"n": bytes(MAX_BODY)})),  # a bomb
        compress(msgpack.packb({"n": 1})) + b"tail",
        DEFLATE_MARKER,
        DEFLATE_MARKER + bytes(20),
        DEFLATE_MARKER + b"\xff" * 20,
        compress(b"\xc1"),
        compress(msgpack.packb(msgpack.ExtType(8, b"1"))),
        compress(msgpack.packb({"n": msgpack.ExtType(1, b"123")})),
        compress(b"\xd4\x80\x00"),
    ],
    ids=["bomb", "tail", "nothing", "zeros", "noise", "no value", "type", "size", "negative"],
)
def test_a_compressed_body_that_nobody_wrote_is_damage(body: bytes) -> None:
    row = make_row(1, KEY, LONG, 3, body)
    with pytest.raises(DamagedRowError):
        row_to_record(row)
    assert row_numbers(row) == [1]


@pytest.mark.parametrize(
    "body", [b"", b"\xc0", msgpack.packb([1]), msgpack.packb("covers"), None, 7]
)
def test_a_body_that_names_no_numbers_stands_for_its_own(body: Any) -> None:
    assert row_numbers(make_row(1, KEY, LONG, 3, b"")._replace(body=body)) == [1]


def test_a_row_without_a_body_is_damage_whatever_its_checksum_says() -> None:
    row = make_row(1, KEY, LONG, 3, b"")._replace(body=cast("bytes", None), crc=-1)
    assert row_checksum(*row[2:10]) == row.crc
    with pytest.raises(DamagedRowError):
        row_to_record(row)


def test_as_many_bytes_as_may_be_are_taken_back_and_one_more_is_refused() -> None:
    assert len(decompress(compress(bytes(1000)), 1000)) == 1000
    with pytest.raises(ValueError, match="too long"):
        decompress(compress(bytes(1001)), 1000)


@given(st.binary(max_size=200))
def test_bytes_from_a_worn_card_are_damage_or_a_value_and_nothing_else(data: bytes) -> None:
    with contextlib.suppress(DamagedRowError):
        row_to_record(make_row(1, KEY, LONG, 3, DEFLATE_MARKER + data))


def test_floats_deep_down_stay_as_they_are() -> None:
    value: Any = 0.5
    for _ in range(400):
        value = [value]
    draft = Draft(Stream.ENERGY, "x", 1, 2, {"n": value})
    assert row_to_record(make_row(1, KEY, draft, 3, pack_body(draft))).body == draft.body


@pytest.mark.parametrize(
    ("body", "reported"),
    [
        (pack_body(Draft(Stream.AIR, "hut", 0, 1, {"n": 1})), {"n": 1}),
        (b"\xc1", {}), (b"", {}), (b"\x01", {}), (msgpack.packb([1]), {}),
        (DEFLATE_MARKER + b"?", {}), (compress(msgpack.packb({"n": 1})), {"n": 1}),
        (compress(msgpack.packb({"n": "x" * 99}))[:-5], {}),
        (compress(msgpack.packb({"n": b"x" * 2 * MAX_BODY})), {}),
        (zlib.compress(msgpack.packb({"n": 1})), {}),  # a number, and bytes behind it
    ],
)  # fmt: skip
def test_of_a_body_as_much_is_told_as_can_be_read(body: bytes, reported: dict[str, Any]) -> None:
    key = RecordKey(1, Stream.AIR, 7)
    row = make_row(1, key, Draft(Stream.AIR, "hut", 0, 1, {}), 1, body)
    if reported:
        assert row_body(row) == reported
    elif body != msgpack.packb([1]):  # which is none of ours, and can be read
        with pytest.raises(ValueError):
            row_body(row)
    assert row_numbers(row) == [7]
    if reported:
        assert row_to_record(row).body == reported
    elif body != b"\x01" and body != msgpack.packb([1]):
        with pytest.raises(DamagedRowError):
            row_to_record(row)
