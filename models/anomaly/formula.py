"""The anomaly model as a formula: one step for all series, state in and out.

A recursive-least-squares forecaster on the last values gives a residual. Five measures of oddity
(residual, its energy, its drift, a new high, a new low) are each compared with a quantile that
follows the series itself; exact repeats are compared with the repeats that the series is used to.
The largest ratio is the alarm; 1 is the threshold.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

LAGS: Final = 6
WIDTHS: Final = {
    "n": 1, "last": 1, "run": 1, "mean": 1, "scale": 2, "energy": 2, "edge": 2, "repeat": 1,
    "longest": 1, "level": 1, "quantile": 5, "lags": LAGS, "weights": LAGS + 1,
    "cov": (LAGS + 1) ** 2,
}  # fmt: skip
STATE: Final = sum(WIDTHS.values())
MEASURES: Final = ("residual", "noise", "drift", "high", "low", "stuck")
YOUNG: Final = 80.0  # samples after which thresholds are still twice what they will be
ODDITY: Final = ("signed", "offset", *MEASURES)  # columns of the output `oddity`


@dataclass(frozen=True, slots=True)
class Params:
    """What `train.py` tunes. Rates are per sample; `c_*` are thresholds in tracked quantiles."""

    c_residual: float = 2.2
    c_noise: float = 1.5
    c_drift: float = 1.6
    c_high: float = 38.0
    c_low: float = 4.0
    clip: float = 5.4  # residuals enter energy and drift at most this large
    a_energy: float = 0.1
    a_drift: float = 0.094
    a_mean: float = 0.00085
    a_scale: float = 0.0077
    forget: float = 0.998
    huber: float = 5.2
    slow: float = 0.05  # how fast everything learns during an alarm, against the normal rate
    alpha: float = 0.995  # the quantile that is tracked
    eta: float = 0.062
    shrink: float = 0.00021  # how fast the range forgets, of its width
    stuck_nats: float = 13.0
    stuck_runs: float = 2.9
    stuck_min: float = 2.9
    floor: float = 0.025  # of the series' own deviation: the smallest scale of a residual
    hold: float = 0.9
    warm: float = 30.0  # samples before the first onset

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


def step(o: Any, x: Any, present: Any, quantum: Any, state: Any, p: Params) -> tuple[Any, ...]:
    """One sample of every series: (onset, level, oddity, state_out). Columns are [N, 1].

    `present` is 1, or 0 for a missing sample, which changes nothing. `quantum` is the step of one
    count of the series, 0 if not known. The state of a new series is `start(its first value)`;
    that first value itself is not a step.
    """
    (n0, last, run0, mean, scale0, energy0, edge, rep0, longest, level0, q, lags, w, cov) = o.split(
        state, list(WIDTHS.values())
    )
    here = present > 0.5
    x = o.where(here, x, last)
    n = n0 + 1.0
    tiny = o.maximum(0.3 * quantum, 1e-9)
    scale = o.maximum(scale0, tiny)
    sd, error = o.split(scale, [1, 1])

    # forecast from the last values, in units of the series
    off = x - mean
    u = off / sd
    phi = o.join([o.const([[0.5]]) + 0.0 * u, o.clip((lags - mean) / sd, -10.0, 10.0)])
    miss = u - o.clip(o.total(w * phi), -10.0, 10.0)
    e = miss * sd
    raw = e / o.maximum(error, p.floor * sd)
    signed = o.clip(raw, -50.0, 50.0)
    z = o.abs(signed)
    bounded = o.clip(signed, -p.clip, p.clip)
    fast = o.const([[p.a_energy, p.a_drift]])
    energy = energy0 + fast * (o.join([o.abs(bounded), bounded]) - energy0)

    # five measures against the quantiles that the series itself shows
    width = o.maximum(o.total(edge), o.maximum(8.0 * quantum, 1e-9))
    excess = x * o.const([[1.0, -1.0]]) - edge
    beyond = o.clip(excess / width, 0.0, 10.0)
    d = o.join([z, o.abs(energy), beyond])
    limits = o.const([[p.c_residual, p.c_noise, p.c_drift, p.c_high, p.c_low]])

    # repeats against the repeats it is used to; what hardly ever moves is not called stuck
    same = o.number(x == last)
    run = (run0 + 1.0) * same
    bound = o.maximum(
        -p.stuck_nats / o.log(o.clip(rep0, 0.01, 0.97)), p.stuck_runs * longest + p.stuck_min
    )
    stuck = run / bound * o.number(rep0 < 0.9)

    # what few samples have taught is uncertain: the fewer, the further off must be what is odd
    inverse = 1.0 / n
    ratios = o.join([d / (q * limits * (1.0 + YOUNG * inverse)), stuck])
    warm = o.number(n > p.warm)
    r = o.minimum(o.highest(ratios), 100.0) * warm
    r2 = r * r
    onset = r2 * r2 / (1.0 + r2 * r2)
    level = o.maximum(onset, level0 * p.hold + onset * (1.0 - p.hold))

    # learn, little from what is odd
    pace = o.where(r > 1.0, p.slow, 1.0)
    gain = o.minimum(p.huber / o.maximum(o.abs(raw), 1e-6), 1.0) * pace
    size = LAGS + 1
    eye = o.const([EYE])
    matrix = o.reshape(cov, [-1, size, size])
    column = o.reshape(o.matmul(matrix, o.reshape(phi, [-1, size, 1])), [-1, size])
    k = column / (p.forget + o.total(phi * column))
    w1 = w + k * (miss * gain)
    shrunk = matrix - o.reshape(k, [-1, size, 1]) * o.reshape(column, [-1, 1, size])
    flat = o.reshape(shrunk, [-1, size * size])
    # without excitation the covariance would grow for ever: forget only while it is small
    cov1 = flat / o.where(o.total(flat * eye) < 50.0, p.forget, 1.0)

    mean1 = mean + o.maximum(inverse, p.a_mean) * pace * off
    lid = o.where(n > 10.0, 4.0, 1e9)
    spread = o.minimum(o.abs(o.join([off, e])), lid * scale)
    pull = o.maximum(inverse, o.const([[p.a_mean, p.a_scale]])) * pace
    scale1 = scale0 + pull * (1.25 * spread - scale0)
    q1 = q * o.exp((warm * pace * p.eta) * (o.number(d > q) - (1.0 - p.alpha)))
    q1 = o.minimum(o.maximum(q1, o.const([QUANTILE_LOW])), o.const([QUANTILE_HIGH]))
    edge1 = edge + o.where(excess > 0.0, pace * excess, -p.shrink * width)
    rep1 = rep0 + o.maximum(inverse, 0.005) * o.number(bound > run) * (same - rep0)
    # after a stuck run only a little longer runs become usual; else one fault would blind it
    longer = o.where(bound > run0, o.maximum(longest * 0.998, run0), o.minimum(longest * 1.3, run0))
    longest1 = o.where(same > 0.5, longest, longer)
    lags1 = o.columns(o.join([x, lags]), 0, LAGS)
    new = o.join(
        [n, x, run, mean1, scale1, energy, edge1, rep1, longest1, level, q1, lags1, w1, cov1]
    )
    oddity = o.join([signed, u, ratios])
    return onset * present, level, oddity, o.where(here, new, state)


QUANTILE_LOW: Final = [2.0, 1.2, 0.4, 0.02, 0.02]
QUANTILE_HIGH: Final = [30.0, 12.0, 8.0, 3.0, 3.0]
EYE: Final = [float(i % (LAGS + 2) == 0) for i in range((LAGS + 1) ** 2)]
START: Final[dict[str, list[float]]] = {
    "energy": [1.0, 0.0],
    "repeat": [0.05],
    "longest": [2.0],
    "quantile": [3.0, 2.0, 1.5, 0.05, 0.05],
    "weights": [0.0, 1.0] + [0.0] * (LAGS - 1),
    "cov": EYE,
}


def start() -> tuple[list[float], list[float]]:
    """The state of a series with first value x is `row[0] + x * row[1]`, column by column."""
    fixed: list[float] = []
    times: list[float] = []
    for name, width in WIDTHS.items():
        fixed += START.get(name, [0.0] * width)
        times += {
            "last": [1.0], "mean": [1.0], "edge": [1.0, -1.0], "lags": [1.0] * LAGS,
        }.get(name, [0.0] * width)  # fmt: skip
    return fixed, times
