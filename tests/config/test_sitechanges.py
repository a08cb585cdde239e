"""What differs between two configurations, key by key, as people read it."""

from pathlib import Path

import pytest

import drivers
from edge.config import Site, load_site
from edge.config.sitechanges import site_changes

SITE = """
[site]
id = "quay"
gateway = "gw-1"
name = "Kai"
[uplink]
url = "mqtt://a.example:1883"
confirm = "broker"
[bus.hut]
kind = "i2c"
[device.hut_air]
driver = "sht4x"
bus = "hut"
address = 0x44
name = "Hütte"
[bus.meters]
kind = "modbus-tcp"
host = "192.0.2.9"
[device.main]
driver = "sdm120"
bus = "meters"
unit = 1
[bus.loops]
kind = "gpio"
[lane.north_1]
approach = "north"
bus = "loops"
lead = "GPIO17"
trail = "GPIO18"
spacing_m = 4.0
"""


def site(folder: Path, text: str = SITE) -> Site:
    file = folder / "site.toml"
    file.write_text(text, "utf-8")
    return load_site(file, drivers.catalogue())


def told(folder: Path, text: str) -> list[str]:
    return [str(each) for each in site_changes(site(folder), site(folder, text))]


def test_what_only_looks_different_is_no_change(tmp_path: Path) -> None:
    written = SITE.replace("[site]", "# a remark\n[site]").replace(
        'kind = "i2c"', 'kind = "i2c"\npath = "/dev/i2c-1"  # the default'
    )
    assert told(tmp_path, written) == []
    first, rest = SITE.split("[bus.hut]")
    assert told(tmp_path, f"[bus.hut]{rest}{first}") == [], "nor another order"


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ("0x44", "0x45", "device.hut_air.address (Hütte): 0x44 -> 0x45"),
        ('bus = "hut"\n', 'bus = "hut"\nevery_s = 5\n',
         "device.hut_air.every_s (Hütte): 1.0 -> 5.0 s"),
        ("spacing_m = 4.0", "spacing_m = 4.5", "lane.north_1.spacing_m: 4.0 -> 4.5 m"),
        ("a.example", "b.example",
         'uplink.url: "mqtt://a.example:1883" -> "mqtt://b.example:1883"'),
        ('"Kai"', '"Quai"', 'site.name: "Kai" -> "Quai"'),
        ('kind = "i2c"\n', 'kind = "i2c"\npath = "/dev/i2c-3"\n',
         'bus.hut.path: "/dev/i2c-1" -> "/dev/i2c-3"'),
    ],
)  # fmt: skip
def test_a_key_is_told_with_values_unit_and_name(
    tmp_path: Path, before: str, after: str, text: str
) -> None:
    assert told(tmp_path, SITE.replace(before, after)) == [text]


def test_a_table_that_comes_or_goes_is_told_as_one(tmp_path: Path) -> None:
    more = SITE + '[device.yard]\ndriver = "sht4x"\nbus = "hut"\naddress = 0x45\nname = "Hof"\n'
    assert told(tmp_path, more) == ["device yard (Hof) is new"]
    less = site_changes(site(tmp_path, more), site(tmp_path))
    assert [str(each) for each in less] == ["device yard (Hof) is removed"]
    assert less[0].removed
    assert not less[0].added


def test_a_secret_is_never_told(tmp_path: Path) -> None:
    meter = """
[bus.head]
kind = "serial"
port = "/dev/ttyUSB0"
[device.smart]
driver = "dlms"
bus = "head"
password = "{}"
"""
    one = site_changes(
        site(tmp_path, SITE + meter.format("12345678")),
        site(tmp_path, SITE + meter.format("87654321")),
    )
    assert [each.key for each in one] == ["device.smart.password"]
    text = f"{one[0]} {one[0].shown(one[0].after)}"
    assert "12345678" not in text
    assert "87654321" not in text
