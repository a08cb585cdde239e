"""A loop that the counting calls chattering is called nothing else, until that is over for long."""

import json
from pathlib import Path
from typing import Any

import pytest

from edge.core import Draft
from edge.core.looptick import LoopTick
from edge.infer.loops.countedchatter import CLEAN_S, CountedChatter
from edge.infer.loops.evidence import LoopKey
from edge.infer.loops.looppart import LoopPart
from edge.infer.modelguard import ModelGuard
from edge.process.engineevents import sensor_fault_event
from tests.infer.test_looppart import ScriptedRule
from tests.infer.test_looprules import HURT, LANES, SITES, SLOT, S, street, ticks
from tests.kit.asread import as_read

MATE = ("m_0", "trail")
Told = list[tuple[int, str, str, str]]


def chatter(at_s: float, on: bool, key: LoopKey = HURT) -> Draft:
    lane, part = key
    at_ns = round(at_s * S)
    which: Any = part
    return sensor_fault_event(lane, at_ns, "chatter", on, which, since_s=30.0)


def part_of(folder: Path, **scripts: list[str | None]) -> LoopPart:
    """One without a model, whose rules of the loops of m_0 say what stands here; then nothing."""
    part = LoopPart(LANES, SITES, ModelGuard("loopfault", folder / "none"))
    for which, script in scripts.items():
        rule: Any = ScriptedRule(*script, *[None] * 400)
        part.loops._rules["m_0", which] = rule
    return part


def told(part: LoopPart, events: dict[int, Draft], slots: int = 90, first: int = 0) -> Told:
    """What is reported of all loops, beside what the counting reports: slot, part, fault, state."""
    out: Told = []
    for i, slot in enumerate(ticks(street(1.0), 1.0)[first:slots], first):
        part.step(slot[0].to_ns, slot, [events[i]] if i in events else [])
        out += [
            (i, str(e["part"]), str(e["fault"]), str(e["state"])) for e in map(as_read, part.events)
        ]
    return out


def test_what_chatters_has_no_second_fault(tmp_path: Path) -> None:
    part = part_of(tmp_path, lead=[None] * 10 + ["breakup"] * 20)
    events = {10: chatter(290.0, True), 20: chatter(601.0, False)}
    assert told(part, events) == []
    assert list(part.loops.faulty()) == []  # and it is sound again


def test_without_chatter_it_is_told(tmp_path: Path) -> None:
    part = part_of(tmp_path, lead=[None] * 10 + ["breakup"] * 20)
    assert (10, "lead", "breakup", "on") in told(part, {})


def test_what_was_told_before_the_chatter_was_counted_is_taken_back(tmp_path: Path) -> None:
    part = part_of(tmp_path, lead=[None] * 9 + ["breakup"] * 20)
    events = {10: chatter(310.0, True), 20: chatter(601.0, False)}
    assert told(part, events) == [
        (9, "lead", "breakup", "on"), (10, "lead", "breakup", "off"),
    ]  # fmt: skip


def test_a_fault_that_remains_is_told_when_what_the_chatter_left_has_faded(tmp_path: Path) -> None:
    part = part_of(tmp_path, lead=[None] * 10 + ["breakup"] * 110)
    events = {10: chatter(310.0, True), 20: chatter(601.0, False)}
    faded = 20 + round(CLEAN_S / SLOT)
    assert told(part, events, 118) == [(faded, "lead", "breakup", "on")]


@pytest.mark.parametrize("fault", ["undercount", "mismatch", "swapped"])
def test_the_other_loop_of_its_pair_is_compared_with_nothing(fault: str, tmp_path: Path) -> None:
    script = [None] * 10 + [fault] * 60
    events = {10: chatter(310.0, True), 40: chatter(1201.0, False)}
    found = told(part_of(tmp_path, trail=[*script]), events)
    assert found[0][1:] == ("trail", fault, "on")
    assert found[0][0] > 40  # it is so by a sound loop, too


@pytest.mark.parametrize("fault", ["stuck_off", "splashover"])
def test_what_needs_no_comparison_is_told_of_the_other_loop(fault: str, tmp_path: Path) -> None:
    part = part_of(tmp_path, trail=[None] * 20 + [fault] * 20)
    events = {10: chatter(310.0, True)}
    assert told(part, events, 40) == [(20, "trail", fault, "on")]


def test_what_begins_and_ends_in_one_window_is_told_by_the_counting_alone(tmp_path: Path) -> None:
    part = part_of(tmp_path)
    slots = ticks(street(0.5), 0.5)
    part.step(slots[0][0].to_ns, slots[0], [])
    window = [tick for slot in slots[1:30] for tick in slot]
    part.step(slots[29][0].to_ns, window, [chatter(310.0, True), chatter(401.0, False)])
    assert part.events == []


def test_a_restart_between_the_counting_and_the_slot_knows_what_chatters(tmp_path: Path) -> None:
    before = part_of(tmp_path)
    before.step(305 * S, (), [chatter(304.0, True)])
    after = part_of(tmp_path, lead=["breakup"])
    after.restore_flags(json.loads(json.dumps(before.snapshot_flags())))
    slot = [
        tick._replace(stays_left_out=60) if (tick.lane, tick.part) == HURT else tick
        for tick in ticks(street(0.2), 0.2)[10]
    ]
    after.step(slot[0].to_ns, slot, ())
    assert after.events == []
    assert [(v.lane, v.part, v.fault) for v in after.loops.faulty()] == [(*HURT, "chatter")]


def test_a_restart_knows_for_how_long_the_chatter_is_over(tmp_path: Path) -> None:
    before = part_of(tmp_path)
    told(before, {10: chatter(310.0, True), 11: chatter(335.0, False)}, 14)
    after = part_of(tmp_path)
    after.restore(json.loads(json.dumps(before.snapshot())))
    scripted: Any = ScriptedRule(*["breakup"] * 110)
    after.loops._rules[HURT] = scripted
    after.restore_flags(json.loads(json.dumps(before.snapshot_flags())))
    faded = 11 + round(CLEAN_S / SLOT)
    assert told(after, {}, 118, 14) == [(faded, "lead", "breakup", "on")]


def slot_of(number: int, stays: int = 0) -> dict[LoopKey, LoopTick]:
    """One slot of one loop, with so many stays that were left out."""
    begin, end = number * SLOT * S, (number + 1) * SLOT * S
    return {HURT: LoopTick("m_0", "lead", begin, end, SLOT * S, 0, (), stays)}


def test_it_chatters_in_each_slot_that_it_touches_and_in_no_other() -> None:
    counted = CountedChatter({HURT})
    counted.hear([chatter(95.0, True), chatter(125.0, False), chatter(95.0, True, MATE)])
    found = [bool(counted.in_slot(slot_of(i))) for i in range(6)]
    assert found == [False, False, False, True, True, False]
    assert counted.in_slot(slot_of(9)) == frozenset()


def test_one_whose_end_was_lost_chatters_no_longer_than_too_many_come() -> None:
    counted = CountedChatter({HURT})
    counted.mark_chattering([HURT, MATE])
    assert [bool(counted.in_slot(slot_of(i, n))) for i, n in enumerate((60, 26, 20, 60))] == [
        True, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize("saved", [{"m_0|lead": -1.0}, {"m_0|lead": "x"}, {"m_0|lead": None}])
def test_what_is_no_snapshot_is_refused(saved: Any) -> None:
    counted = CountedChatter({HURT})
    with pytest.raises((TypeError, ValueError)):
        counted.restore(saved)
    assert counted.snapshot() == {}
