"""A window goes in; annotations and events come out, by a model or by its rule."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import pytest
from msgspec import to_builtins

from edge.core import Draft, Stream
from edge.infer.judge import Judge, JudgeSetup, LaneSite, Verdict
from edge.wire.contract.traffic import LaneHealth
from tests.infer.street import PERIOD_NS, SHIPPED, air, copied, energy, setup, ticks_of, traffic
from tests.kit.asread import as_read
from tests.kit.bodies import lane
from tests.kit.bundles import proven_once
from tests.kit.judging import judged
from tests.long import more, one_in, size

MODEL, RULE = SHIPPED["congestion"], "rule occupancy"
ANOMALY, ROBUST = SHIPPED["anomaly"], "rule robust z"


@pytest.fixture(autouse=True, scope="module")
def proven() -> Iterator[None]:
    with proven_once():
        yield


class JudgedStreet:
    """Feeds a judge, window after window, and keeps what it told."""

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self.end_ns = 0
        self.events: list[dict[str, Any]] = []

    def window(self, *drafts: Draft) -> Verdict:
        verdict = judged(self.judge, self.end_ns, drafts, ticks_of(drafts))
        self.events += [as_read(draft) for draft in verdict.events]
        return verdict

    def roads(
        self, occupancy: list[float | None], windows: int, health: LaneHealth = "ok"
    ) -> Verdict:
        for _ in range(windows):
            self.end_ns += PERIOD_NS
            verdict = self.window(*traffic(self.end_ns, occupancy, health))
        return verdict

    def air(self, **values: float | None) -> Verdict:
        self.end_ns += PERIOD_NS
        return self.window(air(self.end_ns, **values))


@pytest.fixture(params=["model", "rule"])
def street(request: pytest.FixtureRequest, tmp_path: Path) -> JudgedStreet:
    if request.param == "rule":
        return JudgedStreet(Judge(setup(), tmp_path / "none"))
    judge = Judge(setup())
    judge.load()
    return JudgedStreet(judge)


def _by(street: JudgedStreet) -> str:
    return str(to_builtins(street.judge.models())["congestion"]["answers"])


def test_without_the_model_the_rule_judges_congestion_and_nothing_is_loaded() -> None:
    street = JudgedStreet(Judge(replace(setup(), congestion=False, anomaly=False)))
    street.judge.load()
    street.roads([0.06, 0.05], 40)
    verdict = street.roads([0.97, 0.95], 20)
    assert as_read(verdict.drafts[0])["p_congested"] > 0.5
    street.roads([0.06, 0.05], 20)
    assert [(e["event"], e["state"], e["by"]) for e in street.events] == [
        ("congestion", "on", RULE),
        ("congestion", "off", RULE),
    ]
    assert street.judge.models() == {"loopfault": None, "congestion": None, "anomaly": None}
    approaches = street.judge._approaches
    assert approaches is not None
    assert (approaches.guard.session, approaches.guard.manifest) == (None, None)
    assert not approaches._behind  # nobody catches up with it


def test_a_model_that_is_switched_off_and_on_again_begins_anew_without_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with_model = Judge(setup())
    with_model.load()
    street = JudgedStreet(with_model)
    street.roads([0.06, 0.05], 10)
    without = Judge(replace(setup(), congestion=False))
    assert without.restore(street.judge.snapshot())
    assert caplog.messages == []


@one_in(4)
@more
@pytest.mark.parametrize("position", ["corridor", "advance", "mid", "stop"])
@pytest.mark.parametrize("loaded", [True, False])
def test_a_jam_is_flagged_once_and_cleared_once(position: str, loaded: bool) -> None:
    judge = Judge(setup(position))
    if loaded:
        judge.load()
    street = JudgedStreet(judge)
    street.roads([0.06, 0.09], 60)
    assert street.events == []
    verdict = street.roads([0.99, 0.97], 120)
    assert [e["state"] for e in street.events] == ["on"]
    assert all(as_read(d)["p_congested"] > 0.5 for d in verdict.drafts)
    street.roads([0.05, 0.07], size(120, 400))
    assert [e["state"] for e in street.events] == ["on", "off"]
    for event in street.events:
        assert event["event"] == "congestion"
        assert event["approach"] == "north"
        assert event["by"] == (MODEL if loaded else RULE)
        assert event["by"] in event["text"]


@pytest.mark.parametrize("position", ["advance", "mid", "stop"])
def test_a_queue_that_comes_and_goes_with_the_signal_is_no_congestion(position: str) -> None:
    judge = Judge(setup(position))
    judge.load()
    street = JudgedStreet(judge)
    for _ in range(25):  # a cycle of 90 s: red with a standing vehicle on one loop, then green
        standing = 0.9 if position == "stop" else 0.6
        street.roads([standing, 0.05], 1)
        street.roads([0.25, 0.1], 2)
    assert street.events == []


def test_without_a_healthy_loop_an_approach_is_not_judged(street: JudgedStreet) -> None:
    street.roads([0.99, 0.99], 60)
    verdict = street.roads([None, None], 9)
    assert as_read(verdict.drafts[0])["p_congested"] > 0.5  # for five minutes what was known stands
    verdict = street.roads([None, None], 3)
    assert as_read(verdict.drafts[0])["p_congested"] is None
    assert [e["state"] for e in street.events] == ["on", "off"]
    assert "no healthy loop" in street.events[-1]["text"]


def test_the_length_of_the_windows_does_not_matter() -> None:
    answers = []
    for period_s in (30, 60):
        period_ns = period_s * 1_000_000_000
        lanes = (LaneSite("north_1", "north", "advance"),)
        judge = Judge(JudgeSetup(lanes=lanes, period_ns=period_ns, anomaly=False))
        judge.load()
        for end_s in range(period_s, 601, period_s):
            end_ns = end_s * 1_000_000_000
            body = lane(covered_s=period_s, occupancy=0.6)
            draft = Draft(Stream.TRAFFIC, "north_1", end_ns - period_ns, end_ns, body)
            verdict = judged(judge, end_ns, [draft], ticks_of([draft]))
        answers.append(as_read(verdict.drafts[0])["p_congested"])
    assert answers[0] is not None
    assert answers[0] == pytest.approx(answers[1], abs=0.002)


def _calm(rng: random.Random) -> float:
    return round(10 + rng.gauss(0, 0.5), 1)


@pytest.mark.parametrize("loaded", [True, False])
def test_a_spike_is_an_anomaly_with_a_name(loaded: bool) -> None:
    judge = Judge(setup())
    if loaded:
        judge.load()
    street, rng = JudgedStreet(judge), random.Random(1)
    for _ in range(360):
        street.air(pm2_5=_calm(rng), humidity=50 + _calm(rng))
    assert street.events == []
    verdict = street.air(pm2_5=80.0, humidity=50 + _calm(rng))
    assert as_read(verdict.drafts[0])["anomaly"]["pm2_5"] > 0.5
    (event,) = street.events
    assert (event["state"], event["point"], event["cause"]) == ("on", "pm2_5", "spike")
    assert event["by"] == (ANOMALY if loaded else ROBUST)
    assert event["onset"] >= 0.5
    for _ in range(60):
        verdict = street.air(pm2_5=_calm(rng), humidity=50 + _calm(rng))
    assert [e["state"] for e in street.events] == ["on", "off"]
    assert "pm2_5" not in as_read(verdict.drafts[0]).get("anomaly", {})


@one_in(3)
@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (lambda i, calm: 10.3, "stuck"),
        (lambda i, calm: 0.0, "dropout"),
        (lambda i, calm: calm + 25.0, "spike"),
    ],
)
def test_a_fault_is_named_within_a_minute(fault: Any, cause: str) -> None:
    judge = Judge(setup())
    judge.load()
    street, rng = JudgedStreet(judge), random.Random(2)
    for _ in range(360):
        street.air(pm2_5=_calm(rng))
    assert street.events == []
    for i in range(12 if cause == "stuck" else 2):
        street.air(pm2_5=fault(i, _calm(rng)))
    assert [(e["state"], e["cause"]) for e in street.events] == [("on", cause)]


def test_nothing_is_flagged_before_enough_is_known(street: JudgedStreet) -> None:
    for value in (10.0, 10.1, 9.9, 90.0, 10.0, 0.0, 10.2, 500.0):
        street.air(pm2_5=value)
    assert street.events == []


def test_a_series_that_never_moves_is_not_stuck(street: JudgedStreet) -> None:
    for _ in range(400):
        street.air(nox_index=1.0)
    assert street.events == []


def test_growth_is_judged_not_the_total() -> None:
    judge = Judge(setup())
    judge.load()
    rng = random.Random(3)
    events: list[Draft] = []
    for i in range(1, 200):
        events += judged(
            judge, i * PERIOD_NS, [energy(i * PERIOD_NS, round(0.014 + rng.gauss(0, 0.001), 3))]
        ).events
    assert events == []
    verdict = judged(judge, 200 * PERIOD_NS, [energy(200 * PERIOD_NS, 3.0)])
    assert [as_read(e)["point"] for e in verdict.events] == ["energy_import"]


def test_missing_values_change_nothing(street: JudgedStreet) -> None:
    rng = random.Random(4)
    for _ in range(100):
        street.air(pm2_5=_calm(rng))
    for _ in range(50):
        verdict = street.air(pm2_5=None)
    assert "anomaly" not in as_read(verdict.drafts[0])
    for _ in range(50):
        street.air(pm2_5=_calm(rng))
    assert street.events == []


def test_values_that_no_sensor_can_have_break_nothing(street: JudgedStreet) -> None:
    rng = random.Random(6)
    for value in (1e300, -1e300, float("nan"), float("inf"), 0.0, 1e-300) * 20:
        street.air(pm2_5=value, humidity=_calm(rng))
    assert to_builtins(street.judge.models())["anomaly"]["why"] in ("", "not loaded yet") or _by(
        street
    )
    for _ in range(5):
        verdict = street.air(pm2_5=10.0, humidity=_calm(rng))
    json.dumps([as_read(d) for d in verdict.drafts], allow_nan=False)


def _fed(judge: Judge, first: int, last: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    reported = []
    for i in range(1, last):
        end_ns = i * PERIOD_NS
        drafts = [
            *traffic(end_ns, [rng.random(), rng.random()]),
            air(end_ns, pm2_5=_calm(rng) + (30 if i % 90 == 0 else 0), humidity=_calm(rng)),
        ]
        if i >= first:
            verdict = judged(judge, end_ns, drafts, ticks_of(drafts))
            reported += [json.dumps(as_read(d)) for d in (*verdict.drafts, *verdict.events)]
    return reported


@one_in(2)
@pytest.mark.parametrize("load_first", [True, False])
def test_a_restored_judge_goes_on_as_if_nothing_had_been(load_first: bool) -> None:
    one = Judge(setup())
    one.load()
    before = _fed(one, 1, 150, 7)
    saved = msgpack.unpackb(msgpack.packb(one.snapshot()))
    two = Judge(setup())
    if load_first:
        two.load()
    assert two.restore(saved)
    two.load()
    assert before
    assert _fed(two, 150, 300, 7) == _fed(one, 150, 300, 7)


def test_a_state_that_is_no_bytes_is_damage_and_the_model_starts_anew(
    caplog: pytest.LogCaptureFixture,
) -> None:
    one = Judge(setup())
    one.load()
    _fed(one, 1, 50, 8)
    for wrong in ("AAAA", None, 64_000, [1.0]):
        saved = one.snapshot()
        saved["anomaly"]["state"] = wrong
        two = Judge(setup())
        two.load()
        caplog.clear()
        assert not two.restore(saved)
        assert "state of model anomaly is damaged" in caplog.text
        _fed(two, 50, 60, 8)


def test_state_of_another_model_is_discarded_and_said(caplog: pytest.LogCaptureFixture) -> None:
    one = Judge(setup())
    one.load()
    _fed(one, 1, 50, 8)
    saved = one.snapshot()
    saved["anomaly"]["model"] = "0" * 64
    two = Judge(setup())
    two.load()
    assert not two.restore(saved)
    assert "model anomaly is of another model" in caplog.text
    _fed(two, 50, 60, 8)


@pytest.mark.parametrize(
    "damage", [{}, {"v": 2}, {"v": 1, "congestion": 3, "anomaly": {"keys": 1}}]
)
def test_a_damaged_snapshot_is_discarded(damage: dict[str, Any]) -> None:
    judge = Judge(setup())
    assert not judge.restore(damage)
    judge.load()
    assert _fed(judge, 1, 5, 9)


def test_a_gap_is_given_to_the_models(street: JudgedStreet) -> None:
    first = as_read(street.roads([0.1, 0.1], 1).drafts[0])["p_congested"]
    jammed = as_read(street.roads([0.99, 0.99], 60).drafts[0])["p_congested"]
    street.judge.missing(street.end_ns, street.end_ns + 3_600_000_000_000)
    street.end_ns += 3_600_000_000_000
    after = as_read(street.roads([0.1, 0.1], 1).drafts[0])["p_congested"]
    assert after == pytest.approx(first, abs=0.01)  # what was known before it is too old
    assert after < 0.2 < 0.8 < jammed


def test_the_package_imports_where_numpy_and_onnxruntime_are_not_installed() -> None:
    code = (
        "import sys; sys.modules['numpy'] = sys.modules['onnxruntime'] = None\n"
        "from edge.infer.judge import Judge, JudgeSetup\n"
        "import edge.infer.scorer\n"
        "judge = Judge(JudgeSetup()); judge.load()\n"
        "print(judge.models()['anomaly'].answers, judge.models()['anomaly'].why)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.stdout.startswith("rule onnxruntime is not installed")


def test_a_broken_bundle_leaves_the_other_one_alone(tmp_path: Path) -> None:
    bundles = copied(tmp_path)
    (bundles / "anomaly" / "anomaly.onnx").write_bytes(b"")
    judge = Judge(setup(), bundles)
    judge.load()
    assert to_builtins(judge.models())["congestion"]["answers"] == "model"
    assert to_builtins(judge.models())["anomaly"]["answers"] == "rule"
    assert "checksum" in to_builtins(judge.models())["anomaly"]["why"]
