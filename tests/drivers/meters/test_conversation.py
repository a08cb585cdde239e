import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.meters.register_map import explain, load_register_map
from edge.core import Bad, DataError, Reason, crc16_modbus

TRACES = Path(__file__).parents[1] / "traces"


def cases() -> list[Any]:
    found = []
    for name in ("sdm120", "sdm630"):
        for case in tomllib.loads((TRACES / f"{name}.toml").read_text("utf-8"))["case"]:
            found.append(pytest.param(name, case, id=f"{name}: {case['name']}"))
    return found


def raw(case: dict[str, Any]) -> list[bytes]:
    return [bytes.fromhex(text) for text in case["frames"]]


def seal(text: str) -> bytes:
    body = bytes.fromhex(text)
    return body + crc16_modbus(body).to_bytes(2, "little")


ASKED, REPORTED = seal("01040000 0002"), seal("010404 43663334")


@pytest.mark.parametrize(("name", "case"), cases())
def test_a_trace_is_explained(name: str, case: dict[str, Any]) -> None:
    reported = explain(load_register_map(name), raw(case))
    assert list(reported) == [register.point.key for register in load_register_map(name).registers]
    for key, want in case["expect"].items():
        if isinstance(want, str):
            assert reported[key] == Bad(Reason(want.removeprefix("bad:")))
        else:
            assert reported[key] == pytest.approx(want, rel=1e-6)


@pytest.mark.parametrize(("name", "case"), cases())
def test_every_flipped_bit_of_every_frame_is_refused(name: str, case: dict[str, Any]) -> None:
    table, frames = load_register_map(name), raw(case)
    for at, frame in enumerate(frames):
        pair = at - at % 2
        for bit in range(8 * len(frame)):
            flipped = (int.from_bytes(frame, "big") ^ 1 << bit).to_bytes(len(frame), "big")
            damaged = [flipped if at == place else frames[place] for place in (pair, pair + 1)]
            with pytest.raises(DataError) as caught:
                explain(table, damaged)
            assert caught.value.reason is Reason.CRC


@pytest.mark.parametrize(
    ("reported", "volts"),
    [
        ("010404 43663334 1b38", 230.2),
        ("010404 43660000 0e1f", 230.0),
    ],  # the second from a tutorial
)
def test_the_vendors_own_example(reported: str, volts: float) -> None:
    assert explain(load_register_map("sdm120"), [ASKED, bytes.fromhex(reported)]) == {
        "voltage_l1": pytest.approx(volts, rel=1e-6)
    }


def test_frames_of_tcp_are_known_by_their_header() -> None:
    asked = bytes.fromhex("0007 0000 0006 01 04 0000 0002")
    reported = bytes.fromhex("0007 0000 0007 01 04 04 43660000")
    assert explain(load_register_map("sdm120"), [asked, reported]) == {"voltage_l1": 230.0}
    with pytest.raises(DataError, match="transaction 8"):
        explain(load_register_map("sdm120"), [asked, b"\0\x08" + reported[2:]])


def test_a_refusal_is_bad_for_all_that_was_asked_and_a_later_answer_counts() -> None:
    table = load_register_map("sdm630")
    refused = [seal("01040000 0004"), seal("018402")]
    address = Bad(Reason.ADDRESS)
    assert explain(table, refused) == {"voltage_l1": address, "voltage_l2": address}
    assert explain(table, [*refused, ASKED, REPORTED])["voltage_l1"] == pytest.approx(230.2)
    assert explain(table, [ASKED, seal("018406")]) == {"voltage_l1": Bad(Reason.BUSY)}
    assert explain(table, [ASKED, seal("01840b")]) == {"voltage_l1": Bad(Reason.SILENT)}
    assert explain(table, [ASKED, seal("018404")]) == {"voltage_l1": Bad(Reason.FAULT)}


@pytest.mark.parametrize(
    ("frames", "says"),
    [
        ([], "belong together"),
        ([ASKED], "belong together"),
        ([ASKED, b""], "frame 2 is damaged"),
        ([b"\0\0", REPORTED], "frame 1 is damaged"),
        ([ASKED, seal("020404 43663334")], "from unit 2, unit 1 was asked"),
        ([ASKED, seal("010402 4366")], "frame 2 does not answer frame 1"),
        ([ASKED, seal("010304 43663334")], "frame 2 does not answer frame 1"),
        ([seal("01060000 0002"), REPORTED], "frame 1 is no request"),
        ([seal("01030000 0002"), REPORTED], "no point there"),  # function 3 is for its number only
        ([seal("01041000 0002"), REPORTED], "no point there"),
        ([seal("01040001 0002"), REPORTED], "no point there"),
    ],
)
def test_what_does_not_fit_is_named(frames: list[bytes], says: str) -> None:
    with pytest.raises(DataError, match=says):
        explain(load_register_map("sdm120"), frames)


@given(st.lists(st.binary(max_size=40), max_size=4))
def test_random_bytes_are_a_data_error_and_nothing_else(frames: list[bytes]) -> None:
    with pytest.raises(DataError):
        explain(load_register_map("sdm630"), frames)


@given(st.binary(max_size=30))
def test_any_answer_with_a_right_check_sum_is_values_within_their_range_or_an_error(
    body: bytes,
) -> None:
    table = load_register_map("sdm630")
    reported = body + crc16_modbus(body).to_bytes(2, "little")
    try:
        found = explain(table, [seal("01040000 0006"), reported])
    except DataError:
        return
    for sample in found.values():
        assert isinstance(sample, Bad) or 0 <= sample <= 300  # type: ignore[operator]
