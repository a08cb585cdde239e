"""What a trail loop has counted, where it is asked: as if it had been the lead all the time."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core import Contact, DoubtedLoop, Draft, LoopTick
from edge.process.approachsignal import SignalSetup
from edge.process.debounce import LineChange, LineEvent
from edge.process.engine import Engine, EngineSetup, LaneSetup
from edge.process.phase import PhaseSetup
from edge.process.traffic.activitycheck import ActivityCheck
from edge.process.traffic.loopselection import (
    HEALTH_STATES,
    PAIR_STATES,
    STATE_QUALITIES,
    STATES,
    UNCERTAIN_STATES,
    doubted_state,
    select_loop,
    worst_state,
)
from tests.kit.asread import as_read
from tests.kit.engine import (
    AIR,
    MINUTE,
    MS,
    SINGLE,
    S,
    body,
    car,
    close_doubted,
    engine,
    events,
    found,
    presences,
)
from tests.kit.engine import PAIR as LANE
from tests.kit.randomsite import contacts
from tests.process.windows import SLOW, packed

ALONE = replace(SINGLE, name="x")
BEHIND = replace(LANE, name="x", approach="east")
NOT_COMPARED = {"health", "counted_by", "quality", "speed_single"}


@st.composite
def vehicles(draw: st.DrawFn) -> list[Contact]:
    """Traffic: some in two pieces, some that stand, some pauses."""
    made, at = found("x"), 0
    waits, lengths = (
        st.sampled_from([30, 400, 900, 5000, 40_000]),
        st.sampled_from([120, 900, 8000]),
    )
    for wait, length in draw(st.lists(st.tuples(waits, lengths), min_size=8, max_size=40)):
        made.append(Contact("x", True, (at + wait) * MS))
        at += wait + length
        made.append(Contact("x", False, at * MS))
    return made


@SLOW
@given(
    vehicles() | contacts("x"),
    st.lists(st.integers(1, 60), min_size=4, max_size=9),
    st.sampled_from(["presence", "pulse"]),
    st.booleans(),
)
def test_a_trail_loop_counts_as_a_lead_loop_does(
    heard: list[Contact], steps: list[int], mode: Any, kill: bool
) -> None:
    alone, behind = (engine(replace(each, mode=mode)) for each in (ALONE, BEHIND))
    alone.contacts([replace(each, source="x.lead") for each in heard])
    behind.contacts([replace(each, source="x.trail") for each in heard])
    end_ns = 0
    for step in [*steps, 60]:
        end_ns += step * S
        if kill:
            again = Engine(behind.setup)
            again.restore(packed(behind.snapshot()))
            again.contacts(behind.pending()[0])
            behind = again
        one, two = body(alone.close(end_ns), "x"), body(behind.close(end_ns), "x")
        if one["volume"] is None:
            assert two["volume"] is None
            continue
        assert two["counted_by"] == "trail"
        assert {k: v for k, v in one.items() if k not in NOT_COMPARED} == {
            k: v for k, v in two.items() if k not in NOT_COMPARED
        }
        if mode == "presence":
            assert {**one["quality"], "bad:gap": 1} == two["quality"]


CHANGES = st.lists(
    st.tuples(st.sampled_from([0, 1, 1, 2, 3, 4, 5]), st.integers(0, 8000) | st.integers(0, 900)),
    max_size=150,
)


@SLOW
@given(CHANGES, st.lists(st.integers(1, 200), min_size=1, max_size=5), st.sampled_from([0, 20]))
def test_a_rate_told_at_once_is_that_of_each_change(
    changes: list[tuple[int, int]], steps: list[int], quiet_s: int
) -> None:
    one, two = ActivityCheck(quiet_s * S), ActivityCheck(quiet_s * S)
    for rate in (one, two):
        rate.begin(0)
    at, left = 0, []
    for what, wait in changes:
        at += wait * MS
        left.append(LineEvent(at, LineChange(what)))
    end_ns = 0
    for step in steps:
        end_ns += step * S
        due, left = [e for e in left if e.at_ns < end_ns], [e for e in left if e.at_ns >= end_ns]
        two.run(due, whole=all(e.what is not LineChange.UNOBSERVED for e in due))
        one._each(due)
        for rate in (one, two):
            rate.tick(end_ns)
        assert (one.faults, one.chatter.has_chattered, one.silent) == (
            two.faults,
            two.chatter.has_chattered,
            two.silent,
        )
        for rate in (one, two):
            rate.next(end_ns)
        assert one.snapshot() == two.snapshot()


def test_a_trail_loop_that_chatters_is_told_and_takes_the_speeds_only() -> None:
    made = engine(LANE)
    made.contacts(found("north_1.lead", "north_1.trail"))
    made.contacts(presences("north_1.lead", (5, 6), (9, 10)))
    made.contacts(presences("north_1.trail", *((30 + i / 2, 30.2 + i / 2) for i in range(45))))
    first = made.close(MINUTE)
    reported = body(first, "north_1")
    assert (reported["volume"], reported["speed"], reported["health"]) == (2, None, "trail_chatter")
    assert reported["quality"] == {"bad:fault": 1, "good": 2}
    (on,) = events(first)
    assert (as_read(on)["fault"], as_read(on)["part"], as_read(on)["state"]) == (
        "chatter",
        "trail",
        "on",
    )
    again = Engine(made.setup)
    again.restore(packed(made.snapshot()))
    (off,) = events(again.close(2 * MINUTE))
    assert (
        as_read(off)["fault"],
        as_read(off)["part"],
        as_read(off)["state"],
    ) == ("chatter", "trail", "off")


def test_a_trail_loop_that_chatters_and_is_given_up_is_over() -> None:
    made = engine(LANE)
    made.contacts(found("north_1.lead", "north_1.trail"))
    made.contacts(presences("north_1.trail", *((30 + i / 2, 30.2 + i / 2) for i in range(45))))
    made.close(MINUTE)
    other = Engine(replace(made.setup, lanes=(replace(LANE, spacing_m=None),)))
    with pytest.raises(ValueError, match="another site"):
        other.restore(packed(made.snapshot()))
    other = Engine(replace(made.setup, lanes=(replace(LANE, spacing_m=5.0), SINGLE)))
    state, single = packed(made.snapshot()), packed(engine(SINGLE).snapshot())
    lanes = {**state["lanes"], "east_1": single["lanes"]["east_1"]}
    other.restore({**state, "bays": {}, "lanes": lanes})
    (off,) = events(other.close(2 * MINUTE))
    assert (as_read(off)["fault"], as_read(off)["part"]) == ("chatter", "trail")
    assert "no longer watched" in as_read(off)["text"]


def doubt(part: str, fault: str) -> DoubtedLoop:
    return DoubtedLoop("north_1", part, fault)


def doubted(made: Engine, *doubts: DoubtedLoop, partial: bool = False) -> list[Draft]:
    """The next window, of which these loops are not to be believed."""
    return close_doubted(made, MINUTE, lambda ticks, events: doubts, partial=partial)


def passed(lane: LaneSetup = LANE) -> Engine:
    made = engine(lane)
    made.contacts(found("north_1.lead", "north_1.trail"))
    for i in range(5):
        made.contacts(car("north_1", 5 + 9 * i, 50))
    return made


def test_what_is_believed_of_a_window_changes_its_record_and_nothing_else() -> None:
    believed, made, other = passed(), passed(), passed()
    drafts = believed.close(MINUTE)
    reported = doubted(made, doubt("lead", "breakup"), DoubtedLoop("of another site", "lead", "x"))
    assert body(reported, "north_1")["counted_by"] == "trail"
    assert body(reported, "north_1")["volume"] == 5
    assert body(drafts, "north_1")["health"] == "ok"
    assert doubted(passed()) == drafts
    assert doubted(other, doubt("lead", "breakup")) == reported
    assert made.snapshot() == other.snapshot() == believed.snapshot()
    assert made.close(2 * MINUTE) == believed.close(2 * MINUTE), "the next one is as it was"
    assert [(d.from_ns, d.to_ns) for d in reported] == [(d.from_ns, d.to_ns) for d in drafts]


def test_who_doubts_is_asked_once_a_window_with_what_has_come_of_it() -> None:
    made, asked = engine(SINGLE), list[tuple[int, list[str]]]()

    def doubting(ticks: Sequence[LoopTick], events: Sequence[Draft]) -> list[DoubtedLoop]:
        asked.append((len(ticks), [str(as_read(each)["fault"]) for each in events]))
        return []

    made.contacts([*found("east_1.lead"), Contact("east_1.lead", True, 1 * S)])
    for end_ns in (MINUTE, MINUTE, 31 * MINUTE):
        close_doubted(made, end_ns, doubting)
    assert asked == [(2, []), (0, []), (60, ["stuck_on"])]


def test_a_window_is_over_though_nobody_can_say_what_is_doubted() -> None:
    """The next one does not claim its time: what was seen in it is gone."""

    def failing(ticks: Sequence[LoopTick], events: Sequence[Draft]) -> list[DoubtedLoop]:
        raise RuntimeError("no answer")

    made = engine(SINGLE, AIR)
    made.contacts(found("east_1.lead") + presences("east_1.lead", (5, 5.5), (10, 10.5)))
    with pytest.raises(RuntimeError):
        close_doubted(made, MINUTE, failing)
    made.contacts(presences("east_1.lead", (65, 65.5)))
    closed = made.close(2 * MINUTE)
    assert {(each.from_ns, each.to_ns) for each in closed} == {(MINUTE, 2 * MINUTE)}
    assert body(closed, "east_1")["volume"] == 1


@pytest.mark.parametrize(
    ("own", "doubts", "state"),
    [
        ("no_activity", ["chatter"], "no_activity"),
        ("no_activity", ["chatter", "inverted"], "inverted"),
        ("ok", ["chatter"], "chatter"),
        ("unobserved", ["chatter"], "chatter"),
    ],
)
def test_what_is_silent_for_long_does_not_chatter(own: str, doubts: list[str], state: str) -> None:
    """A contact that chatters and then breaks is silent: loop health alone calls it chattering
    until sound traffic comes, which never does."""
    assert doubted_state(own, doubts) == state


def test_of_several_doubts_the_worst_counts() -> None:
    both = [doubt("lead", "stuck_off"), doubt("lead", "breakup"), doubt("trail", "breakup")]
    reported = body(doubted(passed(), *both), "north_1")
    assert (reported["health"], reported["quality"]) == (
        "stuck_off",
        {"bad:loop": 1, "uncertain:loop": 5},
    )


def test_a_window_that_was_cut_short_says_so_when_its_loops_are_doubted() -> None:
    drafts = doubted(passed(), doubt("lead", "inverted"), partial=True)
    assert body(drafts, "north_1")["partial"] is True


def test_a_doubted_zero_is_marked() -> None:
    made = engine(SINGLE)
    made.contacts(found("east_1.lead"))
    reported = body(doubted(made, DoubtedLoop("east_1", "lead", "undercount")), "east_1")
    assert (reported["volume"], reported["quality"]) == (0, {"uncertain:loop": 1})


STOP, AHEAD = replace(LANE, name="stop"), replace(LANE, name="ahead")
GREEN = PhaseSetup("green", "north", "green")
CROSSING = EngineSetup(
    (STOP, AHEAD),
    signals=(SignalSetup("north", (GREEN,), (("stop", "stop"), ("ahead", "advance"))),),
)


@pytest.mark.parametrize(
    ("doubts", "stop", "ahead", "queue"),
    [
        ((), True, True, True),
        ((("stop", "lead", "stuck_off"),), False, True, None),
        ((("stop", "lead", "breakup"),), False, True, None),  # the trail loop counts
        ((("stop", "lead", "breakup"), ("stop", "trail", "breakup")), True, True, True),
        ((("ahead", "lead", "stuck_off"),), True, False, False),
        ((("ahead", "lead", "mismatch"),), True, True, False),
        ((("ahead", "trail", "stuck_off"),), True, True, True),
    ],
)
def test_figures_of_a_signal_are_those_of_lead_loops_that_count(
    doubts: tuple[tuple[str, str, str], ...], stop: bool, ahead: bool, queue: bool | None
) -> None:
    made = Engine(CROSSING)
    made.start(0)
    made.contacts(
        found("green", *(f"{x}.{y}" for x in ("stop", "ahead") for y in ("lead", "trail")))
    )
    made.contacts(presences("green", (10, 30), (45, 55)))
    made.contacts([*car("stop", 5, 30), *car("ahead", 5, 30)])
    reported = doubted(made, *(DoubtedLoop(*each) for each in doubts))
    here, there = body(reported, "stop"), body(reported, "ahead")
    assert ("signal" in here, "signal" in there) == (stop, ahead)
    if queue is not None:
        assert ("queue_to_advance" in here["signal"]) is queue


def test_an_advance_loop_that_is_stuck_tells_of_no_queue() -> None:
    made = Engine(replace(CROSSING, lanes=(STOP, replace(AHEAD, max_presence_s=20))))
    made.start(0)
    made.contacts(found("green", "stop.lead", "stop.trail", "ahead.lead", "ahead.trail"))
    made.contacts([Contact("ahead.lead", True, 2 * S), *presences("stop.lead", (28, 33))])
    made.contacts(presences("green", (30, 50)))
    reported = body(made.close(MINUTE), "stop")
    assert reported["signal"]["queue_at_green"] == 1
    assert "queue_to_advance" not in reported["signal"]


@given(st.sampled_from(STATES), st.sampled_from([None, *STATES]))
def test_no_count_is_good_of_a_loop_that_is_not_sound(lead: str, trail: str | None) -> None:
    belief = select_loop(lead, trail)
    counts = {"lead": lead, "trail": trail, None: None}[belief.counting_loop]
    assert counts not in STATE_QUALITIES
    assert (counts is None) == (belief.counting_loop is None)
    assert belief.sure == (counts == "ok" or counts in PAIR_STATES)
    assert not belief.sure or counts not in UNCERTAIN_STATES
    assert belief.health in HEALTH_STATES
    assert (belief.health == "ok") == (lead == "ok" and trail in (None, "ok"))
    assert belief.pair == (lead == trail == "ok")
    if trail is not None and not belief.pair:
        assert belief.reason is not None


@given(st.lists(st.sampled_from(STATES), min_size=1))
def test_the_worst_of_states_does_not_depend_on_their_order(states: list[str]) -> None:
    assert (
        worst_state(states)
        == worst_state(reversed(states))
        == worst_state([worst_state(states), *states])
    )
