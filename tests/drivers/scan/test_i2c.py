"""Scanning an I2C bus: chips are known, strangers told, and nothing is written."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.buses.i2c import SmbusI2c
from drivers.scan.found import Findings, StoppedError
from drivers.scan.i2c import scan
from drivers.sim.ads1115 import Ads1115
from drivers.sim.i2c import Chip, I2cKernel
from drivers.sim.scd41 import Scd41
from drivers.sim.sps30 import Sps30
from tests.drivers.scan import played
from tests.drivers.scan.played import no_tick


class Clock:
    """A chip with an address that a driver of the kernel has."""

    def write(self, data: bytes) -> None:
        raise AssertionError("a scan has touched it")

    def read(self, count: int) -> bytes:
        raise AssertionError("a scan has touched it")


@pytest.fixture
def air(tmp_path: Path) -> Iterator[tuple[I2cKernel, str]]:
    with played.air(tmp_path) as made:
        yield made


async def test_a_fresh_chip_is_as_it_was(air: tuple[I2cKernel, str]) -> None:
    """An ADS1115 has the settings of the factory, an SCD41 does not measure."""
    findings = Findings()
    await scan(SmbusI2c(air[1]), findings, no_tick, {})
    assert len(findings.devices) == 8
    ads, scd, sps = (air[0].chips[at] for at in (0x48, 0x62, 0x69))
    assert isinstance(ads, Ads1115)
    assert isinstance(scd, Scd41)
    assert isinstance(sps, Sps30)
    assert ads._registers[1] == 0x8583
    assert not scd.starts
    assert not sps.measuring


async def test_a_measuring_scd41_is_known_by_what_it_still_tells(
    air: tuple[I2cKernel, str],
) -> None:
    scd = air[0].chips[0x62]
    scd.write(b"\x21\xb1")
    findings = Findings()
    await scan(SmbusI2c(air[1]), findings, no_tick, {})
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
    air: tuple[I2cKernel, str], at: int, fault: str, text: str
) -> None:
    air[0].chips[at].fault = fault  # type: ignore[attr-defined]
    if fault == "bmp280":
        air[0].chips[at].registers[0xD0] = 0x58  # type: ignore[attr-defined]
    findings = Findings()
    await scan(SmbusI2c(air[1]), findings, no_tick, {})
    assert at not in [device.options.get("address") for device in findings.devices]
    assert (text in findings.unknown) is bool(text)


class LedDriver:
    """Registers of 8 bits: two bytes are a register and its content."""

    def write(self, data: bytes) -> None:
        assert len(data) < 2, "a scan has written into it"

    def read(self, count: int) -> bytes:
        return bytes(count)


async def test_a_question_is_no_setting_for_a_stranger_at_the_address(
    air: tuple[I2cKernel, str],
) -> None:
    air[0].chips = {0x59: LedDriver(), 0x62: LedDriver(), 0x44: LedDriver(), 0x76: LedDriver()}
    findings = Findings()
    await scan(SmbusI2c(air[1]), findings, no_tick, {})
    assert not findings.devices
    assert [text[:4] for text in findings.unknown] == ["0x44", "0x59", "0x62", "0x76"]


async def test_an_address_of_the_kernel_is_left_alone(air: tuple[I2cKernel, str]) -> None:
    chips: dict[int, Chip] = dict(air[0].chips)
    chips[0x68] = Clock()
    air[0].chips = chips
    findings = Findings()
    await scan(SmbusI2c(air[1]), findings, no_tick, {0x68: "the kernel's driver rtc-ds1307"})
    assert findings.notes == ["0x68 belongs to the kernel's driver rtc-ds1307 and was not asked"]


async def test_a_stopped_scan_asks_nobody_any_more(air: tuple[I2cKernel, str]) -> None:
    def tick(step: str, seconds: float) -> None:
        if step == "0x49":
            raise StoppedError

    findings = Findings()
    with pytest.raises(StoppedError):
        await scan(SmbusI2c(air[1]), findings, tick, {})
    assert [device.driver for device in findings.devices] == ["sht4x", "ads1115"]
