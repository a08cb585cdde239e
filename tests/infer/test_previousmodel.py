"""A model that fails makes room for the previous one, that for the rule; nothing is mixed up."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from edge.infer.bundlemanifest import ModelError
from edge.infer.modelguard import FAILURES_LIMIT, ModelGuard, previous_bundle
from edge.infer.modelsession import ModelSession
from tests.kit import tinymodel as made
from tests.kit.tinymodel import tiny

SECOND = 1_000_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle 1.0.0 of anomaly, and a previous one 0.9.0 beside it."""
    folder = tiny(tmp_path / "anomaly")
    shutil.copytree(folder, tmp_path / "anomaly.previous")
    edited(tmp_path / "anomaly.previous", version="0.9.0")
    return folder


def manifest(folder: Path) -> str:
    return (folder / "manifest.json").read_text(encoding="utf-8")


def edited(folder: Path, **changes: Any) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(manifest(folder)), **changes}), encoding="utf-8")


def fed(session: ModelSession, rows: int = 1) -> dict[str, Any]:
    return {**made.feed(*[1.0] * rows), "state": session.started([1.0] * rows)}


class BrokenModel(ModelSession):
    """Proves itself, and fails from then on."""

    def run(self, inputs: Any) -> Any:
        if self.golden == 3:
            raise ModelError("out of its mind")
        return super().run(inputs)


def broken_live(folder: Path) -> ModelSession:
    return ModelSession(folder) if folder.name.endswith(".previous") else BrokenModel(folder)


def test_a_model_that_does_not_load_makes_room_for_the_former_one_at_once(folder: Path) -> None:
    (folder / "anomaly.onnx").write_bytes(b"no model")
    guard = ModelGuard("anomaly", folder)
    before = guard.lineage
    assert guard.load()
    assert guard.manifest is not None
    assert guard.manifest.by == "model anomaly 0.9.0"
    reported = guard.status()
    assert (reported.answers, reported.model, reported.why) == (
        "model",
        "anomaly 0.9.0",
        "",
    )
    assert reported.instead.startswith("model anomaly 1.0.0: ")
    assert "checksum" in reported.instead
    assert guard.lineage == before  # the same graph: what is kept of it is still good


def test_another_graph_is_another_lineage(folder: Path) -> None:
    edited(folder, sha256="0" * 64)
    guard = ModelGuard("anomaly", folder)
    assert guard.sha256 == "0" * 64
    before = guard.lineage
    assert guard.load()
    assert guard.lineage > before
    assert guard.sha256 != "0" * 64


def test_a_model_that_fails_thrice_in_a_row_makes_room_for_the_former_one(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    guard = ModelGuard("anomaly", folder, open_session=broken_live)
    assert guard.load()
    now_s, asked = 0, 0
    while guard.manifest and guard.manifest.version == "1.0.0":
        now_s += 5
        ready = guard.is_ready(now_s * SECOND)
        if ready and guard.session is not None and guard.manifest.version == "1.0.0":
            assert guard.ask(now_s * SECOND, fed(guard.session)) is None
            asked += 1
            # the previous one does not have to wait for the end of the other's pause
            assert guard.is_ready(now_s * SECOND) is (asked == FAILURES_LIMIT)
        assert now_s < 1000
    assert asked == FAILURES_LIMIT
    assert guard.session is not None
    answer = guard.ask(now_s * SECOND, fed(guard.session))
    assert answer is not None
    assert answer[1]
    reported = guard.status()
    assert (reported.model, reported.answers) == ("anomaly 0.9.0", "model")
    assert reported.instead == "model anomaly 1.0.0: out of its mind"
    assert [r.getMessage() for r in caplog.records] == [
        "model anomaly: out of its mind; its rule answers",
        "model anomaly 1.0.0: out of its mind; the previous model is tried",
    ]


def test_one_good_answer_and_the_count_begins_anew(folder: Path) -> None:
    guard = ModelGuard("anomaly", folder)
    assert guard.load()
    for at_s in range(0, 100_000, 10_000):
        guard.failed(at_s * SECOND, "once")
        guard.failed(at_s * SECOND, "twice")
        assert guard.is_ready((at_s + 5000) * SECOND)
        assert guard.session is not None
        assert guard.ask((at_s + 5000) * SECOND, fed(guard.session)) is not None
    assert guard.status().model == "anomaly 1.0.0"


def test_when_both_fail_the_rule_answers_and_both_are_tried_again_after_a_pause(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tried: list[str] = []

    def opened(bundle: Path) -> ModelSession:
        tried.append(bundle.name)
        raise ModelError("broken")

    guard = ModelGuard("anomaly", folder, open_session=opened)
    assert not guard.load(0)
    assert tried == ["anomaly", "anomaly.previous"]
    for now_s in range(0, 200, 5):
        assert not guard.is_ready(now_s * SECOND)
    assert sorted(tried) == ["anomaly"] * 3 + ["anomaly.previous"] * 3
    assert guard.status().answers == "rule"
    assert guard.why == "broken"
    assert len(caplog.records) == 2


def test_without_a_former_bundle_the_model_itself_is_tried_again(tmp_path: Path) -> None:
    folder = tiny(tmp_path / "anomaly")
    guard = ModelGuard("anomaly", folder, open_session=broken_live)
    assert previous_bundle(folder) is None
    assert guard.load()
    for now_s in range(0, 3000, 5):
        if guard.is_ready(now_s * SECOND):
            assert guard.session is not None
            guard.ask(now_s * SECOND, fed(guard.session))
    assert guard.failures > FAILURES_LIMIT
    assert guard.status().model == "anomaly 1.0.0"
    assert guard.status().instead == ""


def test_a_late_model_gives_no_state_to_the_former_one(folder: Path) -> None:
    guard = ModelGuard("anomaly", folder)
    assert guard.load()
    assert guard.session is not None
    now_s = 0
    for strike in range(FAILURES_LIMIT):
        session = guard.session
        assert session is not None
        took = iter([0, 80_000_000])
        session._timer = lambda took=took: next(took)  # type: ignore[misc]
        answer = guard.ask(now_s * SECOND, fed(session))
        if strike < FAILURES_LIMIT - 1:
            assert answer is not None
            assert not answer[1]
        else:
            assert answer is None  # the judge drops its state, as after any wrong answer
        now_s += 1000
        guard.is_ready(now_s * SECOND)
    assert guard.status().model == "anomaly 0.9.0"


def test_a_feed_that_is_no_number_is_our_fault_and_the_model_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    guard = ModelGuard("anomaly", tiny(tmp_path / "anomaly"))
    assert guard.load()
    assert guard.session is not None
    bad = fed(guard.session)
    bad["x"][0, 0] = float("nan")
    for at in range(20):
        assert guard.is_ready(at * SECOND)
        assert guard.ask(at * SECOND, bad) is None
    assert guard.status().answers == "rule"
    assert guard.why == "anomaly: its input x is not a number"
    assert len(caplog.records) == 1
    assert guard.ask(20 * SECOND, fed(guard.session)) is not None
    assert guard.status().answers == "model"
    assert guard.failures == 0


@pytest.mark.parametrize("spoil", ["missing", "narrow", "short", "inf"])
def test_a_feed_that_cannot_be_is_refused_before_it_reaches_the_model(
    spoil: str, tmp_path: Path
) -> None:
    guard = ModelGuard("anomaly", tiny(tmp_path / "anomaly"))
    assert guard.load()
    assert guard.session is not None
    inputs = fed(guard.session, rows=3)
    match spoil:
        case "missing":
            del inputs["spare"]
        case "narrow":
            inputs["spare"] = inputs["spare"][:, :-1]
        case "short":
            inputs["spare"] = inputs["spare"][:2]
        case _:
            inputs["present"][1, 0] = float("inf")
    assert guard.ask(0, inputs) is None
    assert (guard.failures, guard.refused) == (0, 1)


def test_a_model_that_takes_more_memory_than_it_may_is_refused(tmp_path: Path) -> None:
    folder = tiny(tmp_path / "anomaly")
    edited(folder, budget_mb=32)
    sizes = iter([100 << 20, 140 << 20])
    with pytest.raises(ModelError, match=r"loading it took 40 MB, 32 are allowed"):
        ModelSession(folder, resident=lambda: next(sizes))
    sizes = iter([100 << 20, 130 << 20])
    assert ModelSession(folder, resident=lambda: next(sizes)).grew_mb == 30
    assert ModelSession(folder, resident=lambda: None).grew_mb is None
    grew_mb = ModelSession(folder).grew_mb
    assert grew_mb is not None
    assert grew_mb < 32


def test_a_graph_that_takes_other_inputs_than_its_manifest_says_is_refused(tmp_path: Path) -> None:
    folder = tiny(tmp_path / "anomaly")
    inputs = json.loads(manifest(folder))["inputs"]
    edited(folder, inputs={**inputs, "hour": 1})
    with pytest.raises(ModelError, match=r"takes present, spare, state, x; .* says hour, "):
        ModelSession(folder)
