"""SML frames: found in rubbish, refused when anything is wrong, bounded whatever they hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.chips import _sml as wire
from drivers.chips.sml import DRIVER, explain
from drivers.sim.sml import ESCAPE, crc, encode_frame, encode_list, encode_octets, unsigned
from edge.core import Bad, DataError
from tests.drivers.chips.sml_frames import ENERGY, GOOD, answer, entry


def drain(data: bytes, step: int) -> list[bytes]:
    """What a port makes of bytes that come a few at a time; never more than it may keep."""
    buffer, found = b"", []
    for at in range(0, len(data), step):
        buffer += data[at : at + step]
        while buffer:
            one, done = wire.next_frame(buffer)
            assert 0 <= done <= len(buffer)
            found += [one] if one is not None else []
            buffer = buffer[done:]
            if not done:
                break
        assert len(buffer) <= wire.LIMIT
    return found


HELD = st.binary(max_size=40) | st.sampled_from(
    [b"\x01" * 4, b"\x1a\x00\x00\x00", b"\x1b", b"\x1b" * 3, ESCAPE]
)


@given(st.binary(max_size=90), HELD, st.integers(1, 50), st.booleans())
def test_a_frame_is_found_between_rubbish_whatever_it_holds(
    rubbish: bytes, held: bytes, step: int, kermit: bool
) -> None:
    text = entry("0100600100ff", encode_octets(held + ESCAPE + held))
    frame = encode_frame(answer(text, entry(ENERGY, unsigned(5, 1)), kermit=kermit), kermit)
    found = drain(rubbish.replace(b"\x1b", b"\x1a") + frame + frame[:33] + frame, step)
    assert found == [frame, frame]
    values = wire.decode(frame)
    assert values.entries[0].value == held + ESCAPE + held


def test_what_does_not_end_is_given_up() -> None:
    endless = wire.START + b"\x76" * 2 * wire.LIMIT
    large = encode_frame(answer(*[entry(ENERGY, unsigned(5, 8))] * 200))
    assert len(large) > wire.LIMIT
    for first in (endless, large, wire.START * 999, ESCAPE * 2500, large[:900]):
        for step in (61, len(first + GOOD)):
            assert drain(first + GOOD, step) == [GOOD]


def test_padding_must_be_what_it_says() -> None:
    """Four are one too many, and are sent: a DZG among the tests of smllib fills a whole word."""
    body = answer(entry(ENERGY, unsigned(5, 1)))
    for padding in range(5):
        for filling in (b"\x00", b"\x01"):
            data = wire.START + body + filling * padding + ESCAPE + bytes([0x1A, padding])
            if filling == b"\x00" or not padding:
                assert explain([data + crc(data)])["energy_import"] == 0.005
                continue
            with pytest.raises(DataError):
                explain([data + crc(data)])
    for padding in (5, 255):
        data = wire.START + body + bytes(5) + ESCAPE + bytes([0x1A, padding])
        with pytest.raises(DataError):
            explain([data + crc(data)])


def test_every_flipped_bit_is_noticed() -> None:
    for good in (
        GOOD,
        encode_frame(answer(entry(ENERGY, unsigned(5, 1)), kermit=True), kermit=True),
    ):
        for bit in range(8 * len(good)):
            wrong = bytearray(good)
            wrong[bit // 8] ^= 1 << bit % 8
            with pytest.raises(DataError):
                explain([bytes(wrong)])


def test_a_message_has_the_checksum_of_its_frame() -> None:
    one = entry(ENERGY, unsigned(5, 1))
    for kermit in (False, True):
        assert explain([encode_frame(answer(one, kermit=kermit), kermit)])["energy_import"] == 0.005
        with pytest.raises(DataError, match="CRC"):
            explain([encode_frame(answer(one, kermit=not kermit), kermit)])


def test_a_leading_zero_of_a_checksum_may_be_left_out() -> None:
    for count in range(4000):
        reported = answer(entry(ENERGY, unsigned(count, 2)))
        if reported[-3] == 0:
            short = reported[:-4] + b"\x62" + reported[-2:]
            assert explain([encode_frame(short)])["energy_import"] == count / 1000
            return
    pytest.fail("no such checksum")


# --- hostile ------------------------------------------------------------------------------------

DEEP = st.sampled_from([9, 3900])  # lists within lists
BODIES = st.one_of(
    st.binary(max_size=120),
    st.builds(lambda n, tail: b"\x71" * n + tail, DEEP, st.binary(max_size=4)),
    st.sampled_from([b"\xff\xff\xff\x0f", b"\xf8\x80\x80\x00", b"\x8f\xff", b"\x7f" * 99]),
    st.builds(
        lambda at, byte: GOOD[8 : 8 + at] + bytes([byte]) + GOOD[9 + at : -8],
        st.integers(0, len(GOOD) - 17), st.integers(0, 255),
    ),
)  # fmt: skip


@given(BODIES, st.booleans())
def test_whatever_a_sound_frame_holds_is_a_data_error_or_in_range(body: bytes, whole: bool) -> None:
    """With right checksums, of the frame and of a message around it."""
    head = (
        b"\x76" + encode_octets(b"1") + b"\x62\x00\x62\x00" + encode_list(unsigned(0x0701, 2), body)
    )
    for messages in (body, head + b"\x63" + crc(head) + b"\x00"):
        try:
            found = explain([encode_frame(messages)] * (1 + whole))
        except DataError:
            continue
        for point in DRIVER.points:
            sample = found[point.key]
            assert isinstance(sample, Bad) or point.low <= float(str(sample)) <= point.high


@given(st.lists(st.binary(max_size=80), max_size=3))
def test_hostile_bytes_are_a_data_error(frames: list[bytes]) -> None:
    with pytest.raises(DataError):
        explain(frames)
