"""IEC 62056-21 readouts and documented frames: whole and right, or nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import drivers
from drivers.chips import _iec62056 as wire
from drivers.chips._telegram import add_parity, bcc, check_parity
from drivers.chips.iec62056 import DRIVER, explain
from edge.core import Bad, DataError, Reason, Sample
from tests.kit.vectors import vectors

ADDRESS, RANGE = Bad(Reason.ADDRESS), Bad(Reason.RANGE)


def block(*lines: str) -> bytes:
    body = "".join(f"{line}\r\n" for line in lines).encode("ascii") + b"!\r\n\x03"
    return add_parity(b"\x02" + body + bytes([bcc(body)]))


GOOD = block("0.0.0(42)", "1.8.0(001234.567*kWh)", "2.8.0(5)")


@pytest.mark.parametrize(
    ("reported", "want"),
    [
        ("1.8.0(1500*Wh)", 1.5),
        ("1.8.0(0.0015*MWh)", 1.5),
        ("1-0:1.8.0*255(1.5*kWh)", 1.5),
        ("1.8.0(1.5)", 1.5),
        ("1.8.0(0000123 kWh)", 123.0),  # Iskra MT171
        ("1.8.0(0000123 Wh)", 0.123),
        ("1.8.0( 1.5 )", 1.5),
        ("1.8.0(0000123 456)", RANGE),
        ("1.8.0(12 3*kWh)", RANGE),
        ("1.8.0(123 kW h)", RANGE),
        ("1.8.0(0000123 kvarh)", RANGE),
        ("1.8.0(123 )", 123.0),
        ("1.8.0(1.5*kvarh)", RANGE),
        ("1.8.0(1.5*kW)", RANGE),
        ("1.8.0(1.5*?)", RANGE),
        ("1.8.0(-1.5*kWh)", RANGE),
        ("1.8.0(1,5*kWh)", RANGE),
        ("1.8.0(------*kWh)", RANGE),
        ("1.8.0*03(1.5*kWh)", ADDRESS),
        ("7-0:1.8.0(1.5*kWh)", ADDRESS),
        ("1.8.0 1.5", ADDRESS),
    ],
)
def test_a_number_comes_in_its_unit_or_not_at_all(reported: str, want: Sample) -> None:
    assert explain([block("2.8.0(5)", reported)])["energy_import"] == want


def test_tariffs_make_the_total_that_a_readout_does_not_have() -> None:
    tariffs = ("1.8.1(0000100.1*kWh)", "1.8.2(0000200.2*kWh)", "1.8.3(0*kWh)")
    found = explain([block(*tariffs, "2.8.1(5*kWh)")])
    assert (found["energy_import"], found["energy_export"]) == (300.3, ADDRESS)
    assert explain([block(*tariffs, "1.8.0(301*kWh)")])["energy_import"] == 301.0
    assert explain([block(*tariffs[:2], "1.8.3(?)")])["energy_import"] == ADDRESS


def test_a_readout_without_values_is_damage() -> None:
    for lines in ((), ("text",)):
        with pytest.raises(DataError):
            explain([block(*lines)])


def test_every_flipped_bit_is_noticed_with_and_without_parity() -> None:
    for good in (GOOD, check_parity(GOOD)):
        for bit in range(8 * len(good)):
            wrong = bytearray(good)
            wrong[bit // 8] ^= 1 << bit % 8
            with pytest.raises(DataError):
                wire.readout(bytes(wrong))


@given(st.integers(1, 40), st.binary(max_size=60))
def test_a_readout_is_taken_in_by_pieces_of_any_size(step: int, noise: bytes) -> None:
    noise = noise.translate(bytes(b | 0x20 for b in range(256)))  # without STX
    taken, buffer = wire.Readout(), b""
    for at in range(0, len(noise + GOOD), step):
        buffer += (noise + GOOD)[at : at + step]
        while buffer and not taken.whole:
            found, done = taken.take(buffer)
            assert found == buffer[:done]
            buffer = buffer[done:]
    assert taken.whole
    assert bytes(taken.data) == GOOD


@given(st.lists(st.binary(max_size=80), max_size=30))
def test_hostile_bytes_end_in_a_data_error_or_in_a_small_block(pieces: list[bytes]) -> None:
    taken = wire.Readout()
    try:
        for piece in pieces:
            if piece and not taken.whole:
                found, done = taken.take(piece)
                assert found is not None
                assert 0 < done <= len(piece)
        wire.readout(bytes(taken.data))
    except DataError:
        pass


@given(st.lists(st.binary(max_size=120), max_size=4))
def test_explain_survives_everything(frames: list[bytes]) -> None:
    body = b"".join(frames).replace(b"\x03", b"")[:100].translate(bytes(range(128)) * 2)
    sound = b"\x02" + body + b"!\r\n\x03"
    for reported in (frames, [sound + bytes([bcc(sound[1:])])]):
        try:
            found = explain(reported)
        except DataError:
            continue
        for point in DRIVER.points:
            sample = found[point.key]
            assert isinstance(sample, Bad) or point.low <= float(str(sample)) <= point.high


# --- documented frames --------------------------------------------------------------------------


def test_documented_frames_mean_what_others_made_of_them() -> None:
    reported = {v["id"]: v for v in vectors("iec62056-")}
    mine = {i: bytes.fromhex(v["raw_hex"]) for i, v in reported.items()}
    assert len(mine) >= 9
    assert mine["iec62056-request"] == wire.sign_on()
    for baud in (300, 4800, 9600):
        assert mine[f"iec62056-ack-{baud}"] == wire.acknowledge(baud)
    meter = wire.ident(mine["iec62056-ident"])
    assert (meter.maker, meter.speed, meter.text) == ("LGZ", "5", "2ZMD120APt.G03")
    assert (meter.baud, meter.asks, meter.quick) == (9600, True, False)
    found = {key: s for key, (s, _) in drivers.explain("iec62056", list(mine.values())).items()}
    want = reported["iec62056-readout-own"]["decoded"]
    assert found["energy_import"] == want["energy_import_total_kwh"]
    assert found["energy_export"] == want["energy_export_total_kwh"]
    assert found["voltage_l1"] == want["voltage_l1"]
    for name in ("readout-own", "break", "r1", "w2"):
        good = mine[f"iec62056-{name}"]
        with pytest.raises(DataError):
            drivers.explain("iec62056", [good[:-1] + bytes([good[-1] ^ 1])])
