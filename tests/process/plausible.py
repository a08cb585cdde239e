"""Devices of every class as a street sees them: their own points, and values that fit together."""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import drivers
from drivers.meters.register_map import list_maps, load_register_map
from drivers.sim.meter import MeterLoad
from edge.core.point import Point
from edge.core.quality import Reason
from edge.core.reading import Bad, Sample, sweep
from edge.core.record import Draft, Stream
from edge.process.engine import DeviceSetup, Engine
from tests.kit.asread import as_read
from tests.kit.engine import MINUTE, S, events
from tests.kit.engine import setup as of

ABSENT: Final = Bad(Reason.ADDRESS)
GRAINS: Final[Mapping[str, Mapping[str, float]]] = {  # what a telegram does not tell any finer
    "dsmr": {"current": 1.0, "power": 1.0, "voltage": 0.1, "energy": 0.001},
    "sml": {"power": 1.0, "voltage": 0.1, "current": 0.01, "energy": 0.0001},
    "iec62056": {"power": 10.0, "voltage": 0.1, "current": 0.01, "energy": 0.001},
    "dlt645": {"power": 0.1, "voltage": 0.1, "current": 0.001, "energy": 0.01},
    "em24": {"energy": 0.1}, "em340": {"energy": 0.1},
    "b23": {"energy": 0.01}, "mbus": {"energy": 0.001},
}  # fmt: skip
Values = dict[str, float]
Twist = Callable[[Values, float], Values]


def points_of(driver: str) -> tuple[Point, ...]:
    """All that a driver tells."""
    if driver in list_maps():
        return tuple(register.point for register in load_register_map(driver).registers)
    return tuple(drivers.chip(driver).DRIVER.points)


class Coarse(MeterLoad):
    """Takes a load as constant for longer than the simulator of the wire does: for long days."""

    STEP_S = 15.0

    def values(self) -> Values:
        while (left_s := self._clock() - self._start_s - self._at_s) > 1e-9:
            self._advance(min(left_s, self.STEP_S))
        return self._figures()


@dataclass
class SweptMeter:
    """One device at a load, in virtual time; `twist` is what is wrong with how it is installed."""

    driver: str
    amps: Callable[[float], tuple[float, ...]] = lambda _: (4.0, 5.0, 6.0)
    twist: Twist = lambda values, _: values
    every_s: float = 10.0
    phases: int = 3
    noise: random.Random = field(default_factory=lambda: random.Random(7))
    now_s: float = 0.0

    def __post_init__(self) -> None:
        self.points = points_of(self.driver)
        self.load = Coarse(self.phases, self.amps, clock=lambda: self.now_s)
        self.grains = GRAINS.get(self.driver, {})
        self.engine = Engine(of(self.setup))
        self.engine.start(0)
        self.reported: list[Draft] = []
        self.windows: list[Mapping[str, Any]] = []

    @property
    def setup(self) -> DeviceSetup:
        return DeviceSetup("meter", Stream.ENERGY, self.points, self.every_s)

    def values(self) -> Values:
        values = self.load.values()
        for key in ("energy_import", "energy_export"):
            values[key + "_t1"] = values[key]
        if self.driver in ("dsmr",):  # two tariffs, and no register of both
            del values["energy_import"], values["energy_export"]
        return self.twist(values, self.now_s)

    def sample(self, point: Point, values: Values) -> Sample:
        value = values.get(point.key)
        if value is None:
            return ABSENT
        stem = point.key.split("_")[0]
        grain = self.grains.get(stem, point.step)
        value = round(value / grain) * grain
        return value if point.low <= value <= point.high else Bad(Reason.RANGE)

    def sweep(self, at_s: float) -> None:
        self.now_s = at_s
        values = self.values()
        row = [self.sample(point, values) for point in self.points]
        self.engine.sweeps([sweep("meter", round(at_s * S), row)])

    def run(self, minutes: int) -> list[Draft]:
        """Go on for so long; all events of that time."""
        reported: list[Draft] = []
        first = len(self.windows)
        for minute in range(first, first + minutes):
            count = round(60 / self.every_s) if self.every_s <= 60 else 0
            for n in range(count):
                self.sweep(minute * 60 + n * self.every_s + 0.5)
            if not count and minute % round(self.every_s / 60) == 0:
                self.sweep(minute * 60 + 0.5)
            drafts = self.engine.close((minute + 1) * MINUTE)
            (record,) = [each for each in drafts if each.stream is not Stream.EVENT]
            self.windows.append(as_read(record)["points"])
            reported += events(drafts)
        self.reported += reported
        return reported

    def quality(self, key: str) -> Mapping[str, int]:
        """Of the last window."""
        return self.windows[-1][key]["quality"]  # type: ignore[no-any-return]


def faults(reported: list[Draft]) -> list[tuple[str, str]]:
    return [
        (as_read(each)["fault"], as_read(each)["state"])
        for each in reported
        if "fault" in as_read(each)
    ]


def steps(at_s: float) -> tuple[float, float, float]:
    """Loads that come and go: lamps, a heater that switches each three minutes, nothing at all."""
    hour = at_s / 3600 % 24
    heater = 9.0 if at_s % 180 < 70 else 0.0
    lamps = 3.0 if hour < 6 or hour > 18 else 0.0
    return lamps + 0.3, heater + 0.02, 0.0 if at_s % 7200 < 3600 else 1.2


def sunny(at_s: float) -> tuple[float, float, float]:
    """A generator on one phase; about noon more flows out than in."""
    hour = (6 + at_s / 3600) % 24
    sun = max(0.0, math.sin((hour - 6) / 12 * math.pi)) * (1 - 0.7 * (at_s % 600 < 200))
    return 1.5 - 16 * sun, 2.0, 0.8


def idle(at_s: float) -> tuple[float, float, float]:
    """Next to nothing, to and fro."""
    noise = random.Random(round(at_s))
    return noise.gauss(0, 0.02), noise.gauss(0, 0.02), noise.gauss(0, 0.02)


LOADS: Final = {"steps": steps, "sunny": sunny, "idle": idle}
