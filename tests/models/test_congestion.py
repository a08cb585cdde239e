"""The congestion model's parts: formula, events, occupancy; and that tuning is repeatable."""

import json
from pathlib import Path

import numpy as np
import pytest

from models import BUNDLES
from models.congestion import formula, train
from models.congestion.data import Station, occupied, windows
from models.congestion.events import lately, starts, tally
from models.congestion.formula import POSITIONS, Rule
from models.graph import Eager


def test_occupancy_counts_vehicles_that_overlap_once() -> None:
    shares = occupied(np.asarray([1.0, 2.0, 12.0]), np.asarray([4.0, 3.0, 17.0]), 4, 5.0)
    np.testing.assert_allclose(shares, [0.6, 0.0, 0.6, 0.4])


def test_longer_windows_are_means_of_short_ones() -> None:
    np.testing.assert_allclose(windows(np.asarray([[0.0, 1.0, 0.5, 0.5, 9.0]]), 10), [[0.5, 0.5]])


def _station(*events: tuple[float, float]) -> Station:
    return Station("s", "n", "mid", 24.0, np.zeros((1, 1)), events, ((5000.0, 5050.0),))


@pytest.mark.parametrize(
    ("alarm_s", "found", "wrong"),
    [(880, 1, 0), (1000, 1, 0), (1500, 1, 0), (879, 0, 1), (1501, 0, 1), (5020, 0, 0)],
)
def test_an_alarm_is_right_from_two_minutes_before_an_onset_to_the_events_end(
    alarm_s: float, found: int, wrong: int
) -> None:
    t = tally(np.asarray([float(alarm_s)]), _station((1000.0, 1500.0)))
    assert (t.found, t.wrong) == (found, wrong)


def test_a_second_alarm_in_one_event_finds_nothing_more() -> None:
    t = tally(np.asarray([1000.0, 1200.0]), _station((1000.0, 1500.0), (3000.0, 3500.0)))
    assert (t.found, t.events, t.right, t.wrong) == (1, 2, 2, 0)
    assert t.f1 == pytest.approx(2 * 1 * 0.5 / 1.5)


def test_flags_go_on_at_the_level_and_off_after_a_quiet_minute() -> None:
    level = np.asarray([0.1, 0.6, 0.2, 0.6, 0.2, 0.2, 0.2, 0.6])
    assert starts(level, lately(level, 20.0), 0.5, 0.3).tolist() == [1, 7]


def test_gaps_hold_what_was_known_and_then_end_it() -> None:
    rules = [Rule("mean", 60.0, 0.5, 10.0)] * 4
    o, one = Eager(), np.ones((1, 1), np.float32)
    x, seen = np.full((1, 12), 0.9, np.float32), np.asarray([[0, 0, 1, 0]], np.float32)
    state = np.asarray([formula.start()], np.float32)
    for _ in range(60):
        p, known, state = formula.step(o, x, seen, 5 * one, state, rules)
    assert p[0, 0] > 0.9
    assert known[0, 0] == 1
    held, known, state = formula.step(o, x, 0 * seen, 299 * one, state, rules)
    assert held[0, 0] == p[0, 0]
    assert known[0, 0] == 1
    _, known, state = formula.step(o, x, 0 * seen, 1 * one, state, rules)
    assert known[0, 0] == 0
    p, known, state = formula.step(o, x, seen, 5 * one, state, rules)
    assert known[0, 0] == 1
    assert p[0, 0] < 0.1


def test_the_best_position_that_is_seen_speaks() -> None:
    rules = [Rule("mean", 1.0, 0.5, 10.0)] * 4
    x = np.asarray([[0.1, 0.3, 0.6, 0.9] * 3], np.float32)
    state = np.asarray([formula.start()], np.float32)
    said = []
    for first in range(4):
        seen = np.asarray([[float(i >= first) for i in range(4)]], np.float32)
        p, _, _ = formula.step(Eager(), x, seen, np.full((1, 1), 60.0), state, rules)
        said.append(float(p[0, 0]))
    assert said == sorted(said)
    assert said[0] < 0.1 < 0.9 < said[3]


def test_tuning_finds_a_threshold_that_tells_jams_from_traffic(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    stations = []
    for name in ("a", "b"):
        occupancy = rng.uniform(0.05, 0.25, (2, 8640))
        occupancy[:, 4000:4400] = rng.uniform(0.7, 1.0, (2, 400))
        events = ((20_000.0, 22_000.0),)
        stations.append(Station(name, "n", "mid", 12.0, occupancy, events, ()))
    trials = train.search(stations)
    chosen = train.best(trials, ["a", "b"])
    assert chosen.worth(["a", "b"]) == pytest.approx(1.0, abs=0.01)
    rules = [chosen.rule] * len(POSITIONS)
    for folder in ("one", "two"):
        train.export(rules, tmp_path / folder, {"training": {}})
    for file in ("congestion.onnx", "manifest.json", "golden.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_the_shipped_bundle_is_what_its_manifest_says() -> None:
    manifest = json.loads((BUNDLES / "congestion" / "manifest.json").read_text())
    rules = [
        Rule(r["aggregate"], r["tau_s"], r["threshold"], r["slope"])
        for r in manifest["positions"].values()
    ]
    for case in json.loads((BUNDLES / "congestion" / "golden.json").read_text())["cases"]:
        given = {name: np.asarray(v, np.float32) for name, v in case["inputs"].items()}
        p, *_ = formula.step(
            Eager(), given["x"], given["present"], given["dt"], given["state"], rules
        )
        np.testing.assert_allclose(p, case["outputs"]["p"], atol=1e-4)
