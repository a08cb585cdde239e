"""What a line of RS-485 cannot carry is told before it is wired."""

from pathlib import Path

import pytest

import drivers
from edge.config import ModbusRtuBus, Site, load_site
from edge.gateway.linebudget import line_warnings, reading_time_s

HEAD = """
[site]
id = "a"
gateway = "b"
[uplink]
url = "mqtts://broker.example"
confirm = "broker"
[bus.meters]
kind = "modbus-rtu"
port = "/dev/serial0"
baud = {baud}
"""
METER = """
[device.m{unit}]
driver = "sdm630"
bus = "meters"
unit = {unit}
every_s = {every_s}
"""


def told(folder: Path, meters: int, every_s: float, baud: int = 9600) -> list[str]:
    text = HEAD.format(baud=baud)
    text += "".join(METER.format(unit=n + 1, every_s=every_s) for n in range(meters))
    (folder / "site.toml").write_text(text, encoding="utf-8")
    site: Site = load_site(folder / "site.toml", drivers.catalogue())
    built = {
        name: drivers.build(one.driver, None, one.options, one.points or ())
        for name, one in site.devices.items()
    }
    return [problem.text for problem in line_warnings(site, built)]


def test_ten_large_meters_each_second_are_too_many_at_9600(tmp_path: Path) -> None:
    (text,) = told(tmp_path, 10, 1.0)
    assert "one reading of its 10 devices takes" in text
    assert "raise baud" in text


@pytest.mark.parametrize(("meters", "every_s", "baud"), [(1, 1.0, 9600), (10, 60.0, 9600)])
def test_what_fits_is_not_mentioned(meters: int, every_s: float, baud: int, tmp_path: Path) -> None:
    assert told(tmp_path, meters, every_s, baud) == []


def test_the_time_is_that_of_the_characters() -> None:
    """One request for ten registers: 20 + 20 characters of ten bits, and the turnaround."""
    bus = ModbusRtuBus(port="/dev/x", baud=9600)
    assert reading_time_s([10], bus) == pytest.approx(40 * 10 / 9600 + 0.005)
    even = ModbusRtuBus(port="/dev/x", baud=19200, parity="E")
    assert reading_time_s([10, 10], even) == pytest.approx(2 * (40 * 11 / 19200 + 0.005))
