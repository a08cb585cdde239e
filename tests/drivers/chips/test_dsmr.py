"""DSMR/ESMR P1: telegrams with and without a checksum, and the electricity in them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import drivers
from drivers.chips._telegram import add_parity, check_parity
from drivers.chips.dsmr import DRIVER, Dsmr, explain
from drivers.sim.dsmr import FAULTS, crc16
from drivers.sim.dsmr import Dsmr as Meter
from edge.core import Bad, BusError, DataError, Sample, SelfReporting, Stateful
from tests.drivers.bench import SerialWire
from tests.drivers.chips.p1 import ADDRESS, GAS, RANGE, one, telegram
from tests.drivers.known import read
from tests.kit.vectors import vectors

VALUES = {"energy_import_t1": 10.5, "energy_import_t2": 0.25, "power": -750.0, "gas_volume": 12.75}


# --- electricity --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "want"),
    [
        ("1-0:1.8.0(000001.500*kWh)", 1.5),
        ("1-0:1.8.0(0001500*Wh)", 1.5),
        ("1-0:1.8.0(000001.500*kvarh)", RANGE),
        ("1-0:1.8.0(000001.500*kW)", RANGE),
        ("1-0:1.8.0(000001.500*m3)", RANGE),
        ("1-0:1.8.0(000001.500)", RANGE),
        ("1-0:1.8.0(000001.500*)", RANGE),
        ("1-0:1.8.0(-00001.500*kWh)", RANGE),
        ("1-0:1.8.0(999999999999.9*kWh)", RANGE),
        ("1-0:1.8.0(1e3*kWh)", RANGE),
        ("1-0:1.8.0()", RANGE),
    ],
)
def test_a_number_comes_in_its_unit_or_not_at_all(line: str, want: Sample) -> None:
    assert one(line) == {"energy_import": want}


def test_both_tariffs_make_the_total_and_half_of_them_make_none() -> None:
    low, normal = "1-0:1.8.1(000010.100*kWh)", "1-0:1.8.2(000000.200*kWh)"
    assert one(low, normal)["energy_import"] == 10.3
    assert one(low, normal, "1-0:1.8.0(11*kWh)")["energy_import"] == 11
    assert one(low, normal, "1-0:1.8.0(*kWh)")["energy_import"] == RANGE
    for broken in ((low,), (low, "1-0:1.8.2(000000.200)")):
        assert "energy_import" not in one(*broken)


async def test_a_tariff_that_comes_and_goes_is_no_step_of_the_total() -> None:
    device = Dsmr(SerialWire([]))
    two = ("1-0:1.8.1(100.000*kWh)", "1-0:1.8.2(200.000*kWh)")

    async def total(*lines: str) -> Sample:
        device.bus = SerialWire([telegram(*lines)])
        return (await device.read())[0]

    assert await total(*two, "1-0:1.8.3(0.400*kWh)") == 300.4
    assert await total(*two) == ADDRESS
    assert await total(*two, "1-0:1.8.3(0.400*kWh)") == 300.4


def test_what_is_taken_and_given_is_one_power_per_phase() -> None:
    found = one(
        "1-0:1.7.0(00.000*kW)", "1-0:2.7.0(01.234*kW)", "1-0:21.7.0(00.500*kW)",
        "1-0:22.7.0(00.000*kW)", "1-0:41.7.0(00.000*kW)", "1-0:42.7.0(01.734*kW)",
        "1-0:32.7.0(230.1*V)", "1-0:31.7.0(002*A)", "0-0:96.7.21(00013)", "0-0:96.7.9(x)",
    )  # fmt: skip
    assert found == {
        "power": -1234, "power_l1": 500, "power_l2": -1734, "voltage_l1": 230.1, "current_l1": 2,
        "power_failures": 13, "long_power_failures": RANGE,
    }  # fmt: skip


def test_a_checksum_may_lack_its_leading_zeros_and_a_time_may_have_a_small_letter() -> None:
    for n in range(400):
        text = b"/KST5\\2X\r\n\r\n1-0:1.8.0(%d*kWh)\r\n!" % n
        crc = b"%X" % crc16(text)
        if len(crc) < 4:
            assert explain([text + crc + b"\r\n"])["energy_import"] == n
            assert explain([text + crc.rjust(4, b"0") + b"\r\n"])["energy_import"] == n
            for wrong in (b"0" * (3 - len(crc)) + crc if len(crc) < 3 else crc[1:], crc.lower()):
                if wrong != crc:
                    with pytest.raises(DataError, match="CRC"):
                        explain([text + wrong + b"\r\n"])
            break
    else:
        pytest.fail("no such checksum among them")
    assert one(GAS, "0-1:24.2.1(261125115500s)(00123.456*m3)")["gas_volume"] == 123.456
    assert one(GAS, "0-1:24.2.1(261125115500w)(00123.456*m3)")["gas_volume"] == 123.456


# --- telegrams ----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [5, 2])
async def test_the_newest_telegram_counts_and_says_who_sent_it(version: int) -> None:
    old, new = Meter(VALUES, version=version), Meter(VALUES, serial="E2", version=version)
    device = Dsmr(SerialWire([old.speak()]))
    want = VALUES | {"energy_import": 10.75}
    assert await read(device) == pytest.approx(want)
    assert isinstance(device, SelfReporting)
    assert isinstance(device, Stateful)
    assert device.identity == "E0047000123456719"
    device.bus = SerialWire([old.speak(), new.speak(), old.speak()[:99]])
    assert await read(device) == pytest.approx(want)
    assert device.identity == "E2"
    assert device.health == {}


@pytest.mark.parametrize("text", ["4532", "E2", "4B80", "453"])
async def test_a_number_that_is_no_text_in_hexadecimal_is_taken_as_it_is(text: str) -> None:
    device = Dsmr(SerialWire([telegram(f"0-0:96.1.1({text})")]))
    await device.read()
    assert device.identity == ("E2" if text == "4532" else text)


@pytest.mark.parametrize("version", [5, 2])
@pytest.mark.parametrize("fault", [f for f in FAULTS if f != "silent"])
async def test_a_spoilt_telegram_gives_nothing(fault: str, version: int) -> None:
    device = Dsmr(SerialWire([Meter(VALUES, version=version, fault=fault).speak()]))
    if fault in ("noise", "channels") or (version == 2 and fault == "crc"):
        assert (await read(device))["gas_volume"] == 12.75
        return
    with pytest.raises(DataError):
        await device.read()


async def test_silence_and_a_line_that_is_no_meter() -> None:
    with pytest.raises(BusError):
        await Dsmr(SerialWire([])).read()
    with pytest.raises(DataError):
        await Dsmr(SerialWire([b"login: "])).read()


@pytest.mark.parametrize("version", [5, 2])
def test_every_flipped_bit_is_noticed(version: int) -> None:
    good = Meter({"energy_import_t1": 1.0, "gas_volume": 2.0}, version=version).speak()
    for bit in range(8 * len(good)):
        wrong = bytearray(good)
        wrong[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DataError):
            explain([bytes(wrong)])


def test_a_modern_telegram_without_its_checksum_is_damaged() -> None:
    assert explain([telegram("1-0:1.8.0(1*kWh)", crc=False)])["energy_import"] == 1
    for line in ("1-3:0.2.8(50)", "0-0:1.0.0(261125120000W)", "0-0:96.1.4(50217)"):
        with pytest.raises(DataError, match="CRC"):
            explain([telegram(line, "1-0:1.8.0(1*kWh)", crc=False)])
    with pytest.raises(DataError):
        explain([telegram("1-0:1.8.0(1*kWh)", "rubbish", crc=False)])
    assert explain([telegram("1-0:1.8.0(1*kWh)", "rubbish")])["energy_import"] == 1


CODES = [
    "1-0:1.8.0",
    "1-0:1.8.1",
    "1-0:1.8.2",
    "1-0:2.7.0",
    "0-1:24.1.0",
    "0-1:24.2.1",
    "0-0:1.0.0",
]
GROUPS = ["(003)", "(261125115500W)", "(1*m3)", "(1.5*kWh)", "(9" + "9" * 15 + "*kW)", "()", "("]


@given(st.lists(st.tuples(st.sampled_from(CODES), st.lists(st.sampled_from(GROUPS)) | st.text())))
def test_whatever_a_sound_telegram_says_stays_within_the_ranges(
    lines: list[tuple[str, list[str] | str]],
) -> None:
    body = "".join(code + "".join(groups) + "\r\n" for code, groups in lines)
    text = b"/KST5X\r\n" + check_parity(add_parity(body.encode())) + b"!"
    for frame in (text + b"%04X\r\n" % crc16(text), text + b"\r\n", add_parity(text + b"\r\n")):
        try:
            found = explain([frame])
        except DataError:
            continue
        for point in DRIVER.points:
            sample = found[point.key]
            assert isinstance(sample, Bad) or point.low <= float(str(sample)) <= point.high


@given(st.lists(st.binary(max_size=200), max_size=3))
def test_hostile_bytes_are_a_data_error(frames: list[bytes]) -> None:
    with pytest.raises(DataError):
        explain(frames)


def test_documented_telegrams_mean_what_others_made_of_them() -> None:
    names = {  # as they stand there -> point, how many of its unit
        "energy_import_t1_kwh": ("energy_import_t1", 1), "gas_m3": ("gas_volume", 1),
        "energy_import_t2_kwh": ("energy_import_t2", 1), "power_import_kw": ("power", 1000),
        "energy_export_t1_kwh": ("energy_export_t1", 1), "voltage_l1": ("voltage_l1", 1),
        "energy_export_t2_kwh": ("energy_export_t2", 1), "current_l3": ("current_l3", 1),
    }  # fmt: skip
    seen = 0
    for vector in vectors("dsmr5-"):
        found = drivers.explain("dsmr", [bytes.fromhex(vector["raw_hex"])])
        for name, (key, scale) in names.items():
            if name in vector["decoded"]:
                assert found[key][0] == pytest.approx(scale * vector["decoded"][name])
                seen += 1
    assert seen == 3 + 8
