"""A crossing with two lanes and two devices, and scenarios of it."""

from pathlib import Path

from edge.rig.scenario import About, Fault, Scenario, Traffic, Value, Vehicle

HEAD = """
[site]
id = "crossing"
gateway = "gw-1"
[uplink]
url = "mqtt://broker.example"
[bus.loops]
kind = "gpio"
"""
LANE = """
[lane.{name}]
approach = "north"
bus = "loops"
lead = "GPIO{lead}"
trail = "GPIO{trail}"
spacing_m = 4.0
"""
DEVICES = """
[bus.meters]
kind = "modbus-rtu"
port = "/dev/ttyUSB0"
[device.meter]
driver = "sdm120"
bus = "meters"
unit = 1
every_s = 10
[bus.air]
kind = "i2c"
[device.hut]
driver = "sht4x"
bus = "air"
every_s = 10
"""
CROSSING = HEAD + LANE.format(name="north_1", lead=17, trail=27) + (
    LANE.format(name="north_2", lead=22, trail=23) + DEVICES
)  # fmt: skip


def scenario(
    folder: Path, duration_s: float, *faults: Fault, text: str = CROSSING, seed: int = 1,
    per_hour: float = 300.0, vehicles: tuple[Vehicle, ...] = (), values: tuple[Value, ...] = (),
) -> Scenario:  # fmt: skip
    """One of a crossing with two lanes and two devices. Its site file is written into `folder`."""
    (folder / "site.toml").write_text(text, "utf-8")
    traffic = (Traffic(lanes=("north_1", "north_2"), per_hour=per_hour),) if per_hour else ()
    return Scenario(
        file=str(folder / "scenario.toml"),
        about=About(name="a crossing", site="site.toml", duration_s=duration_s, seed=seed),
        traffic=traffic, vehicles=vehicles, values=values, faults=faults,
    )  # fmt: skip
