"""The BME280: its arithmetic by three other ways, and the driver against the simulated chip."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.chips import bme280 as chip
from drivers.chips._bosch import clamped
from drivers.chips.bme280 import Bme280, Bme280Trim, decode, explain, parse_trim
from drivers.sim import bme280 as sim
from edge.core import Bad, BusError, Condition, DataError, Polled, Reason
from tests.drivers.chips import bosch_formulas as bosch
from tests.kit.air import Now, SimI2c
from tests.kit.vectors import vectors

VALUES = {"temperature": -7.36, "humidity": 81.2, "pressure": 98_765.0}
TRIM = Bme280Trim(*sim.T, *sim.P, *sim.H)

word, sword, sbyte = st.integers(1, 65535), st.integers(-32768, 32767), st.integers(-128, 127)
short = st.integers(-2048, 2047)
calibrations = st.tuples(
    st.tuples(word, sword, sword),
    st.tuples(word, *[sword] * 8),
    st.tuples(st.integers(0, 255), sword, st.integers(0, 255), short, short, sbyte),
)


def packed(t: tuple[int, ...], p: tuple[int, ...], h: tuple[int, ...]) -> bytes:
    """As the chip holds it, written apart from driver and simulator."""
    low = struct.pack("<HhhHhhhhhhhh", *t, *p) + bytes((0, h[0]))
    shared = (h[3] & 0xF) | (h[4] & 0xF) << 4
    high4, high5 = h[3] >> 4 & 0xFF, h[4] >> 4 & 0xFF
    high = struct.pack("<hBBBBb", h[1], h[2], high4, shared, high5, h[5])
    return low + high


def counted(adc_t: int, adc_h: int, adc_p: int) -> bytes:
    return (adc_p << 4).to_bytes(3) + (adc_t << 4).to_bytes(3) + adc_h.to_bytes(2)


@given(calibrations)
def test_every_calibration_is_read_as_it_was_packed(
    cal: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]],
) -> None:
    t, p, h = cal
    assert parse_trim(packed(t, p, h)) == Bme280Trim(*t, *p, *h)


def test_the_worked_example_of_the_datasheet() -> None:
    temperature, _, pressure = decode(TRIM, counted(519888, 0x8000, 415148))
    assert temperature == pytest.approx(25.08, abs=0.005)
    assert pressure == pytest.approx(100653.27, abs=0.005)
    assert int(chip.fine_temperature(TRIM, 519888)) == 128422


@given(st.integers(330_000, 690_000), st.integers(0, 65535), st.integers(150_000, 700_000))
def test_it_agrees_with_both_formulas_of_the_maker(adc_t: int, adc_h: int, adc_p: int) -> None:
    fine = chip.fine_temperature(TRIM, adc_t)
    mine = (fine / 5120, chip.humidity(TRIM, fine, adc_h), chip.pressure(TRIM, fine, adc_p))
    assert mine == pytest.approx(bosch.bme280(sim.T, sim.P, sim.H, adc_t, adc_h, adc_p), rel=1e-9)
    whole = sim.fine(adc_t)  # in whole numbers, as the datasheet has them
    assert mine[0] == pytest.approx(sim.temperature(whole), abs=0.01)
    assert mine[2] == pytest.approx(sim.pressure(whole, adc_p), abs=1.0)
    assert clamped(mine[1]) == pytest.approx(sim.humidity(whole, adc_h), abs=0.05)


@given(calibrations, st.binary(min_size=8, max_size=8))
def test_whatever_it_holds_a_value_is_in_range_or_none(
    cal: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]], data: bytes
) -> None:
    found = decode(parse_trim(packed(*cal)), data)
    for point, sample in zip(Bme280.points, found, strict=True):
        assert isinstance(sample, Bad) or point.low <= sample <= point.high  # type: ignore[operator]


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_hostile_frames_are_a_data_error(frames: list[bytes]) -> None:
    with pytest.raises(DataError):
        explain(frames)


def rig(fault: str = "", **values: float) -> tuple[Now, sim.Bme280, SimI2c]:
    now = Now()
    made = sim.Bme280(VALUES | values, clock=now, fault=fault)
    return now, made, SimI2c(now, {0x76: made})


async def test_what_there_is_is_what_is_measured() -> None:
    now, made, bus = rig()
    driver: Polled = Bme280(bus)
    await driver.open()
    assert await driver.read() == pytest.approx(tuple(VALUES.values()), rel=1e-3)
    made.bias["temperature"] = 30.0
    now.s += 1
    assert (await driver.read())[0] == pytest.approx(22.64, abs=0.02)


async def test_fog_is_cut_to_a_hundred_and_a_part_that_is_missing_is_named() -> None:
    _, made, bus = rig()
    driver = Bme280(bus)
    await driver.open()
    assert driver.identity.startswith("trim-")
    made.bias["humidity"] = 60.0
    assert (await driver.read())[1] == 100.0
    assert driver.health == {}
    made.fault = "dry"
    assert (await driver.read())[1] == Bad(Reason.STALE)
    assert driver.health == {Condition.SENSOR: "it measures no humidity"}


async def test_a_bmp280_is_refused_by_its_name() -> None:
    _, _, bus = rig("bmp280")
    with pytest.raises(DataError, match="0x58 is a BMP280, and bme280 is for a BME280") as caught:
        await Bme280(bus).open()
    assert caught.value.reason is Reason.ADDRESS


async def test_a_measurement_without_an_end_and_a_chip_that_forgets_are_errors() -> None:
    _, made, bus = rig()
    driver = Bme280(bus)
    await driver.open()
    made.fault = "endless"
    with pytest.raises(BusError, match="does not end"):
        await driver.read()
    made.fault = "forgetful"
    await driver.open()
    with pytest.raises(BusError):  # it starts up when its values are due
        await driver.read()
    made.fault = ""
    await driver.open()
    assert (await driver.read())[0] == pytest.approx(-7.36, abs=0.02)


async def test_a_supply_that_was_away_is_noticed_by_nobody_and_harms_nobody() -> None:
    now, made, bus = rig()
    driver = Bme280(bus)
    await driver.open()
    first = await driver.read()
    made.power(False)
    with pytest.raises(BusError):
        await driver.read()
    made.power(True)
    now.s += 0.01
    assert await driver.read() == first  # its settings go with each measurement


async def test_a_measurement_that_was_not_made_gives_nothing() -> None:
    _, made, bus = rig()
    driver = Bme280(bus)
    await driver.open()
    made.values = {"humidity": 50.0, "pressure": 1e5}  # without a temperature nothing is known
    assert set(await driver.read()) == {Bad(Reason.STALE)}
    assert "no temperature and no humidity" in driver.health[Condition.SENSOR]


async def test_a_bit_that_falls_over_on_the_wire_is_not_a_value() -> None:
    _, made, bus = rig()
    driver = Bme280(bus)
    await driver.open()
    load, turns = made.read, iter(range(100))

    def noisy(count: int) -> bytes:
        answer = load(count)
        at = next(turns) % len(answer)
        return answer[:at] + bytes([answer[at] ^ 0x40]) + answer[at + 1 :]

    made.read = noisy  # type: ignore[method-assign]
    next(turns), next(turns), next(turns), next(turns)  # the status as it is, the counts not
    with pytest.raises(DataError, match="reads differently"):
        await driver.read()
    with pytest.raises(DataError):
        await driver.open()


def test_the_published_vectors() -> None:
    found = {v["id"]: v for v in vectors("bme280-", "bmp280-")}
    packing = found["bme280-h4h5-packing"]
    block = bytes.fromhex(packing["inputs"]["block_e1_hex"])
    reported = parse_trim(packed(sim.T, sim.P, sim.H)[:26] + block)._asdict()
    assert {key: reported[key.lower()] for key in packing["expected"]} == packing["expected"]
    for name in ("bme280-pimoroni-calibration", "bmp280-datasheet-example"):
        given, want = found[name]["inputs"], found[name]["expected"]
        trim = Bme280Trim(*given["T"], *given["P"], *given.get("H", sim.H))
        data = counted(given["adc_T"], given.get("adc_H", 0x8000), given["adc_P"])
        temperature, humidity, pressure = decode(trim, data)
        assert temperature == pytest.approx(want["temperature_c"], abs=0.003)
        pascal = want.get("float64_pressure_pa", 100 * want.get("pressure_hpa", 0))
        assert pressure == pytest.approx(pascal, abs=0.001)
        if "H" in given:
            assert humidity == pytest.approx(want["humidity_pct"], abs=1e-6)
