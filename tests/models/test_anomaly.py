"""The anomaly model's parts: formula and graph agree, and it does what its card says."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.infer.bundlemanifest import read_manifest
from edge.infer.cause import COLUMNS
from models import BUNDLES
from models.anomaly import (
    anomalyrunner,
    faultinjection,
    faultscores,
    formula,
    nab,
    smallnetwork,
    tuning,
)
from models.anomaly.formula import ASIDE
from models.anomaly.labelledseries import FAULTS, Series, SeriesFault, generate_series
from models.anomaly.layout import FEATURES, ODDITY, STATE, WIDTHS, Params, start_state
from models.anomaly.train import VERSION
from models.graph import NumpyOps
from tests.long import examples, more, one_in, size

BUNDLE = BUNDLES / "anomaly"
MIDNIGHT = 1_767_571_200.0  # Monday, 5 January 2026, UTC
DAY = 288  # samples of five minutes


def _session(*, inner: bool = False) -> object:
    params, net = anomalyrunner.read_params(BUNDLE), anomalyrunner.read_net(BUNDLE)
    return anomalyrunner.make_session(
        anomalyrunner.anomaly_graph(params, net, VERSION, inner=inner).SerializeToString()
    )


def _shipped() -> object:
    return anomalyrunner.make_session((BUNDLE / "anomaly.onnx").read_bytes())


def test_the_graph_that_ships_is_the_formula_with_the_numbers_that_ship() -> None:
    assert read_manifest(BUNDLE).version == VERSION
    graph = anomalyrunner.anomaly_graph(
        anomalyrunner.read_params(BUNDLE), anomalyrunner.read_net(BUNDLE), VERSION
    )
    assert graph.SerializeToString(deterministic=True) == (BUNDLE / "anomaly.onnx").read_bytes()


def test_the_columns_that_causes_are_named_by_are_those_of_the_model() -> None:
    assert COLUMNS == ODDITY


@more
def test_formula_and_graph_agree_over_many_steps() -> None:
    params, net = anomalyrunner.read_params(BUNDLE), anomalyrunner.read_net(BUNDLE)
    series = [s for s in generate_series(5) if s.faults][:3]
    steps = size(300, 700)
    short = [replace(s, values=s.values[:steps]) for s in series]
    by_graph = anomalyrunner.run_series(_session(), short)
    fixed, times = (np.asarray(row, np.float32) for row in start_state())
    quantum = np.asarray([[s.quantum] for s in short], np.float32)
    x = np.stack([s.values for s in short], axis=1).astype(np.float32)[:, :, None]
    state, one = fixed + x[0] * times, np.ones_like(x[0])
    for t in range(1, steps):
        onset, level, oddity, state = formula.anomaly_step(
            NumpyOps(), x[t], one, quantum, -one, state, params, net
        )
        for i, (onsets, levels) in enumerate(by_graph):
            assert onset[i, 0] == pytest.approx(onsets[t], abs=0.002)
            assert level[i, 0] == pytest.approx(levels[t], abs=0.002)
    assert oddity.shape == (3, len(ODDITY))
    assert state.shape == (3, STATE)
    assert state.dtype == np.float32


@more
def test_what_is_tuned_is_what_the_graph_says() -> None:
    """The trials of tuning weigh the same way as the graph."""
    params, net = anomalyrunner.read_params(BUNDLE), anomalyrunner.read_net(BUNDLE)
    steps = size(750, 1500)
    series = [replace(s, values=s.values[:steps]) for s in generate_series(6) if s.faults]
    rows: list[list[np.ndarray]] = [[] for _ in series]

    def keep(_: int, answer: object) -> None:
        for i, row in enumerate(rows):
            row.append(np.concatenate([answer[0][i], *(answer[k][i] for k in (4, 5, 6))]))  # type: ignore[index]

    anomalyrunner.run_steps(_session(inner=True), series, keep)
    for row in rows:
        table = np.asarray(row)
        odds = formula.logit(NumpyOps(), table[:, 16 : 16 + FEATURES], net)[:, 0]
        known = tuning.Known(table[:, 1:16], odds, table[:, -ASIDE:])
        r = tuning.surprise(known, params)
        said = tuning.surprise_above(r, params)
        above = r - tuning.thresholds(r, known, params)
        expected = np.where(said > 0, 1 / (1 + np.exp(-params.slope * above)), 0.0)
        far = np.abs(table[1:, 0] - expected[1:]) > 0.01
        assert far.mean() < 0.01  # single precision decides a few close calls the other way


def test_a_missing_sample_only_counts_the_gap() -> None:
    fixed, times = (np.asarray(row, np.float32) for row in start_state())
    state = (fixed + 10 * times)[None]
    one = np.ones((1, 1), np.float32)
    onset, level, _, after = formula.anomaly_step(
        NumpyOps(), 1e9 * one, 0 * one, 0 * one, -one, state, Params(), anomalyrunner.empty_net()
    )
    assert (onset[0, 0], level[0, 0]) == (0, 0)
    gap = list(WIDTHS).index("gap")
    assert all(width == 1 for width in list(WIDTHS.values())[: gap + 1])
    assert after[0, gap] == 1
    after[0, gap] = 0
    np.testing.assert_array_equal(after, state)


@one_in(2)
@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1.0, 1e6, 1e12])
def test_numbers_of_any_size_stay_numbers(scale: float) -> None:
    rng = np.random.default_rng(1)
    values = scale * rng.normal(0, 1, 400)
    values[100:150] = values[100]
    values[200] = 1e12
    values[300:310] = -1e12
    ((onset, level),) = anomalyrunner.run_series(_shipped(), [Series("s", values, ())])
    assert np.isfinite(onset).all()
    assert np.isfinite(level).all()
    assert onset.min() >= 0
    assert level.max() <= 1


@pytest.mark.long
def test_the_shipped_model_finds_faults_in_series_it_was_not_tuned_on() -> None:
    series, tally = generate_series(11), faultscores.FaultTally()
    for s, (onset, level) in zip(series, anomalyrunner.run_series(_shipped(), series), strict=True):
        faultscores.add_series(tally, s, faultscores.alarm_samples(onset, level))
    assert tally.faults == 6 * len(FAULTS)
    assert tally.f1 > 0.7
    assert tally.wrong_per_1000 < 0.3


def _days(count: int, seed: int) -> Series:
    """A day's course, with noise, in steps of a tenth; nothing moves at night."""
    rng = np.random.default_rng(seed)
    at = np.arange(count * DAY)
    course = np.maximum(0.0, np.sin((at % DAY) / DAY * 2 * np.pi - np.pi / 2))
    values = np.round(20 + course * (30 + rng.normal(0, 2, len(at))), 1)
    return Series("days", values, (), 0.1, np.asarray(MIDNIGHT + 300.0 * at, np.float64))


NIGHT = 14 * DAY + 12  # one o'clock
SEEDS = range(1, size(5, 13))


@pytest.fixture(scope="module")
def result() -> list[np.ndarray]:
    """The alarms of a fortnight of each seed, then of each with what is usual at noon at night."""
    sound = [_days(15, seed) for seed in SEEDS]
    wrong = []
    for s in sound:
        values = s.values.copy()
        values[NIGHT : NIGHT + 24] = s.values[NIGHT + DAY // 2 : NIGHT + DAY // 2 + 24]
        wrong.append(replace(s, values=values))
    return [
        faultscores.alarm_samples(*pair)
        for pair in anomalyrunner.run_series(_shipped(), [*sound, *wrong])
    ]


@pytest.mark.long
def test_a_value_that_is_usual_at_noon_is_odd_at_night(result: list[np.ndarray]) -> None:
    """Each night; and sound weeks have no more false alarms than the manifest says of courses."""
    false = sum(int((at >= 8 * DAY).sum()) for at in result[: len(SEEDS)])
    raw = json.loads((BUNDLE / "manifest.json").read_text(encoding="utf-8"))
    assert false / (7 * len(SEEDS)) <= raw["false_alarms_per_series_day"]["courses"]
    assert all(((at >= NIGHT) & (at < NIGHT + 24)).any() for at in result[len(SEEDS) :])


@pytest.mark.long
def test_nights_that_repeat_the_same_value_are_not_stuck(result: list[np.ndarray]) -> None:
    seed = 2
    assert (np.diff(_days(15, seed).values) == 0).mean() > 0.4
    assert [at for at in result[SEEDS.index(seed)] if at >= 8 * DAY] == []


def test_the_value_after_a_long_gap_is_no_jump() -> None:
    rng = np.random.default_rng(3)
    level = np.where(np.arange(1200) < 1000, 50.0, 54.0) + rng.normal(0, 0.2, 1200)
    wander = 4 * np.sin(np.arange(1200) / 150)
    whole = level + wander
    gapped = whole.copy()
    gapped[900:1000] = np.nan
    pair = [Series("jump", whole, ()), Series("gap", gapped, ())]
    jump, gap = (
        faultscores.alarm_samples(*row) for row in anomalyrunner.run_series(_shipped(), pair)
    )
    assert any(1000 <= at < 1010 for at in jump)
    assert not any(1000 <= at < 1005 for at in gap)


@settings(max_examples=examples(30), deadline=None)
@given(seed=st.integers(0, 10_000), bent=st.booleans())
def test_lessons_say_where_a_series_was_broken_and_leave_alone_what_was(
    seed: int, bent: bool
) -> None:
    values = np.round(50 + 10 * np.sin(np.arange(3000) / 30), 1)
    series = Series("s", values, (SeriesFault(1000, 1100, "noise"),))
    avoid = faultinjection.marked_samples(series)
    rng = np.random.default_rng(seed)
    if bent:
        result = faultinjection.training_series(series, avoid, rng)
        assert len(result.series.values) == len(result.truth) == len(result.weight)
        return
    result = faultinjection.broken_series(series, avoid, rng)
    changed = result.series.values != values
    assert not changed[avoid].any()
    assert (result.truth[changed & (np.arange(3000) >= faultinjection.YOUNG)] == 1).all()
    assert (result.truth[avoid] == -1).all()
    for fault in result.series.faults[1:]:
        assert (result.truth[fault.first : fault.last] == 1).all()


def test_the_learned_part_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smallnetwork, "BATCH", 256)  # an eighth: what is learned here is easy
    rng = np.random.default_rng(1)
    x = rng.normal(0, 1, (4000, 5)).astype(np.float32)
    wrong = ((x[:, 0] > 1) & (x[:, 1] > 0)).astype(np.float32)
    net = smallnetwork.fit_network(x, wrong, np.ones(4000, np.float32), 1, steps=400)
    odds = formula.logit(NumpyOps(), x, net)[:, 0]
    assert ((odds > 0) == (wrong > 0)).mean() > 0.97
    again = smallnetwork.fit_network(x, wrong, np.ones(4000, np.float32), 1, steps=400)
    np.testing.assert_array_equal(net[0][0], again[0][0])


def test_joined_networks_say_the_mean_of_what_each_says() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(0, 1, (200, 5)).astype(np.float32)
    wrong, ones = (x[:, 0] > 0).astype(np.float32), np.ones(200, np.float32)
    nets = [smallnetwork.fit_network(x, wrong, ones, seed, steps=20) for seed in (1, 2, 3)]
    each = [formula.logit(NumpyOps(), x, net) for net in nets]
    assert not np.allclose(each[0], each[1])
    both = formula.logit(NumpyOps(), x, smallnetwork.mean_network(nets))
    np.testing.assert_allclose(both, np.mean(each, axis=0), rtol=1e-4, atol=1e-5)


def test_alarms_find_faults_and_are_wrong_elsewhere() -> None:
    series = Series(
        "s", np.zeros(100), (SeriesFault(10, 20, "spike"), SeriesFault(50, 60, "stuck"))
    )
    tally = faultscores.FaultTally()
    faultscores.add_series(tally, series, np.asarray([5, 12, 15, 25, 40]))
    # 12 and 15 are one find, 25 is the return to normal, 5 and 40 are wrong, 50 to 60 is missed
    assert (tally.found, tally.faults, tally.wrong) == (1, 2, 2)
    assert tally.delays == [2]
    assert tally.f1 == pytest.approx(2 * 0.5 * (1 / 3) / (0.5 + 1 / 3))


def test_a_flag_that_stays_on_is_one_alarm() -> None:
    onset = np.asarray([0.0, 0.9, 0.9, 0.0, 0.0, 0.9])
    level = np.asarray([0.0, 0.9, 0.9, 0.5, 0.2, 0.9])
    assert faultscores.alarm_samples(onset, level).tolist() == [1, 5]


def _file(*windows: tuple[int, int]) -> nab.NabFile:
    return nab.NabFile(Series("realTraffic/x.csv", np.zeros(1000), ()), windows)


def test_nab_gives_0_to_silence_and_100_to_an_alarm_at_each_windows_start() -> None:
    files = [_file((400, 440), (700, 760)), _file((500, 600))]
    nothing = [np.asarray([], int), np.asarray([], int)]
    assert nab.normalised_score(files, nothing) == 0
    assert nab.normalised_score(
        files, [np.asarray([400, 700]), np.asarray([500])]
    ) == pytest.approx(100)


def test_nab_takes_less_for_late_and_for_false_alarms_and_nothing_in_probation() -> None:
    files = [_file((400, 440))]

    def score(*at: int) -> float:
        return nab.normalised_score(files, [np.asarray(at)])

    assert score(400) > score(430) > score(440) > 0
    assert score(400, 900) == pytest.approx(100 - 50 * nab.WRONG)
    assert score(400, 300) == pytest.approx(100 - 50 * nab.WRONG)
    assert score(400, 445) > score(400, 900)  # just after a window it weighs less
    assert score(400, 100) == pytest.approx(100)
