"""The anomaly model's parts: formula and graph agree, scoring counts as it says, NAB's formula."""

import json
from dataclasses import replace

import numpy as np
import pytest

from models import BUNDLES
from models.anomaly import formula, nab, running, scoring
from models.anomaly.formula import ODDITY, STATE, Params
from models.anomaly.series import FAULTS, Fault, Series, generated
from models.graph import Eager


def _shipped() -> Params:
    manifest = json.loads((BUNDLES / "anomaly" / "manifest.json").read_text())
    return Params(**manifest["params"])


def test_formula_and_graph_agree_over_many_steps() -> None:
    params = _shipped()
    series = [s for s in generated(5) if s.faults][:3]
    short = [replace(s, values=s.values[:700]) for s in series]
    session = running.session(running.graph(params, "1.0.0").SerializeToString())
    by_graph = running.run(session, short)
    fixed, times = (np.asarray(row, np.float32) for row in formula.start())
    quantum = np.asarray([[s.quantum] for s in short], np.float32)
    x = np.stack([s.values for s in short], axis=1).astype(np.float32)[:, :, None]
    state = fixed + x[0] * times
    for t in range(1, 700):
        onset, level, oddity, state = formula.step(
            Eager(), x[t], np.ones_like(x[t]), quantum, state, params
        )
        for i, (onsets, levels) in enumerate(by_graph):
            assert onset[i, 0] == pytest.approx(onsets[t], abs=0.002)
            assert level[i, 0] == pytest.approx(levels[t], abs=0.002)
    assert oddity.shape == (3, len(ODDITY))
    assert state.shape == (3, STATE)
    assert state.dtype == np.float32


def test_a_missing_sample_changes_nothing() -> None:
    fixed, times = (np.asarray(row, np.float32) for row in formula.start())
    state = (fixed + 10 * times)[None]
    one = np.ones((1, 1), np.float32)
    onset, _, _, after = formula.step(Eager(), 1e9 * one, 0 * one, 0 * one, state, Params())
    assert onset[0, 0] == 0
    np.testing.assert_array_equal(after, state)


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1.0, 1e6, 1e12])
def test_numbers_of_any_size_stay_numbers(scale: float) -> None:
    session = running.session(running.graph(_shipped(), "1.0.0").SerializeToString())
    rng = np.random.default_rng(1)
    values = scale * rng.normal(0, 1, 400)
    values[100:150] = values[100]
    values[200] = 1e12
    values[300:310] = -1e12
    ((onset, level),) = running.run(session, [Series("s", values, ())])
    assert np.isfinite(onset).all()
    assert np.isfinite(level).all()
    assert onset.min() >= 0
    assert level.max() <= 1


def test_the_shipped_model_finds_faults_in_series_it_was_not_tuned_on() -> None:
    session = running.session((BUNDLES / "anomaly" / "anomaly.onnx").read_bytes())
    series, tally = generated(11), scoring.Tally()
    for s, (onset, level) in zip(series, running.run(session, series), strict=True):
        scoring.add(tally, s, scoring.alarms(onset, level))
    assert tally.faults == 6 * len(FAULTS)
    assert tally.f1 > 0.7
    assert tally.wrong_per_1000 < 0.3


def test_alarms_find_faults_and_are_wrong_elsewhere() -> None:
    series = Series("s", np.zeros(100), (Fault(10, 20, "spike"), Fault(50, 60, "stuck")))
    tally = scoring.Tally()
    scoring.add(tally, series, np.asarray([5, 12, 15, 25, 40]))
    # 12 and 15 are one find, 25 is the return to normal, 5 and 40 are wrong, 50 to 60 is missed
    assert (tally.found, tally.faults, tally.wrong) == (1, 2, 2)
    assert tally.delays == [2]
    assert tally.f1 == pytest.approx(2 * 0.5 * (1 / 3) / (0.5 + 1 / 3))


def test_a_flag_that_stays_on_is_one_alarm() -> None:
    onset = np.asarray([0.0, 0.9, 0.9, 0.0, 0.0, 0.9])
    level = np.asarray([0.0, 0.9, 0.9, 0.5, 0.2, 0.9])
    assert scoring.alarms(onset, level).tolist() == [1, 5]


def _file(*windows: tuple[int, int]) -> nab.File:
    return nab.File(Series("realTraffic/x.csv", np.zeros(1000), ()), windows)


def test_nab_gives_0_to_silence_and_100_to_an_alarm_at_each_windows_start() -> None:
    files = [_file((400, 440), (700, 760)), _file((500, 600))]
    nothing = [np.asarray([], int), np.asarray([], int)]
    assert nab.normalised(files, nothing) == 0
    assert nab.normalised(files, [np.asarray([400, 700]), np.asarray([500])]) == pytest.approx(100)


def test_nab_takes_less_for_late_and_for_false_alarms_and_nothing_in_probation() -> None:
    files = [_file((400, 440))]

    def score(*at: int) -> float:
        return nab.normalised(files, [np.asarray(at)])

    assert score(400) > score(430) > score(440) > 0
    assert score(400, 900) == pytest.approx(100 - 50 * nab.WRONG)
    assert score(400, 300) == pytest.approx(100 - 50 * nab.WRONG)
    assert score(400, 445) > score(400, 900)  # just after a window it weighs less
    assert score(400, 100) == pytest.approx(100)
