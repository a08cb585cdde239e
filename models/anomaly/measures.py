"""Measures how odd a sample is, in fourteen ways and by its repeats, before anything is learnt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from models.anomaly.layout import FORECAST, HOURS, PAST, WINDOW, Params

LONG_GAP: Final = 5.0  # missing samples after which the value before them says nothing
MANY: Final = 1e6  # samples; more are not counted
BAND: Final = [[0.0, 1.0, 2.0, 3.0, 4.0]]
STUCK_NATS: Final = 13.0


@dataclass(frozen=True, slots=True)
class Measurements:
    """What a step works with. All are tensors, [N, 1] where nothing else is said."""

    n: Any
    x: Any
    lags: Any  # [N, 7]
    last: Any
    tiny: Any
    sd: Any
    error: Any
    scale: Any  # of a residual here and now
    thin: Any  # the same, never less than a part of the deviation
    band: Any  # [N, 5], how much the value before lies in each
    u: Any
    phi: Any  # [N, 7]
    miss: Any
    e: Any
    raw: Any
    signed: Any
    energy: Any
    drift: Any
    width: Any
    excess: tuple[Any, Any]  # above the range, below it
    below: Any
    bump: Any
    step: Any
    zigzag: Any
    turned: Any
    same: Any
    run0: Any
    run: Any
    bound: Any
    stuck: Any
    often: Any  # repeats that are no news where nearly every value is one
    window: Any  # [N, 8]
    hot: Any  # [N, 48]
    heard: Any  # [N, 48]
    hour: Any
    timed: Any
    known: Any
    visits: Any  # hours that were heard, one after the other
    heard_all: Any  # samples whose hour is known
    an_hour: Any  # samples
    hour_e: Any
    hour_drift: Any
    quick_step: Any
    quick_mean: Any
    mean8: Any
    mean32: Any
    ranked: Any  # [N, 14]


def measure_sample(
    o: Any, x: Any, quantum: Any, hour: Any, s: Mapping[str, Any], p: Params
) -> Measurements:
    """Measure one sample against the state `s`."""
    away = s["gap"] > LONG_GAP
    lags = o.where(away, x, s["lags"])
    last = o.columns(lags, 0, 1)
    n = o.minimum(s["n"] + 1.0, MANY)
    tiny = o.maximum(0.3 * quantum, 1e-9)
    sd, error = o.maximum(s["sd"], tiny), o.maximum(s["error"], tiny)
    off = x - s["mean"]
    u = off / sd

    # the scale of a residual: by the band of the value before, and by the last few residuals
    at = o.clip((last - s["mean"]) / sd, -1.0, 2.99) + 1.0
    band = o.maximum(1.0 - o.abs(at - o.const(BAND)), 0.0)
    banded = o.where(n < 30.0, error, o.total(band * o.maximum(s["errors"], 0.25 * error)))
    usual = o.exp(2.0 * (p.banded * o.log(banded) + (1.0 - p.banded) * o.log(error)))
    scale = o.sqrt((1.0 - p.bursts) * usual + p.bursts * s["burst"] * s["burst"])
    thin = o.maximum(scale, o.maximum(p.floor * sd, tiny))

    # forecast from the last values, in units of the series
    near = o.clip((o.columns(lags, 0, FORECAST) - s["mean"]) / sd, -10.0, 10.0)
    phi = o.join([o.const([[0.5]]) + 0.0 * last, near])
    miss = u - o.clip(o.total(s["weights"] * phi), -10.0, 10.0)
    e = miss * sd
    raw = e / thin
    signed = o.clip(raw, -50.0, 50.0)
    bounded = o.clip(signed, -p.clip, p.clip)
    energy = s["energy"] + p.a_energy * (o.abs(bounded) - s["energy"])
    drift = s["drift"] + p.a_drift * (bounded - s["drift"])

    # the range, and the room below it that the lowest quarter of the values leaves
    width = o.maximum(s["high"] - s["low"], o.maximum(8.0 * quantum, 1e-9))
    excess = x - s["high"], s["low"] - x
    out = [o.clip(one / width, 0.0, 10.0) for one in excess]
    room = o.maximum(s["quarter"] - s["low"], o.maximum(0.1 * sd, 8.0 * quantum + 1e-9))
    below = o.clip(excess[1] / room, 0.0, 20.0)

    # a bump or a dent that was there for up to four samples, and steps to and fro
    four, edge = o.columns(lags, 0, 4), o.columns(lags, 4, 5)
    up = o.highest(four) - o.maximum(x, edge)
    down = o.minimum(x, edge) + o.highest(-four)
    bump = o.clip(o.maximum(up, down) / thin, 0.0, 50.0)
    step = x - last
    turned = o.sqrt(o.maximum(-step * s["step"], 0.0)) / thin
    zigzag = s["zigzag"] + p.a_zigzag * (o.minimum(turned, p.clip) - s["zigzag"])

    hot = o.number(hour == o.const([[float(i) for i in range(HOURS)]]))
    # repeats against those it is used to at this level and at this hour; what never moves is not
    # called stuck
    run0 = o.where(away, 0.0, s["run"])
    same = o.where(away, 0.0, o.number(x == last))
    run = (run0 + 1.0) * same
    half = HOURS // 2
    other = o.join([o.columns(hot, half, HOURS), o.columns(hot, 0, half)])
    new = o.number(o.total(hot * s["heard"]) < 0.5)  # the first weekend is taken for working days
    by_hour = o.total((hot + new * other) * s["hour_repeats"])
    usual_here = o.maximum(o.total(band * s["repeats"]), by_hour)
    often = -STUCK_NATS / o.log(o.clip(usual_here, 0.01, 0.97))
    # a run does not become odd by the hour that begins: it was usual in the one before
    former = o.number(hour - 1.0 == o.const([[float(i) for i in range(HOURS)]]))
    usual_lately = o.maximum(usual_here, o.total(former * s["hour_repeats"]))
    whole_day = -STUCK_NATS / o.log(o.clip(usual_lately, 0.01, 0.9975))
    bound = o.maximum(often, p.stuck * o.total(band * s["longest"]) + p.stuck)
    stuck = run / bound * o.number(s["repeat"] < 0.9)

    # the last eight values against eight of the past that were kept by chance
    window = o.join([x, lags])
    past = o.reshape(s["past"], [-1, PAST, WINDOW])
    apart = (o.reshape(window, [-1, 1, WINDOW]) - past) / o.reshape(sd, [-1, 1, 1])
    apart = o.reshape(o.clip(apart, -1000.0, 1000.0), [-1, WINDOW])
    squares = o.reshape(o.total(apart * apart), [-1, PAST])
    novelty = o.minimum(o.sqrt(-o.highest(-squares) * (1.0 / WINDOW)), 20.0)

    # the hour of the day, of a working day or of a weekend
    lost = hour < -1.5
    heard = o.where(lost, 0.0, s["heard"])
    timed = hour > -0.5
    told = o.number(timed)
    heard_all = o.where(lost, 0.0, s["timed"]) + told
    visits = o.where(lost, 0.0, s["visits"])
    visits = visits + told * o.number(o.abs(hour - s["hour_now"]) > 0.5)
    an_hour = o.maximum(heard_all / o.maximum(visits, 1.0), 1.0)
    known = o.number(o.total(hot * heard) > p.hour_days * an_hour)
    hour_e = (x - o.total(hot * s["hours"])) * known
    spread = o.maximum(s["hour_error"], o.maximum(0.05 * sd, tiny))
    apart_by_hour = o.clip(hour_e / spread, -20.0, 20.0)
    moved = s["hour_drift"] + p.a_hours * (o.clip(apart_by_hour, -5.0, 5.0) - s["hour_drift"])
    hour_drift = o.where(timed, moved, s["hour_drift"])
    settled = o.number(visits > p.settled)

    # quick against slow
    size = o.abs(step)
    quick_step = s["quick_step"] + p.a_quick * (size - s["quick_step"])
    slow_step = o.maximum(s["slow_step"], tiny)
    paces = o.abs(o.log(o.maximum(quick_step, 0.1 * slow_step + tiny) / slow_step))
    paces = o.where(n > 5.0, paces, 0.0)
    quick_mean = s["quick_mean"] + p.a_quick * (x - s["quick_mean"])
    shift = o.abs(quick_mean - s["slow_mean"]) / sd
    stride = o.maximum(s["step_scale"], o.maximum(p.floor * sd, tiny))
    ranked = o.join(
        [
            o.abs(signed), energy, o.abs(drift), *out, novelty, o.abs(apart_by_hour) * settled,
            o.abs(hour_drift) * settled, paces, shift, o.minimum(size / stride, 50.0), bump,
            below, zigzag,
        ]
    )  # fmt: skip
    return Measurements(
        n, x, lags, last, tiny, sd, error, scale, thin, band, u, phi, miss, e, raw, signed, energy,
        drift, width, excess, below, bump, step, zigzag, turned, same, run0, run, bound, stuck,
        whole_day,
        window, hot, heard, hour, timed, known, visits, heard_all, an_hour, hour_e, hour_drift,
        quick_step, quick_mean,
        o.where(away, x, s["mean8"]), o.where(away, x, s["mean32"]), ranked,
    )  # fmt: skip
