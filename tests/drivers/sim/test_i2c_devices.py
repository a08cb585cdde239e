"""Drivers and simulated chips through the real smbus2 and a socket, in real time, on one bus."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

import drivers
from drivers.buses.i2c import SmbusI2c
from drivers.sim.ads1115 import Ads1115
from drivers.sim.bme280 import Bme280
from drivers.sim.bme688 import Bme688
from drivers.sim.i2c import I2cChip, I2cKernel
from drivers.sim.i2c_server import I2cServer
from drivers.sim.sgp41 import Sgp41
from drivers.sim.sht4x import Sht4x
from edge.core import BusError, Polled, Sample

AIR = {"temperature": 21.5, "humidity": 48.0, "pressure": 100_250.0, "gas_resistance": 64_000.0}
PINS = {"ain0": 0.3021, "ain1": 0.2987, "ain2": 1.5, "ain3": -0.002}
TICKS = {"voc_ticks": 30_123.0, "nox_ticks": 16_020.0}
BUS: Mapping[int, tuple[str, Mapping[str, float], type[Any]]] = {
    0x44: ("sht4x", AIR, Sht4x),
    0x48: ("ads1115", PINS, Ads1115),
    0x59: ("sgp41", TICKS, Sgp41),
    0x76: ("bme280", AIR, Bme280),
    0x77: ("bme688", AIR, Bme688),
}
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "ads1115": {"rate_sps": 860},
    "sgp41": {"condition_reads": 0},
    "bme688": {"address": 0x77, "heater_ms": 30, "settle_reads": 0},
}


@pytest.fixture
def chips() -> dict[int, I2cChip]:
    return {address: made(values) for address, (_, values, made) in BUS.items()}


@pytest.fixture
def bus(chips: dict[int, I2cChip], tmp_path: Path) -> Iterator[SmbusI2c]:
    with I2cServer(I2cKernel(chips), tmp_path / "bus.sock") as server:
        made = SmbusI2c(f"sim:{server.path}")
        yield made
        made.close()


async def test_five_devices_on_one_bus_and_one_that_dies(
    chips: dict[int, I2cChip], bus: SmbusI2c
) -> None:
    pytest.importorskip("sensirion_gas_index_algorithm")
    made = {
        name: cast(Polled, drivers.build(name, bus, OPTIONS.get(name, {})))
        for name, _, _ in BUS.values()
    }
    for device in made.values():
        await device.open()
    for name, values, _ in BUS.values():
        found = await named(made[name])
        want = {key: value for key, value in values.items() if key in found}
        assert want
        assert {key: found[key] for key in want} == pytest.approx(want, rel=5e-3, abs=2e-4), name
    dead = chips[0x76]
    assert isinstance(dead, Bme280)
    dead.power(False)
    with pytest.raises(BusError, match="no device answers at 0x76"):
        await made["bme280"].read()
    for name in ("sht4x", "ads1115", "bme688"):
        assert await made[name].read()
    for device in made.values():
        await device.close()


async def named(device: Polled) -> dict[str, Sample]:
    return dict(zip([p.key for p in device.points], await device.read(), strict=True))
