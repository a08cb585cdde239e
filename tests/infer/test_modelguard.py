"""When the rule answers, and when the model is asked again."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.infer.approaches import ApproachJudge, ApproachVerdict
from edge.infer.bundlemanifest import ModelError
from edge.infer.modelguard import ModelGuard
from edge.infer.modelsession import ModelSession
from edge.infer.sites import LaneSite
from models import BUNDLES
from tests.infer.street import SHIPPED, tick

SECOND = 1_000_000_000
LANES = (LaneSite("north_1", "north", "mid"),)


class Stopwatch:
    """A timer whose runs take as long as the test says."""

    def __init__(self) -> None:
        self.run_ms = 0.0
        self._now = 0
        self._calls = itertools.count()

    def __call__(self) -> int:
        if next(self._calls) % 2:
            self._now += int(self.run_ms * 1e6)
        return self._now


def _guarded(
    folder: Path, open_session: Callable[[Path], ModelSession], hurry: bool = True
) -> ApproachJudge:
    guard = ModelGuard("congestion", folder, hurry=hurry, open_session=open_session)
    return ApproachJudge(LANES, guard)


def _stepped(judge: ApproachJudge, at_s: int) -> ApproachVerdict:
    slot = (tick("north_1", at_s * SECOND, 0.5, 5 * SECOND),)
    return judge.step(at_s * SECOND, slot, {})[0]


def _by(judge: ApproachJudge, at_s: int) -> str:
    return _stepped(judge, at_s).by


def test_a_late_answer_is_not_taken_and_the_model_is_asked_again_after_a_pause() -> None:
    watch = Stopwatch()
    judge = _guarded(BUNDLES / "congestion", lambda folder: ModelSession(folder, watch))
    assert judge.guard.load()
    assert _by(judge, 5) == SHIPPED["congestion"]
    watch.run_ms = 80.0
    assert _by(judge, 10) == "rule occupancy"
    assert judge.guard.why == "late: 80 ms"
    watch.run_ms = 1.0
    assert [_by(judge, at) for at in (15, 60, 69)] == ["rule occupancy"] * 3
    assert _by(judge, 70) == SHIPPED["congestion"]
    assert judge.guard.why == ""


def test_in_a_replay_no_answer_is_late() -> None:
    watch = Stopwatch()
    judge = _guarded(
        BUNDLES / "congestion", lambda folder: ModelSession(folder, watch), hurry=False
    )
    assert judge.guard.load()
    watch.run_ms = 80.0
    assert _by(judge, 5) == SHIPPED["congestion"]


def test_pauses_grow_while_the_model_keeps_failing(tmp_path: Path) -> None:
    asked: list[int] = []
    now_s = 0

    def broken(folder: Path) -> ModelSession:
        asked.append(now_s)
        raise ModelError("broken")

    judge = _guarded(tmp_path, broken)
    assert not judge.guard.load(0)
    for now_s in range(5, 1000, 5):
        assert _by(judge, now_s) == "rule occupancy"
    assert asked == [0, 60, 180, 420, 900]


def test_nobody_asks_for_a_model_that_was_never_to_be_loaded(tmp_path: Path) -> None:
    def opened(folder: Path) -> ModelSession:
        raise AssertionError

    judge = _guarded(tmp_path, opened)
    assert _by(judge, 5) == "rule occupancy"


def test_a_failure_is_logged_once_and_so_is_the_recovery(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    doors = iter([None, None, None, BUNDLES / "congestion"])

    def opened(folder: Path) -> ModelSession:
        door = next(doors)
        if door is None:
            raise ModelError("not there")
        return ModelSession(door, Stopwatch())  # a busy machine is no late answer

    judge = _guarded(tmp_path, opened)
    judge.guard.load()
    for now_s in range(5, 1000, 5):
        _stepped(judge, now_s)
    assert [r.getMessage() for r in caplog.records] == [
        "model congestion: not there; its rule answers",
        "model congestion: answers again",
    ]
    assert judge.guard.status().answers == "model"


def test_a_model_that_comes_late_knows_what_was_before_it() -> None:
    early = _guarded(BUNDLES / "congestion", ModelSession)
    late = _guarded(BUNDLES / "congestion", ModelSession)
    early.guard.load()
    for at in range(5, 300, 5):
        _stepped(early, at)
        _stepped(late, at)
    late.guard.load()
    one, two = _stepped(early, 300), _stepped(late, 300)
    assert (one.p, one.by) == (two.p, two.by)


def test_an_answer_that_is_not_a_number_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = _guarded(BUNDLES / "congestion", ModelSession)
    judge.guard.load()
    session = judge.guard.session
    assert session is not None
    real = session._session

    class Spoilt:
        def run(self, names: list[str], inputs: object) -> list[object]:
            answer = real.run(names, inputs)
            answer[0][:] = float("nan")
            return list(answer)

    assert _by(judge, 5) == SHIPPED["congestion"]
    monkeypatch.setattr(session, "_session", Spoilt())
    verdict = _stepped(judge, 10)
    assert verdict.by == "rule occupancy"
    assert verdict.p is not None
    assert judge.guard.why == "p is not a number"
    monkeypatch.setattr(session, "_session", real)
    assert _by(judge, 75) == SHIPPED["congestion"]
