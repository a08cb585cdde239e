"""What the anomaly model is used to: steps between levels, a first day, the spread of an hour."""

from dataclasses import replace

import numpy as np
import pytest

from models import BUNDLES
from models.anomaly import anomalyrunner, cabinetseries, faultscores, formula, tuning
from models.anomaly.cabinetseries import A_DAY
from models.anomaly.labelledseries import MONDAY, Series
from models.anomaly.layout import HOURS, MEASURES, STATE, WIDTHS, Params, start_state
from models.graph import NumpyOps

BYTES_OF_A_SERIES = 1700  # decision 19
HOUR_S = 3600.0


def _alarms(*series: Series) -> list[list[int]]:
    session = anomalyrunner.make_session((BUNDLES / "anomaly" / "anomaly.onnx").read_bytes())
    pairs = anomalyrunner.run_series(session, series)
    return [faultscores.alarm_samples(*pair).tolist() for pair in pairs]


def _lamp(days: int, seed: int = 1) -> Series:
    """On at about 19:00, off at about 5:30, each day a little later or earlier."""
    return replace(cabinetseries.switched_loads(seed, days).series["lighting", "power"])


def test_the_state_of_a_series_is_no_larger_than_was_promised() -> None:
    assert 4 * STATE <= BYTES_OF_A_SERIES


@pytest.mark.long
def test_a_lamp_that_goes_on_each_night_is_no_news() -> None:
    (told,) = _alarms(_lamp(10))
    assert [at for at in told if at >= 3 * A_DAY] == []


@pytest.mark.long
@pytest.mark.xfail(
    strict=True, reason="to go dark is a step that it knows; the hour says too little"
)
def test_a_lamp_that_goes_dark_at_night_is_told() -> None:
    lamp = _lamp(10)
    dark, night = lamp.values.copy(), 8 * A_DAY + 1320
    dark[night : night + 120] = 0.0
    (told,) = _alarms(replace(lamp, values=dark))
    assert any(night <= at < night + 125 for at in told)


def _hourly(days: int, spread: float, seed: int = 2) -> Series:
    rng = np.random.default_rng(seed)
    at = np.arange(days * 24)
    values = 50 + 20 * np.sin(at / 24 * 2 * np.pi) + rng.normal(0, spread, len(at))
    return Series("hourly", values, (), 0.0, np.asarray(MONDAY + HOUR_S * at, np.float64))


def test_nothing_is_said_by_the_hour_before_its_spread_is_known() -> None:
    series = _hourly(20, 3.0)
    session = anomalyrunner.make_session((BUNDLES / "anomaly" / "anomaly.onnx").read_bytes())
    said: list[float] = []
    anomalyrunner.run_steps(
        session, [series], lambda _, answer: said.append(float(answer[2][0, 2 + 6 : 2 + 8].max()))
    )
    assert max(said[: 5 * 24]) == 0.0
    assert max(said[10 * 24 :]) > 0.0


def test_the_mean_of_an_hour_is_that_of_its_days() -> None:
    """With sixty samples an hour it is no mean of the last ten minutes."""
    at = np.arange(9 * A_DAY)
    rng = np.random.default_rng(3)
    ramp = at % 60 / 60.0  # each hour the same
    wall = np.asarray(MONDAY + 60.0 * at, np.float64)
    series = Series("m", 100 + 10 * ramp + rng.normal(0, 0.5, len(at)), (), 0.0, wall)
    session = anomalyrunner.make_session((BUNDLES / "anomaly" / "anomaly.onnx").read_bytes())
    states: list[np.ndarray] = []
    anomalyrunner.run_steps(session, [series], lambda _, answer: states.append(answer[3][0]))
    first = sum(list(WIDTHS.values())[: list(WIDTHS).index("hours")])
    hours = states[-1][first : first + HOURS]
    assert hours == pytest.approx(105.0, abs=1.0)


def test_a_series_that_was_quiet_is_told_at_less_than_one_that_came_near_an_alarm() -> None:
    """By trials: these weigh as the graph does (`test_what_is_tuned_is_what_the_graph_says`)."""
    p = Params()
    nats = np.zeros((3000, len(MEASURES) - 1))
    nats[2500, 0] = 8.5 / p.gains[0]
    often = nats.copy()
    often[1500:2400:100, 0] = 8.0 / p.gains[0]  # each below the memory of the one before

    def told(rows: np.ndarray, dense: float = 0.0) -> list[int]:
        aside = np.tile([0.0, 0.0, 0.0, dense, 0.0], (len(rows), 1))
        flat = replace(p, ageing=0.0, dense=0.0)
        at = tuning.flag_turns(tuning.Known(rows, np.full(len(rows), -9.0), aside), flat)
        return [int(i) for i in at]

    assert told(nats) == [2500]
    assert 2500 not in told(often)
    assert told(nats, dense=np.log(5.0)) == []  # one of minutes keeps the threshold


@pytest.mark.long
def test_the_first_spike_of_ten_deviations_on_a_clean_curve_is_told() -> None:
    site = cabinetseries.spiked(cabinetseries.clean_curves(4, 9), 4)
    series = list(site.series.values())
    told = [
        any(one.faults[0].first <= a < one.faults[0].last + 2 for a in at)
        for one, at in zip(series, _alarms(*series), strict=True)
    ]
    assert sum(told) >= len(told) - 1


def _load(*, lost: bool, spike: bool) -> Series:
    """Half an hour of windows of five seconds: of a load whose waves a forecast of six values
    follows exactly, as long as it has them."""
    at = 5.0 * np.arange(420)
    noise = np.random.default_rng(5).normal(0, 0.0005, len(at))
    values = 0.5 + 0.05 * np.sin(at / 240 * 2 * np.pi) + 0.02 * np.sin(at / 11 * 2 * np.pi) + noise
    if lost:
        values[360] = np.nan
    if spike:
        values[400] += 0.04
    return Series("load", np.round(values, 4), (), 0.0001)


def test_the_value_after_one_that_is_missing_is_no_spike() -> None:
    whole, lost, both = _alarms(
        _load(lost=False, spike=True), _load(lost=True, spike=False), _load(lost=True, spike=True)
    )
    assert whole == [400]
    assert lost == []
    assert both == [400]


@pytest.mark.parametrize(("visits", "timed"), [(30.0, 30 * 3600.0), (277.0, 1e6)])
def test_windows_of_a_second_leave_the_first_days_for_good(visits: float, timed: float) -> None:
    fixed, times = (np.asarray(row, np.float32) for row in start_state())
    state, one = (fixed + 10 * times)[None], np.ones((1, 1), np.float32)
    place = {name: sum(list(WIDTHS.values())[:i]) for i, name in enumerate(WIDTHS)}
    state[0, place["visits"]], state[0, place["timed"]] = visits, timed
    state[0, place["hour_now"]] = 5.0
    *_, after = formula.anomaly_step(
        NumpyOps(), 10 * one, one, 0 * one, 5 * one, state, Params(), anomalyrunner.empty_net()
    )
    kept, heard = after[0, place["visits"]], after[0, place["timed"]]
    assert heard / kept == pytest.approx(3600, rel=0.01)
    assert kept > Params().settled if visits > Params().settled else kept == visits
