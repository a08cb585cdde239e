"""What a series teaches by one sample: little, when the sample is odd."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from models.anomaly.features import height_ratio
from models.anomaly.knownsteps import learn_steps
from models.anomaly.layout import EYE, FORECAST, LAGS, LEAST, PAST, UPPER, WINDOW, Params
from models.anomaly.measures import Measurements

RIDGE: Final = 1e-6  # keeps the covariance of a pure wave sound
FADE: Final = 0.97  # what is left of a jump after a sample
MODULUS: Final = 6075.0  # of the dice: exact in single precision
COUNTED: Final = 1e6  # samples with an hour; half of them, of a second each, are 139 hours
SIZE: Final = FORECAST + 1
# of the covariance, row by row: which number of the upper half each of it is, and the way back
SPREAD: Final = [
    [float((min(at, to), max(at, to)) == pair) for at in range(SIZE) for to in range(SIZE)]
    for pair in UPPER
]
FOLD: Final = [
    [float((at, to) == pair) for pair in UPPER] for at in range(SIZE) for to in range(SIZE)
]


def learn_sample(
    o: Any, v: Measurements, s: Mapping[str, Any], pace: Any, p: Params
) -> dict[str, Any]:
    """The new state by name, without what `formula` decides itself."""
    return {
        **_scales(o, v, s, pace, p),
        **_forecast(o, v, s, pace, p),
        **_limits(o, v, s, pace, p),
        **_repeats(o, v, s),
        **_hours(o, v, s, pace, p),
        **_jumps(o, v, s),
        **learn_steps(o, v, s),
        **_past(o, v, s, pace),
    }


def _scales(o: Any, v: Measurements, s: Mapping[str, Any], pace: Any, p: Params) -> dict[str, Any]:
    inverse = 1.0 / v.n
    lid = o.where(v.n > 10.0, 4.0, 1e20)
    off = v.x - s["mean"]
    mean = o.maximum(inverse, p.a_mean) * pace
    rate = o.maximum(inverse, p.a_scale) * pace
    slow = o.maximum(inverse, p.a_slow) * pace
    here = o.maximum(v.scale, v.tiny)
    e, size = o.abs(v.e), o.abs(v.step)
    banded = o.minimum(v.band * o.maximum(3.0 * inverse, p.a_scale) * pace, 1.0)
    stride = o.minimum(size, lid * o.maximum(s["step_scale"], v.tiny))
    away32 = o.minimum(o.abs(v.x - v.mean32), 4.0 * v.sd)
    return {
        "n": v.n,
        # below zero: how many values the forecast still lacks after a gap
        "gap": o.where(s["gap"] > 0.5, 0.0 * v.n - FORECAST, o.minimum(s["gap"] + 1.0, 0.0)),
        "mean": s["mean"] + mean * off,
        "sd": v.sd + mean * (1.25 * o.minimum(o.abs(off), lid * v.sd) - v.sd),
        "error": v.error + rate * (1.25 * o.minimum(e, lid * v.error) - v.error),
        "burst": s["burst"] + 0.2 * (1.25 * o.minimum(e, 6.0 * here) - s["burst"]),
        "errors": s["errors"] + banded * (1.25 * o.minimum(e, lid * here) - s["errors"]),
        "energy": v.energy,
        "drift": v.drift,
        "quick_step": v.quick_step,
        "slow_step": s["slow_step"] + slow * (size - s["slow_step"]),
        "quick_mean": v.quick_mean,
        "slow_mean": s["slow_mean"] + slow * (v.x - s["slow_mean"]),
        "step_scale": s["step_scale"] + rate * (1.25 * stride - s["step_scale"]),
        "step": v.step,
        "zigzag": v.zigzag,
        "mean8": v.mean8 + o.maximum(inverse, 0.2) * (v.x - v.mean8),
        "mean32": v.mean32 + o.maximum(inverse, 0.05) * (v.x - v.mean32),
        "sd32": s["sd32"] + o.maximum(inverse, 0.04) * (1.25 * away32 - s["sd32"]),
    }


def _forecast(
    o: Any, v: Measurements, s: Mapping[str, Any], pace: Any, p: Params
) -> dict[str, Any]:
    """Recursive least squares.

    Without excitation the covariance would grow for ever, and rounding would make it lopsided: it
    forgets only while it is small, and is made even at each step.
    """
    size = SIZE
    gain = o.minimum(p.huber / o.maximum(o.abs(v.raw), 1e-6), 1.0) * pace
    matrix = o.reshape(o.matmul(s["cov"], o.const(SPREAD)), [-1, size, size])
    column = o.reshape(o.matmul(matrix, o.reshape(v.phi, [-1, size, 1])), [-1, size])
    k = column / (p.forget + o.total(v.phi * column))
    shrunk = matrix - o.reshape(k, [-1, size, 1]) * o.reshape(column, [-1, 1, size])
    even = 0.5 * (shrunk + o.turned(shrunk))
    flat = o.reshape(even, [-1, size * size]) + o.const([[RIDGE * one for one in EYE]])
    trace = o.total(flat * o.const([EYE]))
    return {
        "weights": s["weights"] + k * (v.miss * gain),
        "cov": o.matmul(flat, o.const(FOLD)) / o.where(trace < 50.0, p.forget, 1.0),
        "lags": o.columns(v.window, 0, LAGS),
    }


def _limits(o: Any, v: Measurements, s: Mapping[str, Any], pace: Any, p: Params) -> dict[str, Any]:
    inverse = 1.0 / v.n
    warm = o.number(v.n > p.warm) * pace
    least = o.const([LEAST])
    q, tail = s["quantile"], s["tail"]
    over = o.number(v.ranked > q)
    quick = o.minimum(o.maximum(3.0 * inverse, p.eta), 0.5)
    q1 = o.maximum(q * o.exp(warm * quick * (over - (1.0 - p.alpha))), least)
    pull = o.minimum(v.ranked - q, 6.0 * tail + least) - tail
    tail1 = tail + warm * over * o.maximum(inverse, p.a_tail) * pull
    tail1 = o.maximum(tail1, o.maximum(0.05 * least, 0.1 * q1))
    above, under = v.excess
    shrink = p.shrink * v.width
    return {
        "quantile": q1,
        "tail": tail1,
        "high": s["high"] + o.where(above > 0.0, pace * above, -shrink),
        "low": s["low"] + o.where(under > 0.0, -pace * under, shrink),
        "quarter": s["quarter"]
        + o.maximum(inverse, p.a_quarter) * v.sd * pace * (0.25 - o.number(v.x < s["quarter"])),
    }


def _repeats(o: Any, v: Measurements, s: Mapping[str, Any]) -> dict[str, Any]:
    inverse = 1.0 / v.n
    usual = o.number(v.bound > v.run)
    longest = s["longest"]
    # after a stuck run only a little longer runs become usual; else one fault would blind it
    longer = o.where(
        v.bound > v.run0,
        o.maximum(longest * 0.998, v.run0),
        o.minimum(longest * 1.3, o.maximum(v.run0, longest)),
    )
    ended = o.number(v.band > 0.3) * (1.0 - v.same)
    return {
        "run": v.run,
        "repeat": s["repeat"] + o.maximum(inverse, 0.005) * usual * (v.same - s["repeat"]),
        "repeats": s["repeats"]
        + v.band * o.maximum(inverse, 0.01) * usual * (v.same - s["repeats"]),
        "longest": o.where(ended > 0.5, longer, longest),
    }


def _hours(o: Any, v: Measurements, s: Mapping[str, Any], pace: Any, p: Params) -> dict[str, Any]:
    times = o.total(v.hot * v.heard)
    rate = o.maximum(p.a_hour / v.an_hour, 1.0 / (times + 1.0)) * pace
    away = v.x - o.total(v.hot * s["hours"])
    error, repeats = s["hour_error"], s["hour_repeats"]
    lid = o.where(v.visits > p.settled, 4.0, 1e20) * o.maximum(error, v.tiny)
    since = o.maximum(v.heard_all - 24.0 * p.hour_days * v.an_hour, 1.0)
    pull = o.maximum(1.0 / since, p.a_spread / v.an_hour) * pace * v.known
    return {
        "hours": s["hours"] + v.hot * (rate * away),
        "heard": o.minimum(v.heard + v.hot, 1e6),
        # both halved at times, so that the share of the two stays exact
        "visits": v.visits * o.where(v.heard_all > COUNTED, 0.5, 1.0),
        "timed": v.heard_all * o.where(v.heard_all > COUNTED, 0.5, 1.0),
        "hour_now": o.where(v.timed, v.hour, s["hour_now"]),
        "hour_error": error + pull * (1.25 * o.minimum(o.abs(v.hour_e), lid) - error),
        "hour_drift": v.hour_drift,
        # learnt from all repeats: those of a night come each night, a stuck value only once
        "hour_repeats": repeats
        + v.hot * (o.maximum(1.0 / (times + 1.0), 0.02) * (v.same - repeats)),
    }


def _jumps(o: Any, v: Measurements, s: Mapping[str, Any]) -> dict[str, Any]:
    z = o.clip(v.raw, -12.0, 12.0)
    grown = height_ratio(o, v, s)
    size, jump = o.abs(z), s["jump"]
    new = size > o.maximum(0.9 * jump, 3.0)
    return {
        "residuals": o.join([z, o.columns(s["residuals"], 0, 2)]),
        "peaks": o.maximum(FADE * s["peaks"], o.join([z, -z, grown, -grown])),
        "ratios": o.join([grown, o.columns(s["ratios"], 0, 1)]),
        "jump": o.where(new, size, FADE * jump),
        "before": o.where(new, v.last, s["before"]),
        "age": o.where(new, 0.0, o.minimum(s["age"] + 1.0, 1e4)),
    }


def _past(o: Any, v: Measurements, s: Mapping[str, Any], pace: Any) -> dict[str, Any]:
    """Every sixth sample or so the last eight values take the place of some that were kept."""
    thrown = s["dice"] * 106.0 + 1283.0
    dice = thrown - MODULUS * o.floor(thrown * (1.0 / MODULUS) + 1e-5)
    place = o.floor(dice * (6.0 * PAST / MODULUS))
    here = o.number(place == o.const([[float(i) for i in range(PAST)]])) * o.number(pace > 0.5)
    past = o.reshape(s["past"], [-1, PAST, WINDOW])
    put = o.reshape(here, [-1, PAST, 1]) > 0.5
    kept = o.where(put, o.reshape(v.window, [-1, 1, WINDOW]), past)
    return {"past": o.reshape(kept, [-1, PAST * WINDOW]), "dice": dice}
