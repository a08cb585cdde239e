"""A candidate runs beside the live model: compared, counted, dropped, and never heard."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import to_builtins

from edge.infer.bundlemanifest import ModelError
from edge.infer.modelsession import ModelSession
from edge.infer.shadow import (
    LAST_DIFFERENCES,
    LATE,
    ModelComparison,
    ModelFlags,
    Shadow,
    Stepper,
    candidate_of,
)
from models import bundle
from models.graph import GraphOps
from tests.kit.tinymodel import feed, tiny

MINUTE = 60_000_000_000
ROWS = ("air.no2", "air.pm25")


class ShadowedModel:
    """A live model over two series, with its shadow."""

    def __init__(self, shadow: Shadow, live: Path) -> None:
        self.shadow = shadow
        self.session = ModelSession(live)
        self.state: Any = None
        self.now_ns = 0

    def step(self, *values: float | None) -> list[Any]:
        if self.state is None:
            self.state = self.session.started([v or 0.0 for v in values])
        fed = {**feed(*values), "state": self.state}
        outputs = self.session.run(fed)
        self.state = outputs[2]
        self.now_ns += MINUTE
        self.shadow.see(self.now_ns, self.session.manifest, fed, outputs, ROWS[: len(values)])
        return outputs


def values(count: int, seed: int = 3) -> Iterator[tuple[float, float]]:
    rng = random.Random(seed)
    for _ in range(count):
        yield 10 + rng.gauss(0, 1), 400 + rng.gauss(0, 1)


def edited(folder: Path, **changes: Any) -> Path:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return folder


@pytest.fixture
def live(tmp_path: Path) -> Path:
    return tiny(tmp_path / "live")


@pytest.fixture
def candidate(tmp_path: Path) -> Path:
    """The same graph, to be changed."""
    return tiny(tmp_path / "candidate")


def watched(live: Path, candidate: Path) -> ShadowedModel:
    shadow = Shadow("anomaly", candidate)
    assert shadow.load()
    return ShadowedModel(shadow, live)


def test_the_same_model_agrees_with_itself(live: Path, candidate: Path) -> None:
    street = watched(live, candidate)
    for i, (a, b) in enumerate(values(200)):
        street.step(a + (60 if i == 150 else 0), b)
    reported = to_builtins(street.shadow.report())
    assert reported["samples"] == reported["agree"] == 400
    assert reported["on_live"] == reported["on_candidate"] >= 1
    assert reported["difference"] < 0.002
    assert reported["last"] == []
    assert reported["dropped"] == ""
    assert reported["ms"] > 0


def test_flags_that_differ_are_told_with_row_and_time(live: Path, candidate: Path) -> None:
    edited(candidate, flags={"on": 0.9999, "off": 0.25})  # hardly ever goes on
    street = watched(live, candidate)
    for i, (a, b) in enumerate(values(200)):
        street.step(a, b + (15 if i == 150 else 0))
    reported = to_builtins(street.shadow.report())
    assert reported["on_live"] >= 1
    assert reported["on_candidate"] == 0
    assert reported["only_live"] == reported["samples"] - reported["agree"] > 0
    last = reported["last"][0]
    assert (last["row"], last["live"], last["candidate"]) == (ROWS[1], "on", "off")
    assert last["before_s"] == 49 * 60.0
    assert last["live_score"] >= 0.5


def test_what_the_live_model_says_is_the_same_with_and_without_a_shadow(
    live: Path, candidate: Path
) -> None:
    with_one, without = watched(live, candidate), ShadowedModel(Shadow("anomaly", candidate), live)
    for a, b in values(60):
        for one, two in zip(with_one.step(a, b), without.step(a, b), strict=True):
            np.testing.assert_array_equal(one, two)
    assert to_builtins(without.shadow.report())["samples"] == 0


def test_a_missing_value_is_not_compared(live: Path, candidate: Path) -> None:
    street = watched(live, candidate)
    for a, _ in values(50):
        street.step(a, None)
    assert to_builtins(street.shadow.report())["samples"] == 50


def test_a_row_that_comes_later_leaves_the_state_of_the_others_alone(live: Path) -> None:
    one, both = Stepper(ModelSession(live)), Stepper(ModelSession(live))
    for i, (a, b) in enumerate(values(80)):
        alone = one.step(feed(a), ROWS[:1])
        if i < 20:
            both.step(feed(a), ROWS[:1])
            continue
        names = ROWS if i % 2 else ROWS[::-1]
        answer = both.step(feed(*((a, b) if i % 2 else (b, a))), names)
        np.testing.assert_allclose(answer[2][names.index(ROWS[0])], alone[2][0], rtol=1e-5)
        begun = answer[2][names.index(ROWS[1])]
        assert i > 20 or begun[0] == pytest.approx(b)  # begins with its first value, not with 0


def test_the_first_value_of_a_row_is_where_it_begins_and_not_a_step(
    live: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stepper, present = Stepper(ModelSession(live)), []
    real = stepper.session.run

    def run(given: Any) -> Any:
        present.append(given["present"][:, 0].tolist())
        return real(given)

    monkeypatch.setattr(stepper.session, "run", run)
    for pair in ((None, 5.0), (3.0, 6.0), (4.0, None)):
        stepper.step(feed(*pair), ROWS)
    assert present == [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]]


def test_a_candidate_that_does_not_prove_itself_is_dropped_and_said_once(
    live: Path, candidate: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (candidate / "anomaly.onnx").write_bytes(b"damaged")
    shadow = Shadow("anomaly", candidate)
    assert not shadow.load()
    street = ShadowedModel(shadow, live)
    for a, b in values(5):
        street.step(a, b)
    assert "checksum" in to_builtins(shadow.report())["dropped"]
    assert to_builtins(shadow.report())["samples"] == 0
    (record,) = caplog.records
    assert record.getMessage().endswith("it is dropped")


def test_a_candidate_that_takes_other_input_is_refused_with_words(
    live: Path, tmp_path: Path
) -> None:
    shadow = Shadow("anomaly", tiny(tmp_path / "wide", wide=2))
    assert shadow.load()
    ShadowedModel(shadow, live).step(1.0, 2.0)
    assert to_builtins(shadow.report())["dropped"] == (
        "it takes present 1, spare 2, x 1; the live model takes present 1, spare 1, x 1"
    )


class FailingShadow(ModelSession):
    def run(self, inputs: Any) -> Any:
        if self.golden == 3:
            raise ModelError("onset is not a number")
        return super().run(inputs)


def test_a_candidate_that_answers_what_cannot_be_is_dropped(live: Path, candidate: Path) -> None:
    shadow = Shadow("anomaly", candidate, open_session=FailingShadow)
    assert shadow.load()
    street = ShadowedModel(shadow, live)
    for a, b in values(5):
        street.step(a, b)
    assert to_builtins(shadow.report())["dropped"] == "onset is not a number"


def test_a_candidate_that_is_late_again_and_again_is_dropped(live: Path, candidate: Path) -> None:
    street = watched(live, candidate)
    stepper = street.shadow._stepper
    assert stepper is not None
    ticks = iter(range(0, 10**15, 60_000_000))
    stepper.session._timer = lambda: next(ticks)
    reported = [street.shadow.dropped for pair in values(LATE + 2) if street.step(*pair)]
    assert reported[: LATE - 1] == [""] * (LATE - 1)
    assert reported[-1] == "late 3 times in a row: 60 ms, 50 are allowed"


def test_another_live_model_begins_the_counts_anew(
    live: Path, candidate: Path, tmp_path: Path
) -> None:
    street = watched(live, candidate)
    for a, b in values(30):
        street.step(a, b)
    street.session = ModelSession(edited(tiny(tmp_path / "again"), version="1.1.0"))
    street.step(10.0, 400.0)
    assert (
        to_builtins(street.shadow.report())["samples"] == 62
    )  # the same graph under another version
    street.session = ModelSession(tiny(tmp_path / "other", scale=30.0))
    street.step(10.0, 400.0)
    assert to_builtins(street.shadow.report())["samples"] == 2


def test_the_list_of_disagreements_and_the_rows_have_an_end() -> None:
    compared = ModelComparison((0.5, 0.3), (0.5, 0.3))
    for i in range(2000):
        up = float(i % 2)
        compared.row(i, f"row{i // 2}", ModelFlags(up, up), ModelFlags(0.0, 0.0), 1.0)
    assert len(compared.last) == LAST_DIFFERENCES
    assert compared.report()["samples"] == 2000
    for i in range(2000):
        compared.row(i, f"more{i}", ModelFlags(0.0, 0.0), ModelFlags(0.0, 0.0), 1.0)
    assert compared.report()["samples"] < 2100


def test_a_flag_waits_for_its_quiet_time_in_the_shadow_as_in_the_judge() -> None:
    compared = ModelComparison((0.5, 0.3), (0.5, 0.3), quiet_s=60.0)
    for i, up in enumerate([0.9, 0.1, 0.1, 0.1, 0.1]):
        compared.row(i, "north", ModelFlags(up, up), ModelFlags(0.0, 0.0), 20.0)
    assert compared.report()["only_live"] == 3  # up for itself and two low steps
    assert compared.report()["on_live"] == 1


def test_candidates_are_found_by_name(tmp_path: Path) -> None:
    tiny(tmp_path / "anomaly")
    assert candidate_of(tmp_path, "anomaly") == tmp_path / "anomaly"
    assert candidate_of(tmp_path, "congestion") is None
    assert candidate_of(None, "anomaly") is None


def test_of_classes_the_first_says_that_nothing_is_wrong(live: Path, candidate: Path) -> None:
    shadow = Shadow("anomaly", candidate, score="others")
    assert shadow.load()
    street = ShadowedModel(shadow, live)
    street.step(10.0, 400.0)
    street.step(10.0, 400.0)  # onset 0: read as a class that is sound, it is all wrong
    assert (
        to_builtins(shadow.report())["on_live"] == to_builtins(shadow.report())["on_candidate"] == 2
    )


def test_a_model_without_a_state_is_stepped_too(tmp_path: Path) -> None:
    graph = GraphOps()
    x = graph.input("x", ["n", 2])
    graph.output("p", graph.sigmoid(x), ["n", 2])
    about = {
        "name": "flat", "version": "1", "inputs": {"x": 2}, "tolerance": 0.002, "budget_ms": 50.0,
        "outputs": {"p": {"width": 2, "low": 0.0, "high": 1.0}}, "state": {"start": []},
        "flags": {"on": 0.5, "off": 0.3},
    }  # fmt: skip
    case = {"x": np.zeros((1, 2), np.float32)}
    model = graph.model("flat", "1")
    bundle.write_bundle(tmp_path / "flat", model, about, [(case, {"p": np.full((1, 2), 0.5)})])
    session = ModelSession(tmp_path / "flat")
    shadow = Shadow("flat", tmp_path / "flat")
    assert shadow.load()
    for rows in (["a", "b"], ["a", "b", "a", "b"], ["b"]):  # two slots of a window at once
        inputs = {"x": session.tensor([[1.0, -1.0]] * len(rows))}
        shadow.see(MINUTE, session.manifest, inputs, session.run(inputs), rows)
    reported = to_builtins(shadow.report())
    assert (reported["dropped"], reported["samples"], reported["agree"]) == ("", 7, 7)
    with pytest.raises(ModelError, match="has no state"):
        session.revived(b"")
