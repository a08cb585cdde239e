"""Breaks sound stretches of real series as sensors do, so that there is enough to learn from.

Only series that are tuned on are used. A copy may be bent, halved, turned round or cut before, so
that the network does not learn these few series by heart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.anomaly.labelledseries import Floats, Series, SeriesFault

KINDS: Final = ("spike", "stuck", "dropout", "noise", "shift", "drift", "scale")
EVERY: Final = 500  # samples from fault to fault
START: Final = 400
YOUNG: Final = 150  # samples from which nothing is learnt
AFTER: Final = 2  # samples after a fault that are part of it
RETURN: Final = 12  # samples after it of which nothing is said
ROOM: Final = 30  # samples between a fault of ours and what was there before


@dataclass(frozen=True)
class TrainingSeries:
    """A series, what each sample is (1 wrong, 0 sound, -1 not said), and how much it counts."""

    series: Series
    truth: NDArray[np.int8]
    weight: Floats


def training_series(
    series: Series, avoid: NDArray[np.bool_], rng: np.random.Generator
) -> TrainingSeries:
    """A copy with new faults, none where `avoid` says that something is there already."""
    if rng.random() < 0.5:
        series, avoid = _bent(series, avoid, rng)
    return broken_series(series, avoid, rng)


def unchanged_series(series: Series, avoid: NDArray[np.bool_]) -> TrainingSeries:
    """The series itself; of what `avoid` marks nothing is said."""
    truth = np.where(avoid, -1, 0).astype(np.int8)
    truth[:YOUNG] = -1
    return TrainingSeries(series, truth, np.ones(len(truth)))


def marked_samples(series: Series, windows: Sequence[tuple[int, int]] = ()) -> NDArray[np.bool_]:
    """Where the series has faults or windows (first, last) already, or nothing at all."""
    out = ~np.isfinite(series.values)
    for fault in series.faults:
        out[fault.first : fault.last + RETURN] = True
    for first, last in windows:
        out[first : last + 1] = True
    return out


def _bent(
    series: Series, avoid: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[Series, NDArray[np.bool_]]:
    x, wall = series.values.copy(), series.wall
    pick: Any = np.arange(len(x))
    if rng.random() < 0.25:
        pick = pick[::-1]
    if rng.random() < 0.25 and len(pick) > 3000:
        pick = pick[int(rng.integers(0, 2)) :: 2]
    if len(pick) > 2500 and rng.random() < 0.5:
        pick = pick[int(rng.integers(0, len(pick) // 3)) :]
    x, avoid = x[pick], avoid[pick]
    wall = None if wall is None else wall[pick]
    low, high = float(np.nanmin(x)), float(np.nanmax(x))
    if rng.random() < 0.5 and high > low:
        x = low + (high - low) * ((x - low) / (high - low)) ** rng.uniform(0.55, 1.4)
        if series.quantum == 0 and rng.random() < 0.7:
            x = np.round(x, int(rng.integers(0, 2)) if high - low > 30 else 3)
    if rng.random() < 0.2:
        x = x + rng.uniform(0, 3) * np.nanstd(x)
    return replace(series, values=x, wall=wall), avoid


def injure_series(series: Series, avoid: NDArray[np.bool_], rng: np.random.Generator) -> Series:
    """The series with new faults beside those that it has, none where `avoid` forbids it."""
    x = series.values.copy()
    whole = float(np.mean(series.values == np.round(series.values))) > 0.8
    sd, middle = max(float(np.nanstd(x)), 1e-9), float(np.nanmedian(x))
    faults = list(series.faults)
    at = START + int(rng.integers(0, EVERY))
    while at < len(x) - 120:
        kind = KINDS[int(rng.integers(0, len(KINDS)))]
        length = {"spike": int(rng.integers(1, 4)), "dropout": int(rng.integers(6, 31))}.get(
            kind, int(rng.integers(12, 90))
        )
        end = at + length
        if end + RETURN < len(x) and not avoid[max(0, at - ROOM) : end + ROOM].any():
            _break(x[at:end], kind, sd, middle, rng)
            if whole and rng.random() < 0.5:
                x[at:end] = np.round(x[at:end])  # nothing is to be learnt from fractions
            faults.append(SeriesFault(at, end, kind))
        at += int(EVERY * rng.uniform(0.6, 1.4))
    return replace(series, values=x, faults=tuple(faults))


def broken_series(
    series: Series, avoid: NDArray[np.bool_], rng: np.random.Generator
) -> TrainingSeries:
    """What `avoid` marks is not said; of the new faults each sample is known."""
    injured = injure_series(series, avoid, rng)
    broken = unchanged_series(injured, avoid)
    for fault in injured.faults[len(series.faults) :]:
        first, last = fault.first, fault.last
        broken.truth[last + AFTER : last + RETURN] = -1
        broken.truth[first : last + AFTER] = 1
        broken.weight[first : last + AFTER] = 1.0 / np.sqrt(last - first + AFTER)
    broken.truth[:YOUNG] = -1
    return broken


def _break(
    part: NDArray[Any], kind: str, sd: float, middle: float, rng: np.random.Generator
) -> None:
    """Sizes in deviations of the series, as sensors and the labelled series show them."""
    sign, count = rng.choice([-1, 1]), len(part)
    match kind:
        case "spike":
            part += sign * sd * rng.uniform(1.8, 4.6) + rng.normal(0, 0.05 * sd, count)
        case "stuck":
            part[:] = part[0]
        case "dropout":
            lows = (0.0, middle - sd * rng.uniform(2.5, 8), part[0], -200.0)
            part[:] = lows[int(rng.choice(4, p=[0.35, 0.35, 0.05, 0.25]))]
        case "noise":
            part += rng.normal(0, sd * rng.uniform(0.5, 1.6), count)
        case "shift":
            part += sign * sd * rng.uniform(0.8, 2.3)
        case "drift":
            part += sign * sd * rng.uniform(1.2, 3.5) * np.arange(count) / count
        case "scale":
            part *= rng.uniform(0.4, 0.6) if rng.random() < 0.5 else rng.uniform(1.5, 2.2)
        case _:
            raise ValueError(kind)
