"""The congestion model's parts: formula, rows, tuned rule; and that its export is the same."""

import json
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge.infer.observation import PositionObservation, model_inputs
from edge.infer.occupancy import OFF_ODDS, OccupancyRule
from models import BUNDLES
from models.congestion import (
    congestionbundle,
    congestionstate,
    formula,
    speakerchoice,
    treelearning,
    tuning,
)
from models.congestion.approachrows import parts_of, rows_after_usual_days, rows_of, simulated_judge
from models.congestion.congestionrunner import UNKNOWN, rule_odds
from models.congestion.congestionstate import COUNT, OWN, POSITIONS
from models.congestion.eventscores import EventTally
from models.congestion.formula import FormulaParts, PositionRule, SituationSpeaker
from models.congestion.scenarios.loopfaults import LoopFault
from models.congestion.scenarios.simstreet import LoopPlace, SimStreet, StreetLink
from models.congestion.treelearning import RowSample
from models.graph import NumpyOps
from models.trees import Forest, Tree, TreeEager

LINE = (1.0, 0.0)
NO_FLOORS = (formula.NEVER,) * OWN
BY_RULE = SituationSpeaker(0.0, 1.0, 0.0, NO_FLOORS, 0.0, OFF_ODDS, 0.0, 0.0, LINE, LINE)
MANIFEST = json.loads((BUNDLES / "congestion" / "manifest.json").read_text())
RULES = [PositionRule(**each) for each in MANIFEST["positions"].values()]


def _leaf(value: float) -> Forest:
    none = np.zeros(1, np.int64)
    return Forest((Tree(none - 1, np.asarray([value], np.float32), none, none),), 0.0)


def _parts(speaker: SituationSpeaker = BY_RULE, odds: float = 0.0) -> FormulaParts:
    return FormulaParts(RULES, dict.fromkeys(formula.SITUATIONS, speaker), _leaf(odds))


def _seen(mean: float, stay_s: float = 0.5) -> PositionObservation:
    return PositionObservation(
        mean, min(1.0, 1.2 * mean), 0.8 * mean, 0.2, stay_s, 0.0, stay_s, None
    )


class Approach:
    """One approach, slot after slot, through the formula in numpy."""

    def __init__(self, parts: FormulaParts) -> None:
        self.parts = parts
        self.state = np.asarray([formula.start_state(parts.rules)], np.float32)

    def step(
        self, observations: dict[str, PositionObservation], dt_s: float = 30.0
    ) -> dict[str, float]:
        x, present = model_inputs(observations, {}, {})
        dt = np.full((1, 1), dt_s, np.float32)
        return self.feed(np.asarray([x], np.float32), np.asarray([present], np.float32), dt)

    def feed(self, x: Any, present: Any, dt: Any) -> dict[str, float]:
        feed = {"x": x, "present": present, "dt": dt, "state": self.state}
        result = congestionbundle.run_numpy(self.parts, feed)
        self.state = result["state_out"]
        return {name: float(result[name][0, 0]) for name in ("p", "known", "p5", "p15", "level")}


def test_the_rule_inside_is_the_rule_that_answers_when_the_model_cannot() -> None:
    rule, approach, rng = OccupancyRule(), Approach(_parts()), random.Random(1)
    for _ in range(300):
        here = {name: _seen(rng.random()) for name in POSITIONS if rng.random() > 0.5}
        dt_s = rng.choice([30.0, 45.0, 400.0])
        p, result = rule.step(here, dt_s), approach.step(here, dt_s)
        assert result["known"] == float(p is not None)
        if p is not None:
            assert result["level"] == pytest.approx(p, abs=0.001)


@pytest.mark.long
def test_a_threshold_follows_what_is_usual_at_the_site_within_bounds() -> None:
    parts = replace(_parts(), rules=[replace(r, usual=0.15, follow=1.0) for r in RULES])
    levels = np.asarray([[0.05], [0.3], [0.0], [0.99]], np.float32)
    x = np.zeros((4, congestionstate.WIDTH), np.float32)
    x[:, : 3 * COUNT] = levels
    feed = {"x": x, "present": np.ones((4, COUNT), np.float32), "dt": np.full((4, 1), 30.0, "f4")}
    state = np.tile(np.asarray(formula.start_state(parts.rules), np.float32), (4, 1))
    for _ in range(2 * 1440):
        state = congestionbundle.run_numpy(parts, {**feed, "state": state})["state_out"]
    at = congestionstate.STATE + OWN
    calm, busy, empty, jammed = state[:, at : at + OWN]
    assert calm.max() < 0.12
    assert busy == pytest.approx([0.3] * OWN, abs=0.03)
    assert empty == pytest.approx([0.15] * OWN)  # nothing is learned from an empty road
    assert jammed.max() <= 0.45  # nor much from a jam


def test_no_site_falls_silent() -> None:
    """Whatever was learned, a queue that stands is over every threshold."""
    for usual in np.linspace(0, 1, 11):
        approach = Approach(_parts())
        approach.state[:, congestionstate.STATE + OWN : congestionstate.STATE + 2 * OWN] = usual
        for _ in range(60):
            result = approach.step(
                dict.fromkeys(POSITIONS, PositionObservation(1, 1, 1, 0, 0, 1, 300, None))
            )
        assert result["level"] > 0.5


@pytest.mark.long
def test_what_is_tuned_moves_as_the_graph_does() -> None:
    street = _street()
    usual = replace(street, stays=(street.stays[2],) * 3)
    (row,) = (
        p
        for p in parts_of(rows_after_usual_days(rows_of(street), rows_of(usual))[0])
        if p.kept == (2,)
    )
    rule = PositionRule("mean", 60.0, 0.5, 4.0, 0.3, 1.0)
    rules = dict.fromkeys(POSITIONS, rule)
    approach = Approach(replace(_parts(), rules=[rule] * OWN))
    for x, present, dt in treelearning.usual_days([row]):
        approach.feed(x, present, dt)
    result = [
        approach.feed(row.x[[i]], row.present[[i]], row.dt_s[[i], None])["level"]
        for i in range(len(row.dt_s))
    ]
    odds, cold = rule_odds([row, replace(row, before=None)], rules)
    np.testing.assert_allclose(result, 1 / (1 + np.exp(-odds)), atol=1e-3)
    assert abs(odds - cold).max() > 0.1


def test_any_position_raises_a_flag_whatever_the_trees_and_the_others_say() -> None:
    speaker = replace(BY_RULE, trees=1.0, rule=0.0, floors=(0.5,) * OWN)
    silent = Approach(_parts(speaker, -6.0))
    empty, full = _seen(0.02), _seen(1.0)
    for _ in range(60):
        result = silent.step({"advance": empty, "mid": empty})
    assert result["level"] < 0.05
    assert result["p"] == pytest.approx(1 / (1 + np.exp(6.0)), rel=0.01)
    for _ in range(60):
        result = silent.step({"advance": empty, "mid": full})
    assert result["level"] > 0.5
    assert result["p"] > 0.5


def test_a_flag_goes_by_p() -> None:
    on, off = float(np.log(0.6 / 0.4)), float(np.log(0.2 / 0.8))
    approach = Approach(_parts(replace(BY_RULE, on=on, off=off)))
    for k in range(120):
        result = approach.step({"corridor": _seen(k / 120)})
        assert (result["level"] >= 0.5) == (result["p"] >= 0.6)
        assert (result["level"] <= 0.35) == (result["p"] <= 0.2)


def test_what_was_fairly_likely_for_minutes_raises_a_flag_and_a_lull_does_not_clear_it() -> None:
    patient = replace(BY_RULE, trees=1.0, rule=0.0, on=1.5, off=0.5, steady_s=120.0, patience=0.7)
    hasty = replace(patient, steady_s=0.0, patience=0.0)

    def levels(speaker: SituationSpeaker) -> list[float]:
        approach = Approach(_parts(speaker))
        out = []
        for odds, count in ((-4.0, 5), (1.0, 20), (-2.0, 1)):  # free, fairly likely, a lull
            approach.parts = _parts(speaker, odds)
            out += [approach.step({"mid": _seen(0.3)})["level"] for _ in range(count)]
        return out

    free, begun, lasted, lull = (levels(patient)[i] for i in (4, 5, 24, 25))
    assert free < begun < 0.5 < lasted
    assert 0.35 < lull < lasted
    assert max(levels(hasty)) < 0.5
    assert levels(hasty)[25] < 0.35


def test_a_position_needs_more_where_others_are_known() -> None:
    rules = [replace(rule, beside=1.0) for rule in RULES]
    alone, beside = (Approach(replace(_parts(), rules=rules)) for _ in range(2))
    for _ in range(60):
        one = alone.step({"mid": _seen(0.6)})["level"]
        two = beside.step({"mid": _seen(0.6), "stop": _seen(0.1)})["level"]
    assert np.log(one / (1 - one)) - np.log(two / (1 - two)) == pytest.approx(1.0, abs=0.01)


def test_odds_that_lasted_are_those_that_were_tuned() -> None:
    """`speakerchoice` in numpy and the graph's state say the same, also after a gap."""
    speaker = replace(
        BY_RULE, trees=0.7, steady_s=120.0, patience=0.5, floors=(1.0,) * OWN, on=0.4, off=-0.6
    )
    approach, rng = Approach(_parts(speaker, 0.5)), random.Random(2)
    rule = OccupancyRule()
    said, odds, known = [], [], []
    for i in range(120):
        here = {} if 50 < i < 65 else {"corridor": _seen(rng.random())}
        said.append(approach.step(here))
        p = rule.step(here, 30.0)
        known.append(p is not None)
        odds.append(float(np.log(p / (1 - p))) if p else UNKNOWN)
    row = rows_of(_street())[0]
    row = replace(row, ends_s=np.arange(30.0, 3601.0, 30.0), dt_s=np.full(120, 30.0, np.float32))
    seen = np.zeros((120, COUNT), np.float32)
    seen[:, 0] = known
    sample = RowSample(row, np.zeros((120, 1), np.float32), seen)
    chances = np.full((120, OWN), UNKNOWN)
    chances[:, 0] = odds
    mixed = speakerchoice.spoken_odds(
        [sample], [np.full(120, 0.5)], [np.asarray(odds)], {row.situation: speaker}
    )
    s = speakerchoice.OddsPool([sample], speakerchoice.Days([0], []), mixed, [chances])
    choice = speakerchoice.SpeakerChoice(speaker.on, speaker.off, 120.0, 0.5)
    score = speakerchoice.score_row(s, 0, choice, speaker.floors)
    at = np.asarray(known)
    np.testing.assert_allclose(np.asarray([r["p"] for r in said])[at], score.p[at], atol=2e-3)
    assert 0 < score.flag[at].sum() < at.sum()
    raised = np.asarray([r["level"] >= 0.5 for r in said])
    assert (score.flag | ~raised)[at].all()


def test_the_free_stay_is_learned_between_bounds_and_a_jam_does_not_unlearn_it() -> None:
    o, present = NumpyOps(), np.ones((1, COUNT), np.float32)
    dt = np.full((1, 1), 30.0, np.float32)
    state = np.asarray([congestionstate.start_signals()], np.float32)

    def after(state: Any, count: int, occupancy: float, stay_s: float) -> Any:
        x = np.zeros((1, congestionstate.WIDTH), np.float32)
        x[:, :COUNT], x[:, 3 * COUNT : 4 * COUNT], x[:, 4 * COUNT : 5 * COUNT] = (
            occupancy, 0.2, stay_s,
        )  # fmt: skip
        for _ in range(count):
            state, _ = congestionstate.remember_slot(o, x, present, dt, state)
        return state

    def free_s(state: Any) -> float:
        return float(np.exp(state[0, congestionstate.SMOOTH + COUNT]))

    calm = after(state, 600, 0.1, 0.36)
    assert free_s(calm) == pytest.approx(0.36, rel=0.05)
    assert free_s(after(calm, 240, 0.8, 9.0)) == free_s(calm)
    assert free_s(after(calm, 4000, 0.1, 60.0)) <= congestionstate.FREE_HIGH_S * 1.001
    assert free_s(after(calm, 1500, 0.1, 0.001)) >= congestionstate.FREE_LOW_S * 0.999


def test_gaps_hold_what_was_known_and_then_end_it() -> None:
    approach = Approach(_parts())
    for _ in range(60):
        result = approach.step({"mid": _seen(0.9)})
    held = approach.step({}, 299.0)
    assert held["p"] == pytest.approx(result["p"], abs=1e-6)
    assert held["known"] == 1.0
    assert approach.step({}, 1.0)["known"] == 0.0
    assert approach.step({"mid": _seen(0.0)})["p"] < 0.5  # it begins anew


def _street() -> SimStreet:
    """Two links, loops at mid and stop of the first, cars every five seconds, a jam in between."""
    jam = ((3000.0, 4200.0),)
    none = np.zeros(0)
    links = (
        StreetLink("a", "arterial", 1, 300.0, 50.0, "b", 300.0, jam, (), none, none),
        StreetLink("b", "arterial", 1, 300.0, 50.0, None, None, (), (), none, none),
    )
    loops = (
        LoopPlace("a_mid", "a", "mid", 0, "lead", 100.0, 2.0),
        LoopPlace("a_stop", "a", "stop", 0, "lead", 295.0, 2.0),
        LoopPlace("b_mid", "b", "mid", 0, "lead", 100.0, 2.0),
    )
    on = np.arange(0.0, 7190.0, 5.0)
    slow = (on >= 3000) & (on < 4200)
    jammed = np.stack([on, on + np.where(slow, 4.5, 0.5)], axis=1)
    free = np.stack([on, on + 0.5], axis=1)
    return SimStreet("t_1", "arterial", "train", 1, 2.0, links, loops, (jammed, jammed, free))


def test_rows_are_what_the_loops_saw() -> None:
    street = _street()
    a, b = rows_of(street)
    assert (a.situation, b.situation, a.whole) == ("link", "mid", True)
    mid, stop, below = (congestionstate.PLACES.index(name) for name in ("mid", "stop", "below"))
    at = a.ends_s.tolist().index(3600.0)
    assert a.x[at, mid] == pytest.approx(0.9)
    assert a.x[at, stop] == pytest.approx(0.9)
    assert a.x[at, below] == pytest.approx(b.x[at, mid]) == pytest.approx(0.1)
    assert a.present[at].tolist() == [0, 0, 1, 1, 1, 0]
    kinds = {(p.situation, tuple(np.flatnonzero(p.present[at]))) for p in parts_of(a)}
    assert {("link", (2, 3)), ("mid", (2,)), ("stop", (3,))} <= kinds
    assert a.inside(a.link.events).sum() == 40


def test_a_loop_that_health_calls_broken_is_not_in_the_row() -> None:
    street = _street()
    fault = LoopFault("a_mid", "lead", "stuck_on", 1000.0, 2000.0, 1.0)
    found = [
        rows_of(street, simulated_judge([fault], street, seed))[0].present[:, 2].min() == 0
        for seed in range(30)
    ]
    assert any(found)
    assert not all(found)  # not every fault is found


def test_tuning_finds_a_threshold_that_tells_jams_from_traffic() -> None:
    rows = [row for row in rows_of(_street()) if row.link.name == "a"]
    alone = [p for row in rows for p in parts_of(row) if p.kept == (2,)]
    trials = tuning.rule_trials(alone, "mid")
    chosen = trials.best()
    odds = rule_odds(alone[:1], dict.fromkeys(POSITIONS, chosen))[0]
    score = tuning.score_flags(odds, alone[0], *tuning.RULE_LIMITS)
    assert (score.f1, score.wrong) == (1.0, 0)
    held = tuning.score_holds(odds, alone[0], *tuning.RULE_LIMITS)
    assert (held.found, held.events) == (1, 1)
    assert held.cleared < 0.1


def test_odds_are_weighed_by_what_they_are_worth() -> None:
    rng = np.random.default_rng(1)
    z = rng.normal(0, 3, 30_000)
    truth = rng.random(30_000) < 1 / (1 + np.exp(-(0.8 * z - 1.0)))
    noise = rng.normal(0, 3, 30_000)
    weights = tuning.logistic_weights([z, noise - 0.3 * z], truth)
    assert weights == pytest.approx([0.8, 0.0, -1.0], abs=0.06)
    assert weights[1] >= 0.0


GOOD, BAD = EventTally(1, 1, 1, 0, 1.0, [0.0]), EventTally(0, 1, 0, 0, 1.0, [])


def test_a_choice_among_good_neighbours_is_better_than_a_single_best_one() -> None:
    beside = len(speakerchoice.GAPS)  # the same, but for where a flag goes on
    good = {10: "abc", 30 - beside: "ab", 30: "ab", 30 + beside: "ab"}
    tried = {
        choice: {i: GOOD if name in good.get(k, "") else BAD for i, name in enumerate("abc")}
        for k, choice in enumerate(speakerchoice.CHOICES)
    }
    found = speakerchoice.widest_choice(tried, speakerchoice.Days([0, 1], [2]))
    assert found == speakerchoice.CHOICES[30]


def test_alarms_on_usual_days_cost_more_than_what_they_find() -> None:
    quiet, alarm = EventTally(days=1.0), EventTally(wrong=1, days=1.0)
    days = speakerchoice.Days([0], [1], [2])
    shy = {0: GOOD, 1: BAD, 2: quiet}
    hasty = {0: GOOD, 1: GOOD, 2: alarm}
    assert days.worth(shy) > days.worth(hasty)
    assert days.worth({**hasty, 2: quiet}) > days.worth(shy)


def test_a_link_with_fewer_loops_has_the_features_that_are_left() -> None:
    whole = rows_of(_street())[0]
    whole = replace(whole, before=whole)
    parts = [part for sample in treelearning.row_samples([whole]) for part in sample.parts()]
    for mine, made in zip(parts, treelearning.row_samples(parts_of(whole)), strict=True):
        assert mine.row.kept == made.row.kept
        np.testing.assert_array_equal(mine.features, made.features)
        np.testing.assert_array_equal(mine.known, made.known)


def test_a_queue_at_the_end_of_a_usual_day_is_not_there_when_the_next_one_begins() -> None:
    row = rows_of(_street())[0]
    *_, (x, present, dt) = treelearning.usual_days([replace(row, before=row)])
    assert not x.any()
    assert not present.any()
    assert dt.min() > congestionstate.STALE_S


def test_features_have_names() -> None:
    row = rows_of(_street())[0]
    (sample,) = treelearning.row_samples([row])
    assert sample.features.shape == (len(row.dt_s), len(congestionstate.feature_names()))
    assert len(set(congestionstate.feature_names())) == len(congestionstate.feature_names())
    assert np.isfinite(sample.features).all()


def test_an_export_gives_what_numpy_gives_and_is_the_same_twice() -> None:
    runtime = pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(4)
    speaker = SituationSpeaker(
        0.7, 0.4, -0.2, (1.0, 0.5, 2.0, 30.0), 0.4, -0.8, 120.0, 0.7, (0.8, 0.0), (0.5, -1.0)
    )
    parts = _parts(speaker, 0.3)
    data = congestionbundle.congestion_graph(parts).SerializeToString(deterministic=True)
    assert data == congestionbundle.congestion_graph(parts).SerializeToString(deterministic=True)
    session = runtime.InferenceSession(data)
    state = np.tile(np.asarray(formula.start_state(RULES), np.float32), (5, 1))
    for _ in range(30):
        feed = {
            "x": rng.random((5, congestionstate.WIDTH)).astype(np.float32),
            "present": (rng.random((5, COUNT)) > 0.4).astype(np.float32),
            "dt": np.full((5, 1), 30.0, np.float32),
            "state": state,
        }
        expected = congestionbundle.run_numpy(parts, feed, TreeEager())
        answer = dict(zip(formula.OUTPUTS, session.run(list(formula.OUTPUTS), feed), strict=True))
        for name, tensor in expected.items():
            np.testing.assert_allclose(answer[name], tensor, atol=2e-4, rtol=1e-4, err_msg=name)
        state = expected["state_out"]


def test_the_shipped_bundle_is_what_its_manifest_says() -> None:
    assert MANIFEST["version"] == congestionbundle.VERSION
    assert tuple(MANIFEST["positions"]) == POSITIONS
    assert list(MANIFEST["outputs"]) == list(formula.OUTPUTS)
    assert MANIFEST["state"]["start"] == pytest.approx(formula.start_state(RULES))
    files = ("congestion.onnx", "golden.json", "manifest.json")
    assert sum((BUNDLES / "congestion" / file).stat().st_size for file in files) < 500_000
    assert all(0.0 < rule.threshold < 1.0 for rule in RULES)
