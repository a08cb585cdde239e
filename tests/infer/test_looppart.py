"""Loop health in the judge: what stands in records, and what is known again after a kill."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import pytest

from edge.core import DoubtedLoop, Draft, Stream
from edge.core.looptick import LoopTick
from edge.infer.hysteresis import FlagTurn
from edge.infer.judge import Judge, JudgeSetup
from edge.infer.loops.faultreporter import FaultReporter
from edge.infer.loops.loopflag import QUIET_S
from edge.infer.loops.loopjudge import LoopVerdict
from edge.infer.loops.looppart import LoopPart, unwatched_loop_events
from edge.infer.loops.looprules import Ruling
from edge.infer.modelguard import ModelGuard
from edge.process.engineevents import sensor_fault_event
from edge.wire.contract.terms import Fault
from edge.wire.contract.terms import LoopPart as Part
from models import BUNDLES
from tests.infer.test_loopjudge import hurt
from tests.infer.test_looprules import HURT, LANES, SITES, street, ticks
from tests.kit.asread import as_read
from tests.kit.bodies import lane
from tests.kit.judging import judged

SETUP = JudgeSetup(LANES, congestion=False, anomaly=False, approaches=tuple(SITES))


def judge(folder: Path, setup: JudgeSetup = SETUP) -> Judge:
    """One whose rules answer."""
    return Judge(setup, folder)


def fed(box: Judge, slots: list[list[LoopTick]]) -> tuple[list[Draft], list[Draft]]:
    """Records of the lane m_0, and events."""
    records, events = [], []
    for slot in slots:
        end_ns = slot[0].to_ns
        draft = Draft(Stream.TRAFFIC, "m_0", slot[0].from_ns, end_ns, lane("m_0"))
        verdict = judged(box, end_ns, [draft], slot)
        records += verdict.drafts
        events += verdict.events
    return records, events


def test_a_fault_stands_in_the_record_of_its_lane_and_is_told_once(tmp_path: Path) -> None:
    records, events = fed(judge(tmp_path), hurt("stuck_on"))
    assert "loops" not in as_read(records[0])
    first = next(each for each in records if "loops" in as_read(each))
    assert as_read(first)["loops"]["lead"]["score"] > 0.05  # as it was then, not as it became
    noted = [as_read(each)["loops"] for each in records if "loops" in as_read(each)]
    assert len({id(each) for each in noted}) == len(noted)
    last = as_read(records[-1])["loops"]["lead"]
    assert last["fault"] == "stuck_on"
    assert 0.6 < last["score"] <= 1.0
    assert [(as_read(e)["fault"], as_read(e)["state"], e.source) for e in events] == [
        ("stuck_on", "on", "m_0")
    ]
    assert as_read(events[0])["since_s"] == pytest.approx(events[0].from_ns / 1e9, abs=120.0)


def test_a_kill_forgets_no_flag_that_is_up(tmp_path: Path) -> None:
    box = judge(tmp_path)
    slots = hurt("stuck_on")
    _, events = fed(box, slots)
    assert len(events) == 1
    kept = msgpack.unpackb(msgpack.packb(box.snapshot_flags()))
    after = judge(tmp_path)  # the state that is written seldom was lost
    after.restore_flags(kept)
    _, again = fed(after, slots[-2:])
    assert again == []
    assert after.snapshot_flags()["loops"]["ours"] == [["m_0", "lead", "stuck_on"]]


def test_a_fault_that_is_up_doubts_also_a_window_in_which_no_slot_ends(tmp_path: Path) -> None:
    """Of five seconds, right after a restart."""
    box = judge(tmp_path)
    slots = hurt("stuck_on")
    fed(box, slots)
    after = judge(tmp_path)
    after.restore_flags(box.snapshot_flags())
    doubts = after.doubt(slots[-1][0].to_ns + 5_000_000_000, (), ())
    assert set(doubts) == {DoubtedLoop("m_0", "lead", "stuck_on")}


def test_a_loop_that_is_given_up_is_told_to_be_over(tmp_path: Path) -> None:
    box = judge(tmp_path)
    slots = hurt("stuck_on")
    fed(box, slots)
    lanes = tuple(lane for lane in LANES if lane.name != "m_0")
    after = judge(tmp_path, replace(SETUP, lanes=lanes))
    after.restore_flags(box.snapshot_flags())
    _, events = fed(after, slots[-2:])
    assert [(e.source, as_read(e)["state"], as_read(e)["fault"]) for e in events] == [
        ("m_0", "off", "stuck_on")
    ]
    assert "no longer watched" in as_read(events[0])["text"]


def test_damaged_flags_of_loops_leave_the_others_alone(tmp_path: Path) -> None:
    box = judge(tmp_path)
    fed(box, hurt("stuck_on"))
    after = judge(tmp_path)
    after.restore_flags({**box.snapshot_flags(), "loops": {"raised": 5}})
    assert after.snapshot_flags()["loops"]["ours"] == []


class ScriptedRule:
    """A rule of a loop that says what it is told to say, slot by slot."""

    def __init__(self, *faults: str | None) -> None:
        self._faults = iter(faults)

    def step(self, *_: Any) -> Ruling:
        fault = next(self._faults)
        return Ruling(fault, 0.95 if fault else 0.0)


def test_each_turn_of_a_call_of_many_slots_is_told_as_it_was(tmp_path: Path) -> None:
    slots = ticks(street(0.5), 0.5)
    apart, whole = (LoopPart(LANES, SITES, ModelGuard("loopfault", tmp_path)) for _ in range(2))
    quiet = [None] * int(QUIET_S / 30)
    script = ["chatter", *quiet, "splashover", *quiet, "breakup", None]
    slots = slots[: len(script)]
    for part in (apart, whole):
        part.loops._rules[HURT] = ScriptedRule(*script)  # type: ignore[assignment]
    reported = list[Draft]()
    for slot in slots:
        apart.step(slot[0].to_ns, slot, ())
        reported += apart.events
    # the first slot is a window of its own; one window has all others
    whole.step(slots[0][0].to_ns, slots[0], ())
    first = whole.events
    whole.step(slots[-1][0].to_ns, [t for s in slots[1:] for t in s], ())
    turns = [(as_read(e)["state"], as_read(e)["fault"]) for e in reported if e.source == "m_0"]
    assert turns == [
        ("on", "chatter"), ("off", "chatter"), ("on", "splashover"), ("off", "splashover"),
        ("on", "breakup"),
    ]  # fmt: skip
    assert [(as_read(e)["state"], as_read(e)["fault"]) for e in first + whole.events] == turns
    assert whole.notes["m_0"]["lead"].fault == "breakup"
    # each of them was up at some time of this window, the first one from before it
    doubts = {each.fault for each in whole.doubts if (each.lane, each.part) == HURT}
    assert doubts == {"chatter", "splashover", "breakup"}


def _verdict(turn: FlagTurn | None, fault: str | None) -> LoopVerdict:
    return LoopVerdict("m_0", "lead", 0.9, fault, 5 if fault else None, turn, "model loopfault")


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize(
    ("fault", "theirs", "part"),
    [("stuck_on", "stuck_on", "lead"), ("stuck_off", "no_activity", None),
     ("chatter", "chatter", "lead")],
)  # fmt: skip
def test_what_the_model_told_first_the_rules_do_not_tell_again(
    fault: str, theirs: Fault, part: Part | None, killed: bool
) -> None:
    reporter = FaultReporter()
    on, off = (sensor_fault_event("m_0", at, theirs, at == 2, part, since_s=600.0) for at in (2, 4))
    other = sensor_fault_event("m_1", 2, theirs, True, part, since_s=600.0)
    assert len(reporter.report(1, [_verdict("on", fault)])) == 1
    assert reporter.report(2, [], [other, on]) == []
    assert reporter.dropped == [on]
    assert len(reporter.report(3, [_verdict("off", None)])) == 1
    assert reporter.dropped == []
    if killed:
        saved = msgpack.unpackb(msgpack.packb(reporter.snapshot()))
        reporter = FaultReporter()
        reporter.restore(saved)
    assert reporter.report(4, [], [off]) == []
    assert reporter.dropped == [off]
    assert reporter.report(5, [], [on, off]) == []
    assert reporter.dropped == []  # nothing of ours is up any more: they speak


def test_what_was_dropped_may_be_told_again_here_while_theirs_is_up() -> None:
    reporter = FaultReporter()
    reporter.report(1, [_verdict("on", "stuck_on")])
    on, off = (
        sensor_fault_event("m_0", at, "stuck_on", at == 2, "lead", since_s=600.0) for at in (2, 4)
    )
    reporter.report(2, [_verdict("off", None)], [on])
    assert len(reporter.report(3, [_verdict("on", "stuck_on")])) == 1
    assert (
        reporter.report(
            4, [], [off, sensor_fault_event("m_0", 4, "chatter", True, "lead", since_s=600.0)]
        )
        == []
    )
    assert reporter.dropped == [off]


def test_the_drafts_of_a_window_without_what_was_told_already(tmp_path: Path) -> None:
    box = judge(tmp_path)
    slots = hurt("stuck_on")
    fed(box, slots)
    assert box.snapshot_flags()["loops"]["ours"]
    end_ns = slots[-1][0].to_ns
    record = Draft(Stream.TRAFFIC, "m_0", 0, end_ns, lane("m_0"))
    theirs = sensor_fault_event("m_0", end_ns, "stuck_on", True, "lead", since_s=600.0)
    other = sensor_fault_event("m_0", end_ns, "stuck_on", True, "trail", since_s=600.0)
    first, second = judged(box, end_ns, [record, theirs, other]).drafts
    assert (first.source, as_read(first)["loops"]["lead"]["fault"]) == ("m_0", "stuck_on")
    assert second is other
    (alone,) = judged(box, end_ns + 1, [record]).drafts
    assert alone == first


def test_another_model_brings_its_thresholds_and_begins_anew(tmp_path: Path) -> None:
    part = LoopPart(LANES, SITES, ModelGuard("loopfault", BUNDLES / "loopfault", hurry=False))
    guard, loops = part.guard, part.loops
    assert guard.load()
    slots = hurt("stuck_on")
    for slot in slots[:40]:
        part.step(slot[0].to_ns, slot, ())
    flag, beside = loops._flags[HURT], loops._flags["m_1", "lead"]
    assert flag.fault == "stuck_on"
    beside.smooth = [0.1, 0.9] + [0.0] * (len(beside.smooth) - 2)
    assert guard.manifest is not None
    assert guard.session is not None
    other = replace(guard.manifest, on=0.9, off=0.1, sha256="0" * 64)
    guard.manifest = guard.session.manifest = other
    guard.lineage += 1
    part.step(slots[40][0].to_ns, slots[40], ())
    assert {(f.on, f.off) for f in loops._flags.values()} == {(0.9, 0.1)}
    assert flag.fault == "stuck_on"
    assert beside.score < 0.3  # one slot's word, not half of what the other model said


def test_what_another_model_had_smoothed_is_left_out_of_flags_that_were_up(tmp_path: Path) -> None:
    part = LoopPart(LANES, SITES, ModelGuard("loopfault", BUNDLES / "loopfault", hurry=False))
    part.loops._flags[HURT].step([0.0, 1.0] + [0.0] * 8, 9, 30.0, traffic=True, at_once=True)
    kept = msgpack.unpackb(msgpack.packb(part.snapshot_flags()))
    for known, score in ((kept["model"], 1.0), ("0" * 64, part.loops._flags[HURT].on)):
        after = LoopPart(LANES, SITES, ModelGuard("loopfault", BUNDLES / "loopfault", hurry=False))
        after.restore_flags({**kept, "model": known})
        flag = after.loops._flags[HURT]
        assert flag.fault == "stuck_on"
        assert flag.score == pytest.approx(score)


def test_what_is_stale_of_theirs_is_forgotten(tmp_path: Path) -> None:
    part = LoopPart(LANES, SITES, ModelGuard("loopfault", tmp_path))
    end_ns = 30 * 10**9
    theirs = [
        sensor_fault_event(lane, 1, "stuck_on", True, "lead", since_s=600.0)
        for lane in ("m_0", "gone")
    ]
    part.step(end_ns, [], theirs)
    after = LoopPart(LANES, SITES, ModelGuard("loopfault", tmp_path))
    after.restore_flags(part.snapshot_flags())
    assert after.snapshot_flags()["theirs"] == [["m_0", "lead", "stuck_on"]]
    busy = LoopTick("m_0", "lead", end_ns, 2 * end_ns, end_ns, end_ns, since_ns=1)
    after.step(2 * end_ns, [busy], ())
    deaf = LoopTick("m_0", "lead", 2 * end_ns, 3 * end_ns, 0, 0)
    after.step(3 * end_ns, [deaf], ())
    assert after.snapshot_flags()["theirs"] == [["m_0", "lead", "stuck_on"]]
    free = LoopTick("m_0", "lead", 3 * end_ns, 4 * end_ns, end_ns, 0)
    after.step(4 * end_ns, [free], ())
    assert after.snapshot_flags()["theirs"] == []


def test_when_nobody_judges_loops_any_more_what_was_told_is_over(tmp_path: Path) -> None:
    box = judge(tmp_path)
    fed(box, hurt("stuck_on"))
    saved = msgpack.unpackb(msgpack.packb(box.snapshot_flags()["loops"]))
    (event,) = unwatched_loop_events(7, saved)
    assert (event.source, event.to_ns, as_read(event)["part"]) == ("m_0", 7, "lead")
    assert (as_read(event)["state"], as_read(event)["fault"]) == ("off", "stuck_on")
    # the rules of edge/process go on, and say themselves when it is over
    assert unwatched_loop_events(7, {**saved, "dropped": saved["ours"]}) == []
    with pytest.raises((KeyError, TypeError, ValueError)):
        unwatched_loop_events(7, {"ours": [5]})
