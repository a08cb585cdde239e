"""Sound series of one-minute windows as a cabinet has them: what no alarm may come of.

Loads that something switches, curves of a clean day, and the lanes of a road from its first day
on. Only the spikes of `spiked` are faults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.infer.seriesfeatures import SeriesKey
from models.anomaly.labelledseries import MONDAY, Floats, Series, SeriesFault

A_DAY: Final = 1440
DAYS: Final = 21
SPIKES: Final = 10.0  # deviations of the noise
FIRST_SPIKE: Final = 7  # days

Load = Callable[[Floats, np.random.Generator], NDArray[Any]]


@dataclass(frozen=True)
class CabinetSite:
    """Series that one gateway judges together; neighbours have one `group`."""

    name: str
    series: Mapping[SeriesKey, Series]
    groups: Mapping[SeriesKey, str]
    road: bool = False


def switched_loads(seed: int, days: int = DAYS) -> CabinetSite:
    """Lighting, dimmed lighting, a compressor, a heater, a pump, a signal's lamps."""
    minutes = np.arange(days * A_DAY, dtype=np.float64)
    series = {}
    for name, load in LOADS.items():
        rng = np.random.default_rng([seed, *name.encode()])
        share = load(minutes, rng)  # of each minute and level
        values = np.maximum(share + rng.normal(0, 1, len(share)) * 0.004 * share, 0.0)
        series[name, "power"] = _series(f"{name} {seed}", values, 1.0)
    return CabinetSite("switched loads", series, {})


def clean_curves(seed: int, days: int = DAYS) -> CabinetSite:
    """A smooth course of the day with little noise: temperature, pressure, level, voltage."""
    at = np.arange(days * A_DAY, dtype=np.float64) / A_DAY
    series = {}
    for name, swing, noise, quantum in (
        ("temperature", 8.0, 0.05, 0.01), ("pressure", 3.0, 0.05, 0.01),
        ("level", 200.0, 2.0, 0.0), ("voltage", 4.0, 0.4, 0.1),
    ):  # fmt: skip
        rng = np.random.default_rng([seed, *name.encode()])
        heights = np.interp(at, np.arange(days + 2), rng.uniform(0.8, 1.2, days + 2))
        wander = np.interp(at, np.arange(days + 2), np.cumsum(rng.normal(0, 0.15, days + 2)))
        course = heights * np.sin(2 * np.pi * (at - 0.35)) + wander
        values = 10 * swing + swing * course + rng.normal(0, noise, len(at))
        series[name, "value"] = _series(f"{name} {seed}", values, quantum)
    return CabinetSite("clean curves", series, {})


def spiked(site: CabinetSite, seed: int) -> CabinetSite:
    """A spike of one to three minutes and of ten deviations of the noise each day, up or down."""
    out = {}
    for key, one in site.series.items():
        rng = np.random.default_rng([seed, *one.name.encode()])
        values, faults = one.values.copy(), []
        noise = float(np.std(np.diff(values, 2))) / np.sqrt(6)
        for day in range(FIRST_SPIKE, len(values) // A_DAY):
            first = day * A_DAY + int(rng.integers(60, A_DAY - 60))
            last = first + int(rng.integers(1, 4))
            values[first:last] += rng.choice([-1, 1]) * SPIKES * noise
            faults.append(SeriesFault(first, last, "spike"))
        out[key] = replace(one, values=values, faults=tuple(faults))
    return replace(site, name="clean curves, spikes", series=out)


def road_lanes(seed: int, days: int = DAYS) -> CabinetSite:
    """21 lanes of seven approaches: vehicles an hour, occupancy, speed; few vehicles at night."""
    minute = np.arange(days * A_DAY)
    hour, day = minute % A_DAY / 60, minute // A_DAY
    weekend = day % 7 >= 5
    peaks = np.exp(-(((hour - 8) / 1.5) ** 2)) + 1.1 * np.exp(-(((hour - 17) / 2.0) ** 2))
    plain = np.exp(-(((hour - 14) / 4.0) ** 2))
    course = 0.03 + np.where(weekend, 0.6 * plain, 0.75 * peaks + 0.4 * plain)
    series, groups = {}, {}
    for approach in range(7):
        rng = np.random.default_rng([seed, approach])
        busy = course * rng.uniform(3, 9) * np.repeat(rng.uniform(0.85, 1.15, days), A_DAY)
        free, passage_s = rng.uniform(40, 60), rng.uniform(0.5, 0.9)
        cycle = rng.uniform(0.6, 1.4, len(minute))  # how much green the minute had
        for lane in range(3):
            count = rng.poisson(busy * cycle * (1.1 - 0.2 * lane))
            speed = free * (1 - 0.25 * course) + rng.normal(0, 5, len(minute)) / np.sqrt(
                np.maximum(count, 1)
            )
            slow = free / np.maximum(speed, 5)
            stays = passage_s * count * slow * rng.gamma(8, 1 / 8, len(speed))
            source = f"lane_{approach}_{lane}"
            for point, values, quantum in (
                ("volume", count * 60.0, 60.0),
                ("occupancy", np.clip(stays / 60, 0, 1), 0.0001),
                ("speed", np.where(count > 0, speed, np.nan), 0.0),
            ):
                series[source, point] = _series(f"{source} {point} {seed}", values, quantum)
                groups[source, point] = f"{approach}/{point}"
    return CabinetSite("road, 21 lanes", series, groups, road=True)


def _series(name: str, values: NDArray[Any], quantum: float) -> Series:
    if quantum:
        values = np.round(values / quantum) * quantum
    wall = np.asarray(MONDAY + 60.0 * np.arange(len(values)), np.float64)
    return Series(name, np.asarray(values, np.float64), (), quantum, wall)


def _on(minutes: Floats, spans: list[tuple[float, float]]) -> Floats:
    """The share of each minute that lies in one of the spans, which do not meet."""
    out = np.zeros(len(minutes))
    for begin, end in spans:
        out += np.clip(np.minimum(minutes + 1, end) - np.maximum(minutes, begin), 0, 1)
    return out


def _nights(minutes: Floats, rng: np.random.Generator) -> list[tuple[float, float]]:
    """From dusk to dawn, which move by a minute or two a day, and by the weather."""
    days = int(minutes[-1] // A_DAY) + 2
    dusk, dawn, moves = rng.uniform(1000, 1250), rng.uniform(300, 450), rng.uniform(-2, 2)
    return [
        (
            (day - 1) * A_DAY + dusk - moves * day + rng.normal(0, 3),
            day * A_DAY + dawn + moves * day + rng.normal(0, 3),
        )
        for day in range(days)
    ]


def _lighting(minutes: Floats, rng: np.random.Generator) -> Floats:
    return rng.uniform(200, 2000) * _on(minutes, _nights(minutes, rng))


def _dimmed(minutes: Floats, rng: np.random.Generator) -> Floats:
    watts, nights = rng.uniform(200, 2000), _nights(minutes, rng)
    deep = [(day * A_DAY - 60.0, day * A_DAY + 270.0) for day in range(len(nights))]
    return watts * (_on(minutes, nights) - 0.5 * _on(minutes, deep))


def _compressor(minutes: Floats, rng: np.random.Generator) -> Floats:
    spans, at = [], 0.0
    while at < minutes[-1]:
        on_for = rng.uniform(6, 12)
        spans.append((at, at + on_for))
        at += on_for + rng.uniform(15, 40)
    return 12 + rng.uniform(80, 300) * _on(minutes, spans)


def _heater(minutes: Floats, rng: np.random.Generator) -> Floats:
    """A thermostat in cold nights; not every night is cold."""
    spans = []
    for begin, end in _nights(minutes, rng):
        at = begin + 120 if rng.random() < 0.7 else end
        while at < end - 30:
            on_for = rng.uniform(4, 15)
            spans.append((at, at + on_for))
            at += on_for + rng.uniform(10, 60)
    return 35 + rng.uniform(100, 800) * _on(minutes, spans)


def _pump(minutes: Floats, rng: np.random.Generator) -> Floats:
    """A few minutes, a few times a day, when there is water."""
    spans, at = [], 0.0
    while at < minutes[-1]:
        at += rng.exponential(300) + 30
        spans.append((at, at := at + rng.uniform(3, 6)))
    return 4 + rng.uniform(300, 1100) * _on(minutes, spans)


def _signal(minutes: Floats, rng: np.random.Generator) -> Floats:
    """Lamps of a signal: much the same in each minute, less when it blinks from 23 to 5."""
    watts = rng.uniform(150, 500)
    days = int(minutes[-1] // A_DAY) + 2
    blinks = _on(minutes, [(day * A_DAY - 60.0, day * A_DAY + 300.0) for day in range(days)])
    return watts * (1 - 0.6 * blinks) * (1 + 0.02 * rng.normal(0, 1, len(minutes)))


LOADS: Final[Mapping[str, Load]] = {
    "lighting": _lighting, "dimmed": _dimmed, "compressor": _compressor, "heater": _heater,
    "pump": _pump, "signal": _signal,
}  # fmt: skip


def learnt_from(seed: int) -> list[Series]:
    """Sound series of a cabinet to train with: all but most of the lanes."""
    days = 14
    lanes = list(road_lanes(seed, days).series.values())[::7]
    loads, curves = switched_loads(seed, days), clean_curves(seed, days)
    return [*loads.series.values(), *curves.series.values(), *lanes]
