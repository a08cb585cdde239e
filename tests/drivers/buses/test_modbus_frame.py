import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.buses.modbus.frame import append_crc, exception_error, read_request, search_response
from drivers.buses.modbus.responsetimeout import ResponseTimeout
from edge.core import BusError, DataError, Reason, TooLongError, crc16_modbus

ANSWER = bytes.fromhex("010404 43663334 1b38")  # vendor's example: 230.2 V
PAYLOAD = ANSWER[3:-2]
EXCEPTION = bytes.fromhex("018402 c2c1")
FOREIGN = append_crc(bytes.fromhex("020404 43480000"))


@pytest.mark.parametrize(
    ("asked", "frame"),
    [
        ((1, 4, 0x48, 4), "01040048000471df"),
        ((1, 4, 0, 18), "0104000000127007"),
        ((17, 3, 107, 3), "1103006b00037687"),
        ((1, 3, 2, 2), "01030002000265cb"),
    ],
)
def test_requests_are_the_published_ones(asked: tuple[int, int, int, int], frame: str) -> None:
    assert append_crc(read_request(*asked)) == bytes.fromhex(frame)


@pytest.mark.parametrize(
    "asked",
    [(1, 6, 0, 1), (1, 4, 0, 0), (1, 4, 0, 126), (1, 4, 65535, 2), (1, 4, -1, 1), (256, 4, 0, 1)],
)
def test_what_cannot_be_asked_is_a_value_error(asked: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError):
        read_request(*asked)


@pytest.mark.parametrize(
    "line",
    [
        ANSWER,
        b"\x00" + ANSWER,  # a glitch when the driver is switched on
        b"\xff\x81\x01\x04" + ANSWER,
        FOREIGN + ANSWER,  # somebody was late
        ANSWER[:5] + ANSWER,  # a torn one before it
        append_crc(read_request(1, 4, 0, 2)) + ANSWER,  # an adapter that hears itself
        ANSWER + b"\x00\x00",
    ],
)
def test_the_answer_is_found_in_what_the_line_brought(line: bytes) -> None:
    found = search_response(line, 1, 4, 2)
    assert found.data == PAYLOAD
    assert line[: found.end].endswith(ANSWER)  # whoever speaks behind it was not asked


def test_an_exception_is_found() -> None:
    assert search_response(EXCEPTION, 1, 4, 2).code == 2
    assert search_response(FOREIGN + EXCEPTION, 1, 4, 2).code == 2


@pytest.mark.parametrize(
    "asked", [(2, 4, 2), (1, 3, 2), (1, 4, 1), (1, 4, 3)], ids=["unit", "function", "less", "more"]
)
def test_a_whole_frame_that_is_not_ours_gives_nothing(asked: tuple[int, int, int]) -> None:
    found = search_response(ANSWER, *asked)
    assert (found.done, found.unmatched) == (False, [ANSWER])


def test_what_has_begun_says_how_much_is_missing() -> None:
    assert [search_response(ANSWER[:n], 1, 4, 2).expects for n in range(9)] == [
        0,
        0,
        0,
        6,
        5,
        4,
        3,
        2,
        1,
    ]
    assert search_response(EXCEPTION[:3], 1, 4, 2).expects == 2
    assert not search_response(ANSWER[:8], 1, 4, 2).spoilt
    assert search_response(ANSWER[:8] + b"\0", 1, 4, 2).spoilt


@given(st.binary(max_size=300), st.integers(0, 255), st.sampled_from([3, 4]), st.integers(1, 125))
def test_a_value_never_comes_without_its_check_sum(
    line: bytes, unit: int, function: int, count: int
) -> None:
    found = search_response(line, unit, function, count)
    if found.data is not None:
        frame = bytes((unit, function, 2 * count)) + found.data
        assert frame + crc16_modbus(frame).to_bytes(2, "little") in line
    assert found.loose <= len(line)


@given(st.binary(max_size=20), st.integers(0, len(ANSWER) * 8 - 1), st.binary(max_size=20))
def test_one_flipped_bit_is_never_a_value(before: bytes, bit: int, after: bytes) -> None:
    flipped = (int.from_bytes(ANSWER, "big") ^ 1 << bit).to_bytes(len(ANSWER), "big")
    found = search_response(before + flipped + after, 1, 4, 2)
    assert found.data is None or found.data != PAYLOAD or ANSWER in before + flipped + after


@given(st.binary(max_size=40), st.binary(min_size=250, max_size=250))
def test_the_answer_is_found_behind_noise_that_holds_no_frame(noise: bytes, data: bytes) -> None:
    answer = append_crc(bytes((1, 4, 250)) + data)
    if not search_response(noise, 1, 4, 125).unmatched:
        assert search_response(noise + answer, 1, 4, 125).data in (data, None)
        quiet = bytes(byte & 0xF0 for byte in noise)  # no function 3 or 4 in it: no false start
        assert search_response(quiet + answer, 1, 4, 125).data == data


@pytest.mark.parametrize(
    ("code", "kind", "reason"),
    [
        (1, DataError, Reason.FAULT),
        (2, DataError, Reason.ADDRESS),
        (3, TooLongError, Reason.FAULT),
        (4, DataError, Reason.FAULT),
        (5, DataError, Reason.BUSY),
        (6, DataError, Reason.BUSY),
        (10, BusError, Reason.SILENT),
        (11, BusError, Reason.SILENT),
        (99, DataError, Reason.FAULT),
    ],
)
def test_a_refusal_is_the_error_it_means(
    code: int, kind: type[BusError | DataError], reason: Reason
) -> None:
    error = exception_error(1, code)
    assert type(error) is kind
    assert error.reason is reason
    assert f"exception {code}" in str(error)


def test_patience_is_short_with_the_silent_and_full_now_and_then() -> None:
    patience = ResponseTimeout(0.5)
    patience.answered(1, 0.02)
    patience.answered(2, 0.2)
    waits = []
    for _ in range(6):
        waits.append((patience.wait_s(1), patience.wait_s(2), patience.wait_s(3)))
        for unit in (1, 2, 3):
            patience.silent(unit)
    short = (0.1, 0.4, 0.1)
    assert waits == [(0.5, 0.5, 0.5), short, short, short, (0.5, 0.5, 0.5), short]
    patience.answered(1, 0.02)
    assert patience.wait_s(1) == 0.5
