"""`kerbstone doctor` on the wires: what is wrong in a cabinet is said, and what to do."""

import errno
import json
from typing import Any

import pytest

from drivers.sim.bme280 import Bme280
from drivers.sim.gpio import SimChip
from drivers.sim.i2c import I2cKernel
from drivers.sim.meter_rtu import MeterRtu
from edge.core import Bad, Point, Quantity, Reason, Sample, sweep
from edge.diagnose.doctorpage import LINES_ONLY
from edge.diagnose.exam import reading_findings
from tests.cli.doctor.cabinet import AIR, LOOPS, PLACES, QUICK, Site, reported, sht4x
from tests.kit.command import Command


def test_a_site_that_is_well_is_fine(
    kerbstone: Command, wired: Site, air: I2cKernel, meters: MeterRtu, chip: SimChip
) -> None:
    air.chips = {0x44: sht4x()}
    file = wired(AIR, LOOPS, QUICK, words=(meters.port,))
    said = kerbstone("doctor", "--check", "wires", "--config", file)
    assert said.code == 0, said.out
    assert said.lines == [
        "read on the wires; the daemon does not run",
        "ok       bus_port hut", "ok       bus_line hut", *device_is_ok("hut/hut_air"),
        "ok       bus_port loops", "ok       gpio_lines loops/north_1",
        "ok       bus_port meters", "ok       bus_line meters",
        *device_is_ok("meters/main"), *device_is_ok("meters/shop"), LINES_ONLY,
    ]  # fmt: skip
    assert json.loads(kerbstone("doctor", "hut", "--config", file, "--json").out)["fine"] == [
        "hut_air"
    ]
    assert said.err == ""  # no progress where nobody sees it


def device_is_ok(about: str) -> list[str]:
    found = ("device_answers", "device_reports", "device_values")
    return [f"ok       {check} {about}" for check in found]


def test_a_sensor_at_its_other_address_is_found_there(
    kerbstone: Command, wired: Site, air: I2cKernel
) -> None:
    air.chips = {0x45: sht4x()}  # it acknowledges no bare read: a walk alone would not see it
    file = wired(AIR)
    said = kerbstone("doctor", "--check", "wires", "--config", file)
    assert said.code == 1
    line = file.read_text().splitlines().index("[device.hut_air]") + 1
    assert (
        f"fault    device_answers hut/hut_air (site.toml:{line}): no device answers at 0x44"
        in said.out
    )
    assert "\n         set address = 0x45" in said.out


def test_another_chip_at_the_address_is_named(
    kerbstone: Command, wired: Site, air: I2cKernel
) -> None:
    air.chips = {0x76: Bme280({"temperature": 20.0})}
    said = kerbstone(
        "doctor",
        "--check",
        "wires",
        "--config",
        wired(AIR.replace('"sht4x"', '"bme688"')),
        "--json",
        "hut",
    )
    assert said.code == 1
    assert "at 0x76" in reported(said, "hut_air")
    assert 'set driver = "bme280"' in reported(said, "hut_air")


def test_a_stuck_bus_is_said_once_and_its_devices_point_to_it(
    kerbstone: Command, wired: Site, air: I2cKernel
) -> None:
    air.fault = errno.ETIMEDOUT
    said = kerbstone("doctor", "--check", "wires", "--config", wired(AIR), "--json")
    assert said.code == 1
    assert "is stuck: a device holds SCL or SDA low" in reported(said, "")
    assert (
        reported(said, "hut_air")
        == "note: it cannot answer until the fault of bus hut is cleared | "
    )


def test_a_line_that_somebody_holds_and_a_chip_that_is_not_there(
    kerbstone: Command, wired: Site, chip: SimChip
) -> None:
    file = wired(LOOPS.replace('"lead"', '"gone"'))
    said = kerbstone("doctor", "--check", "wires", "--config", file, "--json")
    assert said.code == 1
    assert "line gone" in reported(said, "north_1")
    chip.close()
    said = kerbstone("doctor", "--check", "wires", "--config", file, "--json")
    assert "no simulator serves" in reported(said, "")
    assert "not checked: first clear the fault of bus loops" in reported(said, "north_1")


def test_a_bay_and_a_contact_of_a_signal_are_looked_at_too(
    kerbstone: Command, wired: Site, chip: SimChip
) -> None:
    said = kerbstone("doctor", "--check", "wires", "--config", wired(LOOPS, PLACES), "--json")
    assert (said.code, json.loads(said.out)["fine"]) == (0, ["north_green", "north_1", "bakery"])
    assert kerbstone("doctor", "bakery", "--config", wired(LOOPS, PLACES)).code == 0
    file = wired(LOOPS, PLACES.replace('"spare"', '"gone"'))
    said = kerbstone("doctor", "bakery", "--config", file, "--json")
    assert said.code == 1
    assert "line gone" in reported(said, "bakery")
    [line] = {f["line"] for f in json.loads(said.out)["findings"] if f["device"] == "bakery"}
    assert file.read_text(encoding="utf-8").split("\n")[line - 1] == "[bay.bakery]"


class TwoPoints:
    """A device that is never asked here."""

    points = tuple(Point(key, Quantity.TEMPERATURE, low=-40, high=80) for key in "ab")

    async def open(self) -> None: ...

    async def read(self) -> tuple[Sample, ...]:
        raise AssertionError("nobody asks it")

    async def close(self) -> None: ...


@pytest.mark.parametrize(
    ("samples", "severity", "words"),
    [
        ((1.0, Bad(Reason.ADDRESS)), "warning", "1 of 2 points have no value (address): b"),
        ((Bad(Reason.FAULT), Bad(Reason.FAULT)), "fault", "2 of 2 points have no value (fault)"),
        ((Bad(Reason.STALE), Bad(Reason.STALE)), "note", "it has no values yet"),
    ],
)
def test_points_without_a_value_are_named(
    samples: tuple[Any, ...], severity: str, words: str
) -> None:
    [found] = reading_findings(TwoPoints(), sweep("x", 0, samples))
    assert found.severity == severity
    assert words in str(found)
