"""The ADS1115 and its pairs against the simulated chip: volts, ranges, settings that go astray."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.chips import ads1115_pairs
from drivers.chips._ads1115 import RANGES_V, RATES, config, decode, volts
from drivers.chips.ads1115 import Ads1115, explain
from drivers.chips.ads1115_pairs import Ads1115Pairs
from drivers.sim import ads1115 as sim
from drivers.sim.ads1115_pairs import Ads1115Pairs as SimPairs
from edge.core import Bad, BusError, Condition, DataError, Polled, Reason
from tests.kit.air import Now, SensorRig, SimI2c
from tests.kit.vectors import vectors

CELLS = {"ain0": 0.26013, "ain1": 0.24512, "ain2": 0.3321, "ain3": 0.0}


class Ads1115Rig(SensorRig[sim.Ads1115, Ads1115]):
    def __init__(self, **options: float) -> None:
        now = Now()
        chip = sim.Ads1115(CELLS, clock=now)
        super().__init__(now, 0x48, chip, lambda bus: Ads1115(bus, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize("range_v", [0.4, 0.512, 1.0, 3.3, 6.144])
@pytest.mark.parametrize("rate_sps", [8, 100, 860])
async def test_each_pin_is_measured_with_the_range_that_just_holds_it(
    range_v: float, rate_sps: int
) -> None:
    rig = Ads1115Rig(range_v=range_v, rate_sps=rate_sps)
    device: Polled = rig.driver
    await device.open()
    before = rig.now.s
    step = min(held for held in RANGES_V if held >= range_v) / 32768
    assert await device.read() == pytest.approx(tuple(CELLS.values()), abs=step / 2 + 1e-9)
    slowest = 4 * 1.1 / max(rate for rate in RATES if rate <= rate_sps)
    assert rig.now.s - before < slowest * 1.1 + 0.1
    assert rig.driver.health == {}


async def test_an_input_beyond_the_range_is_bad_and_says_what_to_do() -> None:
    rig = Ads1115Rig(range_v=0.3)
    rig.chip.bias = {"ain0": 0.3, "ain3": -0.9}
    await rig.driver.open()
    found = await rig.driver.read()
    assert found[0] == found[3] == Bad(Reason.RANGE)
    assert found[1] == pytest.approx(0.24512, abs=1e-5)
    reported = rig.driver.health[Condition.OVERLOAD]
    assert reported.startswith("ain0 and ain3 not within -0.3 to 0.512 V")
    assert "larger range_v" in reported
    rig.chip.bias = {}
    await rig.driver.read()
    assert rig.driver.health == {}


@pytest.mark.parametrize("pairs", [False, True])
async def test_a_chip_that_lost_its_settings_gives_no_value(pairs: bool) -> None:
    now = Now()
    # the settings of the factory but for the channel, so the hardest to tell from
    made = sim.Ads1115(CELLS, clock=now)
    bus = SimI2c(now, {0x48: made})
    driver = (Ads1115Pairs if pairs else Ads1115)(bus, range_v=2.048)
    await driver.open()
    made.fault = "forgetful"
    with pytest.raises(DataError, match="lost its supply"):
        await driver.read()
    made.fault = ""
    await driver.read()


async def test_another_channel_than_was_asked_for_is_no_value() -> None:
    rig = Ads1115Rig()
    write = rig.chip.write

    def meddled(data: bytes) -> None:
        write(bytes([data[0], data[1] ^ 0x10, data[2]]) if len(data) == 3 else data)

    rig.chip.write = meddled  # type: ignore[method-assign]
    with pytest.raises(DataError, match="settings"):
        await rig.driver.read()


async def test_a_value_that_is_told_in_two_ways_is_none() -> None:
    rig = Ads1115Rig()
    read, answers = rig.chip.read, iter([0, 1, 0])
    rig.chip.read = lambda count: bytes([read(count)[0] ^ next(answers), read(count)[1]])  # type: ignore[method-assign]
    with pytest.raises(DataError, match="gives two values"):
        await rig.driver.read()


async def test_a_conversion_without_an_end_and_a_chip_that_is_gone_are_bus_errors() -> None:
    rig = Ads1115Rig()
    await rig.driver.open()
    rig.chip.fault = "endless"
    with pytest.raises(BusError, match="does not end") as caught:
        await rig.driver.read()
    assert caught.value.reason is Reason.BUSY
    rig.chip.power(False)
    with pytest.raises(BusError):
        await rig.driver.open()
    rig.chip.fault = ""
    rig.chip.power(True)
    await rig.driver.open()
    assert (await rig.driver.read())[0] == pytest.approx(0.26013, abs=1e-4)


async def test_pairs_have_both_signs() -> None:
    now = Now()
    values = {"ain0_1": -0.0421, "ain2_3": 0.1}
    bus = SimI2c(now, {0x49: SimPairs(values, clock=now)})
    driver = Ads1115Pairs(bus, 0x49, range_v=0.256, rate_sps=860)
    await driver.open()
    assert await driver.read() == pytest.approx(tuple(values.values()), abs=4e-6)


@given(st.sampled_from(RANGES_V), st.sampled_from(RATES), st.integers(0, 7), st.integers(0, 0xFFFF))
def test_whatever_is_converted_is_in_range_or_none(
    range_v: float, rate: int, mux: int, code: int
) -> None:
    assert config(mux, range_v, rate) & ~0x7000 != 0x8583  # as a chip without a memory has them
    for point in (*Ads1115.points, *Ads1115Pairs.points):
        found = decode(point, code.to_bytes(2), range_v)
        if isinstance(found, Bad):
            assert code in (0x7FFF, 0x8000) or volts(code, range_v) < point.low
        else:
            assert point.low <= float(str(found)) <= point.high


@given(st.lists(st.binary(max_size=5), max_size=8))
def test_hostile_frames_are_a_data_error_or_samples(frames: list[bytes]) -> None:
    for reported in (explain, ads1115_pairs.explain):
        for said in (frames, [b"\x01\xc3\x83", *frames], [b"\x01\x83\x83", b"\x00", *frames]):
            try:
                assert reported(said)
            except DataError:
                continue


def test_the_published_vectors() -> None:
    seen = 0
    for vector in vectors("ads1115-"):
        match vector:
            case {"id": "ads1115-config-ain0-single-4v096", "raw_hex": raw}:
                assert config(4, 4.096, 128).to_bytes(2).hex() == raw[2:]
            case {"id": "ads1115-config-diff01-0v512", "raw_hex": raw}:
                assert config(0, 0.512, 8).to_bytes(2).hex() == raw[2:]
            case {"inputs": {"raw_hex": raw, "fsr_v": range_v}, "expected": {"volts": want}}:
                assert volts(int(raw, 16), range_v) == pytest.approx(want, rel=1e-4)
            case _:
                continue
        seen += 1
    assert seen == 5
