"""How many false alarms the checks raise over recorded days: `RECORDED=DIR` with the two sets.

`energy_household_sample` is seven days of a house, a reading a minute; `air_beijing` is four years
of five stations, PM2.5 and PM10 an hour, each measured by an instrument of its own.
"""

import csv
import gzip
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from edge.core.point import Point, PointKind, Quantity
from edge.core.quality import Reason
from edge.core.reading import Bad, Sample
from edge.core.record import Draft, Stream
from edge.process.engine import DeviceSetup
from tests.kit.asread import as_read
from tests.kit.engine import MINUTE, engine, events, sweeps

RECORDED = Path(os.environ.get("RECORDED", "."))
HOUSE = RECORDED / "energy_household_sample/household_first10000min.csv.gz"
STATIONS = sorted(RECORDED.glob("air_beijing/PRSA_*.csv.gz"))
METER = (
    Point("voltage_l1", Quantity.VOLTAGE, 0, 300),
    Point("current_l1", Quantity.CURRENT, 0, 100),
    Point("power", Quantity.POWER, -23_000, 23_000),
    Point("reactive_power", Quantity.REACTIVE_POWER, -23_000, 23_000),
    Point("energy_import", Quantity.ENERGY, 0, 1e6, kind=PointKind.TOTAL),
    Point("energy_export", Quantity.ENERGY, 0, 1e6, kind=PointKind.TOTAL),
)
SENSOR = tuple(Point(key, Quantity.MASS_CONCENTRATION, 0, 1000) for key in ("pm2_5", "pm10"))


def rows(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def number(text: str) -> Sample:
    try:
        return float(text)
    except ValueError:
        return Bad(Reason.SILENT)


def alarms(
    points: Sequence[Point], minutes: int, reported: Iterator[tuple[Sample, ...]]
) -> list[Draft]:
    """Of a device that is read so often, a window a reading."""
    made, found = engine(DeviceSetup("device", Stream.ENERGY, tuple(points), minutes * 60)), []
    for n, values in enumerate(reported):
        made.sweeps(sweeps("device", [(n * minutes * 60, values)]))
        found += events(made.close((n + 1) * minutes * MINUTE))
    return found


def of_the_house() -> Iterator[tuple[Sample, ...]]:
    kwh = 0.0
    for row in rows(HOUSE):
        kilo = [number(row[f"Global_{which}_power"]) for which in ("active", "reactive")]
        powers = [each * 1000 if isinstance(each, float) else each for each in kilo]
        kwh += powers[0] / 60_000 if isinstance(powers[0], float) else 0.0
        now = number(row["Voltage"]), number(row["Global_intensity"])
        yield (*now, *powers, round(kwh, 3), 0.0)


@pytest.mark.skipif(not HOUSE.is_file(), reason="RECORDED=DIR has no energy_household_sample/")
def test_a_house_brings_no_false_alarm() -> None:
    assert [as_read(each)["text"] for each in alarms(METER, 1, of_the_house())] == []


@pytest.mark.skipif(not STATIONS, reason="RECORDED=DIR has no air_beijing/")
def test_stations_bring_at_most_one_false_alarm_a_month() -> None:
    count, hours = 0, 0
    for path in STATIONS:
        reported = [(number(row["PM2.5"]), number(row["PM10"])) for row in rows(path)]
        found = [one for one in alarms(SENSOR, 60, iter(reported)) if as_read(one)["state"] == "on"]
        print(path.name, len(reported), "hours", len(found), "alarms")
        count, hours = count + len(found), hours + len(reported)
    assert count <= hours / 24 / 30
