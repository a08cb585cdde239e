"""The wire format: what goes in comes out, and hostile bytes end in one declared error."""

import contextlib
import json
import struct
import zlib
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core import (
    Draft,
    Envelope,
    Reason,
    Record,
    RecordKey,
    Stream,
    Sweep,
    all_good,
    bad,
    uncertain,
)
from edge.core.quality import GOOD, Quality
from edge.wire import (
    JSON,
    MSGPACK,
    RAW,
    Topics,
    WireError,
    decode,
    encode,
    iso_time,
    parse_topic,
    raw_body,
    raw_sweeps,
)
from edge.wire.contract.body import body_map
from tests.kit.asread import as_read
from tests.kit.clock import NONE, NTP
from tests.long import examples

S = 1_000_000_000
GW = "gw-0001"
TOPICS = Topics("kerbstone/v1", "stadt", GW)
AIR = TOPICS.record(Stream.AIR, "hut")
RAW_TOPIC = TOPICS.record(Stream.RAW, "")
ENVELOPE = Envelope(1_764_032_400 * S, 1_764_032_460 * S, NTP)
BODY = {"covered_s": 60.0, "points": {"pm2_5": {"mean": 9.51, "n": 60, "quality": {"good": 60}}}}


def record(body: Any = BODY, stream: Stream = Stream.AIR, source: str = "hut") -> Record:
    return Record(RecordKey((1 << 32) + 5, stream, 7), source, 3, 100 * S, 160 * S + 999, body)


def test_a_record_says_what_the_contract_says() -> None:
    payload = encode(record(), ENVELOPE, GW, "json")
    assert payload.content_type == JSON
    assert json.loads(payload.data) == {
        "v": 1, "gw": GW, "epoch": 4294967301, "stream": "air", "seq": 7, "source": "hut",
        "boot": 3, "from": "2025-11-25T01:00:00.000Z", "to": "2025-11-25T01:01:00.000Z",
        "tq": "ntp", "mono": [100_000_000, 160_000_000], **BODY,
    }  # fmt: skip


@pytest.mark.parametrize(("encoding", "kind"), [("json", JSON), ("msgpack", MSGPACK)])
@pytest.mark.parametrize("reported", [True, False])
def test_both_encodings_say_the_same(encoding: Any, kind: str, reported: bool) -> None:
    marked = Envelope(0, S, NONE, backfilled=True, redelivered=True)
    payload = encode(record(), marked, GW, encoding)
    assert payload.content_type == kind
    (message,) = decode(AIR, payload.data, payload.content_type if reported else None)
    assert message.key == (GW, (1 << 32) + 5, "air", 7)
    assert message.data["backfilled"] is True
    assert message.data["redelivered"] is True
    assert message.data["points"] == BODY["points"]
    assert message.topic.site == "stadt"


def test_events_are_json_whatever_is_chosen() -> None:
    event = record({"event": "gap"}, Stream.EVENT, "gateway")
    assert encode(event, ENVELOPE, GW, "msgpack").content_type == JSON


def test_an_event_says_since_when_it_may_be_so() -> None:
    event = record({"event": "sensor_fault", "since_s": 90.5}, Stream.EVENT, "hut")
    said = json.loads(encode(event, ENVELOPE, GW, "json").data)
    assert (said["since"], said["from"]) == ("2025-11-25T00:58:29.500Z", "2025-11-25T01:00:00.000Z")
    assert "since" not in json.loads(encode(record({"since_s": 90.5}), ENVELOPE, GW, "json").data)


NOT_TO_BE_SENT: list[dict[str, Any]] = [
    {"x": float("nan")},
    {"x": [float("inf")]},
    {"x": [1, {"y": float("-inf")}]},
    {"x": object()},
    {"x": 1 << 70, "y": float("-inf")},
    {"seq": 1},
]


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
@pytest.mark.parametrize("body", NOT_TO_BE_SENT)
def test_what_cannot_be_sent_is_refused(encoding: Any, body: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        encode(record(body), ENVELOPE, GW, encoding)


def test_a_text_that_looks_like_infinity_can_be_sent() -> None:
    body = {"x": b"\xcb\x7f\xf0\x00"}
    (message,) = decode(AIR, encode(record(body), ENVELOPE, GW, "msgpack").data)
    assert message.data["x"] == body["x"]


def test_a_number_whose_bytes_look_like_infinity_takes_no_word_of_an_enum_along() -> None:
    """A commit's own records have such words; read again from the disk they are plain texts."""
    (looks_so,) = struct.unpack(">d", b"\x3f\xcb\x7f\xf0\0\0\0\0")
    body = {"a": looks_so, "quality": Reason.GAP, "by": [Reason.STALE]}
    (message,) = decode(AIR, encode(record(body), ENVELOPE, GW, "msgpack").data)
    assert message.data["quality"] == "gap"
    assert message.data["a"] == looks_so


def test_times_of_clocks_gone_mad_can_still_be_written() -> None:
    assert iso_time(-5) == "1970-01-01T00:00:00.000Z"
    assert iso_time(1 << 80) == "9999-12-31T23:59:59.999Z"
    assert iso_time(1_764_032_400 * S + 999_999_999) == "2025-11-25T01:00:00.999Z"


@pytest.mark.parametrize("name", ["", "a/b", "a+b", "#", "ä", "a b", "-x", "x" * 65, "a\n", "$x"])
def test_names_that_would_break_topics_are_refused(name: str) -> None:
    with pytest.raises(WireError):
        Topics("kerbstone/v1", "stadt", name)
    if name:
        with pytest.raises(WireError):
            TOPICS.record(Stream.AIR, name)


def test_topics_are_taken_apart() -> None:
    assert parse_topic(AIR).source == "hut"
    assert parse_topic("a/b/up/up/x/up/raw", "a/b/up").gw == "x"
    assert parse_topic(AIR).branch == TOPICS.up.removesuffix("/up")
    assert parse_topic(TOPICS.last("hut")).kind == "last"
    assert parse_topic(TOPICS.status).kind == "status"
    for wrong in ("", "/", "up/air", f"{AIR}/x", AIR.replace("air", "aire"), f"{TOPICS.up}/last"):
        with pytest.raises(WireError):
            parse_topic(wrong)


# -- batches ---------------------------------------------------------------------------------------

POINTS = {"m1": ["u", "p", "s"], "m2": ["u", "p", "s"], "air": ["pm"], "none": list[str]()}


def f32(value: float) -> float:
    found: float = struct.unpack("f", struct.pack("f", value))[0]
    return found


VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.integers(0, 300),
    st.booleans(),
    st.text(max_size=5).filter(lambda text: text.isprintable()),
)
QUALITIES = st.sampled_from([GOOD, GOOD, GOOD, bad(Reason.CRC), uncertain(Reason.WARMUP)])


@st.composite
def sweeps(draw: st.DrawFn) -> list[Sweep]:
    found = []
    for _ in range(draw(st.integers(1, 12))):
        source = draw(st.sampled_from(sorted(POINTS)))
        width = len(POINTS[source])
        qualities: tuple[Quality, ...] = tuple(draw(QUALITIES) for _ in range(width))
        if draw(st.booleans()):
            qualities = all_good(width)
        values = tuple(None if q.grade == "bad" else draw(VALUES) for q in qualities)
        mono_ns = draw(st.integers(0, 1 << 50)) * 1000
        found.append(Sweep(source, mono_ns, values, qualities))
    return sorted(found, key=lambda sweep: sweep.mono_ns)


def _order(sweep: Sweep) -> tuple[int, str, str]:
    numbers = [float(v) if type(v) is int else v for v in sweep.values]
    return sweep.mono_ns, sweep.source, repr(numbers)


@settings(max_examples=examples(150), deadline=None)
@given(sweeps())
def test_batches_come_back_as_they_were(given_sweeps: list[Sweep]) -> None:
    body = body_map(raw_body(POINTS, given_sweeps))
    payload = encode(record(body, Stream.RAW, ""), ENVELOPE, GW, "json")
    assert payload.content_type == RAW
    decode(RAW_TOPIC, payload.data, RAW)
    points, found = raw_sweeps(msgpack.unpackb(payload.data))
    key = _order
    assert sorted(found, key=key) == sorted(given_sweeps, key=key)
    # a number may come back as a float; true and 1 stay apart
    assert [[isinstance(v, bool) for v in s.values] for s in sorted(found, key=key)] == [
        [isinstance(v, bool) for v in s.values] for s in sorted(given_sweeps, key=key)
    ]
    for source, names in points.items():
        assert list(names) == POINTS[source]


def test_what_is_no_number_never_comes_out_as_one() -> None:
    wild = [
        Sweep("m1", S, (float("nan"), float("inf"), 1), all_good(3)),
        Sweep("m1", 2 * S, (1.5, 2.5, None), all_good(3)),
    ]
    _, (first, second) = raw_sweeps(body_map(raw_body(POINTS, wild)))
    assert first.values == (None, None, 1)
    assert first.qualities == (bad(Reason.RANGE), bad(Reason.RANGE), GOOD)
    assert second.values == (1.5, 2.5, None)
    assert second.qualities[2] == bad(Reason.FAULT)


def test_twenty_values_a_sweep_take_less_than_six_bytes_each() -> None:
    points = {f"m{n}": [f"point_{k}" for k in range(20)] for n in range(10)}
    made = [
        Sweep(
            f"m{n % 10}", n * 100_000_000, tuple(f32(n * k * 1.7) for k in range(20)), all_good(20)
        )
        for n in range(20)
    ]
    draft = Draft(Stream.RAW, "", 0, 2 * S, raw_body(points, made))
    payload = encode(record(as_read(draft), Stream.RAW, ""), ENVELOPE, GW, "msgpack")
    overhead = len(RAW_TOPIC) + len(RAW) + 10
    assert (len(payload.data) + overhead) / 400 < 6


def test_json_shows_a_batch_with_its_qualities() -> None:
    made = [Sweep("air", 5 * S, (None,), (bad(Reason.SILENT),))]
    payload = encode(
        record(body_map(raw_body(POINTS, made)), Stream.RAW, ""), ENVELOPE, GW, "msgpack"
    )
    (message,) = decode(RAW_TOPIC, payload.data, RAW)
    shown = json.loads(json.dumps(message.data))
    assert shown["points"] == {"air": ["pm"]}
    assert shown["sweeps"] == [
        {"source": "air", "mono": 5_000_000, "values": [None], "quality": {"pm": "bad:silent"}}
    ]
    assert "tables" not in shown


# -- hostile bytes ---------------------------------------------------------------------------------

TYPES = st.sampled_from([None, "", JSON, MSGPACK, RAW, "application/json", "text/plain"])
PLACES = st.sampled_from([AIR, RAW_TOPIC, TOPICS.status, TOPICS.last("hut")])


@settings(max_examples=examples(300), deadline=None)
@given(PLACES | st.text(max_size=40), st.binary(max_size=200), TYPES)
def test_any_bytes_end_in_the_one_error(topic: str, data: bytes, kind: str | None) -> None:
    with contextlib.suppress(WireError):
        decode(topic, data, kind)


JSONLIKE = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats() | st.text(max_size=4)
    | st.binary(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)  # fmt: skip
HEADER = msgpack.unpackb(encode(record(), ENVELOPE, GW, "msgpack").data)
RAW_HEADER = msgpack.unpackb(
    encode(
        record(body_map(raw_body(POINTS, [Sweep("air", S, (1.5,), all_good(1))])), Stream.RAW, ""),
        ENVELOPE, GW, "msgpack",
    ).data
)  # fmt: skip


@settings(max_examples=examples(200), deadline=None)
@given(st.sampled_from(sorted(HEADER)), JSONLIKE)
def test_any_value_in_any_field_ends_in_the_one_error_or_is_shown(name: str, value: Any) -> None:
    try:
        data = msgpack.packb({**HEADER, name: value})
    except OverflowError:
        return
    try:
        (message,) = decode(AIR, data, MSGPACK)
    except WireError:
        return
    json.dumps(message.data, default=bytes.hex, allow_nan=False)


@settings(max_examples=examples(300), deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "rows": st.just(2) | JSONLIKE,
            "points": st.just(["pm"]) | JSONLIKE,
            "sources": st.just(["air"]) | JSONLIKE,
            "src": st.just(["=", 0]) | JSONLIKE,
            "t": st.just(["i1", 5, b"\x01"]) | JSONLIKE,
            "cols": st.just([["f4", b"\x00\x00\x80\x3f" * 2]])
            | st.lists(st.tuples(st.sampled_from(["=", "f4", "f8", "i1", "i8", "*"]), JSONLIKE)),
            "q": st.just([]) | JSONLIKE,
        }
    )
)
def test_any_table_ends_in_the_one_error_or_is_shown(table: Any) -> None:
    try:
        packed = msgpack.packb([table])
    except OverflowError:
        return
    data = msgpack.packb({**RAW_HEADER, "n": 2, "tables": zlib.compress(packed)})
    try:
        (message,) = decode(RAW_TOPIC, data, RAW)
    except WireError:
        return
    json.dumps(message.data, allow_nan=False)


def test_a_bomb_does_not_go_off() -> None:
    bombs = [
        zlib.compress(bytes(100 << 20)),
        zlib.compress(msgpack.packb([{"points": ["a"] * 5}])) + b"tail",
        zlib.compress(msgpack.packb([]))[:-3],
    ]
    constant = {"points": ["pm"], "sources": ["air"], "src": ["=", 0], "t": ["=", 0], "q": []}
    many = {**constant, "cols": [["i1", 0, bytes(900_000)]]}
    bombs.append(zlib.compress(msgpack.packb([{**many, "rows": 900_001}])))
    endless = {**constant, "cols": [["=", 1.0]], "rows": 1 << 40}
    bombs.append(zlib.compress(msgpack.packb([endless])))
    for bomb in bombs:
        data = msgpack.packb({**RAW_HEADER, "n": 1, "tables": bomb})
        with pytest.raises(WireError):
            decode(RAW_TOPIC, data, RAW)
    for deep in (b"[" * 100_000, b'{"a":' * 100_000, b"\x91" * 100_000, b"\x81\xa1a" * 50_000):
        with pytest.raises(WireError):
            decode(AIR, deep, MSGPACK if deep[0] > 127 else JSON)


@pytest.mark.parametrize(
    "text",
    ['{"v":NaN}', '{"v":1,"v":1}', '{"v":1e999}', '["v"]', '{"a":"\\ud800"}', "{", '{"v":1}x'],
)
def test_json_is_strict(text: str) -> None:
    with pytest.raises(WireError):
        decode(AIR, text.encode(), JSON)


@pytest.mark.parametrize(
    ("name", "value"),
    [("gw", "gw-0002"), ("stream", "energy"), ("source", "b"), ("v", 2), ("v", True), ("seq", 0),
     ("seq", True), ("epoch", -1), ("mono", [5, 4]), ("mono", [1]), ("tq", "good"),
     ("backfilled", False), ("redelivered", 1), ("from", None), ("to", 5), ("boot", 1.0),
     ("boot", -1), ("seq", 1 << 63), ("mono", [1, 2.5]), ("mono", [1.5, 2]),
     ("mono", [-1, 2]), ("mono", [1, 2, 3]),
     ("bounds", [None, None]), ("bounds", [None, "2026-11-26T01:00:00.000Z"])],
)  # fmt: skip
def test_a_header_that_is_wrong_is_refused(name: str, value: Any) -> None:
    with pytest.raises(WireError):
        decode(AIR, json.dumps({**HEADER, name: value}).encode(), JSON)
