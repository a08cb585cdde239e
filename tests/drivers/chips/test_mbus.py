"""M-Bus: telegrams found in rubbish, records taken apart, meters asked in the right order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.chips import _mbus_link as link
from drivers.chips._mbus_records import parse_records, vif_meaning
from drivers.chips.mbus import DRIVER, Mbus, explain, parse_telegram
from drivers.sim.mbus import ELECTRICITY, HEAT, long_frame
from drivers.sim.mbus import Mbus as Meter
from edge.core import (
    Bad,
    BusError,
    Condition,
    ConfigError,
    DataError,
    Framer,
    Reason,
    Sample,
    SelfReporting,
    UncertainValue,
)
from tests.drivers.chips.wired import Wired
from tests.drivers.known import read
from tests.kit.vectors import vectors

HEAD = bytes.fromhex("78563412 422e 01 02 2a 00 0000")
GOOD = long_frame(8, 1, 0x72, HEAD + bytes.fromhex("0c0356341200"))


@given(st.binary(max_size=120), st.integers(1, 40))
def test_whatever_comes_before_it_an_answer_is_found(rubbish: bytes, step: int) -> None:
    stream = rubbish + bytes(300) + GOOD  # half a telegram waits for up to 261 bytes
    buffer, found = b"", []
    for at in range(0, len(stream), step):
        buffer += stream[at : at + step]
        while buffer:
            one, done = link.answer_framer(1)(buffer)
            assert 0 <= done <= len(buffer)
            buffer = buffer[done:]
            if one is None and not done:
                break
            if one is not None:
                found.append(one)
    assert GOOD in found
    assert len(buffer) <= 261


@given(st.binary(max_size=260))
def test_hostile_bytes_are_a_data_error_or_samples(data: bytes) -> None:
    for frames in ([data], [GOOD, data]):
        try:
            found = explain(frames)
        except DataError:
            continue
        assert set(found) <= {point.key for point in DRIVER.points}


@given(st.binary(max_size=230), st.integers(0, 15), st.integers(0, 255))
def test_whatever_a_sound_telegram_says_stays_within_the_ranges(
    body: bytes, medium: int, status: int
) -> None:
    head = HEAD[:7] + bytes((medium, 0, status, 0, 0))
    try:
        found = explain([long_frame(8, 1, 0x72, head + body)])
    except DataError:
        return
    for point in DRIVER.points:
        sample = found.get(point.key, Bad(Reason.SILENT))
        value = sample.value if isinstance(sample, UncertainValue) else sample
        assert isinstance(value, Bad) or point.low <= float(value) <= point.high


def test_every_flipped_bit_is_noticed() -> None:
    for bit in range(8 * len(GOOD)):
        wrong = bytearray(GOOD)
        wrong[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DataError):
            explain([bytes(wrong)])


def test_echoes_and_telegrams_of_others_are_passed_over() -> None:
    noise = (
        link.short_frame(0x7B, 1)
        + long_frame(8, 2, 0x72, HEAD)
        + long_frame(0x53, 1, 0x52, bytes(8))
    )
    assert link.answer_framer(1)(noise + GOOD) == (GOOD, len(noise + GOOD))
    assert link.answer_framer(1)(noise)[0] is None
    assert link.answer_framer(link.SELECTED)(GOOD) == (GOOD, len(GOOD))


@pytest.mark.parametrize(
    ("hexes", "storage", "tariff", "subunit", "value"),
    [
        ("0c 03 78563412", 0, 0, 0, 12345678),
        ("0c 03 785634f2", 0, 0, 0, -2345678),
        ("cc 01 03 00000000", 3, 0, 0, 0),
        ("8c b1 62 03 01000000", 66, 11, 2, 1),
        ("04 03 ffffffff", 0, 0, 0, -1),
        ("04 03 00000080", 0, 0, 0, None),
        ("06 03 010000000000", 0, 0, 0, 1),
        ("07 03 0100000000000080", 0, 0, 0, 1 - 2**63),
        ("05 2b 0000803f", 0, 0, 0, 1.0),
        ("05 2b 0000807f", 0, 0, 0, None),
        ("0d fd0c c2 1234", 0, 0, 0, None),
        ("00 03", 0, 0, 0, None),
        ("02 fc 03 414243 74 0700", 0, 0, 0, 7),
    ],
)
def test_records_are_taken_apart(
    hexes: str, storage: int, tariff: int, subunit: int, value: float | None
) -> None:
    found, more = parse_records(b"\x2f" + bytes.fromhex(hexes) + b"\x01\x5b\x07\x1f\x99")
    assert more
    assert len(found) == 2
    assert (found[1].vif, found[1].value) == ((0x5B,), 7)
    first = found[0]
    assert (first.storage, first.tariff, first.subunit) == (storage, tariff, subunit)
    assert first.value == value


@pytest.mark.parametrize("hexes", ["0c03785634", "8c", "0c", "0cfd", "3f", "0dfd0cfb", "0dfd0c",
                                   "84" + "80" * 10 + "0003", "04" + "ff" * 12])  # fmt: skip
def test_torn_records_are_a_data_error(hexes: str) -> None:
    with pytest.raises(DataError):
        parse_records(bytes.fromhex(hexes))


@pytest.mark.parametrize(
    ("vif", "stem", "want"),
    [
        ("00", "energy", 1e-6), ("07", "energy", 10), ("08", "energy", 1 / 3.6e6),
        ("0e", "energy", 1e6 / 3.6e6), ("16", "volume", 1), ("2b", "power", 1),
        ("2e", "power", 1000), ("33", "power", 1000 / 3600), ("3b", "volume_flow", 1e-3),
        ("40", "volume_flow", 60e-7), ("48", "volume_flow", 3600e-9),
        ("5b", "temperature_flow", 1), ("5d", "temperature_return", 0.01),
        ("61", "temperature_difference", 0.01), ("fd48", "voltage", 0.1), ("fd59", "current", 1e-3),
        ("fb00", "energy", 100), ("fb09", "energy", 1e9 / 3.6e6), ("fb14", "reactive_power", 1),
        ("fb2c", "frequency", 1e-3), ("ab74", "power", 0.01), ("ab7d", "power", 1000),
        ("ab00", "power", 1),
    ],
)  # fmt: skip
def test_units_are_what_the_standard_says(vif: str, stem: str, want: float) -> None:
    reported = vif_meaning(tuple(bytes.fromhex(vif)))
    assert reported is not None
    assert reported.stem == stem
    assert float(reported.factor) == pytest.approx(want)


@pytest.mark.parametrize("vif", ["6d", "78", "7f", "ff01", "fd3a", "ab22", "abff04", "abff", "fd"])
def test_other_units_and_qualified_ones_are_left_alone(vif: str) -> None:
    assert vif_meaning(tuple(bytes.fromhex(vif))) is None


# frames of rscada/libmbus (f09d613, test/test-frames), with what it makes of them (.norm.xml)
CALEC = (  # amt_calec_mb
    "68383868 08c872 09315403 b405b004c910 ffff 03229a0000 052ea0c85146 053eb4e3d742 055b90d30743"
    " 055f0eaae741 05639cbcd542 046d100905c5 7716"
)
AMTRON = (  # example_data_01, example_data_02
    "68313168 080172 45585703 b40534049e00 27b6 0306f93415 0315c6004d 052e00000000 053d00000000"
    " 055b22f32642 055fc7da0d42 fa16",
    "68313168 080172 45585703 b4053404a100 27b6 0306f93415 0315c6004d 052e00000000 053d00000000"
    " 055b1ed82442 055fd98a0d42 9e16",
)
SDM630 = (  # eastron_sdm630
    "68909068080a72786534212440010255000000" + "0bfd47563412" * 6 + "0bfd59563412" * 4
    + "0b2a563412" * 4 + "0bfd3a563412" * 4 + "0afd3a0005" + "0afd3a0500" * 3 + "0afd3a50004d16"
)  # fmt: skip


@pytest.mark.parametrize(
    ("frame", "want"),
    [
        (CALEC, {"volume_flow": 107.944733, "temperature_flow": 135.826416,
                 "temperature_return": 28.958035, "temperature_difference": 106.868378,
                 "power": Bad(Reason.RANGE)}),  # 13.4 MW
        (AMTRON[0], {"energy": 1389817, "volume": 504647, "power": 0, "volume_flow": 0,
                     "temperature_flow": 41.737434, "temperature_return": 35.463650}),
        (AMTRON[1], {"energy": 1389817, "volume": 504647, "power": 0, "volume_flow": 0,
                     "temperature_flow": 41.211052, "temperature_return": 35.385593}),
    ],
)  # fmt: skip
def test_a_signature_of_old_is_no_encryption(frame: str, want: dict[str, Sample]) -> None:
    assert explain([bytes.fromhex(frame)]) == {
        key: sample if isinstance(sample, Bad) else pytest.approx(sample, abs=1e-5)
        for key, sample in want.items()
    }


@pytest.mark.parametrize("word", range(256))
def test_a_mode_of_encryption_that_there_is_is_refused(word: int) -> None:
    frame = long_frame(8, 1, 0x72, HEAD[:-1] + bytes([word]) + bytes.fromhex("0c0356341200"))
    if 1 <= word & 0x1F <= 15:
        with pytest.raises(DataError, match="encrypts") as caught:
            explain([frame])
        assert caught.value.reason is Reason.FAULT
    else:
        assert explain([frame]) == {"energy_import": 123.456}


def test_phases_that_nobody_names_are_not_the_whole() -> None:
    assert explain([bytes.fromhex(SDM630)]) == {
        "voltage": Bad(Reason.CONTRADICTED), "current": Bad(Reason.CONTRADICTED),
        "power": Bad(Reason.CONTRADICTED),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("bodies", "power"),
    [
        (("042a64000000 042a64000000",), Bad(Reason.CONTRADICTED)),
        (("042a64000000 062a650000000000",), Bad(Reason.CONTRADICTED)),
        # in the second telegram: another value is another thing, the same may stand in each
        (("042a64000000", "042a65000000 01fd1700"), Bad(Reason.CONTRADICTED)),
        (("042a64000000", "042a64000000 01fd1700"), 10.0),
        (("042a64000000", "042a65000000"), 10.0),  # nothing but the same telegram again, later
        (("042a64000000 1f", "042a65000000"), Bad(Reason.CONTRADICTED)),  # the next one: its last
        (("042a64000000 1f", "042a65000000 1f", "042a66000000 1f"), 10.0),  # it never comes to one
        (("042a64000000 042b64000000",), 10.0),  # in two units: one meaning, the first counts
        (("042a64000000 144264000000 442a64000000 84402a64000000",), 10.0),  # maximum, past, other
        (("042a64000000 04aaff0164000000",), 10.0),  # the whole, and a phase that is named
        (("04aaff0164000000 04aaff0165000000 042a64000000",), 10.0),
    ],
)
def test_a_description_that_stands_twice_is_bad(bodies: tuple[str, ...], power: Sample) -> None:
    frames = [long_frame(8, 1, 0x72, HEAD + bytes.fromhex(one)) for one in bodies]
    found = explain(frames)
    assert found["power"] == power
    again = explain([*frames, *frames])  # a meter that ignores the frame count bit
    assert again == found
    if "04aaff0165" in bodies[0]:
        assert found["power_l1"] == Bad(Reason.CONTRADICTED)


async def test_all_telegrams_of_a_meter_are_read_and_each_reading_begins_anew() -> None:
    values = {"energy_import": 12.5, "power": -30.0, "voltage_l2": 230.0, "frequency": 50.0}
    line = Wired(Meter(values, 7, per_telegram=2))
    device = Mbus(line, 7)
    await device.open()
    for _ in range(2):
        line.written.clear()
        assert await read(device) == values
        asked = [link.short_frame(c, 7) for c in (0x40, 0x7B, 0x5B, 0x7B, 0x5B)]
        assert line.written == asked
    assert device.identity == "KRB 12345678"
    assert isinstance(device, SelfReporting)


async def test_a_meter_is_found_by_its_number_among_others() -> None:
    heat = {"energy": 1527.0, "volume_flow": -1.25, "temperature_flow": 85.4}
    line = Wired(Meter({"power": 1.0}, 3, "11111111"), Meter(heat, 3, "00000022", "ABC", HEAT))
    device = Mbus(line, secondary="00000022")
    await device.open()
    assert await read(device) == heat
    assert device.identity == "ABC 00000022"
    by_wildcard = Mbus(line, secondary="111fffff")
    assert await read(by_wildcard) == {"power": 1.0}
    with pytest.raises(BusError):
        await Mbus(line, secondary="33333333").read()


async def test_a_late_telegram_of_another_is_not_that_of_the_meter_that_was_selected() -> None:
    """Whoever is selected answers as 253: only the number says who it is."""

    late = long_frame(8, 1, 0x72, HEAD + bytes.fromhex("022b1111"))

    class Late(Wired[Meter]):
        async def frame(
            self, cut: Framer, timeout_s: float, write: bytes = b"", newest: bool = False
        ) -> bytes:
            found = cut(late)[0] if link.is_request(write) else None
            return found or await super().frame(cut, timeout_s, write)

    line = Late(Meter({"power": 5.0}, 3, "00000022"))
    for number in ("00000022", "000000f2"):
        device = Mbus(line, secondary=number)
        assert await read(device) == {"power": 5.0}
        assert device.identity == "KRB 00000022"


def test_a_number_has_eight_digits() -> None:
    for wrong in ("1", "123456789", "1234567g"):
        with pytest.raises(ConfigError, match="8 digits"):
            Mbus(Wired(), secondary=wrong)


async def test_the_status_byte_becomes_health() -> None:
    meter = Meter({"power": 5.0}, 1)
    device = Mbus(Wired(meter), 1)
    await device.read()
    assert device.health == {}
    meter.status, meter.flags = 0x14, 0x0203
    assert await read(device) == {"power": 5.0}
    assert set(device.health) == {Condition.BATTERY, Condition.DEVICE}
    assert "203" in device.health[Condition.DEVICE]
    meter.status, meter.flags = 0x08, 0
    assert await read(device) == {"power": UncertainValue(5.0, Reason.FAULT)}
    assert "permanent" in device.health[Condition.DEVICE]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("crc", Reason.CRC), ("cut", Reason.CRC), ("torn", Reason.CRC), ("no_data", Reason.CRC),
        ("error", Reason.BUSY), ("encrypted", Reason.FAULT),
        ("fixed", Reason.FAULT),
    ],
)  # fmt: skip
async def test_what_is_wrong_with_a_telegram_is_said(fault: str, reason: Reason) -> None:
    device = Mbus(Wired(Meter({"power": 5.0}, 1, fault=fault)), 1)
    with pytest.raises(DataError) as caught:
        await device.read()
    assert caught.value.reason is reason


async def test_telegrams_without_end_come_to_an_end() -> None:
    line = Wired(Meter({"power": 5.0}, 1, fault="endless"))
    assert await read(Mbus(line, 1)) == {"power": 5.0}
    assert len(line.written) == 1 + 8


async def test_two_meters_that_answer_one_after_the_other_are_noticed() -> None:
    class Swapped(Meter):
        def _reply(self, fault: str) -> bytes:
            self.number = f"{int(self.number) + 1:08d}"
            return super()._reply(fault)

    device = Mbus(Wired(Swapped({"power": 5.0, "voltage": 1.0}, 1, per_telegram=1)), 1)
    with pytest.raises(DataError, match="same address"):
        await device.read()


def test_documented_telegrams_mean_what_others_made_of_them() -> None:
    want = {
        "mbus-emu_emu-professional-375-m-bus": ("EMU 00032629", {
            "energy_import_t1": 1.364, "energy_import_t2": 0.0, "power": -2.0, "voltage_l1": 225.7,
            "current_l1": -0.066}),
        "mbus-electricity-meter-1": ("SBC 0500023E", {
            "energy_import_t1": 12.52, "energy_import_t2": 17744.33, "voltage_l1": 237.0,
            "current_l3": 6.9, "power": 3200.0}),
    }  # fmt: skip
    telegrams = {v["id"]: bytes.fromhex(v["raw_hex"]) for v in vectors("mbus-")}
    for name, (identity, values) in want.items():
        assert link.answer_framer(link.SELECTED)(telegrams[name])[0] == telegrams[name]
        found = explain([telegrams[name]])
        assert {key: found[key] for key in values} == pytest.approx(values)
        reported = parse_telegram(telegrams[name])
        assert (reported.identity, reported.medium, reported.more) == (identity, ELECTRICITY, False)


def test_documented_requests_are_what_is_sent() -> None:
    sent = {link.short_frame(0x40, 1).hex(), link.short_frame(0x5B, 1).hex(), link.ACK.hex()}
    reported = {v["raw_hex"] for v in vectors("mbus-") if len(v["raw_hex"]) <= 10}
    assert reported == sent
