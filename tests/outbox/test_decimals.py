"""Short decimals take few bytes, and come back bit for bit."""

from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.outbox.decimals import pack_decimals, unpack_decimal


@pytest.mark.parametrize("digits", [0, 1, 7])
@pytest.mark.parametrize("bits", [7, 15, 31])
def test_a_short_decimal_at_the_edge_of_its_bytes_comes_back(bits: int, digits: int) -> None:
    for whole in (-(1 << bits) - 1, -(1 << bits), (1 << bits) - 1, 1 << bits):
        value = whole / 10**digits
        packed = msgpack.packb(pack_decimals(value))
        assert msgpack.unpackb(packed, ext_hook=unpack_decimal) == value


decimals = st.builds(lambda whole, digits: whole / 10**digits, st.integers(), st.integers(0, 9))


values = st.recursive(
    st.floats() | decimals | st.integers(-(1 << 63), (1 << 64) - 1) | st.text() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_floats_come_back_bit_for_bit(value: Any) -> None:
    packed = msgpack.packb(value)
    short = msgpack.packb(pack_decimals(value))
    assert len(short) <= len(packed)
    assert msgpack.packb(msgpack.unpackb(short, ext_hook=unpack_decimal)) == packed


@pytest.mark.parametrize(
    ("value", "size"),
    [(0.0, 3), (-12.8, 3), (230.1, 4), (50.001, 6), (1e-7, 9), (-0.0, 9), (1 / 3, 9), (1e300, 9),
     (1.27, 3), (1.28, 4), (-1.28, 3), (-1.29, 4), (3.2767, 4), (3.2768, 6), (-3.2768, 4),
     (-3.2769, 6), (2147483.647, 6), (2147483.648, 9), (-2147483.648, 9), (-128.0, 3), (127.0, 3),
     (128.0, 4), (-32768.0, 4), (32767.0, 4), (32768.0, 6), (0.0001, 3), (-0.0001, 3),
     (0.00009, 9), (0.00011, 3), (-0.00012, 3), (1e-5, 9)],
)  # fmt: skip
def test_a_short_decimal_takes_few_bytes(value: float, size: int) -> None:
    assert len(msgpack.packb(pack_decimals(value))) == size


@given(st.floats() | decimals)
def test_a_short_decimal_has_the_decimals_of_its_shortest_text(value: float) -> None:
    packed = pack_decimals(value)
    if isinstance(packed, msgpack.ExtType):
        text = repr(value).removesuffix(".0")
        assert "e" not in text
        assert packed.code == len(text.partition(".")[2])
    else:
        digits = len(repr(value).partition(".")[2])
        small = abs(value) < (1 << 31) / 10 ** min(digits, 7)
        assert not small or digits > 7 or "e" in repr(value) or repr(value) == "-0.0"
