"""Scanning an I2C bus: chips are known, strangers told, and nothing is written."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from drivers.buses.i2c import SmbusI2c
from drivers.scan.found import Findings, StoppedError
from drivers.scan.i2c import scan_i2c
from drivers.sim.ads1115 import Ads1115
from drivers.sim.i2c import I2cChip, I2cKernel, Nack
from drivers.sim.scd41 import Scd41
from drivers.sim.sps30 import Sps30
from tests.drivers.scan import played
from tests.drivers.scan.played import no_tick


class KernelClock:
    """A chip with an address that a driver of the kernel has."""

    def write(self, data: bytes) -> None:
        raise AssertionError("a scan has touched it")

    def read(self, count: int) -> bytes:
        raise AssertionError("a scan has touched it")


@pytest.fixture
def air(tmp_path: Path) -> Iterator[tuple[I2cKernel, SmbusI2c]]:
    with played.air(tmp_path) as (kernel, path), closing(SmbusI2c(path)) as bus:
        yield kernel, bus


async def test_a_fresh_chip_is_as_it_was(air: tuple[I2cKernel, SmbusI2c]) -> None:
    """An ADS1115 has the settings of the factory, an SCD41 does not measure."""
    findings = Findings()
    await scan_i2c(air[1], findings, no_tick, {})
    assert len(findings.devices) == 8
    ads, scd, sps = (air[0].chips[at] for at in (0x48, 0x62, 0x69))
    assert isinstance(ads, Ads1115)
    assert isinstance(scd, Scd41)
    assert isinstance(sps, Sps30)
    assert ads._registers[1] == 0x8583
    assert not scd.starts
    assert not sps.measuring


async def test_a_measuring_scd41_is_known_by_what_it_still_tells(
    air: tuple[I2cKernel, SmbusI2c],
) -> None:
    scd = air[0].chips[0x62]
    scd.write(b"\x21\xb1")
    findings = Findings()
    await scan_i2c(air[1], findings, no_tick, {})
    assert "SCD4x that measures, at 0x62" in [device.what for device in findings.devices]
    assert isinstance(scd, Scd41)
    assert scd.measuring


@pytest.mark.parametrize(
    ("at", "fault", "text"),
    [
        (0x76, "bmp280", "0x76: chip id 0x58 is a BMP280, which measures no humidity"),
        (0x77, "silent", ""),
    ],
)
async def test_others_are_told_and_the_silent_are_not_invented(
    air: tuple[I2cKernel, SmbusI2c], at: int, fault: str, text: str
) -> None:
    air[0].chips[at].fault = fault  # type: ignore[attr-defined]
    if fault == "bmp280":
        air[0].chips[at].registers[0xD0] = 0x58  # type: ignore[attr-defined]
    findings = Findings()
    await scan_i2c(air[1], findings, no_tick, {})
    assert at not in [device.options.get("address") for device in findings.devices]
    assert (text in findings.unknown) is bool(text)


class LedDriver:
    """Registers of 8 bits: two bytes are a register and its content."""

    def write(self, data: bytes) -> None:
        assert len(data) < 2, "a scan has written into it"

    def read(self, count: int) -> bytes:
        return bytes(count)


async def test_a_question_is_no_setting_for_a_stranger_at_the_address(
    air: tuple[I2cKernel, SmbusI2c],
) -> None:
    air[0].chips = {0x59: LedDriver(), 0x62: LedDriver(), 0x44: LedDriver(), 0x76: LedDriver()}
    findings = Findings()
    await scan_i2c(air[1], findings, no_tick, {})
    assert not findings.devices
    assert [text[:4] for text in findings.unknown] == ["0x44", "0x59", "0x62", "0x76"]


class OneRegister:
    """A TCA9548A and its like: what is written is the register, and what is read is it, too."""

    def __init__(self, held: int, deaf_after: int = 99) -> None:
        self.held, self.writes, self.deaf_after = held, 0, deaf_after

    def write(self, data: bytes) -> None:
        self.writes += 1
        if self.writes > self.deaf_after:
            raise Nack
        self.held = data[-1]

    def read(self, count: int) -> bytes:
        return bytes([self.held]) * count


class Pcf8591:
    """A control byte that cannot be read: what is read is the last conversion, then the next."""

    def __init__(self) -> None:
        self.control, self.before = 0x44, 0x80

    def write(self, data: bytes) -> None:
        self.control = data[0]

    def read(self, count: int) -> bytes:
        reported = bytes([self.before, *[0x30 + (self.control & 3)] * count])[:count]
        self.before = 0x30 + (self.control & 3)
        return reported


async def test_a_switch_has_the_channels_that_it_had(air: tuple[I2cKernel, SmbusI2c]) -> None:
    switch, other, deaf = OneRegister(0x01), OneRegister(0x44), OneRegister(0x02, deaf_after=1)
    air[0].chips = {0x48: other, 0x76: switch, 0x77: deaf}
    findings = Findings()
    await scan_i2c(air[1], findings, no_tick, {})
    assert (switch.held, other.held) == (0x01, 0x44)
    assert not findings.devices
    at48, at76, at77 = findings.unknown
    assert "0x48: the device returns the byte that was sent" in at48
    assert "such as a TCA9548A" in at76
    assert "its setting 0x01 is restored" in at76
    assert "its setting is now 0xd0 instead of 0x02" in at77


async def test_a_control_byte_that_cannot_be_read_is_said_to_be_changed(
    air: tuple[I2cKernel, SmbusI2c],
) -> None:
    chip = Pcf8591()
    air[0].chips = {0x48: chip}
    findings = Findings()
    await scan_i2c(air[1], findings, no_tick, {})
    assert [data for _, kind, data in air[0].log if kind == "w"] == [b"\x02"]
    (text,) = findings.unknown
    assert "PCF8591" in text
    assert "its control byte is 0x02 now" in text


async def test_an_address_of_the_kernel_is_left_alone(air: tuple[I2cKernel, SmbusI2c]) -> None:
    chips: dict[int, I2cChip] = dict(air[0].chips)
    chips[0x68] = KernelClock()
    air[0].chips = chips
    findings = Findings()
    await scan_i2c(air[1], findings, no_tick, {0x68: "the kernel's driver rtc-ds1307"})
    assert findings.notes == ["0x68 belongs to the kernel's driver rtc-ds1307 and was not asked"]


async def test_a_stopped_scan_asks_nobody_any_more(air: tuple[I2cKernel, SmbusI2c]) -> None:
    def tick(step: str, seconds: float, more_s: float = 0.0) -> None:
        if step == "0x49":
            raise StoppedError

    findings = Findings()
    with pytest.raises(StoppedError):
        await scan_i2c(air[1], findings, tick, {})
    assert [device.driver for device in findings.devices] == ["sht4x", "ads1115"]
