"""Packs that are damaged, or cannot be read here: the one is never taken for the other."""

import struct
import sys
from random import Random

import pytest

from edge.platform.postgres import recordpack
from edge.platform.postgres.recordpack import PackError, pack, unpack
from edge.platform.postgres.rows import TYPES
from edge.platform.recordstore import RecordStoreError

PAYLOAD = b"payload" * 20


def row(number: int) -> bytes:
    """As COPY writes it in binary."""
    long, short = struct.Struct(">q").pack, struct.Struct(">i").pack
    columns = (
        long(number), long(1), long(5), long(6), long(10**15), None, long(10**15), short(1),
        short(1), b"\0\2", b"ntp", b"north_1", b'\1["a", "b", "ntp", null]', PAYLOAD,
    )  # fmt: skip
    lengths = (short(-1 if each is None else len(each)) + (each or b"") for each in columns)
    return struct.pack(">h", len(TYPES)) + b"".join(lengths)


def test_what_was_packed_comes_back() -> None:
    rows = list(unpack(*pack(row(n) for n in range(30))))
    assert [each[0] for each in rows] == list(range(30))
    assert {each[-1] for each in rows} == {PAYLOAD}


@pytest.mark.parametrize("cut", [1, 30, len(PAYLOAD) + 4])
def test_a_row_that_is_cut_off_is_no_shorter_record(cut: int) -> None:
    with pytest.raises(PackError):
        list(unpack(*pack([row(1), row(2)[:-cut]])))


@pytest.mark.parametrize("size", [-1, 0, 1, 1 << 30])
def test_a_size_that_is_wrong_is_a_damaged_pack(size: int) -> None:
    packed, _ = pack([row(1)])
    with pytest.raises(PackError):
        list(unpack(packed, size))


@pytest.mark.parametrize("compressed", [False, True])
def test_damage_of_any_kind_is_a_damaged_pack(compressed: bool) -> None:
    """There are bytes whose damage no reader sees; what it sees has one name."""
    random, found = Random(1), 0
    whole = b"".join(row(n) for n in range(30))
    packed, size = pack([whole])
    for _ in range(2_000):
        damaged = bytearray(packed if compressed else whole)
        damaged[random.randrange(len(damaged))] = random.randrange(256)
        try:
            list(unpack(bytes(damaged), size) if compressed else unpack(*pack([bytes(damaged)])))
        except PackError:
            found += 1
    assert found > 200


def test_without_pyarrow_a_pack_is_not_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a sink would take a conflict for a repeat, and an audit a whole year for damage."""
    packed, size = pack([row(1)])
    recordpack._codec.cache_clear()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(RecordStoreError, match="need pyarrow: pip install") as told:
        list(unpack(packed, size))
    assert not isinstance(told.value, PackError)
