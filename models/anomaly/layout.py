"""What the anomaly model remembers of one series, how it begins, and the numbers that tune it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

LAGS: Final = 7  # the forecaster looks at the first six
FORECAST: Final = 6
BANDS: Final = 5  # of the value, by deviations from the mean: -1 and less, 0, 1, 2, 3 and more
HOURS: Final = 48  # of a working day, then of a day of the weekend
PAST: Final = 16  # windows of eight samples that are kept to compare with
WINDOW: Final = LAGS + 1
STEPS: Final = 6  # between levels, that are remembered
UPPER: Final = [  # of the forecaster's covariance: it is even, so half of it says it all
    (row, column) for row in range(FORECAST + 1) for column in range(row, FORECAST + 1)
]

# compared each with a quantile of its own; the two that follow have limits of another kind
RANKED: Final = (
    "residual", "energy", "drift", "high", "low", "novelty", "hour", "hours", "pace", "shift",
    "step", "bump", "below", "zigzag",
)  # fmt: skip
MEASURES: Final = (*RANKED, "stuck", "learned")
FEATURES: Final = 62  # what the learned part looks at
ODDITY: Final = ("signed", "offset", *MEASURES)  # columns of the output `oddity`

WIDTHS: Final = {
    "n": 1, "gap": 1, "run": 1, "repeat": 1, "mean": 1, "sd": 1, "error": 1, "burst": 1,
    "energy": 1, "drift": 1, "high": 1, "low": 1, "quarter": 1, "quantile": len(RANKED),
    "tail": len(RANKED), "lags": LAGS, "weights": FORECAST + 1, "cov": len(UPPER),
    "errors": BANDS, "repeats": BANDS, "longest": BANDS, "past": PAST * WINDOW, "dice": 1,
    "hours": HOURS, "heard": HOURS, "hour_error": 1, "hour_drift": 1, "hour_repeats": HOURS,
    "quick_step": 1,
    "slow_step": 1, "quick_mean": 1, "slow_mean": 1, "step_scale": 1, "step": 1, "zigzag": 1,
    "residuals": 3, "peaks": 4, "ratios": 2, "mean8": 1, "mean32": 1, "sd32": 1, "before": 1,
    "jump": 1, "age": 1, "peak": 1, "level": 1, "visits": 1, "timed": 1, "hour_now": 1,
    "step_from": STEPS, "step_to": STEPS, "step_times": STEPS, "calm": 1, "record": 1,
    "worst": 1,
}  # fmt: skip
STATE: Final = sum(WIDTHS.values())
# of RANKED: where the quantiles begin, and below what they never fall
QUANTILES: Final = [3.0, 2.0, 1.5, 0.05, 0.05, 1.0, 3.0, 1.5, 1.0, 1.0, 3.0, 1.5, 0.2, 1.0]
LEAST: Final = [2.0, 1.2, 0.4, 0.02, 0.02, 0.05, 2.0, 0.4, 0.3, 0.3, 2.0, 0.6, 0.15, 0.3]
EYE: Final = [float(i % (FORECAST + 2) == 0) for i in range((FORECAST + 1) ** 2)]
START: Final[dict[str, list[float]]] = {
    "repeat": [0.05],
    "energy": [1.0],
    "quantile": QUANTILES,
    "tail": [0.5 * v for v in QUANTILES],
    "weights": [0.0, 1.0] + [0.0] * (FORECAST - 1),
    "cov": [float(row == column) for row, column in UPPER],
    "hour_now": [-1.0],
    "repeats": [0.05] * BANDS,
    "longest": [2.0] * BANDS,
    "dice": [1234.0],
}
AS_FIRST: Final = (
    "mean", "high", "low", "quarter", "lags", "past", "quick_mean", "slow_mean", "mean8", "mean32",
    "before", "step_from", "step_to",
)  # fmt: skip


def start_state() -> tuple[list[float], list[float]]:
    """The state of a series with first value x is `row[0] + x * row[1]`, column by column."""
    fixed: list[float] = []
    times: list[float] = []
    for name, width in WIDTHS.items():
        fixed += START.get(name, [0.0] * width)
        times += [float(name in AS_FIRST)] * width
    return fixed, times


@dataclass(frozen=True, slots=True)
class Params:
    """What is tuned. Rates are per sample; surprise is in nats: 1 more is e times as rare."""

    forget: float = 0.998
    huber: float = 5.0
    a_energy: float = 0.1
    a_drift: float = 0.09
    a_mean: float = 0.001
    a_scale: float = 0.0077
    floor: float = 0.025  # of the series' own deviation: the smallest scale of a residual
    clip: float = 6.0
    banded: float = 0.6  # how much the scale of the residual depends on the band of the value
    bursts: float = 0.2  # and how much on the last few residuals
    alpha: float = 0.99  # the quantile that each measure is compared with
    eta: float = 0.06
    a_tail: float = 0.05
    xi: float = 0.3  # how heavy a tail is taken to be
    tau: float = 0.4
    young: float = 60.0  # samples after which a measure still counts half
    warm: float = 30.0  # samples before the first onset
    slow: float = 0.05  # how fast everything learns from what is odd, against the normal rate
    odd: float = 12.0  # nats
    shrink: float = 0.0002  # how fast the range forgets, of its width
    a_hour: float = 0.1  # of the mean of an hour, a day
    a_spread: float = 0.02  # of the spread about these means, an hour
    a_hours: float = 0.1
    hour_days: float = 2.5  # that an hour was heard on before its mean is compared with
    settled: float = 120.0  # hours before anything is said by the hour: the spread is known then
    first_day: float = 8.0  # nats by which the threshold is higher while the day is new
    step_times: float = 1.5  # twice, one of them faded: a step between levels is no news then
    calming: float = 0.9  # what is left of that after a sample
    spike: float = 1.45  # times the largest residual that the series is used to
    spike_heavy: float = 0.1  # and so much more for each scale of the residual in it
    spike_least: float = 4.0  # scales: no series is taken to be calmer
    spike_fade: float = 0.00005
    spike_grow: float = 1.3  # times, at most, by a spike that is told
    a_quick: float = 0.08
    a_slow: float = 0.004
    a_quarter: float = 0.01
    a_zigzag: float = 0.15
    stuck: float = 3.0  # times the longest run that the series is used to, at this level
    gains: tuple[float, ...] = (  # of MEASURES but the learned one
        0.8, 0.56, 1.254, 1.034, 1.037, 1.142, 0.442, 1.344,
        0.64, 0.726, 0.46, 0.896, 0.32, 1.03, 0.9,
    )  # fmt: skip
    learned_gain: float = 4.5
    learned_bias: float = 6.8
    ageing: float = 0.8  # nats by which the threshold grows when the series is e times as long
    oldest: float = 20000.0  # samples after which it grows no more
    dense: float = 1.0  # nats by which it grows when an hour has e times as many samples
    alarm: float = 10.5  # nats: onset is one half here
    quiet_alarm: float = 7.0  # nats that are told at least where a series was quiet for long
    quiet_louder: float = 1.2  # times the worst that is remembered of it
    quiet_most: float = 12.0  # nats that are remembered at most
    quiet_rest: float = 2000.0  # samples of five minutes and more, how slowly that fades
    quiet_dense: float = 2.0  # nats more for each e times as many samples an hour
    quiet_young: float = 600.0  # samples before a series counts as quiet
    slope: float = 0.6
    rest: float = 0.04  # of all samples so far: how long an alarm quiets those that follow
    rest_min: float = 159.0
    rest_max: float = 1000.0
    louder: float = 1.1  # what is this many times as odd as what is remembered is told at once
    loudest: float = 30.0
    hold: float = 0.9

    def as_dict(self) -> dict[str, float | tuple[float, ...]]:
        return asdict(self)
