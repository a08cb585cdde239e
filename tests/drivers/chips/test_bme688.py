"""The BME688: its arithmetic by the maker's, its heater, and the driver against the simulation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.chips import _bme688 as arithmetic
from drivers.chips._bme688 import Bme688Trim, heater_code, heating_code, parse_trim, resistance
from drivers.chips._bosch import clamped
from drivers.chips.bme688 import ANSWER, Bme688, decode, explain
from drivers.sim import bme688 as sim
from edge.core import Bad, BusError, Condition, DataError, Polled, Reason, Sample, UncertainValue
from tests.drivers.chips import bosch_formulas as bosch
from tests.kit.air import Now, SensorRig

VALUES = {"temperature": 11.4, "humidity": 81.2, "pressure": 98_765.0, "gas_resistance": 51_200.0}
TRIM = Bme688Trim(*sim.T, *sim.P, *sim.H, *sim.G, sim.HEAT_VALUE, sim.HEAT_RANGE)

byte, sbyte = st.integers(0, 255), st.integers(-128, 127)
word, sword = st.integers(0, 65535), st.integers(-32768, 32767)
LAYOUT = {  # register -> what is in it, as the maker's header has it
    "t1": (0xE9, 2, False), "t2": (0x8A, 2, True), "t3": (0x8C, 1, True),
    "p1": (0x8E, 2, False), "p2": (0x90, 2, True), "p3": (0x92, 1, True),
    "p4": (0x94, 2, True), "p5": (0x96, 2, True), "p6": (0x99, 1, True),
    "p7": (0x98, 1, True), "p8": (0x9C, 2, True), "p9": (0x9E, 2, True), "p10": (0xA0, 1, False),
    "h3": (0xE4, 1, True), "h4": (0xE5, 1, True), "h5": (0xE6, 1, True),
    "h6": (0xE7, 1, False), "h7": (0xE8, 1, True),
    "g1": (0xED, 1, True), "g2": (0xEB, 2, True), "g3": (0xEE, 1, True),
    "heat_value": (0x00, 1, True),
}  # fmt: skip


@given(st.binary(min_size=42, max_size=42))
def test_every_calibration_is_read_register_by_register(data: bytes) -> None:
    places = [*range(0x8A, 0x8A + 23), *range(0xE1, 0xE1 + 14), *range(5)]
    memory = dict(zip(places, data, strict=True))
    want = {
        name: int.from_bytes(
            bytes(memory[first + i] for i in range(count)), "little", signed=signed
        )
        for name, (first, count, signed) in LAYOUT.items()
    }
    want["h1"] = memory[0xE3] << 4 | memory[0xE2] & 15
    want["h2"] = memory[0xE1] << 4 | memory[0xE2] >> 4
    want["heat_range"] = (memory[0x02] & 0x30) // 16
    assert parse_trim(data)._asdict() == want


@given(st.integers(280_000, 640_000), st.integers(13_000, 50_000), st.integers(250_000, 700_000))
def test_it_agrees_with_both_formulas_of_the_maker(adc_t: int, adc_h: int, adc_p: int) -> None:
    fine = arithmetic.fine_temperature(TRIM, adc_t)
    mine = (
        fine / 5120,
        arithmetic.humidity(TRIM, fine, adc_h),
        arithmetic.pressure(TRIM, fine, adc_p),
    )
    assert mine == pytest.approx(bosch.bme688(sim.T, sim.P, sim.H, adc_t, adc_h, adc_p), rel=1e-9)
    whole = sim.fine(adc_t)
    assert mine[0] == pytest.approx(sim.temperature(whole), abs=0.01)
    assert mine[2] == pytest.approx(sim.pressure(whole, adc_p), abs=12.0)  # cut in many places
    assert clamped(mine[1]) == pytest.approx(sim.humidity(whole, adc_h), abs=0.1)


@given(st.integers(0, 1023), st.integers(0, 15))
def test_the_gas_resistance_is_the_makers(count: int, span: int) -> None:
    data = (count << 6 | 0x30 | span).to_bytes(2)
    assert resistance(data) == pytest.approx(bosch.gas(count, span))
    assert 1_000 <= resistance(data) <= 110e6


@given(st.integers(200, 400), st.integers(-40, 85))
def test_the_heater_is_set_as_the_maker_does(target: int, air: int) -> None:
    code = heater_code(TRIM, target, air)
    assert code == bosch.heater(sim.G, sim.HEAT_VALUE, sim.HEAT_RANGE, target, air)
    assert abs(sim.heater(target, air) - code) <= 5  # whose other way all but ignores the air


@given(st.integers(10, 4032))
def test_how_long_to_heat_is_cut_by_less_than_a_twentieth(ms: int) -> None:
    code = heating_code(ms)
    reported = (code & 0x3F) * 4 ** (code >> 6)
    assert 0 <= code <= 255
    assert ms * 0.75 < reported <= ms


@given(st.binary(max_size=30))
def test_whatever_comes_a_value_is_in_range_or_none(data: bytes) -> None:
    for frame in (data, data[:ANSWER].ljust(ANSWER, b"\x80")):
        try:
            found = decode(TRIM, frame)
        except DataError:
            assert len(frame) != ANSWER
            continue
        for point, sample in zip(Bme688.points, found, strict=True):
            value = sample.value if isinstance(sample, UncertainValue) else sample
            assert isinstance(value, Bad) or point.low <= value <= point.high  # type: ignore[operator]


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_hostile_frames_are_a_data_error(frames: list[bytes]) -> None:
    with pytest.raises(DataError):
        explain(frames)


class Bme688Rig(SensorRig[sim.Bme688, Bme688]):
    def __init__(self, fault: str = "", settle_reads: int = 0, **options: int) -> None:
        now = Now()
        chip = sim.Bme688(VALUES, clock=now, fault=fault)
        super().__init__(
            now, 0x76, chip, lambda bus: Bme688(bus, settle_reads=settle_reads, **options)
        )

    async def poll(self) -> dict[str, Sample]:
        self.now.s += 1
        return await self.read()


async def test_what_there_is_is_what_is_measured() -> None:
    rig = Bme688Rig()
    device: Polled = rig.driver
    await device.open()
    assert await rig.poll() == pytest.approx(VALUES, rel=2e-3)
    assert rig.driver.health == {}
    assert rig.driver.identity.startswith("trim-")


@pytest.mark.parametrize(("target", "ms"), [(200, 50), (320, 150), (400, 1000)])
async def test_the_heater_gets_as_hot_as_it_should_once_the_air_is_known(
    target: int, ms: int
) -> None:
    rig = Bme688Rig(heater_cel=target, heater_ms=ms)
    await rig.driver.open()
    await rig.poll()
    before = rig.now.s + 1
    await rig.poll()
    assert rig.chip.heater_cel == pytest.approx(target, abs=4)
    assert rig.now.s - before >= ms / 1000


async def test_the_gas_is_in_doubt_until_it_has_settled_and_the_air_is_not() -> None:
    rig = Bme688Rig(settle_reads=3)
    await rig.driver.open()
    for _ in range(3):
        found = await rig.poll()
        assert isinstance(found["gas_resistance"], UncertainValue)
        assert found["gas_resistance"].reason is Reason.WARMUP
        assert isinstance(found["temperature"], float)
    assert isinstance((await rig.poll())["gas_resistance"], float)


async def test_a_heater_that_stays_cold_is_told_and_comes_back() -> None:
    rig = Bme688Rig()
    await rig.driver.open()
    rig.chip.fault = "cold"
    for _ in range(3):
        assert isinstance((await rig.poll())["gas_resistance"], UncertainValue)
    assert "does not reach 320 Cel within 150 ms" in rig.driver.health[Condition.HEATER]
    rig.chip.fault = ""
    assert isinstance((await rig.poll())["gas_resistance"], float)
    assert rig.driver.health == {}


@pytest.mark.parametrize(("fault", "key"), [("open", "gas_resistance"), ("dry", "humidity")])
async def test_a_part_that_gives_nothing_is_named(fault: str, key: str) -> None:
    rig = Bme688Rig(fault)
    await rig.driver.open()
    found = await rig.poll()
    assert {k for k, s in found.items() if s == Bad(Reason.STALE)} == {key}
    assert rig.driver.health[Condition.SENSOR] == f"it measures no {key}"


async def test_a_bme680_is_refused_by_its_name() -> None:
    with pytest.raises(DataError, match="is a BME680") as caught:
        await Bme688Rig("bme680").driver.open()
    assert caught.value.reason is Reason.ADDRESS


async def test_a_chip_that_forgets_gives_nothing_and_one_without_supply_is_silent() -> None:
    rig = Bme688Rig()
    await rig.driver.open()
    first = await rig.poll()
    rig.chip.fault = "forgetful"
    assert set((await rig.poll()).values()) == {Bad(Reason.STALE)}
    rig.chip.fault = "silent"
    with pytest.raises(BusError):
        await rig.poll()
    rig.chip.fault = ""
    await rig.driver.open()
    assert (await rig.poll())["pressure"] == first["pressure"]
