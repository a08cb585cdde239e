"""What scans are let loose on: an I2C bus full of chips, devices on ports, meters on a line."""

import contextlib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import drivers
from drivers.sim import simdevice, simrunner
from drivers.sim.ads1115 import Ads1115
from drivers.sim.bme280 import Bme280
from drivers.sim.bme688 import Bme688
from drivers.sim.i2c import I2cKernel
from drivers.sim.i2c_server import I2cServer
from drivers.sim.meter_rtu import MeterRtu
from drivers.sim.meter_server import MeterServer
from drivers.sim.scd41 import Scd41
from drivers.sim.sen66 import Sen66
from drivers.sim.sgp41 import Sgp41
from drivers.sim.sht4x import Sht4x
from drivers.sim.sps30 import Sps30
from drivers.sim.typical import typical
from edge.cabinet.simrequest import sim_request

TALKERS = {
    "pms5003": "pms5003", "pms7003": "pms5003", "pms5003t": "pms5003", "pms3003": "pms3003",
    "zh03b": "zh03b", "sds011": "sds011", "sml": "sml", "dsmr": "dsmr",
    "iec62056_push": "iec62056_push",
}  # fmt: skip
SPEED = {
    **{name: {"every_s": 0.05} for name in TALKERS},
    **{name: {"turnaround_s": 0.0} for name in ("dlt645", "mbus", "dlms")},
    "iec62056": {"reaction_s": 0.0},
}


class Eeprom:
    """Something that is no sensor."""

    def write(self, data: bytes) -> None:
        if len(data) > 1:
            raise AssertionError("a scan has written into it")

    def read(self, count: int) -> bytes:
        return b"\xa5" * count


@contextlib.contextmanager
def air(folder: Path) -> Iterator[tuple[I2cKernel, str]]:
    """A bus with eight chips and a stranger."""
    values: dict[str, float] = {"temperature": 20.0}
    chips: dict[int, Any] = {
        0x44: Sht4x(values, powered_s=9.0, serial=0xCAFE),
        0x48: Ads1115(values),
        0x50: Eeprom(),
        0x59: Sgp41(values, powered_s=9.0),
        0x62: Scd41(values, powered_s=9.0),
        0x69: Sps30(values, powered_s=9.0),
        0x6B: Sen66(values, powered_s=9.0),
        0x76: Bme280(values),
        0x77: Bme688(values),
    }
    kernel = I2cKernel(chips)
    with I2cServer(kernel, folder / "bus"):
        yield kernel, f"sim:{folder}/bus"


@contextlib.contextmanager
def on_a_port(name: str) -> Iterator[str]:
    """The counterpart of a driver, as fast as it goes."""
    before = simrunner.MORE.get(name)
    simrunner.MORE[name] = {**(before or {}), **SPEED.get(name, {})}
    try:
        with simrunner.run_sim(sim_request(drivers.spec(name), {}), "pty") as found:
            yield found.bus["port"]
    finally:
        del simrunner.MORE[name]
        if before is not None:
            simrunner.MORE[name] = before


@contextlib.contextmanager
def device(name: str) -> Iterator[Any]:
    """The counterpart of a serial driver itself, as fast as it goes, on a pseudo-terminal."""
    make: Any = import_module(f"drivers.sim.{name}").DEVICE
    wish = sim_request(drivers.spec(name), {})
    more = {**simdevice.powered_for(name, make), **SPEED.get(name, {})}
    with make(simrunner.measured_values(wish), **more) as made:
        yield made


@contextlib.contextmanager
def on_a_line(units: dict[int, str]) -> Iterator[str]:
    """Meters by their units."""
    slaves = {}
    for unit, name in units.items():
        points = drivers.build(name, None, {"unit": unit}).points  # type: ignore[union-attr]
        slaves[unit] = MeterServer(name, typical(points), unit)
    with MeterRtu(slaves) as line:
        yield line.port


def no_tick(step: str, seconds: float, more_s: float = 0.0) -> None:
    """Nobody looks how far it is."""
