"""Tunes what weighs the measures against each other, one number after the other.

Surprise and log odds of every sample are taken once; a trial only weighs them anew. What is tuned
for, all at the threshold that ships: NAB's score on the files that are tuned on, the F1 of labelled
faults with few false alarms, and no more than an alarm a month in sound series of one minute.
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
LEAST_NATS: Final = 2.0  # what is less odd is never told, and quiets nothing
FACTORS: Final = (0.5, 0.7, 0.85, 1.15, 1.4, 2.0)
BIASES: Final = (-1.5, -0.7, -0.3, 0.3, 0.7, 1.5)
LOUDER: Final = (1.05, 1.1, 1.2, 1.3, 1.5)
AGEING: Final = (0.0, 0.15, 0.3, 0.5, 0.8)
FIRST_DAY: Final = (2.0, 4.0, 6.0, 8.0)
DENSE: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
STUCK: Final = 14  # its weight is a promise: twelve repeats are told; it is not tuned
FEW: Final = 0.2  # false alarms per 1,000 samples that cost nothing
COST: Final = 0.7
LABELLED: Final = 1.5  # what F1 counts against NAB's score
A_MONTH: Final = 1 / 30  # false alarms per series and day that cost nothing, after the first day
A_DAY: Final = 1440
DEAR: Final = 2.0  # what each further one a day costs
FIRST: Final = 0.5  # and each on a first day


@dataclass(frozen=True)
class Known:
    """Of a series, sample by sample: what trials weigh."""

    nats: NDArray[Any]  # surprise [T, 15]
    odds: NDArray[Any]  # log odds [T]
    aside: NDArray[Any]  # calm, spike, young, dense, unsure [T, 5]


@dataclass(frozen=True)
class TuningData:
    """What trials are made with: files of NAB, labelled series, sound series of one minute."""

    files: Sequence[nab.NabFile]
    of_files: Sequence[Known]
    series: Sequence[Series]
    of_series: Sequence[Known]
    of_sound: Sequence[Known]
    worths: Sequence[Any]  # of the files, as `nab.worth` gives them


def tuning_data(
    files: Sequence[nab.NabFile], series: Sequence[Series], known: Sequence[Known]
) -> TuningData:
    """`known` is that of the files, then that of the series, then that of sound series."""
    worths = [nab.detection_worths(file) for file in files]
    ends = len(files), len(files) + len(series)
    of_series, of_sound = known[ends[0] : ends[1]], known[ends[1] :]
    return TuningData(files, known[: ends[0]], series, of_series, of_sound, worths)


@dataclass(frozen=True)
class Trial:
    """What a set of parameters is worth, all of it at the threshold that ships."""

    nab: float
    tally: faultscores.FaultTally
    first_day: float  # alarms per series on a first day
    a_day: float  # alarms per series and day afterwards

    @property
    def worth(self) -> float:
        faults = self.tally.f1 - COST * max(0.0, self.tally.wrong_per_1000 - FEW)
        sound = DEAR * max(0.0, self.a_day - A_MONTH) + FIRST * max(0.0, self.first_day - A_MONTH)
        return self.nab / 100 + LABELLED * faults - sound

    def __str__(self) -> str:
        return (
            f"worth {self.worth:.4f}: NAB {self.nab:.1f}, F1 {self.tally.f1:.3f} at "
            f"{self.tally.wrong_per_1000:.2f}, sound {self.first_day:.3f}, {self.a_day:.3f}"
        )


def surprise(known: Known, p: Params) -> NDArray[Any]:
    """The largest surprise of each sample, in nats: `r` of `formula.anomaly_step_in_full`."""
    at = np.arange(len(known.odds))
    calm, spike, young, dense, _ = known.aside.T
    learned = np.clip(known.odds * p.learned_gain + p.learned_bias, 0, MOST_NATS) * (at > TEACHES)
    weighed = known.nats * np.asarray(p.gains)
    top = np.maximum(weighed[:, :STUCK].max(axis=1), learned) * (1 - calm)
    grown = p.ageing * np.log(np.clip(at, 50, p.oldest) / 1000) + p.dense * dense
    most = np.maximum(np.maximum(top, weighed[:, STUCK]) - grown, spike * (1 - calm))
    return np.asarray(np.maximum(most - young * p.first_day, 0.0))


def surprise_above(r: NDArray[Any], p: Params) -> NDArray[Any]:
    """The surprise of those samples that are told, 0 of the others."""
    out, peak, before = np.zeros(len(r)), 0.0, 0.0
    fades = np.cumsum(1.0 / np.clip(p.rest * np.arange(len(r)), p.rest_min, p.rest_max))
    for i in np.flatnonzero(r >= LEAST_NATS).tolist():
        value = float(r[i])
        peak *= float(np.exp(before - fades[i]))
        before = float(fades[i])
        if value > p.louder * peak:
            out[i] = value
        peak = max(peak, min(value, p.loudest))
    return out


def thresholds(r: NDArray[Any], known: Known, p: Params) -> NDArray[Any]:
    """The nats at which a sample is told, where it could be: `formula.alarm_threshold`."""
    out, kept, before = np.full(len(r), p.alarm), 0.0, 0.0
    dense, unsure = known.aside[:, 3], known.aside[:, 4]
    fades = np.cumsum(np.exp(-dense) / p.quiet_rest)
    least = p.quiet_alarm + p.quiet_dense * dense
    for i in np.flatnonzero((r >= LEAST_NATS) | (unsure > 0)).tolist():
        kept = p.quiet_most if unsure[i] else kept * float(np.exp(before - fades[i]))
        before = float(fades[i])
        if i > p.quiet_young:
            out[i] = min(max(p.quiet_louder * kept, float(least[i])), p.alarm)
        kept = max(kept, min(float(r[i]), p.quiet_most))
    return out


def told_samples(known: Known, p: Params) -> NDArray[np.intp]:
    """Samples whose onset is one half or more."""
    r = surprise(known, p)
    return np.asarray(np.flatnonzero(surprise_above(r, p) >= thresholds(r, known, p)))


def flag_turns(known: Known, p: Params) -> NDArray[np.intp]:
    """Samples at which the flag goes on, as the formula and the daemon have it."""
    r = surprise(known, p)
    bars = thresholds(r, known, p)
    told = np.flatnonzero(surprise_above(r, p) >= bars)
    out, until = [], -1
    for i in told.tolist():
        if i < until:
            continue
        out.append(i)
        level, until = 0.0, i
        while until < len(r) and (until == i or level > faultscores.OFF):
            raw = float(1 / (1 + np.exp(-p.slope * (r[until] - bars[until]))))
            level = max(raw, level * p.hold + raw * (1 - p.hold))
            until += 1
    return np.asarray(out, np.intp)


def _raw(windows: int, alarms: NDArray[Any], worths: Any) -> float:
    """As `nab.raw`, with what `nab.worth` gives known."""
    probation, window, adds = worths
    alarms = alarms[alarms >= probation]
    inside = window[alarms]
    best = np.full(windows + 1, -1.0)
    np.maximum.at(best, inside, adds[alarms])  # what is outside goes to the last place
    return float(adds[alarms[inside < 0]].sum() + best[:windows].sum())


def try_parameters(m: TuningData, p: Params) -> Trial:
    raw, count = 0.0, sum(len(f.windows) for f in m.files)
    for file, known, worths in zip(m.files, m.of_files, m.worths, strict=True):
        raw += _raw(len(file.windows), told_samples(known, p), worths)
    tally = faultscores.FaultTally()
    for series, known in zip(m.series, m.of_series, strict=True):
        faultscores.add_series(tally, series, flag_turns(known, p))
    first = later = days = 0.0
    for known in m.of_sound:
        at = flag_turns(known, p)
        first += float((at < A_DAY).sum())
        later += float((at >= A_DAY).sum())
        days += len(known.odds) / A_DAY - 1
    score = 100 * (raw + count) / (2 * count) if count else 0.0
    return Trial(score, tally, first / max(len(m.of_sound), 1), later / max(days, 1.0))


def tune_parameters(m: TuningData, p: Params, rounds: int) -> Params:
    """Each number in turn, kept where it is worth more."""
    best = try_parameters(m, p).worth
    print(try_parameters(m, p), flush=True)
    for _ in range(rounds):
        before = best
        for option in range(len(p.gains) + 8):
            if option == STUCK:
                continue
            for changed in _options(p, option):
                worth = try_parameters(m, changed).worth
                if worth > best + 1e-4:
                    best, p = worth, changed
        print(try_parameters(m, p), flush=True)
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
        case 5:
            return [replace(p, ageing=v) for v in AGEING]
        case 6:
            return [replace(p, dense=v) for v in DENSE]
        case _:
            return [replace(p, first_day=v) for v in FIRST_DAY]
