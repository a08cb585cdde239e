"""Tables of a batch that nobody can have packed: each is refused for what is wrong with it."""

import zlib
from typing import Any

import msgpack
import pytest

from edge.core import GOOD, Reason, Sweep, all_good, bad, uncertain
from edge.wire import WireError, raw_body, raw_sweeps
from edge.wire import batches as module
from edge.wire.contract.body import body_map

TABLE: dict[str, Any] = {
    "rows": 2, "points": ["pm", "t"], "sources": ["hut", "mast"], "src": ["*", [0, 1]],
    "t": ["i1", 5, b"\x01"], "cols": [["=", 1.5], ["f4", b"\x00\x00\x80\x3f" * 2]],
    "q": [[1, [0], "bad:crc"]],
}  # fmt: skip


def batch(*tables: Any, n: Any = 2) -> dict[str, Any]:
    return {"n": n, "tables": zlib.compress(msgpack.packb(list(tables)))}


def with_(**fields: Any) -> dict[str, Any]:
    return batch({**TABLE, **fields})


def test_a_table_that_is_right_is_read() -> None:
    points, (first, second) = raw_sweeps(batch(TABLE))
    assert points == {"hut": ("pm", "t"), "mast": ("pm", "t")}
    assert first == Sweep("hut", 5000, (1.5, 1.0), (GOOD, GOOD))
    assert second == Sweep("mast", 6000, (None, 1.0), (bad(Reason.CRC), GOOD))


OTHER = {**TABLE, "sources": ["door", "mast"]}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"n": True, "tables": batch(TABLE)["tables"]}, "n and tables"),
    ({"n": 2, "tables": "text"}, "n and tables"),
    ({"n": 2, "tables": b"no zlib"}, "tables: "),
    ({"n": 2, "tables": zlib.compress(msgpack.packb({}))}, "tables is not a list"),
    (batch(TABLE, n=3), "says 3 sweeps and holds 2"),
    (batch([]), "a table is not a map"),
    (batch(TABLE, OTHER), "source mast is in two tables"),
    (with_(points="pm"), "points is not a list"),
    (with_(points=["pm", 1]), "points is not a list"),
    (with_(points=["pm", "pm"]), "twice"),
    (with_(sources=["hut", "hut"]), "twice"),
    (with_(sources=[]), "without a source"),
    (with_(sources=[f"s{n}" for n in range(1001)]), "sources holds 1001 names"),
    (with_(cols=[["=", 1.5]]), "2 points need as many columns"),
    (with_(cols=None), "2 points need as many columns"),
    (with_(rows=0), "a table of 0 rows"),
    (with_(rows=2.0), "a table of 2.0 rows"),
    (with_(rows=1), "a column of 2 values for 1 rows"),
    (with_(rows=3, src=["=", 0], t=["=", 0]), "a column of 2 values for 3 rows"),
    (with_(rows=50_001), "more than 200000 values"),
    (with_(src=["*", [0, 2]]), "src has a value outside"),
    (with_(src=["*", [0, -1]]), "src has a value outside"),
    (with_(src=["*", [0, True]]), "src has a value outside"),
    (with_(t=["=", 1 << 53]), "t has a value outside"),
    (with_(cols=[["=", [1]], ["=", 1]]), "with an invalid value"),
    (with_(cols=[["*", [1, {}]], ["=", 1]]), "with an invalid value"),
    (with_(cols=[["f4", b"\x00\x00\x80"], ["=", 1]]), "ends within a value"),
    (with_(cols=[["f8", msgpack.packb(float("nan"))[:0:-1] * 2], ["=", 1]]), "not a number"),
    (with_(cols=[["f4", b"\x00\x00\x80\x7f" * 2], ["=", 1]]), "not a number"),
    (with_(cols=[["f2", b"\x00\x00" * 2], ["=", 1]]), "no such column"),
    (with_(cols=[["i1", 1.5, b"\x00"], ["=", 1]]), "no such column"),
    (with_(q=None), "q is not a list"),
    (with_(q=[[0, [0]]]), "invalid entry in q"),
    (with_(q=[[0, 0, "bad:crc"]]), "invalid entry in q"),
    (with_(q=[[2, None, "bad:crc"]]), "names row 2"),
    (with_(q=[[-1, None, "bad:crc"]]), "names row -1"),
    (with_(q=[[0, [0, 1, 0], "bad:crc"]]), "names row 0"),
    (with_(q=[[0, [2], "bad:crc"]]), "names column 2"),
    (with_(q=[[0, [-1], "bad:crc"]]), "names column -1"),
    (with_(q=[[0, [True], "bad:crc"]]), "names column True"),
    (with_(q=[[0, [0], "bad:luck"]]), "luck"),
]


@pytest.mark.parametrize(("body", "why"), WRONG, ids=[why for _, why in WRONG])
def test_a_table_that_is_wrong_is_refused_for_that(body: dict[str, Any], why: str) -> None:
    with pytest.raises(WireError, match=why):
        raw_sweeps(body)


def test_just_as_many_values_as_are_allowed_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_VALUES", 16)
    doors = {**TABLE, "sources": ["door", "gate"]}
    raw_sweeps(batch(TABLE, doors, n=4))  # a row costs its values and two more: 2 times 2 times 4
    one = {"rows": 1, "points": [], "sources": ["x"], "src": ["=", 0], "t": ["=", 0], "cols": []}
    with pytest.raises(WireError, match="more than 16 values"):
        raw_sweeps(batch(TABLE, doors, {**one, "q": []}))
    monkeypatch.setattr(module, "MAX_NAMES", 2)
    raw_sweeps(batch(TABLE))


@pytest.mark.parametrize(
    ("numbers", "code"),
    [
        ([5, 5, 5], "="), ([0, 127, -1], "i1"), ([0, -128, -256], "i1"), ([0, 128, 0], "i2"),
        ([0, -129, 0], "i2"), ([0, 32_767, 0], "i2"), ([0, 32_768, 0], "i4"),
        ([0, -32_769, 0], "i4"), ([0, (1 << 31) - 1, 5], "i4"), ([0, 1 << 31, 5], "i8"),
        ([-(1 << 63), 0, 5], "*"), ([-(1 << 62), 1 << 61, 0], "i8"),
        ([1.5, 1.5, 1.5], "="), ([1.5, 2.5, 0.0], "f4"), ([0.1, 2.5, 0.0], "f8"),
        ([0.1, 0.1, 0.1], "="), ([1, 2.5, 0.0], "f4"), ([1 << 60, (1 << 53) + 1, 0.5], "*"),
        (["a", "a", "a"], "="), (["a", "b", "a"], "*"), ([True, 1, 1], "*"), ([True] * 3, "="),
    ],
)  # fmt: skip
def test_a_column_takes_the_least_room_that_brings_it_back(numbers: list[Any], code: str) -> None:
    sweeps = [Sweep("a", (n + 1) * 1000, (value,), all_good(1)) for n, value in enumerate(numbers)]
    body = body_map(raw_body({"a": ["p"]}, sweeps))
    ((column,),) = [table["cols"] for table in msgpack.unpackb(zlib.decompress(body["tables"]))]
    assert column[0] == code
    _, back = raw_sweeps(body)
    assert [each.values[0] for each in back] == numbers
    assert [type(each.values[0]) is bool for each in back] == [type(n) is bool for n in numbers]


def test_what_is_absent_costs_no_more_than_the_value_before_it() -> None:
    """And a quality that all values of a sweep share is said once."""
    crc, warm = bad(Reason.CRC), uncertain(Reason.WARMUP)
    sweeps = [
        Sweep("a", 1000, (None, 1), (crc, GOOD)),
        Sweep("a", 2000, (7, 1), (warm, warm)),
        Sweep("a", 3000, (None, None), (crc, crc)),
        Sweep("a", 4000, (7, 1), (warm, crc)),
    ]
    body = body_map(raw_body({"a": ["p", "q"]}, sweeps))
    (table,) = msgpack.unpackb(zlib.decompress(body["tables"]))
    assert table["cols"] == [["=", 7], ["=", 1]]
    assert table["q"] == [
        [0, [0], "bad:crc"], [1, None, "uncertain:warmup"], [2, None, "bad:crc"],
        [3, [0], "uncertain:warmup"], [3, [1], "bad:crc"],
    ]  # fmt: skip
    _, back = raw_sweeps(body)
    assert back == [*sweeps[:3], Sweep("a", 4000, (7, None), (warm, crc))]
