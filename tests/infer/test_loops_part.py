"""Loop health in the judge: what stands in records, and what is known again after a kill."""

from dataclasses import replace
from pathlib import Path

import msgpack

from edge.core import Draft, Stream
from edge.core.loop import LoopTick
from edge.infer.judge import Judge, JudgeSetup
from tests.infer.test_loops_judge import hurt
from tests.infer.test_loops_rules import LANES, SITES

SETUP = JudgeSetup(LANES, congestion=False, anomaly=False, approaches=tuple(SITES))


def judge(folder: Path, setup: JudgeSetup = SETUP) -> Judge:
    """One whose rules answer."""
    return Judge(setup, folder)


def fed(box: Judge, slots: list[list[LoopTick]]) -> tuple[list[Draft], list[Draft]]:
    """Records of the lane m_0, and events."""
    records, events = [], []
    for slot in slots:
        end_ns = slot[0].to_ns
        lane = Draft(Stream.TRAFFIC, "m_0", slot[0].from_ns, end_ns, {"lane": "m_0"})
        verdict = box.judge(end_ns, [lane], slot)
        records += verdict.drafts
        events += verdict.events
    return records, events


def test_a_fault_stands_in_the_record_of_its_lane_and_is_told_once(tmp_path: Path) -> None:
    records, events = fed(judge(tmp_path), hurt("stuck_on"))
    assert "loops" not in records[0].body
    noted = records[-1].body["loops"]["lead"]
    assert noted["fault"] == "stuck_on"
    assert 0.6 < noted["score"] <= 1.0
    assert [(e.body["fault"], e.body["state"], e.source) for e in events] == [
        ("stuck_on", "on", "m_0")
    ]


def test_a_kill_forgets_no_flag_that_is_up(tmp_path: Path) -> None:
    box = judge(tmp_path)
    slots = hurt("stuck_on")
    _, events = fed(box, slots)
    assert len(events) == 1
    kept = msgpack.unpackb(msgpack.packb(box.flags()))
    after = judge(tmp_path)  # the state that is written seldom was lost
    after.restore_flags(kept)
    _, again = fed(after, slots[-2:])
    assert again == []
    assert after.flags()["loops"]["ours"] == [["m_0", "lead", "stuck_on"]]


def test_a_loop_that_is_given_up_is_told_to_be_over(tmp_path: Path) -> None:
    box = judge(tmp_path)
    slots = hurt("stuck_on")
    fed(box, slots)
    lanes = tuple(lane for lane in LANES if lane.name != "m_0")
    after = judge(tmp_path, replace(SETUP, lanes=lanes))
    after.restore_flags(box.flags())
    _, events = fed(after, slots[-2:])
    assert [(e.source, e.body["state"], e.body["fault"]) for e in events] == [
        ("m_0", "off", "stuck_on")
    ]
    assert "not watched any more" in events[0].body["text"]


def test_damaged_flags_of_loops_leave_the_others_alone(tmp_path: Path) -> None:
    box = judge(tmp_path)
    fed(box, hurt("stuck_on"))
    after = judge(tmp_path)
    after.restore_flags({**box.flags(), "loops": {"raised": 5}})
    assert after.flags()["loops"]["ours"] == []
