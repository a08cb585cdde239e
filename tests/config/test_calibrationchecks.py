"""Calibrations and gas cells: each rule broken once, and what is said."""

import datetime

import pytest

from edge.config.model import Cell
from edge.config.valuerules import model_rules
from edge.core import Stamp, TimeQuality
from edge.gateway.calibrationsetup import (
    calibration_record,
    device_cells,
    device_corrections,
    expired_points,
)
from edge.process.aan803 import TABLES
from edge.process.calibration import Correction, InputPoint
from tests.config.conftest import RIGHT, Read, Wrong
from tests.kit.clock import FLOOR, NONE, NTP, RTC

BUSES = """
[bus.air]
kind = "i2c"
[device.hut]
driver = "sen55"
bus = "air"
[device.gas]
driver = "adc"
bus = "air"
[device.door]
driver = "s0"
bus = "loops"
line = "GPIO4"
"""
PM = """
[calibration.pm]
device = "hut"
point = "pm2_5"
by = "City laboratory"
on = 2026-03-02
certificate = "K-2026-0117"
until = 2027-03-01
offset = -0.4
gain = 1.08
kappa = 0.35
humidity = "hut.humidity"
publish = "both"
"""
NO2 = """
[cell.no2]
device = "gas"
type = "NO2-B43F"
working = "a"
auxiliary = "b"
we_electronic_mv = 224.0
ae_electronic_mv = 226.0
we_zero_mv = 3
ae_zero_mv = 1.0
sensitivity_mv_ppb = 0.223
temperature = "hut.temperature"
by = "Alphasense"
on = 2026-01-15
"""
OX = NO2.replace("no2]", "o3]").replace("NO2-B43F", "OX-B431") + (
    'no2 = "gas.no2"\nno2_mv_ppb = 0.3\n'
)
ALL = RIGHT + BUSES + PM + NO2 + OX


def test_what_is_configured_is_what_the_engine_does(read: Read) -> None:
    site = read(ALL)
    humidity = InputPoint("hut", "humidity")
    assert device_corrections(site, "hut") == (
        Correction("pm2_5", (-0.4, 1.08), 0.35, humidity, keep_raw=True),
    )
    assert device_corrections(site, "gas") == ()
    made = {cell.point: cell for cell in device_cells(site, "gas")}
    assert made["no2"].cell.type == "NO2-B43F"
    assert made["o3"].no2 == InputPoint("gas", "no2")
    assert calibration_record(site, "hut")["pm2_5"]["until"] == "2027-03-01"
    assert calibration_record(site, "hut")["pm2_5"]["by"] == "City laboratory"


@pytest.mark.parametrize(
    ("day", "tq", "found"),
    [
        ("2027-03-01", NTP, {}),
        ("2027-03-02", NTP, {"hut": {"pm2_5"}}),
        ("2027-03-02", RTC, {"hut": {"pm2_5"}}),
        ("2027-03-02", FLOOR, {"hut": {"pm2_5"}}),  # the clock may be slow: it is later still
        ("2027-03-01", FLOOR, {}),
        ("2037-03-02", NONE, {}),
        ("1970-01-01", NONE, {}),
    ],
)
def test_it_counts_up_to_its_last_day_if_the_day_is_known(
    read: Read, day: str, tq: TimeQuality, found: dict[str, set[str]]
) -> None:
    wall = datetime.datetime.fromisoformat(f"{day}T12:00:00+00:00").timestamp()
    assert expired_points(read(ALL), Stamp(0, int(wall * 1e9), tq)) == found


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('device = "hut"', 'device = "hutt"', "calibration.pm.device: no device is called"),
        ('device = "hut"', 'device = "door"', "door is on a GPIO line and has no points"),
        ('point = "pm2_5"', 'point = "pm25"', "did you mean pm2_5?"),
        ('humidity = "hut.humidity"', 'humidity = "hut.rh"', 'hut has no point "rh"'),
        ('humidity = "hut.humidity"', 'humidity = "humidity"', "a device and a point of it"),
        ("kappa = 0.35\n", "", "calibration.pm.kappa: is missing; humidity needs it"),
        ("kappa = 0.35", "kappa = 3.5", "kappa: 3.5 is not between 0.01 and 1.5"),
        ("gain = 1.08", "polynomial = [0.0, 1.0]", "offset: polynomial already includes this"),
        ("2027-03-01", "2025-03-01", "until: 2025-03-01 lies before 2026-03-02"),
        ("2027-03-01", '"2027-03-01"', "a date such as 2027-03-31, without quotes"),
        ("2027-03-01", "2027-03-01T00:00:00Z", "a date such as 2027-03-31, without quotes"),
        ("[calibration.pm]", PM.replace(".pm]", ".b]") + "[calibration.pm]",
         "calibration.b corrects hut.pm2_5 already"),
        ("[cell.no2]", "[cell.c]", "is no point of"),
        ("no2_mv_ppb = 0.3\n", "", "cell.o3.no2_mv_ppb: is missing; no2 needs it"),
        ('"OX-B431"', '"NO-B4"', "is for cells of the types OX-A431 and OX-B431, not NO-B4"),
        ('"OX-B431"', '"OX-B43"', "did you mean OX-B431?"),
        ('working = "a"', 'working = "e"', 'gas has no point "e"'),
        ('auxiliary = "b"', 'auxiliary = "a"', "auxiliary: a is the input of the working"),
        ("gain = 1.08", "gain = 0", "calibration.pm.gain: 0 makes every value the same"),
        ("offset = -0.4\ngain = 1.08", "polynomial = [5.0]", "polynomial: makes every value the"),
        ("offset = -0.4\ngain = 1.08", "polynomial = [5.0, 0.0]", "makes every value the same"),
        ('no2 = "gas.no2"', 'no2 = "gas.o3"', "cell.o3.no2: is this cell itself; a cell of the"),
        ('no2 = "gas.no2"', 'no2 = "hut.no2"', 'cell.o3.no2: hut has no point "no2"'),
        ("NO2-B43F", "NO-B4", "cell.o3.no2: cell.no2 is of the type NO-B4; NO2-A43F or NO2-B43F"),
    ],
)  # fmt: skip
def test_one_thing_is_wrong(wrong: Wrong, old: str, new: str, message: str) -> None:
    problems = wrong(ALL.replace(old, new, 1))
    if (
        message == "is no point of"
    ):  # the cell is called as an input of its own; the ozone misses it
        assert len(problems) == 2
        assert any("has a point of this name already" in problem for problem in problems)
        assert any('cell.o3.no2: gas has no point "no2"' in problem for problem in problems)
        return
    assert len(problems) == 1, problems
    assert message in problems[0]


def test_cells_that_need_each_other_hang_on_one_device(wrong: Wrong) -> None:
    other = '[device.gas2]\ndriver = "adc"\nbus = "air"\naddress = 0x49\n'
    (problem,) = wrong(
        RIGHT + BUSES + other + NO2 + OX.replace('device = "gas"', 'device = "gas2"')
    )
    assert "cell.o3.no2: cell.no2 is wired to another device; wire both cells to one" in problem


def test_a_calibration_that_does_nothing_is_an_error(wrong: Wrong) -> None:
    nothing = PM.split("offset")[0]
    assert "does not say what to do" in wrong(RIGHT + BUSES + nothing)[0]


def test_a_polynomial_has_an_end(wrong: Wrong) -> None:
    long = PM.replace("offset = -0.4\ngain = 1.08", f"polynomial = {[1.0] * 9}")
    assert "more than 8 coefficients" in wrong(RIGHT + BUSES + long)[0]
    text = PM.replace("offset = -0.4\ngain = 1.08", 'polynomial = ["1.0"]')
    assert '"1.0" does not fit; a number belongs here' in wrong(RIGHT + BUSES + text)[0]


def test_a_point_that_is_not_read_cannot_be_corrected(wrong: Wrong) -> None:
    some = ALL.replace('driver = "sen55"', 'driver = "sen55"\npoints = ["humidity"]')
    problems = wrong(some)
    assert 'hut has no point "pm2_5" (of those in device.hut.points)' in problems[0]
    assert len(problems) == 3  # and the temperature of both cells


def test_every_type_of_cell_has_its_table() -> None:
    assert set(model_rules(Cell)["type"].choices) == set(TABLES)
