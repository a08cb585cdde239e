"""Telegrams after IEC 62056-21: found in any rubbish, never believed when damaged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.chips._telegram import (
    LIMIT,
    DataSet,
    add_parity,
    bcc,
    check_parity,
    next_telegram,
    parse_amount,
    parse_data_sets,
    parse_number,
    strip_parity,
)
from edge.core import DataError

TELEGRAM = b"/KST5\\2SIM\r\n\r\n1-0:1.8.0(000123.456*kWh)\r\n!ABCD\r\n"
KINDS = [TELEGRAM, add_parity(TELEGRAM)]


def drain(data: bytes, step: int = 11) -> list[bytes]:
    """What a port makes of bytes that come a few at a time; never more than it may keep."""
    buffer, found = b"", []
    for at in range(0, len(data), step):
        buffer += data[at : at + step]
        while buffer:
            one, done = next_telegram(buffer)
            assert 0 <= done <= len(buffer)
            assert one is None or done >= len(one)
            found += [one] if one is not None else []
            buffer = buffer[done:]
            if not done:
                break
        assert len(buffer) <= LIMIT
    return found


@pytest.mark.parametrize("good", KINDS)
def test_a_telegram_is_found_between_rubbish(good: bytes) -> None:
    assert drain(b"\x00\xff/!\r\n" + good + b"\r\n!\r\n/KS" + good + b"/") == [good, good]


@pytest.mark.parametrize("good", KINDS)
def test_one_that_breaks_off_does_not_cost_the_next(good: bytes) -> None:
    for count in range(1, len(good)):
        assert drain(good[:count] + good)[-1] == good


def test_one_without_an_end_is_given_up() -> None:
    assert drain(b"/KST5\r\n" + b"1.8.0(1)\r\n" * 600 + TELEGRAM) == [TELEGRAM]


@given(st.binary(max_size=300), st.integers(1, 64), st.sampled_from(KINDS))
def test_whatever_comes_the_buffer_stays_small_and_a_telegram_behind_it_is_found(
    rubbish: bytes, step: int, good: bytes
) -> None:
    assert good in drain(rubbish + good + good, step)


@given(st.binary(max_size=64))
def test_parity_is_put_on_and_taken_off(data: bytes) -> None:
    text = strip_parity(data)
    assert check_parity(add_parity(text)) == text
    assert check_parity(text) == text
    for byte in add_parity(text):
        assert byte.bit_count() % 2 == 0


def test_a_wrong_parity_is_noticed() -> None:
    good = add_parity(TELEGRAM)
    for bit in range(8 * len(good)):
        wrong = bytearray(good)
        wrong[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DataError):
            check_parity(bytes(wrong))


def test_data_sets_of_all_forms_are_read() -> None:
    text = "1.8.0(1*kWh)2.8.0(2)\r\n1.6.0(0.5*kW)(2101010000)\r\n0-1:24.3.0(x)(m3)\r\n(00437.631)"
    assert parse_data_sets(text, strict=True) == [
        DataSet("1.8.0", ("1*kWh",)),
        DataSet("2.8.0", ("2",)),
        DataSet("1.6.0", ("0.5*kW", "2101010000")),
        DataSet("0-1:24.3.0", ("x", "m3", "00437.631")),
    ]


@pytest.mark.parametrize("line", ["1.8.0(1*kWh", "1.8.0 1", "1.8.0(1)x", "1.8.0(1\x01)", "(("])
def test_without_a_checksum_a_damaged_line_spoils_the_telegram(line: str) -> None:
    assert parse_data_sets(f"2.8.0(5)\r\n{line}")[0] == DataSet("2.8.0", ("5",))
    with pytest.raises(DataError):
        parse_data_sets(f"2.8.0(5)\r\n{line}", strict=True)


def test_a_readout_without_end_is_refused() -> None:
    with pytest.raises(DataError):
        parse_data_sets("1(1)" * 5000)
    assert len(parse_data_sets("1(1)" + "(2)" * 5000)[0].groups) < 20


@pytest.mark.parametrize(
    ("group", "want"),
    [("1.50*kWh", ("1.50", "kWh")), ("-3", ("-3", "")), ("1,5*kWh", (None, "kWh"))],
)
def test_an_amount_has_a_number_and_a_unit(group: str, want: tuple[str | None, str]) -> None:
    value, unit = parse_amount(group)
    assert (None if value is None else str(value), unit) == want


@pytest.mark.parametrize("text", ["", "NaN", "Infinity", "1e9", "0x1", "٣", "1_0", "9" * 17, "--1"])
def test_what_is_no_number_is_none(text: str) -> None:
    assert parse_number(text) is None


def test_the_block_check_character_is_that_of_known_commands() -> None:
    assert bcc(b"P0\x02(1234567)\x03") == 0x50
    assert bcc(b"P1\x02(00000000)\x03") == 0x61
    assert bcc(b"W2\x02C003(910324092239)\x03") == 0x1B
    assert bcc(b"B0\x03") == 0x71
