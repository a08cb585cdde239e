"""What the streets of a fleet say each minute: lanes, air and a meter, as the contract declares it.

Bodies are made once, by the windows that make them in a gateway, and then drawn from: making each
anew would cost more than sending it. What is drawn depends on the seed, the gateway, the minute
and the source only, so a record that goes out again is the same, and nobody has to keep it.
"""

import random
from collections.abc import Mapping
from typing import Any, Final

from msgspec import UNSET

from edge.core import Point, Quantity, Stream
from edge.core.point import PointKind
from edge.process.gaugewindow import GaugeWindow
from edge.process.traffic.histogram import (
    LENGTH_BINS,
    PACE_TO_KMH,
    SPEED_BINS,
    TIME_BINS,
    HistogramCounts,
)
from edge.wire.contract.body import body_map
from edge.wire.contract.histogram import Lengths, Times
from edge.wire.contract.points import Air, Energy, Total
from edge.wire.contract.single import Tailgating
from edge.wire.contract.traffic import Lane

MINUTE_S: Final = 60
APPROACHES: Final = ("north", "east", "south", "west")
LANES_LIMIT: Final = 48
DRAWN: Final = 512  # bodies of a lane; of air and of the meter's gauges as many
AIR_SOURCE, METER_SOURCE = "hut_air", "main_meter"
LOOP_M: Final = 2.0
TAILGATE_MS: Final = 900
CLASSES: Final = (("very_short", 198), ("short", 655), ("medium", 1000), ("long", 1 << 30))
"""Names, and upper limits in cm."""

AIR_POINTS: Final = {
    "pm2_5": (Point("pm2_5", Quantity.MASS_CONCENTRATION, 0, 1000), 4.0, 60.0),
    "pm10": (Point("pm10", Quantity.MASS_CONCENTRATION, 0, 1000), 8.0, 90.0),
    "temperature": (Point("temperature", Quantity.TEMPERATURE, -40, 70), -5.0, 32.0),
    "humidity": (Point("humidity", Quantity.RELATIVE_HUMIDITY, 0, 100), 25.0, 95.0),
    "co2": (Point("co2", Quantity.CARBON_DIOXIDE, 0, 40_000), 410.0, 900.0),
}
"""Each with the lowest and the highest mean that is drawn."""
METER_POINTS: Final = {
    "voltage_l1": (Point("voltage_l1", Quantity.VOLTAGE, 0, 300), 224.0, 238.0),
    "current_l1": (Point("current_l1", Quantity.CURRENT, 0, 100), 0.7, 1.1),
    "power": (Point("power", Quantity.POWER, -100_000, 100_000), 150.0, 240.0),
    "frequency": (Point("frequency", Quantity.FREQUENCY, 45, 65), 49.9, 50.1),
}
REGISTER: Final = Point("energy_import", Quantity.ENERGY, 0, 999_999, kind=PointKind.TOTAL)
STEPS_A_MINUTE: Final = 4  # steps of the register (Wh), and up to SPREAD_STEPS more or less
SPREAD_STEPS: Final = 3

Body = Mapping[str, Any]
Place = int
"""Of a record in its minute: the lanes, then air, then the meter."""


class Street:
    """For all gateways of a fleet. `lanes` of each."""

    def __init__(self, lanes: int, seed: int) -> None:
        self.lanes = tuple(lane_name(number) for number in range(lanes))
        self.sources = (*self.lanes, AIR_SOURCE, METER_SOURCE)
        self.streams = (*(Stream.TRAFFIC for _ in self.lanes), Stream.AIR, Stream.ENERGY)
        rng = random.Random(f"street {seed}")
        drawn = [_lane(rng) for _ in range(DRAWN)]
        self._lanes = [
            [{"lane": name, "approach": name.partition("_")[0], **body} for body in drawn]
            for name in self.lanes
        ]
        self._air = [body_map(_air(rng)) for _ in range(DRAWN)]
        self._meter = [_gauges(METER_POINTS, rng) for _ in range(DRAWN)]
        self._meter_maps = [body_map(Energy(covered_s=60.0, points=one)) for one in self._meter]

    def __len__(self) -> int:
        """Records of a gateway in a minute."""
        return len(self.sources)

    def body(self, gateway: int, minute: int, place: Place) -> Body:
        """`gateway` is any number that is its own; `minute` is counted from 1970."""
        drawn = _mixed(gateway, minute, place)
        if place < len(self.lanes):
            return self._lanes[place][drawn % DRAWN]
        if place == len(self.lanes):
            return self._air[drawn % DRAWN]
        meter = self._meter_maps[drawn % DRAWN]
        return {**meter, "points": {**meter["points"], REGISTER.key: _register(gateway, minute)}}


def lane_name(number: int) -> str:
    """Lanes of four approaches in turn, each approach counted from 1."""
    return f"{APPROACHES[number % len(APPROACHES)]}_{number // len(APPROACHES) + 1}"


def _mixed(gateway: int, minute: int, place: int) -> int:
    """A number that looks drawn: the same for the same arguments (the end of MurmurHash3)."""
    found = (gateway * 0x9E3779B97F4A7C15 + minute * 0xBF58476D1CE4E5B9 + place) & (1 << 64) - 1
    found = (found ^ found >> 33) * 0xFF51AFD7ED558CCD & (1 << 64) - 1
    return (found ^ found >> 33) * 0xC4CEB9FE1A85EC53 >> 17 & 0xFFFF_FFFF


def _register(gateway: int, minute: int) -> Body:
    """It goes on where the minute before has ended, in any order of asking."""
    before, last = _steps(gateway, minute - 1), _steps(gateway, minute)
    step = REGISTER.step
    return body_map(
        Total(
            first=round(before * step, 3),
            last=round(last * step, 3),
            delta=round((last - before) * step, 3),
            step=step,
            quality={"good": MINUTE_S},
        )
    )


def _steps(gateway: int, minute: int) -> int:
    """Where the register stands at the end of a minute; it always grows."""
    return minute * STEPS_A_MINUTE + _mixed(gateway, minute, -1) % SPREAD_STEPS


def _gauges(points: Mapping[str, tuple[Point, float, float]], rng: random.Random) -> dict[str, Any]:
    found = {}
    for key, (point, low, high) in points.items():
        window, mean = GaugeWindow(point), rng.uniform(low, high)
        digits = max(0, len(f"{point.step:g}".partition(".")[2]))
        spread = (high - low) / 100
        window.good([round(rng.gauss(mean, spread), digits) for _ in range(MINUTE_S)])
        found[key] = window.body()
    return found


def _air(rng: random.Random) -> Air:
    return Air(covered_s=60.0, points=_gauges(AIR_POINTS, rng))


def _lane(rng: random.Random) -> Body:
    """A minute of a lane with a pair of loops; without `lane` and `approach`, which come first."""
    speeds, lengths = HistogramCounts(SPEED_BINS), HistogramCounts(LENGTH_BINS)
    headways, gaps = HistogramCounts(TIME_BINS), HistogramCounts(TIME_BINS)
    volume = min(28, int(rng.gammavariate(3.0, 4.0)))
    flow_ms = MINUTE_S * 1000 / max(volume, 1)
    on_us = close = 0
    classes: dict[str, int] = {}
    for _ in range(volume):
        speed = max(5.0, rng.gauss(48.0, 7.0))  # km/h
        length = int(100 * (rng.gauss(4.5, 0.4) if rng.random() < 0.9 else rng.uniform(7.0, 17.0)))
        speeds.add(round(speed * 10), round(PACE_TO_KMH / speed))
        lengths.add(length)
        over_ms = (length / 100 + LOOP_M) * 3600 / speed
        headway_ms = over_ms + max(300.0, rng.expovariate(1.0) * (flow_ms - over_ms))
        headways.add(round(headway_ms))
        gaps.add(round(headway_ms - over_ms))
        close += headway_ms - over_ms < TAILGATE_MS
        on_us += round(over_ms * 1000)
        name = next(name for name, limit in CLASSES if length < limit)
        classes[name] = classes.get(name, 0) + 1
    congested = round(rng.betavariate(1.0, 20.0), 3)
    lane = Lane(
        lane="north_1",
        approach="north",
        covered_s=60.0,
        volume=volume,
        occupancy=round(on_us / 60e6, 4),
        on_us=on_us,
        speed=speeds.speeds(),
        length=lengths.form(Lengths),
        headway=headways.form(Times),
        gap=gaps.form(Times),
        quality={"good": volume} if volume else {},
        health="ok",
        classes=classes or UNSET,
        tailgating=Tailgating(n=close, of=volume) if volume else UNSET,
        p_congested=congested,
        p_congested_5=congested,
        p_congested_15=congested,
    )
    body = dict(body_map(lane))
    del body["lane"], body["approach"]
    return body
