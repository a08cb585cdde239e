"""From a site to what is made of it: bicycles are no congestion, a loop card is no air."""

from pathlib import Path

import pytest

import drivers
from edge.config import load_site
from edge.core import ConfigError, Stream
from edge.gateway.wiring import Wiring

SITE = """\
[site]
id = "quay"
gateway = "gw-1"
[uplink]
url = "mqtt://localhost"
confirm = "broker"
[bus.loops]
kind = "gpio"
[bus.cards]
kind = "serial"
port = "/dev/ttyS7"
[bus.dust]
kind = "serial"
port = "/dev/ttyS8"
[bus.meters]
kind = "modbus-tcp"
host = "localhost"
[device.card]
driver = "canoga"
bus = "cards"
address = 3
every_s = 0.25
[device.hut_air]
driver = "zh03b"
bus = "dust"
[device.main_meter]
driver = "sdm120"
bus = "meters"
unit = 1
[lane.north_1]
approach = "north"
bus = "loops"
lead = "GPIO17"
[lane.track]
approach = "north"
bus = "loops"
lead = "GPIO22"
trail = "GPIO23"
spacing_m = 1.5
loop_m = 0.8
kind = "bicycle"
"""


def wired(tmp_path: Path, site: str = SITE) -> Wiring:
    path = tmp_path / "site.toml"
    path.write_text(site)
    return Wiring.of(load_site(path, drivers.catalogue()))


def test_a_track_of_bicycles_is_measured_and_not_judged_for_congestion(tmp_path: Path) -> None:
    wiring = wired(tmp_path)
    setup = wiring.setup()
    assert [(lane.name, lane.kind, lane.paired) for lane in setup.lanes] == [
        ("north_1", "vehicle", False),
        ("track", "bicycle", True),
    ]
    judged = wiring._judged(setup, hurry=True).lanes
    assert [(lane.name, lane.judged) for lane in judged] == [("north_1", True), ("track", False)]


def test_each_device_is_in_the_stream_of_what_it_measures(tmp_path: Path) -> None:
    assert {each.name: each.stream for each in wired(tmp_path).setup().devices} == {
        "card": Stream.TRAFFIC,
        "hut_air": Stream.AIR,
        "main_meter": Stream.ENERGY,
    }


def test_a_meter_that_is_mounted_backwards_is_turned_and_the_engine_knows(tmp_path: Path) -> None:
    site = SITE.replace("unit = 1", "unit = 1\nreversed = true\namps = 20000", 1)
    (meter,) = (d for d in wired(tmp_path, site).setup().devices if d.name == "main_meter")
    (plain,) = (d for d in wired(tmp_path).setup().devices if d.name == "main_meter")
    assert (meter.backwards, plain.backwards) == (True, False)
    keys = [point.key for point in plain.points]
    turned = [point.key for point in meter.points]
    at = keys.index("energy_import")
    assert (turned[at], turned[keys.index("energy_export")]) == ("energy_export", "energy_import")
    assert plain.max_power_w is None
    assert meter.max_power_w is not None
    assert meter.max_power_w > 5e6, "what the site says of its transformers counts"


def test_only_what_the_site_says_is_a_fault_of_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("of the program")

    with pytest.raises(ConfigError, match=r"site.toml.*spacing_m"):
        wired(tmp_path, SITE.replace("spacing_m = 1.5", "spacing_m = 0.2")).pipeline()
    monkeypatch.setattr("edge.infer.judge.Incidents", broken)
    with pytest.raises(ValueError, match="of the program") as found:
        wired(tmp_path).pipeline()
    assert not isinstance(found.value, ConfigError)
