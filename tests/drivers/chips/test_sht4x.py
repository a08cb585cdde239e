"""The SHT4x's driver against the simulated sensor and the published vectors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.chips.sht4x import Sht4x, decode, explain
from drivers.sim import sht4x as sim
from edge.core import Bad, BusError, DataError, Reason
from tests.kit.air import Now, SimI2c
from tests.kit.vectors import vectors


def rig(**values: float) -> tuple[Now, sim.Sht4x, SimI2c]:
    now = Now()
    chip = sim.Sht4x({"temperature": 20.0, "humidity": 50.0} | values, clock=now, powered_s=1)
    return now, chip, SimI2c(now, {0x44: chip})


@pytest.mark.parametrize(
    ("precision", "wait_s"), [("high", 0.01), ("medium", 0.005), ("low", 0.002)]
)
async def test_a_reading_is_what_there_is_and_takes_its_time(precision: str, wait_s: float) -> None:
    now, _, bus = rig(temperature=-39.5, humidity=3.0)
    driver = Sht4x(bus, 0x44, precision)  # type: ignore[arg-type]
    await driver.open()
    before = now.s
    assert await driver.read() == pytest.approx((-39.5, 3.0), abs=0.002)
    assert wait_s <= now.s - before < wait_s + 0.005


async def test_frost_and_fog_are_cut_to_what_can_be() -> None:
    _, chip, bus = rig()
    driver = Sht4x(bus)
    for reported, want in (
        (-5.9, 0.0), (-5.5, 0.0), (105.9, 100.0), (106.1, Bad(Reason.RANGE)),
        (119.0, Bad(Reason.RANGE)), (-6.0, Bad(Reason.RANGE)),
    ):  # fmt: skip
        chip.values = {"temperature": 20.0, "humidity": reported}
        assert (await driver.read())[1] == want


async def test_another_sensor_has_another_number_and_a_mute_one_keeps_it() -> None:
    now, chip, bus = rig()
    driver = Sht4x(bus)
    await driver.open()
    assert driver.identity == str(0x0B1C2D3E)
    chip.nacks = 1
    await driver.open()  # it did not tell
    assert driver.identity == str(0x0B1C2D3E)
    chip.serial = 5
    now.s += 0.1
    await driver.open()
    assert driver.identity == "5"


async def test_faults_come_out_as_what_they_are() -> None:
    _, chip, bus = rig()
    driver = Sht4x(bus)
    await driver.open()
    chip.damage = sim.flip_bit(25)
    temperature, humidity = await driver.read()
    assert temperature == pytest.approx(20.0, abs=0.002)
    assert humidity == Bad(Reason.CRC)
    chip.damage = lambda answer: answer[:3]
    assert (await driver.read())[1] == Bad(Reason.CRC)  # beyond it nobody drives the line
    chip.damage = None
    chip.misbehave("late")  # it still measures when it is asked
    with pytest.raises(BusError):
        await driver.read()


@given(st.binary(max_size=20))
def test_hostile_bytes_are_a_data_error_or_samples_in_range(frame: bytes) -> None:
    for frames in ([frame], [b"\xfd", frame], [b"\x89", frame, b"\xe0", frame]):
        try:
            found = explain(frames)
        except DataError:
            continue
        for point in Sht4x.points:
            sample = found[point.key]
            assert isinstance(sample, Bad) or point.low <= sample <= point.high  # type: ignore[operator]


def test_the_published_vectors() -> None:
    found = {v["id"]: v for v in vectors("sht4x-")}
    for name in ("sht4x-read", "sht4x-clamp-low"):
        reported = found[name]["decoded"]
        want = (reported["temperature_c"], reported["humidity_pct"])
        assert decode(bytes.fromhex(found[name]["raw_hex"])) == pytest.approx(want, abs=5e-4)
