"""The SPS30's driver against the simulated module."""

import pytest

from drivers.chips.sps30 import POINTS, Sps30, decode
from drivers.sim import sps30 as sim
from edge.core import Bad, BusError, Condition, Polled, Reason, Sample, UncertainValue
from tests.kit.air import Now, SimI2c
from tests.kit.vectors import vector

VALUES = {
    "pm1_0": 5.25,
    "pm2_5": 9.5,
    "pm4_0": 12.625,
    "pm10": 13.25,
    "nc0_5": 26.3125,
    "nc1_0": 37.0,
    "nc2_5": 41.5,
    "nc4_0": 42.375,
    "nc10": 42.5,
    "typical_size": 0.8125,
}  # floats keep these exactly


def rig(**options: object) -> tuple[Now, sim.Sps30, SimI2c]:
    now = Now()
    chip = sim.Sps30(VALUES, clock=now, powered_s=3600, **options)  # type: ignore[arg-type]
    return now, chip, SimI2c(now, {0x69: chip})


async def test_values_are_those_of_the_module() -> None:
    now, _, bus = rig()
    device: Polled = Sps30(bus, settle_reads=0)
    await device.open()
    now.s += 1
    assert await device.read() == tuple(VALUES.values())
    assert [point.key for point in POINTS] == list(VALUES)


async def test_all_is_in_doubt_while_it_settles() -> None:
    now, _, bus = rig()
    driver = Sps30(bus, settle_reads=2)
    await driver.open()
    for _ in range(2):
        now.s += 1
        found = await driver.read()
        assert found == tuple(UncertainValue(value, Reason.WARMUP) for value in VALUES.values())
    now.s += 1
    assert await driver.read() == tuple(VALUES.values())


async def test_old_firmware_without_a_status_register_is_read_all_the_same() -> None:
    now, _, bus = rig(firmware=(2, 1))
    driver = Sps30(bus, settle_reads=0)
    await driver.open()
    for _ in range(25):
        now.s += 1
        assert await driver.read() == tuple(VALUES.values())


async def test_nothing_new_comes_while_the_fan_cleans_itself() -> None:
    now, _, bus = rig()
    driver = Sps30(bus, settle_reads=0)
    await driver.open()
    now.s += 1
    await driver.read()
    await bus.transfer(0x69, b"\x56\x07", wait_s=0.005)
    found: set[Sample] = set()
    for _ in range(9):
        now.s += 1
        found.update(await driver.read())
    assert found == {Bad(Reason.STALE)}
    assert "cleaning itself" in driver.health[Condition.CLEANING]
    now.s += 2
    assert await driver.read() == tuple(VALUES.values())
    assert driver.health == {}


async def test_who_polls_too_fast_is_not_told_of_cleaning() -> None:
    now, _, bus = rig()
    driver = Sps30(bus, settle_reads=0)
    await driver.open()
    now.s += 0.9
    for _ in range(60):
        now.s += 0.2
        await driver.read()
        assert driver.health == {}


async def test_zeros_after_a_start_are_no_clean_air() -> None:
    now, _, bus = rig(zeros=2)
    driver = Sps30(bus, settle_reads=0)
    await driver.open()
    for _ in range(2):
        now.s += 1
        assert await driver.read() == (Bad(Reason.WARMUP),) * 10
    now.s += 1
    assert await driver.read() == tuple(VALUES.values())


async def test_a_blocked_fan_spoils_all() -> None:
    now, chip, bus = rig()
    driver = Sps30(bus, settle_reads=0)
    chip.errors.add(4)
    await driver.open()
    now.s += 1
    assert set(await driver.read()) == {Bad(Reason.FAULT)}


async def test_it_comes_back_after_a_power_cut() -> None:
    now, chip, bus = rig()
    driver = Sps30(bus, settle_reads=0)
    await driver.open()
    now.s += 1
    await driver.read()
    chip.power(False)
    chip.power(True)
    now.s += 1
    with pytest.raises(BusError):  # idle, it refuses to be read
        await driver.read()
    await driver.close()
    await driver.open()
    now.s += 1
    assert await driver.read() == tuple(VALUES.values())


def test_decode_agrees_with_the_published_vector() -> None:
    found = vector("sps30-i2c-read")
    assert decode(bytes.fromhex(found["raw_hex"])) == pytest.approx(
        tuple(found["decoded"].values()), rel=found["float_tolerance"]
    )


def test_a_frame_captured_from_a_real_module_gives_what_its_floats_say() -> None:
    """The capture is of the serial interface: the same floats, wrapped in words here."""
    found = vector("sps30-shdlc-read-captured")
    floats = bytes.fromhex(found["raw_hex"])[5:-2].replace(b"\x7d\x33", b"\x13")  # unstuffed
    assert len(floats) == 40
    from drivers.sim._sensirion import with_checksums

    assert decode(with_checksums(floats)) == pytest.approx(
        tuple(found["decoded"].values()), abs=1e-4
    )
