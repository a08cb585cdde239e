"""Tunes what weighs the measures against each other, one number after the other.

Surprise and log odds of every sample are taken once; a trial only weighs them anew. What is tuned
for: NAB's score at the best threshold and at ours, on the files of NAB that are tuned on, and the
F1 of labelled faults with few false alarms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.anomaly import faultscores, nab
from models.anomaly.labelledseries import Series
from models.anomaly.layout import Params

TEACHES: Final = 60  # as in the formula
MOST_NATS: Final = 20.0
GRID: Final = np.concatenate([np.linspace(2, 12, 60), np.linspace(12.5, 30, 20)])
FACTORS: Final = (0.5, 0.7, 0.85, 1.15, 1.4, 2.0)
BIASES: Final = (-1.5, -0.7, -0.3, 0.3, 0.7, 1.5)
LOUDER: Final = (1.05, 1.1, 1.2, 1.3, 1.5)
AGEING: Final = (0.0, 0.15, 0.3, 0.5, 0.8)
STUCK: Final = 14  # its weight is a promise: twelve repeats are told; it is not tuned
FEW: Final = 0.2  # false alarms per 1,000 samples that cost nothing
COST: Final = 0.7
LABELLED: Final = 1.5  # what F1 counts against NAB's score
OURS: Final = 0.25  # what NAB's score at our threshold counts against that at the best

Known = tuple[NDArray[Any], NDArray[Any]]  # surprise [T, 15], log odds [T]


@dataclass(frozen=True)
class TuningData:
    """What trials are made with: files of NAB and labelled series, each with what is known."""

    files: Sequence[nab.NabFile]
    of_files: Sequence[Known]
    series: Sequence[Series]
    of_series: Sequence[Known]
    worths: Sequence[Any]  # of the files, as `nab.worth` gives them


def tuning_data(
    files: Sequence[nab.NabFile], series: Sequence[Series], known: Sequence[Known]
) -> TuningData:
    """`known` is that of the files, then that of the series."""
    worths = [nab.detection_worths(file) for file in files]
    return TuningData(files, known[: len(files)], series, known[len(files) :], worths)


@dataclass(frozen=True)
class Trial:
    """What a set of parameters is worth: NAB at the best threshold, at ours, and faults."""

    best: float
    ours: float
    tally: faultscores.FaultTally

    @property
    def worth(self) -> float:
        faults = self.tally.f1 - COST * max(0.0, self.tally.wrong_per_1000 - FEW)
        return ((1 - OURS) * self.best + OURS * self.ours) / 100 + LABELLED * faults


def surprise(known: Known, p: Params) -> NDArray[Any]:
    """The largest surprise of each sample, in nats: `formula.whole`'s `r`."""
    nats, odds = known
    at = np.arange(len(odds))
    learned = np.clip(odds * p.learned_gain + p.learned_bias, 0, MOST_NATS) * (at > TEACHES)
    top = np.maximum((nats * np.asarray(p.gains)).max(axis=1), learned)
    return np.asarray(np.maximum(top - _grown(len(odds), p), 0.0))


def _grown(length: int, p: Params) -> NDArray[Any]:
    return np.asarray(p.ageing * np.log(np.clip(np.arange(length), 50, p.oldest) / 1000))


def surprise_above(r: NDArray[Any], p: Params) -> NDArray[Any]:
    """The surprise of those samples that are told, 0 of the others."""
    out, peak = np.zeros(len(r)), 0.0
    rest = np.exp(-1.0 / np.clip(p.rest * np.arange(len(r)), p.rest_min, p.rest_max)).tolist()
    for i, (value, fades) in enumerate(zip(r.tolist(), rest, strict=True)):
        peak *= fades
        if value > p.louder * peak:
            out[i] = value
        peak = max(peak, min(value, p.loudest))
    return out


def levels(r: NDArray[Any], p: Params) -> NDArray[Any]:
    """As the formula has them."""
    out, level = np.zeros(len(r)), 0.0
    raw = 1 / (1 + np.exp(-p.slope * (r - p.alarm)))
    for i, value in enumerate(raw.tolist()):
        level = max(value, level * p.hold + value * (1 - p.hold))
        out[i] = level
    return out


def _raw(windows: int, alarms: NDArray[Any], worths: Any) -> float:
    """As `nab.raw`, with what `nab.worth` gives known."""
    probation, window, adds = worths
    alarms = alarms[alarms >= probation]
    inside = window[alarms]
    best = np.full(windows + 1, -1.0)
    np.maximum.at(best, inside, adds[alarms])  # what is outside goes to the last place
    return float(adds[alarms[inside < 0]].sum() + best[:windows].sum())


def try_parameters(m: TuningData, p: Params) -> Trial:
    curve = np.zeros(len(GRID))
    ours, count = 0.0, sum(len(f.windows) for f in m.files)
    for file, known, worths in zip(m.files, m.of_files, m.worths, strict=True):
        clipped = surprise_above(surprise(known, p), p)
        at = np.flatnonzero(clipped >= GRID[0])
        *scores, own = (
            _raw(len(file.windows), at[clipped[at] >= limit], worths) for limit in (*GRID, p.alarm)
        )
        curve += scores
        ours += own
    tally = faultscores.FaultTally()
    for series, known in zip(m.series, m.of_series, strict=True):
        r = surprise(known, p)
        onset = np.where(surprise_above(r, p) >= p.alarm, 1.0, 0.0)
        faultscores.add_series(
            tally,
            series,
            faultscores.alarm_samples(onset, levels(r, p), faultscores.ON, faultscores.OFF),
        )
    scale = 100 / (2 * count)
    return Trial(scale * (float(curve.max()) + count), scale * (ours + count), tally)


def tune_parameters(m: TuningData, p: Params, rounds: int) -> Params:
    """Each number in turn, kept where it is worth more."""
    best = try_parameters(m, p).worth
    for _ in range(rounds):
        before = best
        for option in range(len(p.gains) + 6):
            if option == STUCK:
                continue
            for changed in _options(p, option):
                worth = try_parameters(m, changed).worth
                if worth > best + 1e-4:
                    best, p = worth, changed
        print(f"worth {best:.4f}", flush=True)
        if best - before < 0.002:
            break
    return p


def _options(p: Params, which: int) -> list[Params]:
    if which < len(p.gains):
        values = [round(p.gains[which] * f, 3) for f in FACTORS]
        return [replace(p, gains=(*p.gains[:which], v, *p.gains[which + 1 :])) for v in values]
    match which - len(p.gains):
        case 0:
            return [replace(p, learned_bias=round(p.learned_bias + d, 3)) for d in BIASES]
        case 1:
            return [replace(p, learned_gain=round(p.learned_gain * f, 3)) for f in FACTORS]
        case 2:
            return [replace(p, rest=round(p.rest * f, 4)) for f in FACTORS]
        case 3:
            return [replace(p, rest_min=float(np.ceil(p.rest_min * f))) for f in FACTORS]
        case 4:
            return [replace(p, louder=v) for v in LOUDER]
        case _:
            return [replace(p, ageing=v) for v in AGEING]
