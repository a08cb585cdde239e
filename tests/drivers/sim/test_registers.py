"""The simulated chips with registers (BME280, BME688, ADS1115) do as their datasheets say."""

import pytest

from drivers.sim.ads1115 import Ads1115
from drivers.sim.bme280 import Bme280
from drivers.sim.bme688 import Bme688
from drivers.sim.i2c import Nack
from tests.kit.air import Now

AIR = {"temperature": 21.0, "humidity": 50.0, "pressure": 100_000.0, "gas_resistance": 5e4}
NOTHING = bytes.fromhex("8000008000008000")


@pytest.fixture
def now() -> Now:
    return Now()


def read(chip: Bme280 | Bme688 | Ads1115, register: int, count: int) -> bytes:
    chip.write(bytes([register]))
    return chip.read(count)


def test_a_bme280_sleeps_until_it_is_told_and_then_takes_its_time(now: Now) -> None:
    chip = Bme280(AIR, clock=now)
    assert read(chip, 0xD0, 1) == b"\x60"
    now.s += 60
    assert read(chip, 0xF7, 8) == NOTHING
    chip.write(bytes.fromhex("f201f425"))
    now.s += 0.0092
    assert read(chip, 0xF3, 1) == b"\x08"
    assert read(chip, 0xF7, 8) == NOTHING
    now.s += 0.0002
    assert read(chip, 0xF3, 2) == b"\x00\x24"  # done, and asleep again
    assert NOTHING[:3] != read(chip, 0xF7, 8)[:3]


def test_a_bme280_looks_at_ctrl_hum_when_ctrl_meas_is_written(now: Now) -> None:
    chip = Bme280(AIR, clock=now)
    for order, humid in (("f425f201", False), ("f201f425", True)):
        chip.write(b"\xe0\xb6")
        now.s += 0.01
        chip.write(bytes.fromhex(order))
        now.s += 0.02
        assert (read(chip, 0xFD, 2) != b"\x80\x00") is humid


@pytest.mark.parametrize("made", [Bme280, Bme688])
def test_after_a_reset_it_is_deaf_and_then_copies_its_calibration(
    now: Now, made: type[Bme280 | Bme688]
) -> None:
    chip = made(AIR, clock=now)
    trim = read(chip, 0xE1, 7)
    assert any(trim)
    chip.write(b"\xe0\xb6")
    with pytest.raises(Nack):
        chip.write(b"")
    now.s += 0.0025
    assert read(chip, 0xE1, 7) == bytes(7)
    now.s += 0.001
    assert read(chip, 0xE1, 7) == trim
    chip.write(b"\xe0\x01")  # any other value does nothing
    chip.write(b"")
    chip.write(b"\xe1\x55")  # and nobody writes the calibration
    assert read(chip, 0xE1, 7) == trim


def test_a_bme688_measures_gas_only_with_its_own_command_and_a_hot_heater(now: Now) -> None:
    chip = Bme688(AIR, clock=now)
    for run, stable in (("7110", False), ("7120", True)):  # the first is that of a BME680
        chip.write(bytes.fromhex("5a78646570007201"))
        chip.write(bytes.fromhex(run))
        chip.write(b"\x74\x4d")
        assert read(chip, 0x1D, 1) == b"\x20"
        now.s += 0.3
        status, *_, gas = read(chip, 0x1D, 17)
        assert status == 0x80
        assert bool(gas & 0x30 == 0x30) is stable
    chip.write(bytes.fromhex("6400744d"))  # not heated for long enough
    now.s += 0.3
    assert read(chip, 0x2D, 1)[0] & 0x30 == 0x20


def test_an_ads1115_converts_when_told_and_shows_when_it_is_done(now: Now) -> None:
    chip = Ads1115({"ain0": 0.352, "ain1": 0.1}, clock=now)
    assert read(chip, 1, 2) == b"\x85\x83"
    chip.write(bytes.fromhex("01c383"))
    assert read(chip, 1, 2) == b"\x43\x83"
    assert read(chip, 0, 2) == b"\x00\x00"
    now.s += 0.0087
    assert read(chip, 1, 2) == b"\xc3\x83"
    assert read(chip, 0, 2) == b"\x0b\x00"
    chip.write(bytes.fromhex("014b83"))  # settings without a start
    now.s += 1
    assert read(chip, 0, 2) == b"\x0b\x00"
    chip.write(b"\x00\xff\xff")  # nobody writes a result
    assert read(chip, 0, 2) == b"\x0b\x00"


def test_an_ads1115_is_cut_off_at_the_ends_of_its_range(now: Now) -> None:
    chip = Ads1115({"ain0": 3.0, "ain1": 0.0}, clock=now)
    for config, want in (("01cb83", b"\x7f\xff"), ("018b83", b"\x7f\xff"), ("01c183", b"\x3e\x80")):
        chip.write(bytes.fromhex(config))
        now.s += 0.01
        assert read(chip, 0, 2) == want
    chip.values = {"ain1": 3.0}
    chip.write(bytes.fromhex("018b83"))
    now.s += 0.01
    assert read(chip, 0, 2) == b"\x80\x00"
    chip.power(False)
    with pytest.raises(Nack):
        chip.write(b"")
    chip.power(True)
    assert read(chip, 1, 2) == b"\x85\x83"
