"""A record as bytes and back: long bodies are compressed, damage is found."""

import pytest

from edge.core import Draft, Key, Stream
from edge.store.rows import LONG_BODY, DamagedError, checksum, pack, record_of, row_of

POINTS = {f"p{n}": {"mean": 230.1, "n": 60, "quality": {"good": 60}} for n in range(20)}
LONG = Draft(Stream.ENERGY, "meter", 1, 2, {"covered_s": 60.0, "points": POINTS})
SHORT = Draft(Stream.ENERGY, "meter", 1, 2, {"covered_s": 60.0, "points": {}})
BATCH = Draft(Stream.RAW, "", 1, 2, {"n": 1, "tables": bytes(4 * LONG_BODY)})
KEY = Key(7, Stream.ENERGY, 1)


@pytest.mark.parametrize("draft", [LONG, SHORT, BATCH])
def test_a_body_comes_back_as_it_was(draft: Draft) -> None:
    key = Key(7, draft.stream, 1)
    assert record_of(row_of(1, key, draft, 3, pack(draft))).body == draft.body


def test_a_long_body_is_kept_short_and_a_batch_is_not_compressed_twice() -> None:
    assert len(pack(LONG)) < LONG_BODY < len(pack(BATCH))


@pytest.mark.parametrize("cut", [1, 10, 100])
def test_a_compressed_body_that_is_cut_is_damage_even_with_a_sound_checksum(cut: int) -> None:
    row = row_of(1, KEY, LONG, 3, pack(LONG)[:-cut])
    assert checksum(*row[2:10]) == row.crc
    with pytest.raises(DamagedError):
        record_of(row)


@pytest.mark.parametrize("number", [1 << 64, -(1 << 63) - 1])
def test_an_integer_of_more_than_64_bits_is_a_wrong_value_as_any_other(number: int) -> None:
    with pytest.raises(ValueError, match="Integer value out of range"):
        pack(Draft(Stream.AIR, "x", 0, 1, {"n": [number]}))
