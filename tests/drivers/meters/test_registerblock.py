import math
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.meters.mapfile import HERE
from drivers.meters.register_map import Register, RegisterMap, load_register_map, parse_register_map
from drivers.meters.registerblock import REQUEST_COST, RegisterBlock, plan_requests
from drivers.meters.registermodel import SerialField
from edge.core import Bad, DataError, Point, Quantity, Reason


def table(
    addresses: list[int], limit: int = 80, words: str = "big", kind: str = "f32"
) -> RegisterMap:
    registers = tuple(
        Register(Point(f"p{at}", Quantity.VOLTAGE, -1e6, 1e6), at, kind) for at in addresses
    )
    return RegisterMap("t", "m", "m", 4, words, limit, registers)


def spans(found: RegisterMap) -> list[tuple[int, int]]:
    return [(one.address, one.count) for one in plan_requests(found)]


def test_neighbours_are_one_request() -> None:
    assert spans(table([0, 2, 4])) == [(0, 6)]


def test_a_gap_is_read_along_while_it_is_cheaper_than_a_request() -> None:
    cheap = int(REQUEST_COST)
    assert spans(table([0, 2 + cheap])) == [(0, 4 + cheap)]
    assert spans(table([0, 4 + cheap, 8 + cheap])) == [(0, 2), (4 + cheap, 6)]


def test_blocks_differ_in_length_where_a_gap_can_be_read_along() -> None:
    """An answer on a serial line tells its length, and not its address."""
    assert spans(table([0, 40, 80])) == [(0, 2), (40, 3), (78, 4)]
    assert spans(table([0, 40], limit=2)) == [(0, 2), (40, 2)]
    assert spans(replace(table([0, 40]), gap=0)) == [(0, 2), (40, 2)]
    who = SerialField(200, "u32", 4, 3)
    assert spans(replace(table([0, 40]), identity=who)) == [(0, 2), (38, 4)]
    assert [
        (one.address, one.count) for one in plan_requests(table([0, 40]), holes=[(4, 39, 40)])
    ] == [
        (0, 2),
        (40, 2),
    ]


@pytest.mark.parametrize("name", sorted(path.stem for path in HERE.glob("*.toml")))
def test_the_blocks_of_each_table_differ_in_length_but_where_its_limit_forbids(name: str) -> None:
    found = load_register_map(name)
    lengths = [(one.function, one.count) for one in plan_requests(found)]
    if found.identity is not None:
        lengths.append((found.identity.function, found.identity.words))
    equal = len(lengths) - len(set(lengths))
    assert equal == {"em24": 3}.get(name, 0)  # 25 values of two registers, five in one answer


@pytest.mark.parametrize("words", ["big", "little"])
@given(st.sets(st.integers(0, 60), min_size=2, max_size=8), st.integers(2, 9))
def test_padding_changes_no_value(words: str, places: set[int], limit: int) -> None:
    found = table(sorted(2 * at for at in places), limit, words, "u32")
    for one in plan_requests(found):
        assert one.count <= limit
        data = b"".join(at.to_bytes(2) for at in range(one.address, one.address + one.count))
        for place, sample in zip(one.places, one.decode(data), strict=True):
            first = found.cells[place].address
            high, low = (first, first + 1) if words == "big" else (first + 1, first)
            assert sample == (high << 16) + low or sample == Bad(Reason.RANGE)


def test_the_limit_cuts_where_a_gap_is() -> None:
    # 0..9, a hole of two, 12..19: filling up to the limit of 16 would read the hole
    assert spans(table([0, 2, 4, 6, 8, 12, 14, 16, 18], limit=16)) == [(0, 10), (12, 8)]


def test_no_value_is_cut_by_the_limit() -> None:
    found = plan_requests(table([0, 2, 4, 6, 8], limit=5))
    assert all(one.count <= 5 for one in found)
    assert [one.count % 2 for one in found] == [0] * len(found)


def test_the_meters_are_read_in_few_requests() -> None:
    assert spans(load_register_map("sdm120")) == [(0x00, 38), (0x46, 18), (0x156, 4)]
    assert spans(load_register_map("sdm630")) == [
        (0, 44),
        (0x2E, 36),
        (0xC8, 8),
        (0xE0, 16),
        (0x156, 40),
    ]


def bare(one: RegisterBlock) -> tuple[int, int]:
    """Without what only makes it longer than others."""
    _, start, end = one.padding or (0, 0, 0)
    return one.address, one.count - (end - start)


def cost(found: list[tuple[int, int]]) -> float:
    return sum(REQUEST_COST + count for _, count in found)


@given(st.sets(st.integers(0, 120), min_size=1, max_size=8), st.integers(2, 30))
def test_a_plan_has_every_point_once_and_no_cut_is_cheaper(places: set[int], limit: int) -> None:
    addresses = sorted(2 * at for at in places)
    chosen = plan_requests(table(addresses, limit))
    assert [place for one in chosen for place in one.places] == list(range(len(addresses)))
    assert all(one.count <= limit for one in chosen)
    best = math.inf  # by trying all ways to cut
    for cuts in range(1 << (len(addresses) - 1)):
        groups, group = [], [addresses[0]]
        for i, at in enumerate(addresses[1:]):
            if cuts >> i & 1:
                groups.append(group)
                group = []
            group.append(at)
        groups.append(group)
        ways = [(group[0], group[-1] + 2 - group[0]) for group in groups]
        if all(count <= limit for _, count in ways):
            best = min(best, cost(ways))
    assert cost([bare(one) for one in chosen]) == pytest.approx(best)


@pytest.mark.parametrize("words", ["big", "little"])
def test_all_types_in_both_word_orders(words: str) -> None:
    kinds = {"u16": 65534, "i16": -2, "u32": 4_000_000_000, "i32": -70_000, "u64": 1 << 60,
             "i64": -(1 << 40), "f32": 1.5, "f64": math.pi}  # fmt: skip
    registers, data, at = [], b"", 100
    for kind, value in kinds.items():
        registers.append(Register(Point(kind, Quantity.COUNT), at, kind))
        coded = struct.pack(">" + "HhIiQqfd"[list(kinds).index(kind)], value)
        if words == "little":
            coded = b"".join(coded[i : i + 2] for i in reversed(range(0, len(coded), 2)))
        data += coded + b"\xff\xff"  # a register between them that nobody asks for
        at += len(coded) // 2 + 1
    found = plan_requests(RegisterMap("t", "m", "m", 3, words, 125, tuple(registers)))
    assert len(found) == 1
    assert found[0].decode(data[: 2 * found[0].count]) == tuple(kinds.values())


def test_a_scale_gives_the_decimal_number_that_was_meant() -> None:
    text = """
    maker = "A"
    model = "B"
    function = 3
    words = "big"
    max_registers = 10
    points.u = { address = 0, type = "u16", quantity = "voltage", low = 0, high = 300, scale = 0.1 }
    """
    one = plan_requests(parse_register_map(text, Path("x.toml")))[0]
    assert one.decode((2301).to_bytes(2, "big")) == (230.1,)
    assert one.decode((3001).to_bytes(2, "big")) == (Bad(Reason.RANGE),)


@pytest.mark.parametrize("wild", [math.nan, math.inf, -math.inf, 3e38, -1e7])
def test_what_is_no_measurement_is_bad_and_its_neighbours_count(wild: float) -> None:
    one = plan_requests(table([0, 2, 4]))[0]
    assert one.decode(struct.pack(">fff", 1, wild, 3)) == (1, Bad(Reason.RANGE), 3)


def test_infinity_is_bad_without_any_range() -> None:
    found = RegisterMap(
        "t", "m", "m", 4, "big", 9, (Register(Point("p", Quantity.ANGLE), 0, "f32"),)
    )
    assert plan_requests(found)[0].decode(struct.pack(">f", math.inf)) == (Bad(Reason.RANGE),)


@pytest.mark.parametrize("length", [0, 2, 11, 13, 14])
def test_a_wrong_length_is_a_data_error(length: int) -> None:
    with pytest.raises(DataError):
        plan_requests(table([0, 2, 4]))[0].decode(bytes(length))


def test_what_is_refused_is_left_out_and_nothing_is_read_across_it() -> None:
    found = table([0, 2, 6, 8, 10, 14])

    def spans(**known: Any) -> list[tuple[int, int]]:
        return [(one.address, one.end) for one in plan_requests(found, **known)]

    assert spans() == [(0, 16)]
    assert spans(holes=[(4, 4, 6)]) == [(0, 4), (6, 16)]
    assert spans(holes=[(3, 4, 6)]) == [(0, 16)]  # of another function
    assert spans(holes=[(4, 8, 8)]) == [(0, 8), (8, 16)]  # two that cannot be read together
    assert spans(without=[3]) == [(0, 8), (10, 16)]
    assert spans(without=[0, 5]) == [(2, 12)]
    assert spans(without=range(6)) == []
    assert spans(limit=10) == [(0, 4), (6, 16)]
    assert spans(limit=1) == [(at, at + 2) for at in (0, 2, 6, 8, 10, 14)]
