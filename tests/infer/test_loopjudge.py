"""All loops of a site are judged: by the rules, by a model, over restarts, and told to people."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import msgpack
import pytest

from edge.core import Draft, Stream
from edge.core.looptick import LoopTick
from edge.infer.bundlemanifest import ModelError
from edge.infer.loops import loopflag
from edge.infer.loops.faultreporter import FAULT_TEXTS, FaultReporter, fault_text
from edge.infer.loops.loopfeatures import FEATURES
from edge.infer.loops.loopflag import LEARNED_FAULTS, QUIET_S, WIDTH, LoopFlag, over_s
from edge.infer.loops.loopjudge import LoopJudge, LoopVerdict
from edge.infer.loops.looprules import ALONE, ALWAYS, RULE_NAME, Ruling
from edge.infer.modelguard import ModelGuard
from edge.infer.modelsession import ModelSession
from edge.infer.sites import ApproachSite, LaneSite, Role
from edge.process.engineevents import sensor_fault_event
from models import BUNDLES
from tests.infer.street import SHIPPED
from tests.infer.test_looprules import (
    FAULTS,
    HOURS,
    HURT,
    LANES,
    SITES,
    broken,
    ghosts,
    street,
    ticks,
)
from tests.infer.test_loops_severallanes import lane as stop_lane
from tests.kit.asread import as_read
from tests.kit.bundles import proven_once
from tests.long import one_in

S = 1_000_000_000
BUNDLE = BUNDLES / "loopfault"


@pytest.fixture(autouse=True, scope="module")
def proven() -> Iterator[None]:
    with proven_once():
        yield


def ruled(folder: Path) -> LoopJudge:
    """A judge that has no model."""
    return LoopJudge(LANES, SITES, ModelGuard("loopfault", folder / "none"))


def modelled() -> LoopJudge:
    loops = LoopJudge(LANES, SITES, ModelGuard("loopfault", BUNDLE, hurry=False))
    assert loops.guard.load(), loops.guard.why
    return loops


def judged(
    loops: LoopJudge, slots: list[list[LoopTick]]
) -> dict[tuple[str, str], list[LoopVerdict]]:
    out: dict[tuple[str, str], list[LoopVerdict]] = {}
    for slot in slots:
        for v in loops.step(slot[0].to_ns, slot):
            out.setdefault((v.lane, v.part), []).append(v)
    return out


def hurt(fault: str) -> list[list[LoopTick]]:
    """A street whose first loop has a fault, from the beginning on."""
    whole = street(HOURS)
    if fault == "swapped":
        whole["m_0", "trail"], whole[HURT] = whole[HURT], whole["m_0", "trail"]
    else:
        whole[HURT] = FAULTS[fault](whole)
    return ticks(whole, HOURS)


@one_in(3)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("by", ["model", "rule"])
def test_each_fault_is_raised_once_and_named(fault: str, by: str, tmp_path: Path) -> None:
    reported = judged(modelled() if by == "model" else ruled(tmp_path), hurt(fault))
    if fault == "stuck_off":
        fault = "never_active"  # it is hurt from the beginning on
    pair = ("mismatch", "swapped")
    loops = [HURT, ("m_0", "trail")] if fault in pair else [HURT]
    turns = [(v.change, v.fault) for loop in loops for v in reported[loop] if v.change]
    assert ("on", fault) in turns
    assert len(turns) <= len(loops)
    last = max((reported[loop][-1] for loop in loops), key=lambda v: v.score)
    assert last.score > 0.6
    for v in (v for loop in loops for v in reported[loop] if v.change):  # hurt since the beginning
        assert v.since_ns is not None
        assert v.doubt_ns is not None
        assert v.doubt_ns <= v.since_ns - 30 * S
        if fault in ("stuck_on", "never_active"):
            assert v.doubt_ns == pytest.approx(0, abs=120 * S)
    model = SHIPPED["loopfault"] if by == "model" and fault not in ALONE else RULE_NAME
    assert last.by in (
        {model, RULE_NAME} if fault in (*ALWAYS, "crosstalk", "undercount") else {model}
    )
    assert not [v for key, vs in reported.items() if key[0] != "m_0" for v in vs if v.fault]


@one_in(3)
@pytest.mark.parametrize("gap_s", [3.0, 8.0, 300.0])
@pytest.mark.parametrize("by", ["model", "rule"])
def test_a_sound_street_gives_nothing(gap_s: float, by: str, tmp_path: Path) -> None:
    reported = judged(
        modelled() if by == "model" else ruled(tmp_path), ticks(street(2.0, gap_s, 3), 2.0)
    )
    assert not [v for vs in reported.values() for v in vs if v.fault]


def test_loops_without_a_neighbour_a_pair_or_any_traffic_are_sound(tmp_path: Path) -> None:
    modes: tuple[Literal["presence", "pulse"], ...] = ("presence", "pulse")
    for mode in modes:
        lane = LaneSite("x", "x", "mid", mode=mode)
        loops = LoopJudge([lane], [], ModelGuard("loopfault", BUNDLE, hurry=False))
        assert loops.guard.load()
        slots = [
            [LoopTick("x", "lead", i * 30 * S, (i + 1) * 30 * S, 30 * S, 0)] for i in range(120)
        ]
        assert {v.fault for vs in judged(loops, slots).values() for v in vs} == {None}


def test_several_slots_in_one_call_are_judged_one_after_the_other(tmp_path: Path) -> None:
    one, other = modelled(), modelled()
    slots = hurt("crosstalk")
    apart = judged(one, slots)
    for i in range(0, len(slots), 2):
        reported = other.step(slots[i + 1][0].to_ns, [*slots[i], *slots[i + 1]])
    assert [(v.lane, v.part, v.score, v.fault, v.since_ns) for v in reported] == [
        (v.lane, v.part, v.score, v.fault, v.since_ns) for v in (vs[-1] for vs in apart.values())
    ]
    assert other.weights() == one.weights()
    assert set(one.weights()) == {(lane.name, p) for lane in LANES for p in ("lead", "trail")}


@pytest.mark.parametrize("seed", [1, 7, 10])
def test_a_fault_that_a_slot_raises_is_up_in_the_next_slot_of_the_same_call(
    tmp_path: Path, seed: int
) -> None:
    """Parts of vehicles, and then vehicles of two lanes: in windows of 15 min as in short ones."""
    beside = [(a + 0.9, b + 0.9) for a, b in stop_lane(seed + 10)]
    both = ghosts(stop_lane(seed), beside, 1.0, 0.0, 1.0)
    parts = [each for each in broken(stop_lane(seed)) if each[0] < 200.0]
    slots = ticks({("s_0", "lead"): parts + [each for each in both if each[0] >= 200.0]}, 1.0)

    def turns(at_once: int) -> list[tuple[str | None, str]]:
        loops = LoopJudge(
            [LaneSite("s_0", "s", "stop")], [ApproachSite("s")],
            ModelGuard("loopfault", tmp_path / "none"),
        )  # fmt: skip
        found: list[tuple[str | None, str]] = []
        for i in range(0, len(slots), at_once):
            call = [tick for slot in slots[i : i + at_once] for tick in slot]
            found += [(v.fault, v.change) for v in loops.step(call[-1].to_ns, call) if v.change]
        return found

    assert turns(30) == turns(1)


def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    slots = hurt("splashover")
    whole, first, second = modelled(), modelled(), modelled()
    judged(first, slots[:90])
    saved = msgpack.unpackb(msgpack.packb(first.snapshot()))
    assert json.loads(json.dumps(saved)) == saved
    assert len(msgpack.packb(saved)) < 5000 * len(first.weights())
    assert second.restore(saved)
    after = judged(second, slots[90:])
    there = judged(whole, slots)
    for key, vs in after.items():
        for v, w in zip(vs, there[key][90:], strict=True):
            assert (v.fault, v.since_ns, v.change) == (w.fault, w.since_ns, w.change)
            assert v.score == pytest.approx(w.score, abs=0.05)


def test_state_of_another_model_is_discarded_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = modelled(), modelled()
    judged(first, hurt("stuck_on")[:40])
    saved = {**first.snapshot(), "model": "0" * 64}
    assert not second.restore(saved)
    assert "another model" in caplog.text
    known = {v.lane: v for v in judged(second, hurt("stuck_on")[40:41])[HURT]}
    assert known["m_0"].fault == "stuck_on"  # what was raised stays up until it is over
    assert known["m_0"].change is None


@pytest.mark.parametrize("harm", ["v", "flags", "watch"])
def test_what_is_no_snapshot_is_refused(harm: str, tmp_path: Path) -> None:
    loops = ruled(tmp_path)
    saved = loops.snapshot()
    saved[harm] = {"v": 99, "flags": {"m_0|lead": [1]}, "watch": {"m_0|lead": [[], [], 0, []]}}[
        harm
    ]
    with pytest.raises((KeyError, TypeError, ValueError)):
        loops.restore(saved)


def test_a_lane_that_was_for_bicycles_begins_anew_and_the_others_go_on(tmp_path: Path) -> None:
    def of(role: Role | None) -> LoopJudge:
        lanes = [replace(LANES[0], role=role), *LANES[1:]]
        return LoopJudge(lanes, SITES, ModelGuard("loopfault", tmp_path / "none"))

    first, other = of("bicycle"), of(None)
    judged(first, ticks(street(0.5), 0.5))
    saved = json.loads(json.dumps(first.snapshot()))
    assert other.restore(saved)
    kept = other.snapshot()["rules"]
    assert isinstance(kept, dict)
    assert all(kept[name] == saved["rules"][name] for name in saved["rules"])


@pytest.mark.parametrize(
    ("part", "name"), [("rules", "n_1|lead"), ("flags", "n_1|lead"), ("witnesses", "site")]
)
def test_what_is_damaged_half_way_has_changed_nothing(part: str, name: str, tmp_path: Path) -> None:
    first, other = ruled(tmp_path), ruled(tmp_path)
    judged(first, ticks(street(0.5), 0.5))
    saved = json.loads(json.dumps(first.snapshot()))
    saved[part][name] = {}
    before = json.dumps(other.snapshot())
    with pytest.raises((AttributeError, IndexError, KeyError, TypeError, ValueError)):
        other.restore(saved)
    assert json.dumps(other.snapshot()) == before


def test_the_rule_answers_while_the_model_cannot(tmp_path: Path) -> None:
    class Broken(ModelSession):
        def run(self, inputs: Any) -> Any:
            if self.golden == 2 and proven:
                raise ModelError("broken")
            return super().run(inputs)

    proven = False
    guard = ModelGuard("loopfault", BUNDLE, hurry=False, open_session=Broken)
    loops = LoopJudge(LANES, SITES, guard)
    slots = hurt("stuck_on")
    (before,) = {v.by for v in loops.step(slots[0][0].to_ns, slots[0])}
    assert before == RULE_NAME  # not loaded yet
    assert guard.load()
    (there,) = {v.by for v in loops.step(slots[1][0].to_ns, slots[1])}
    assert there == SHIPPED["loopfault"]
    proven = True
    reported = judged(loops, slots[2:30])
    assert {v.by for vs in reported.values() for v in vs} == {RULE_NAME}
    assert reported[HURT][-1].fault == "stuck_on"


def _p(kind: str | None, p: float) -> list[float]:
    row = [0.0] * WIDTH
    row[0] = 1.0 - p
    if kind:
        row[1 + LEARNED_FAULTS.index(kind)] = p
    return row


def test_what_nobody_may_say_hides_no_other_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loops = ruled(tmp_path)

    def saying(rule: Any, fault: str) -> None:
        monkeypatch.setattr(rule, "step", lambda *_: {HURT: Ruling(fault, 0.95)})

    saying(loops._crosstalk, "crosstalk")
    saying(loops._site_rules["release"], "late_release")
    monkeypatch.setattr(loops._lanes, "found", lambda: {HURT})
    verdicts = judged(loops, ticks(street(0.2), 0.2))[HURT]
    assert {each.fault for each in verdicts} == {"late_release"}


def test_a_flag_needs_minutes_of_sound_traffic_to_go_off() -> None:
    flag = LoopFlag(0.6, 0.3)
    assert flag.step(_p("chatter", 0.95), 1, 30.0, traffic=True, at_once=True) == "on"
    for _ in range(100):
        assert flag.step(_p(None, 0.0), 2, 30.0, traffic=False, at_once=True) is None
    for i in range(int(QUIET_S / 30)):
        change = flag.step(_p(None, 0.0), 3, 30.0, traffic=True, at_once=True)
        assert change == ("off" if i == QUIET_S / 30 - 1 else None)
    assert flag.fault is None


@pytest.mark.parametrize(("fault", "minutes"), [("chatter", 5), ("mismatch", 30), ("swapped", 30)])
def test_how_a_pair_is_set_does_not_come_and_go(fault: str, minutes: int) -> None:
    flag = LoopFlag(0.6, 0.3)
    assert flag.step(_p(fault, 0.95), 1, 30.0, traffic=True, at_once=True) == "on"
    turns = [
        flag.step(_p(None, 0.0), 2, 30.0, traffic=True, at_once=True, quiet_s=over_s(flag.fault))
        for _ in range(2 * minutes)
    ]
    assert turns == [*[None] * (2 * minutes - 1), "off"]


def test_one_odd_slot_raises_nothing() -> None:
    flag = LoopFlag(0.6, 0.3)
    assert flag.step(_p("chatter", 1.0), 1, 30.0, traffic=True, at_once=False) is None
    assert flag.step(_p("chatter", 1.0), 2, 30.0, traffic=True, at_once=False) == "on"
    assert flag.since_ns == 2


def _change(change: Any, fault: str | None, lane: str = "north_2") -> LoopVerdict:
    return LoopVerdict(lane, "lead", 0.9, fault, 5 if fault else None, change, SHIPPED["loopfault"])


def test_every_kind_has_a_sentence_for_technicians() -> None:
    assert set(FAULT_TEXTS) == set(loopflag.FAULTS)
    said = fault_text(_change("on", "crosstalk"), ("north_1", "north_3"))
    assert said.startswith(
        "north_2: the lead loop detects at the same moments as north_1 or north_3, which looks"
    )
    assert "different frequencies" in said
    assert "{" not in "".join(fault_text(_change("on", kind)) for kind in loopflag.FAULTS)


def test_an_event_is_told_once_and_not_when_process_has_told_it() -> None:
    reporter = FaultReporter()
    (draft,) = reporter.report(9, [_change("on", "crosstalk")], (), lambda lane, part: ("north_1",))
    assert (draft.stream, draft.source, draft.from_ns) == (Stream.EVENT, "north_2", 9)
    assert {**as_read(draft), "text": ""} == {
        "event": "sensor_fault", "state": "on", "by": SHIPPED["loopfault"],
        "fault": "crosstalk", "part": "lead", "score": 0.9, "text": "",
    }  # fmt: skip
    theirs: list[Draft] = [
        sensor_fault_event("north_3", 3, "stuck_on", True, "lead", since_s=600.0),
        sensor_fault_event("north_4", 3, "no_activity", True, since_s=600.0),
    ]
    assert reporter.report(10, [], theirs) == []
    known = [_change("on", "stuck_on", "north_3"), _change("on", "stuck_off", "north_4")]
    assert reporter.report(11, known) == []
    again = FaultReporter()
    again.restore(json.loads(json.dumps(reporter.snapshot())))
    assert again.report(12, [_change("off", None, "north_3")]) == []  # it was not raised here
    (off,) = again.report(13, [_change("off", None)])
    assert (as_read(off)["state"], as_read(off)["fault"]) == ("off", "crosstalk")


def test_the_model_has_a_column_for_every_feature_and_kind() -> None:
    reported = json.loads((BUNDLE / "manifest.json").read_text(encoding="utf-8"))
    assert tuple(reported["features"]) == FEATURES
    assert tuple(reported["classes"]) == ("sound", *LEARNED_FAULTS)
    assert reported["outputs"]["p"]["width"] == WIDTH
    assert (BUNDLE / "loopfault.onnx").stat().st_size < 500_000
