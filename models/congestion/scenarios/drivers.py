"""Draws who drives on a street, and in which weather: no two streets have the same drivers.

What a driver does is drawn for each street from wide ranges (domain randomisation): how cars follow
each other (Krauss or IDM, and some under adaptive cruise control), how late drivers react, how far
from the limit they drive and how much they differ in it, how hard they brake and accelerate, how
willingly they change lanes, and which share are trucks, vans and motorcycles. Ranges: SUMO's
defaults (documentation, "Vehicle Type Parameter Defaults") lie inside all of them.

Weather makes everybody slower and keeps them further apart. Free speeds and capacities are those
of the Highway Capacity Manual (6th edition, chapter 11: weather adjustment factors of freeways),
rounded: light rain 0.98 of the speed, heavy rain 0.93, light snow 0.88, heavy snow 0.84, low
visibility 0.94.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

CYCLE: Final = "cycle"  # a bicycle among the others
BUS: Final = "bus"
GENERAL: Final = ("car", "acc", "long", "van", "truck", "motorcycle")
"""The traffic whose density and speed make the truth: no bicycles, and no buses at their stops."""


class Weather(NamedTuple):
    """`often` is how often it is drawn; `pace` a share of the speed, `apart` times the distance."""

    name: str
    often: float
    pace: float
    apart: float
    brakes: float  # a share of what drivers do on a dry road


WEATHERS: Final = (
    Weather("dry", 0.60, 1.0, 1.0, 1.0),
    Weather("light rain", 0.18, 0.98, 1.07, 0.95),
    Weather("heavy rain", 0.08, 0.93, 1.16, 0.85),
    Weather("fog", 0.06, 0.94, 1.12, 0.95),
    Weather("light snow", 0.05, 0.88, 1.10, 0.75),
    Weather("heavy snow", 0.03, 0.84, 1.28, 0.6),
)


class Population(NamedTuple):
    """Who drives: vehicle types as SUMO reads them, and what a plan must know of them.

    `headway_s` is the time between vehicles of saturated traffic, `pace` how fast they drive in
    this weather as a share of what they would in good weather. `cycle` and `bus` are types.
    """

    mix: str
    headway_s: float
    pace: float
    weather: str
    truck_share: float


def draw_weather(random: np.random.Generator) -> Weather:
    shares = np.array([weather.often for weather in WEATHERS])
    return WEATHERS[int(random.choice(len(WEATHERS), p=shares / shares.sum()))]


def draw_population(
    random: np.random.Generator, limit_ms: float, trucks: tuple[float, float]
) -> Population:
    """Drivers and weather of one street. `trucks` is between which shares trucks are drawn."""
    weather = draw_weather(random)
    truck_share = float(random.uniform(*trucks))
    motorcycles = float(random.uniform(0.003, 0.05))
    vans = float(random.uniform(0.03, 0.15))
    rest = 1 - truck_share - motorcycles - vans
    long = rest * float(random.uniform(0.08, 0.3))  # pick-ups and large cars
    assisted = rest * (float(random.uniform(0.02, 0.2)) if random.random() < 0.4 else 0.0)
    tau = float(random.uniform(0.9, 1.5)) * weather.apart
    idm = bool(random.random() < 0.35)
    # Who decides once a second must keep more than a second away.
    late = bool(random.random() < 0.4) and tau > 1.15
    general = _temper(random, weather, idm, late, limit_ms)
    truck_m = float(random.uniform(9.0, 16.5))
    rows = [
        ("car", "passenger", random.uniform(4.1, 4.8), 2.5, tau, 1.0, 60.0, rest - long - assisted),
        ("long", "passenger", random.uniform(4.9, 5.8), 2.5, tau * 1.05, 1.0, 60.0, long),
        ("van", "delivery", random.uniform(5.6, 7.2), 2.5, tau * 1.1, 0.98, 45.0, vans),
        ("truck", "truck", truck_m, 2.5, tau * random.uniform(1.15, 1.45), 0.92,
         25.0 if limit_ms > 20 else 22.0, truck_share),
        ("motorcycle", "motorcycle", 2.2, 1.5, tau * 0.9, 1.05, 60.0, motorcycles),
    ]  # fmt: skip
    types = [_vehicle(*row, weather, general) for row in rows]
    if assisted:
        # cruise control keeps a steady distance, which its driver has set
        keep = f'carFollowModel="ACC" tau="{random.uniform(1.0, 2.0):.2f}"'
        types.append(
            f'<vType id="acc" vClass="passenger" length="{rows[0][2]:.2f}" minGap="2.5" {keep} '
            f'maxSpeed="60" probability="{assisted:.4f}" '
            f'speedFactor="normc({weather.pace:.3f},0.05,0.65,1.3)"/>'
        )
    apart = tau * (1 + 0.3 * truck_share) * (1.15 if idm else 1.0)
    length_m = 7.0 + truck_share * truck_m
    headway = apart + length_m / min(0.75 * limit_ms * weather.pace, 20.0)
    return Population(
        f'<vTypeDistribution id="mix">{"".join(types)}</vTypeDistribution>{_others(random)}',
        float(headway), weather.pace, weather.name, truck_share,
    )  # fmt: skip


class _Temper(NamedTuple):
    """What all drivers of a street share."""

    model: str
    spread: float  # of speeds about what they would drive
    lean: float  # how much faster than the limit they drive on average
    lanes: str


def _temper(
    random: np.random.Generator, weather: Weather, idm: bool, late: bool, limit_ms: float
) -> _Temper:
    brakes = float(random.uniform(3.5, 5.0)) * weather.brakes
    pull = float(random.uniform(1.8, 3.2)) * (0.5 + 0.5 * weather.brakes)
    how = f'accel="{pull:.2f}" decel="{brakes:.2f}" actionStepLength="{1.0 if late else 0.5}"'
    if idm:
        model = f'carFollowModel="IDM" {how}'
    else:
        model = f'sigma="{random.uniform(0.2, 0.75):.2f}" {how}'
    lanes = (
        f'lcStrategic="{random.uniform(1.0, 4.0):.2f}" '
        f'lcCooperative="{random.uniform(0.6, 1.0):.2f}" '
        f'lcSpeedGain="{random.uniform(0.5, 1.5):.2f}" '
        f'jmTimegapMinor="{random.uniform(0.8, 1.6):.2f}" '
        f'impatience="{random.uniform(0.0, 0.4):.2f}"'
    )
    lean = float(random.uniform(0.92, 1.08 if limit_ms > 20 else 1.04))
    return _Temper(model, float(random.uniform(0.05, 0.15)), lean, lanes)


def _vehicle(
    name: str,
    vehicle_class: str,
    length_m: float,
    gap_m: float,
    tau: float,
    factor: float,
    top: float,
    share: float,
    weather: Weather,
    temper: _Temper,
) -> str:
    middle = factor * temper.lean * weather.pace
    return (
        f'<vType id="{name}" vClass="{vehicle_class}" length="{length_m:.2f}" minGap="{gap_m}" '
        f'tau="{tau:.2f}" maxSpeed="{top}" probability="{share:.4f}" {temper.model} '
        f'{temper.lanes} speedFactor="normc({middle:.3f},{temper.spread:.3f},'
        f'{0.65 * weather.pace:.2f},{1.35 * weather.pace:.2f})"/>'
    )


def _others(random: np.random.Generator) -> str:
    """Types that do not belong to the mix: buses and bicycles."""
    bus_m = 18.0 if random.random() < 0.3 else 12.0
    return (
        f'<vType id="{BUS}" vClass="bus" length="{bus_m}" minGap="2.5" accel="1.2" maxSpeed="25"/>'
        f'<vType id="{CYCLE}" vClass="bicycle" length="1.8" width="0.7" minGap="0.7" '
        f'maxSpeed="{random.uniform(4.5, 7.0):.2f}" speedFactor="normc(1.0,0.1,0.7,1.3)" '
        f'latAlignment="right"/>'
    )
