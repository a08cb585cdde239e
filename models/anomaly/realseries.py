"""Real series with the times of their samples: to learn from, to choose by, to report.

Read from the folders that the public sets come in (`air_beijing`, `air_uci`,
`energy_household_sample`, `traffic_i94`). The parts share no stretch of time of Beijing's stations
and of the motorway; the sensors of the Italian road and of the household are shared out by name.
Times are local, as they are written: the model only asks which hours are alike.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from models.anomaly.faultinjection import injure_series, marked_samples
from models.anomaly.labelledseries import Floats, Series

HOUR_S: Final = 3600.0
BEIJING: Final = ("PM2.5", "PM10", "SO2", "NO2", "CO", "O3", "TEMP", "PRES", "DEWP", "WSPM")
BEIJING_BEGINS: Final = datetime(2013, 3, 1, tzinfo=UTC).timestamp()
# of the Italian road: sensors of the same air, so a part has each of them once
ITALY: Final = {
    "learn": ("CO(GT)", "NOx(GT)", "PT08.S1(CO)", "T"),
    "choose": ("C6H6(GT)", "PT08.S2(NMHC)", "RH"),
    "report": ("NO2(GT)", "PT08.S3(NOx)", "PT08.S4(NO2)", "PT08.S5(O3)", "AH"),
}
HOUSEHOLD: Final = {
    "learn": ("Global_reactive_power", "Sub_metering_3"),
    "choose": ("Sub_metering_2",),
    "report": ("Voltage",),
}
HOUSEHOLD_BEGINS: Final = datetime(2006, 12, 16, 17, 24, tzinfo=UTC).timestamp()  # as UCI has it
MOTORWAY_SEEN: Final = 16_000  # rows that the labelled series has
# stations and rows of each part: none of them sees another's weather
STATIONS: Final = {
    "learn": (("Changping", "Gucheng"), 0, 12_000),
    "choose": (("Dongsi",), 12_000, 23_000),
    "report": (("Huairou", "Wanliu"), 23_000, 36_000),
}


@dataclass(frozen=True)
class RealSeries:
    """The three parts, sound as far as anyone knows."""

    learn: list[Series]
    choose: list[Series]
    report: list[Series]


def load_real(folder: Path) -> RealSeries:
    """Raises FileNotFoundError when a folder is missing."""
    parts = {part: list(_part(folder, part)) for part in STATIONS}
    return RealSeries(parts["learn"], parts["choose"], parts["report"])


def has_real(folder: Path) -> bool:
    return (folder / "air_beijing").is_dir()


def with_faults(series: Sequence[Series], seed: int) -> list[Series]:
    """Each with faults of all kinds, drawn by its name and this seed."""
    out = []
    for one in series:
        rng = np.random.default_rng([seed, *one.name.encode()])
        out.append(injure_series(one, marked_samples(one), rng))
    return out


def labelled_walls(series: Sequence[Series], folder: Path | None) -> list[Series]:
    """The labelled series with their times: they begin where the sets begin that they were made
    from. Those of the motorway have gaps, and are only known where its own set is at hand."""
    out = []
    for one in series:
        count = len(one.values)
        wall: Floats | None = None
        if one.name.startswith(("no2_", "pm25_")):
            wall = _steps(BEIJING_BEGINS, HOUR_S, count)
        elif one.name == "household_power":
            wall = _steps(HOUSEHOLD_BEGINS, 60.0, count)
        elif one.name == "i94" and folder is not None:
            wall = _motorway(folder)[1][:count]
        out.append(replace(one, wall=wall))
    return out


def _part(folder: Path, part: str) -> Iterator[Series]:
    stations, first, last = STATIONS[part]
    for station in stations:
        columns = _columns(folder / "air_beijing" / f"PRSA_{station}.csv.gz")
        for name in BEIJING:
            values = _numbers(columns[name])[first:last]
            wall = _steps(BEIJING_BEGINS + HOUR_S * first, HOUR_S, len(values))
            yield Series(f"{station} {name}", values, (), wall=wall)
    columns = _columns(folder / "air_uci" / "AirQualityUCI_first70.csv.gz")
    wall = np.asarray(
        [
            datetime.strptime(f"{day} {time}", "%d/%m/%Y %H:%M:%S").replace(tzinfo=UTC).timestamp()
            for day, time in zip(columns["Date"], columns["Time"], strict=True)
        ],
        np.float64,
    )
    for name in ITALY[part]:
        yield Series(f"Italy {name}", _numbers(columns[name]), (), wall=wall)
    columns = _columns(folder / "energy_household_sample" / "household_first10000min.csv.gz")
    for name in HOUSEHOLD[part]:
        values = _numbers(columns[name])
        wall = _steps(HOUSEHOLD_BEGINS, 60.0, len(values))
        yield Series(f"household {name}", values, (), wall=wall)
    if part == "report":
        values, wall = _motorway(folder)
        yield Series("I-94", values[MOTORWAY_SEEN:], (), wall=wall[MOTORWAY_SEEN:])


def _motorway(folder: Path) -> tuple[Floats, Floats]:
    columns = _columns(folder / "traffic_i94" / "i94_to_2017-06.csv.gz")
    wall = [datetime.fromisoformat(f"{t}+00:00").timestamp() for t in columns["date_time"]]
    return _numbers(columns["traffic_volume"]), np.asarray(wall, np.float64)


def _columns(path: Path) -> dict[str, list[str]]:
    """The file's columns by name."""
    with gzip.open(path, "rb") as file:
        rows = list(csv.reader(io.TextIOWrapper(file, "utf-8")))
    return dict(zip(rows[0], map(list, zip(*rows[1:], strict=True)), strict=True))


def _numbers(cells: Sequence[str]) -> Floats:
    return np.asarray([np.nan if cell in ("", "NA", "?") else float(cell) for cell in cells])


def _steps(first_s: float, step_s: float, count: int) -> Floats:
    return np.asarray(first_s + step_s * np.arange(count), np.float64)
