"""A site and scenarios on it for the tests of the rig: two lanes, an air sensor and a meter."""

from pathlib import Path
from typing import Any, Final

import drivers
from edge.config import Site, load_site
from edge.rig.scenario import About, Scenario

SITE: Final = """
[site]
id = "s"
gateway = "gw-1"
period_s = 2
[uplink]
url = "mqtts://broker.example:8883"
confirm = "broker"
encoding = "json"
last_s = 1
[bus.loops]
kind = "gpio"
[lane.north_1]
approach = "north"
bus = "loops"
lead = "GPIO17"
trail = "GPIO27"
spacing_m = 4.0
loop_m = 2.0
[lane.north_2]
approach = "north"
bus = "loops"
lead = "GPIO22"
trail = "GPIO23"
spacing_m = 4.0
loop_m = 2.0
[bus.air]
kind = "i2c"
[device.hut]
driver = "sht4x"
bus = "air"
every_s = 1.0
[bus.meters]
kind = "modbus-rtu"
port = "/dev/ttyUSB0"
[device.main_meter]
driver = "sdm120"
bus = "meters"
unit = 1
every_s = 1.0
"""
SIGNAL: Final = """
[lane.south_1]
approach = "south"
bus = "loops"
position = "stop"
lead = "GPIO5"
[device.green]
driver = "contact"
bus = "loops"
line = "GPIO6"
phase = { approach = "south", colour = "green" }
"""


def write_site(folder: Path, more: str = "") -> Path:
    file = folder / "site.toml"
    file.write_text(SITE + more, encoding="utf-8")
    return file


def read_site(folder: Path, more: str = "") -> Site:
    return load_site(write_site(folder, more), drivers.catalogue())


def scenario(
    folder: Path, duration_s: float = 60.0, *, seed: int = 1, settle_s: float = 10.0, **tables: Any
) -> Scenario:
    """One whose site file lies in `folder`."""
    about = About(
        name="test", site="site.toml", duration_s=duration_s, settle_s=settle_s, seed=seed
    )
    return Scenario(file=str(folder / "scenario.toml"), about=about, **tables)
