"""The loopfault model's parts: trees, flags, scores, samples; and that its graph is its formula."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edge.infer.loops.loopfeatures import WIDTH
from edge.infer.loops.loopflag import FAULTS, LEARNED_FAULTS, LoopFlag
from edge.infer.loops.loopjudge import OFF
from edge.infer.loops.looprules import ALONE
from edge.infer.loops.silence import without_unproven_silence as heeded_by_gateway
from models import BUNDLES
from models.congestion.scenarios import loopfaults
from models.congestion.scenarios.loopfaults import LoopFault, inject_faults
from models.congestion.scenarios.simstreet import LoopPlace, SimStreet, StreetLink
from models.loopfault.ensemble import TreeEnsemble, ensemble_graph
from models.loopfault.flagging import (
    add_bias,
    flag_alarms,
    floor_by_rule,
    without_standing,
    without_unproven_silence,
)
from models.loopfault.flagscores import FlagAlarm, score_street
from models.loopfault.graphrunner import GraphRunner
from models.loopfault.playedstreets import CLASSES, UNNAMED, PlayedStreet, play_street

LEAF = -1


def _trees() -> TreeEnsemble:
    """Two trees over two columns: x0 <= 0.5 ? (x1 <= 1 ? a : b) : c, and a stump."""
    return TreeEnsemble(
        column=np.array([0, 1, 0, 0, 0, 1, 0, 0]),
        limit=np.array([0.5, 1.0, 0, 0, 0, 0.1, 0, 0], np.float32),
        left=np.array([1, 2, LEAF, LEAF, LEAF, 6, LEAF, LEAF]),
        right=np.array([4, 3, LEAF, LEAF, LEAF, 7, LEAF, LEAF]),
        value=np.array([0, 0, 1.0, 2.0, -1.0, 0, 0.5, -0.5], np.float32),
        roots=np.array([0, 5]),
        target=np.array([1, 2]),
        base=np.array([0.3, 0.0, -0.2], np.float32),
        width=2,
    )


def _run(model: onnx.ModelProto, rows: Any) -> Any:
    from onnxruntime import InferenceSession  # type: ignore[attr-defined]

    return InferenceSession(model.SerializeToString()).run(None, {"x": rows})[0]


def test_a_row_goes_left_where_it_is_at_most_the_limit() -> None:
    rows = np.array([[0.5, 1.0], [0.5, 1.1], [0.6, 0.0]], np.float32)
    expected = [[0.3, 1.0, -0.7], [0.3, 2.0, -0.7], [0.3, -1.0, 0.3]]
    np.testing.assert_allclose(_trees().scores(rows), expected, atol=1e-6)


def test_the_graph_computes_what_the_trees_do_and_has_no_label() -> None:
    model = ensemble_graph(_trees(), "t", "1")
    rows = np.random.default_rng(1).choice([0.0, 0.1, 0.5, 0.7, 1.0, 2.0], (200, 2))
    rows = rows.astype(np.float32)
    np.testing.assert_allclose(_run(model, rows), _trees().probabilities(rows), atol=1e-6)
    assert [out.name for out in model.graph.output] == ["p"]
    assert model.ir_version == 8
    assert {o.domain: o.version for o in model.opset_import} == {"": 17, "ai.onnx.ml": 3}


def test_a_bias_shifts_the_odds_as_it_does_in_tuning() -> None:
    rows = np.array([[0.5, 1.0], [0.6, 0.0]], np.float32)
    bias = [0.0, -1.5, 0.5]
    shifted = _trees().shifted(bias).probabilities(rows)
    np.testing.assert_allclose(shifted, add_bias(_trees().probabilities(rows), bias), atol=1e-6)


def test_boosted_trees_are_exported_as_they_were_fitted() -> None:
    ensemble = pytest.importorskip("sklearn.ensemble")
    from models.loopfault.ensemble import of_boosting

    random = np.random.default_rng(2)
    x = random.normal(size=(600, 4)).astype(np.float32)
    y = np.where(x[:, 0] > 0.3, 4, np.where(x[:, 1] > 0, 2, 0))
    fitted = ensemble.HistGradientBoostingClassifier(max_iter=5, max_leaf_nodes=6).fit(x, y)
    trees = of_boosting(fitted, 6)
    result = trees.probabilities(x)
    np.testing.assert_allclose(result[:, [0, 2, 4]], fitted.predict_proba(x), atol=1e-5)
    assert result[:, [1, 3, 5]].max() < 1e-9  # kinds that training has not met
    np.testing.assert_allclose(_run(ensemble_graph(trees, "t", "1"), x), result, atol=1e-5)


def small_street(hours: float = 0.5) -> SimStreet:
    """Two pairs side by side, a vehicle in each lane every seven seconds or so."""
    random = np.random.default_rng(3)
    loops, stays = [], []
    for lane in (0, 1):
        on = np.cumsum(random.uniform(4.0, 10.0, int(hours * 3600 / 7)))
        for part, late in (("lead", 0.0), ("trail", 0.2)):
            place = LoopPlace(f"l{lane}", "k", "mid", lane, part, 50.0, 2.0, 4.0)  # type: ignore[arg-type]
            loops.append(place)
            stays.append(np.stack([on + late, on + late + 0.4], axis=1))
    count = int(hours * 360)
    link = StreetLink(
        "k", "arterial", 2, 300.0, 50.0, None, None, (), (), np.zeros(count), np.zeros(count)
    )
    return SimStreet("t", "arterial", "train", 5, hours, (link,), tuple(loops), tuple(stays))


def test_kinds_are_those_of_the_gateway() -> None:
    assert loopfaults.LEARNED == LEARNED_FAULTS
    assert set(loopfaults.KINDS) <= set(FAULTS)
    assert ("sound", *LEARNED_FAULTS) == CLASSES


def test_a_street_is_played_row_by_row_with_its_truth() -> None:
    hurt, result = inject_faults(small_street(), 1, 0.2, ["stuck_on"])
    p = play_street(hurt, result)
    (fault,) = result
    assert p.rows.shape == (60, 4, WIDTH)
    assert p.keys == (("l0", "lead"), ("l0", "trail"), ("l1", "lead"), ("l1", "trail"))
    column = p.keys.index((fault.lane, fault.part))
    stuck = np.flatnonzero(p.kinds[:, column] == CLASSES.index("stuck_on"))
    assert abs(len(stuck) * 30 - (fault.to_s - fault.from_s)) <= 30
    assert (np.delete(p.kinds, column, axis=1) == 0).all()
    assert (p.ruled[stuck[-5:], column] == CLASSES.index("stuck_on")).all()


def _blank(slots: int, keys: int) -> PlayedStreet:
    names = tuple((f"l{i}", "lead") for i in range(keys))
    return PlayedStreet(
        "t", slots * 30 / 3600, names, (), np.arange(1.0, slots + 1) * 30.0,
        np.zeros((slots, keys, 1), np.float32), np.zeros((slots, keys), np.int8),
        np.ones((slots, keys), bool), np.zeros((slots, keys), np.int8),
        np.ones((slots, keys), bool), np.ones((slots, keys), bool),
    )  # fmt: skip


@pytest.mark.parametrize("at_once", [True, False])
def test_flags_in_numpy_are_those_of_the_gateway(at_once: bool) -> None:
    random = np.random.default_rng(4)
    blank = _blank(400, 5)
    walk = np.cumsum(random.normal(0, 0.4, (400, 5, len(CLASSES))), axis=0)
    p = np.exp(walk - walk.max(axis=2, keepdims=True))
    p = (p / p.sum(axis=2, keepdims=True)).astype(np.float32)
    blank.traffic[:] = random.random((400, 5)) < 0.8
    short = replace(blank, ends_s=blank.ends_s[:90], traffic=blank.traffic[:90])
    result, cut = flag_alarms([blank, short], [p, p[:90]], 0.6, 0.3, at_once=at_once)
    assert [a.from_s for key in cut for a in cut[key]] == [
        a.from_s for key in result for a in result[key] if a.from_s <= 2700
    ]
    for column, key in enumerate(blank.keys):
        flag, raised = LoopFlag(0.6, 0.3), []
        for i in range(400):
            turn = flag.step(
                p[i, column].tolist(), (i + 1) * 30, 30.0,
                traffic=bool(blank.traffic[i, column]), at_once=at_once,
            )  # fmt: skip
            if turn == "on":
                raised.append(((i + 1) * 30.0, flag.fault))
        assert [(a.from_s, a.word) for a in result[key]] == raised
    assert sum(len(found) for found in result.values()) > 5


def _fault(kind: str, from_s: float, to_s: float, part: str = "lead", lane: str = "a") -> LoopFault:
    return LoopFault(lane, part, kind, from_s, to_s, 1.0)  # type: ignore[arg-type]


def test_a_flag_in_a_fault_finds_it_and_its_word_names_it() -> None:
    flags = {
        ("a", "lead"): [FlagAlarm(130, 400, "breakup")],
        ("b", "lead"): [FlagAlarm(5, 9, "chatter")],
    }
    s = score_street(flags, [_fault("crosstalk", 100, 500)], 12.0)
    assert (s.recall(), s.recall("crosstalk"), s.delay_s()) == (1.0, 1.0, 30.0)
    assert (s.named["crosstalk"], s.kind_f1("crosstalk")) == (0, 0.0)
    assert s.precision() == 0.5
    assert s.sound_days == 0.5
    assert s.false_a_day() == 2.0


@pytest.mark.parametrize(("at_s", "found"), [(99, 0), (100, 1), (560, 1), (561, 0)])
def test_a_flag_before_or_long_after_a_fault_is_wrong(at_s: float, found: int) -> None:
    s = score_street(
        {("a", "lead"): [FlagAlarm(at_s, 900, "chatter")]}, [_fault("chatter", 100, 500)], 1.0
    )
    assert (s.found["chatter"], s.named["chatter"], s.right["chatter"]) == (found,) * 3
    assert s.called["chatter"] == 1
    assert s.false_on_sound["chatter"] == 0  # the loop has a fault at another time


def test_of_a_pair_that_does_not_match_either_loop_may_be_flagged() -> None:
    flags = {("a", "lead"): [], ("a", "trail"): [FlagAlarm(300, 900, "mismatch")]}
    s = score_street(flags, [_fault("mismatch", 0, 3600)], 1.0)
    assert (s.named["mismatch"], s.right["mismatch"], s.sound_days) == (1, 1, 0.0)


@pytest.mark.long
def test_training_takes_the_beginning_of_every_fault_and_is_repeatable() -> None:
    pytest.importorskip("sklearn")
    from models.loopfault import train

    hurt, result = inject_faults(small_street(2.0), 1, 0.6)
    p = play_street(hurt, result)
    samples = [train.draw_sample(p, np.random.default_rng(1)) for _ in range(2)]
    for one, other in zip(*samples, strict=True):
        np.testing.assert_array_equal(one, other)
    labels = samples[0][1]
    for kind in {CLASSES.index(f.kind) for f in result}:
        assert (labels == kind).sum() >= min(train.FIRST_SLOTS, (p.kinds == kind).sum())
    bytes_ = [
        ensemble_graph(
            train.fit_ensemble([sample], train.EnsembleShape(3, 4)), "t", "1"
        ).SerializeToString(deterministic=True)
        for sample in samples
    ]
    assert bytes_[0] == bytes_[1]


def test_the_shipped_graph_tells_the_golden_cases_apart() -> None:
    folder: Path = BUNDLES / "loopfault"
    (first, *_) = json.loads((folder / "golden.json").read_text(encoding="utf-8"))["cases"]
    x = np.array(first["inputs"]["x"], np.float32)
    run = GraphRunner((folder / "loopfault.onnx").read_bytes())
    whole = replace(_blank(1, len(x)), rows=x[None])
    result = run.answer(whole)[0]
    np.testing.assert_allclose(result.sum(axis=1), 1.0, atol=1e-5)
    assert len(set(result.argmax(axis=1))) >= 6
    assert result[:, [CLASSES.index(kind) for kind in ALONE]].max() < 1e-6  # the rule's own


def test_of_some_kinds_the_rule_speaks_where_the_model_finds_nothing() -> None:
    p = np.zeros((1, 3, len(CLASSES)), np.float32)
    p[0, 0, 0] = p[0, 1, CLASSES.index("crosstalk")] = p[0, 2, 0] = 1.0
    ruled = np.array([[CLASSES.index(k) for k in ("mismatch", "mismatch", "undercount")]], np.int8)
    result = floor_by_rule(p, ruled)[0].argmax(axis=1)
    assert [CLASSES[k] for k in result] == ["mismatch", "crosstalk", "sound"]


def test_a_dead_loop_counts_only_where_it_is_silent_as_it_is_in_the_gateway() -> None:
    p = np.random.default_rng(5).dirichlet(np.ones(len(CLASSES)), (3, 4)).astype(np.float32)
    silent = np.random.default_rng(6).random((3, 4)) < 0.5
    result = without_unproven_silence(p, silent)
    assert (result[~silent][:, CLASSES.index("stuck_off")] == 0.0).all()
    for at in np.ndindex(silent.shape):
        expected = heeded_by_gateway(p[at].tolist(), silent=bool(silent[at]))
        np.testing.assert_allclose(result[at], expected, atol=1e-6)


def test_a_loop_that_is_stuck_counts_only_where_others_move() -> None:
    p = np.random.default_rng(7).dirichlet(np.ones(len(CLASSES)) / 2, (3, 4)).astype(np.float32)
    held, on = np.random.default_rng(8).random((3, 4)) < 0.5, CLASSES.index("stuck_on")
    result = without_standing(p, held)
    np.testing.assert_allclose(result.sum(axis=-1), 1.0, atol=1e-6)
    assert (result[~held][:, on] <= OFF).all()
    np.testing.assert_array_equal(result[held], p[held])


def test_a_fault_that_models_do_not_learn_is_neither_sound_nor_another() -> None:
    hurt, result = inject_faults(small_street(), 1, 0.2, ["late_release"])
    p = play_street(hurt, result)
    assert set(np.unique(p.kinds)) == {0, UNNAMED}
