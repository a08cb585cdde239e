"""A small catalogue of drivers, and a file that is right, to be broken in one place."""

import datetime
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from edge.cli import check
from edge.config import Problems, Site, load_site
from edge.core.driver import DriverSpec, Option, SerialLine
from tests.kit.clock import NTP, VirtualClock

EVEN = SerialLine(2400, 8, "E", 1)
CATALOGUE: Mapping[str, DriverSpec] = {
    spec.name: spec
    for spec in (
        DriverSpec(
            "sen55",
            "i2c",
            {"settle_reads": Option(int, 30, 0, 600)},
            address=0x69,
            points=("pm2_5", "humidity", "temperature"),
        ),
        DriverSpec("adc", "i2c", {"address": Option(int, 0x48)}, points=("a", "b", "c", "d")),
        DriverSpec("sps30", "i2c", {}, address=0x69),
        DriverSpec("sht3x", "i2c", {"address": Option(int, 0x44, 0x44, 0x45)}),
        DriverSpec("pms5003", "serial"),
        DriverSpec("mbus", "serial", {"address": Option(int, 0, 0, 250)}, line=EVEN),
        DriverSpec("canoga", "serial", {"address": Option(int, 0, 0, 15)}),
        DriverSpec(
            "sdm120",
            "modbus",
            {
                "unit": Option(int, low=1, high=247),
                "positive": Option(str, "import", choices=("import", "export")),
            },
            points=("voltage_l1", "power", "energy_import"),
            directed=True,
        ),
        DriverSpec("sdm630", "modbus", {"unit": Option(int, low=1, high=247)}),
        DriverSpec("loop", "gpio", {"line": Option(str)}),
        DriverSpec(
            "contact",
            "gpio",
            {"line": Option(str), "event": Option(str, "contact", choices=("door", "contact"))},
        ),
        DriverSpec(
            "s0",
            "gpio",
            {
                "line": Option(str),
                "imp_per_kwh": Option(int, 1000, 1, 1_000_000),
                "active": Option(str, "low", choices=("low", "high")),
                "debounce_s": Option(float, 0.01, 0.0, 0.029),
            },
        ),
    )
}

RIGHT = """\
[site]
id = "stadtmitte"
gateway = "gw-0001"

[uplink]
url = "mqtt://localhost"
confirm = "broker"

[bus.loops]
kind = "gpio"

[lane.north_1]
approach = "north"
bus = "loops"
lead = "GPIO17"
"""

Read = Callable[[str], Site]
Wrong = Callable[[str], list[str]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Load a text as a file."""

    def load_text(text: str) -> Site:
        path = tmp_path / "site.toml"
        path.write_text(text, encoding="utf-8")
        return load_site(path, CATALOGUE)

    return load_text


@pytest.fixture
def on_day(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`check` runs on this day: certificates end."""

    def run_on(day: str) -> None:
        clock = VirtualClock(tq=NTP)
        clock.set_wall(datetime.datetime.fromisoformat(f"{day}T12:00:00+00:00"))
        monkeypatch.setattr(check, "SystemClock", lambda: clock)

    return run_on


@pytest.fixture
def wrong(read: Read) -> Wrong:
    """What is wrong with a text: `line: key: text`, in the order of lines."""

    def problems(text: str) -> list[str]:
        with pytest.raises(Problems) as caught:
            read(text)
        return [f"{p.line}: {p.key}: {p.text}" for p in caught.value.problems]

    return problems
