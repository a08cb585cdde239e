"""The rule of silent lanes by itself: who is due, by whom it is told, and whom nobody accuses."""

from __future__ import annotations

import pytest

from edge.infer.loops.expectedcount import BANDS
from edge.infer.loops.weekhours import WeekHours
from edge.infer.sites import ApproachSite, LaneSite
from tests.infer.road import MONDAY_S, STATIONS, THREE, WAYS, ActivityRoad, slot_of
from tests.kit.engine import S


def test_two_dead_lanes_of_three_hide_neither() -> None:
    road = ActivityRoad()
    road.drive(120, {"a_0": 5, "a_1": 5, "a_2": 5})
    road.drive(15, {"a_0": 5, "a_1": 0, "a_2": 0})
    assert road.reported.keys() == {"a_1", "a_2"}


def test_a_lane_that_dies_later_does_not_excuse_the_one_before() -> None:
    road = ActivityRoad()
    road.drive(120, {"a_0": 5, "a_1": 5, "a_2": 5})
    road.drive(3, {"a_0": 5, "a_1": 5, "a_2": 0})
    road.drive(15, {"a_0": 5, "a_1": 0, "a_2": 0})
    assert road.reported.keys() == {"a_1", "a_2"}


def test_who_is_not_to_be_believed_accuses_nobody() -> None:
    road = ActivityRoad(THREE[:2], doubted=["a_0"])
    road.drive(120, {"a_0": 5, "a_1": 5})
    road.drive(60, {"a_0": 20, "a_1": 0})
    assert road.reported == {}
    road.doubted.clear()
    road.drive(20, {"a_0": 5, "a_1": 5})
    road.drive(15, {"a_0": 5, "a_1": 0})
    assert road.reported.keys() == {"a_1"}


def test_one_that_counts_ghosts_is_contradicted_by_one_that_lives() -> None:
    road = ActivityRoad()
    for _ in range(60):
        road.drive(1.5, {"a_0": 2, "a_1": 2, "a_2": 2})
        road.drive(0.5, {"a_0": 0, "a_1": 0, "a_2": 2})
    for _ in range(5):  # nobody drives but a vehicle now and then, and a_2 counts on
        road.drive(4.0, {"a_0": 0, "a_1": 0, "a_2": 2})
        road.drive(0.5, {"a_0": 1, "a_1": 0, "a_2": 2})
    assert road.reported == {}


def test_a_closed_lane_whose_vehicles_pass_beside_it_is_not_dead() -> None:
    even = dict.fromkeys((lane.name for lane in STATIONS), 4)
    road = ActivityRoad(STATIONS, WAYS)
    road.drive(240, even)
    road.drive(60, {**even, "n_0": 0, "n_1": 8})
    assert road.reported == {}
    road.drive(60, even)
    road.drive(15, {**even, "n_0": 0})
    assert road.reported.keys() == {"n_0"}


def test_a_lane_that_was_closed_before_anybody_watched_is_not_dead() -> None:
    even = dict.fromkeys((lane.name for lane in STATIONS), 4)
    road = ActivityRoad(STATIONS, WAYS)
    road.drive(120, {**even, "n_0": 0, "n_1": 8})
    assert road.reported == {}
    road = ActivityRoad(STATIONS, WAYS)
    road.drive(30, {**even, "n_0": 0})  # its vehicles are missing
    assert road.reported.keys() == {"n_0"}


def test_a_ramp_after_it_excuses_no_lane_that_never_had_a_vehicle() -> None:
    """On the ramp come fewer than here, whether one lane is dead or not."""
    lanes = (*STATIONS, LaneSite("off_0", "off", "corridor"))
    ways = (ApproachSite("m", "n", 500.0), ApproachSite("n", "off", 500.0), ApproachSite("off"))
    road = ActivityRoad(lanes, ways)
    paces = {"m_0": 9, "m_1": 9, "n_1": 9, "n_0": 0, "off_0": 5}
    road.drive(30, paces)
    assert road.reported.keys() == {"n_0"}
    road = ActivityRoad(lanes, ways)
    road.drive(60, {**paces, "n_1": 18})  # it is closed, and its vehicles pass beside it
    assert road.reported == {}


def test_a_single_lane_is_told_by_those_along() -> None:
    lanes = tuple(LaneSite(f"{a}_0", a, "corridor") for a in "mno")
    road = ActivityRoad(lanes, WAYS)
    road.drive(120, {"m_0": 5, "n_0": 5, "o_0": 5})
    road.drive(15, {"m_0": 5, "n_0": 0, "o_0": 5})
    assert road.reported.keys() == {"n_0"}
    assert "vehicles passed in" in road.reported["n_0"][1].evidence


def test_nobody_is_due_while_it_is_red() -> None:
    lanes = (*THREE[:2],)
    road = ActivityRoad(lanes)
    road.drive(120, {"a_0": 5, "a_1": 5}, green_ns=15 * S)
    road.drive(30, {"a_0": 5, "a_1": 0}, green_ns=0)  # its neighbour turns on an arrow
    assert road.reported == {}
    road.drive(1, {"a_0": 5, "a_1": 0}, green_ns=15 * S)
    assert road.reported.keys() == {"a_1"}


def test_a_lane_alone_is_told_by_the_green_that_passed() -> None:
    road = ActivityRoad(THREE[:1])
    road.drive(240, {"a_0": 2}, green_ns=15 * S)
    road.drive(45, {"a_0": 0}, green_ns=15 * S)
    minute, ruling = road.reported["a_0"]
    assert 265 <= minute <= 285
    assert "min of it on green" in ruling.evidence


def test_one_that_stands_on_a_loop_is_no_silence() -> None:
    road = ActivityRoad(THREE[:2])
    road.drive(120, {"a_0": 5, "a_1": 5})
    road.drive(60, {"a_0": 5, "a_1": 0}, on=["a_1"])
    assert road.reported == {}


def days(road: ActivityRoad, count: int) -> None:
    """Eighty an hour from six to twenty o'clock, and nobody by night."""
    for hour in range(count * 24):
        n = 20 if 6 <= hour % 24 < 20 else 0
        for _ in range(4):
            road.drive(0.5, {"a_0": n}, MONDAY_S)
            road.drive(14.5, {"a_0": 0}, MONDAY_S)


def test_a_lane_alone_is_told_by_the_hours_of_the_week_if_the_clock_is_trusted() -> None:
    road = ActivityRoad((LaneSite("a_0", "a", "stop"),))
    days(road, 15)
    assert road.reported == {}
    kept, slot = road.rule.snapshot(), road.slot
    road.drive(7 * 60, {"a_0": 0})
    assert road.reported == {}  # nobody knows the hour
    road.rule, road.slot = road.new(), slot
    road.rule.restore(kept)
    road.drive(7 * 60, {"a_0": 0}, MONDAY_S)
    minute, ruling = road.reported["a_0"]
    assert 6 * 60 < minute - 15 * 1440 <= 7 * 60  # nobody is due by night
    assert "usual in these hours of the week" in ruling.evidence


def test_a_clock_that_steps_forgets_its_hours() -> None:
    hours = WeekHours()
    for slot in range(2 * 168 * 120):
        hours.step(slot * 30 * S, MONDAY_S + slot * 30.0, 1.0, 30.0)
    now = 2 * 168 * 120
    known = hours.step(now * 30 * S, MONDAY_S + now * 30.0, 1.0, 30.0)
    assert known is not None
    assert known.due == pytest.approx(1.0)
    assert known.sure
    assert hours.step((now + 1) * 30 * S, MONDAY_S + now * 30.0 + 7200.0, 1.0, 30.0) is None
    assert max(hours.weeks) == 0


def test_bicycles_are_judged_by_bicycles_alone() -> None:
    lanes = (
        *THREE[:2],
        LaneSite("track_0", "a", "corridor", role="bicycle"),
        LaneSite("track_1", "a", "corridor", role="bicycle"),
    )
    road = ActivityRoad(lanes)
    road.drive(240, {"a_0": 5, "a_1": 5, "track_0": 2, "track_1": 2})
    road.drive(120, {"a_0": 5, "a_1": 5, "track_0": 0, "track_1": 0})
    assert road.reported == {}
    road.drive(30, {"a_0": 5, "a_1": 5, "track_0": 2, "track_1": 2})
    road.drive(60, {"a_0": 5, "a_1": 5, "track_0": 0, "track_1": 2})
    assert road.reported.keys() == {"track_0"}


def test_what_nobody_watched_is_in_doubt_and_proves_nothing() -> None:
    road = ActivityRoad()
    road.drive(120, {"a_0": 5, "a_1": 5, "a_2": 5})
    road.rule.missing(3600.0)
    road.drive(9.5, {"a_0": 5, "a_1": 0, "a_2": 5})
    assert road.reported == {}
    road.drive(1.0, {"a_0": 5, "a_1": 0, "a_2": 5})
    ((_, ruling),) = road.reported.values()
    assert ruling.since_ns == (120 - 60) * 60 * S


def test_a_lane_that_is_not_watched_is_not_silent() -> None:
    road = ActivityRoad(THREE[:2])
    road.drive(120, {"a_0": 5, "a_1": 5})
    for _ in range(120):
        ticks = slot_of(road.slot, {"a_0": 5, "a_1": 0})
        ticks[1] = ticks[1]._replace(seen_ns=0)
        road.slot += 1
        assert road.rule.step({(t.lane, t.part): t for t in ticks}, {}, None) == {}


def test_what_was_taken_for_a_fault_teaches_little() -> None:
    """A lane that was closed for a day, and is open again, dies: it is named as before."""
    road = ActivityRoad(THREE[:2])
    road.drive(240, {"a_0": 5, "a_1": 5})
    road.drive(1440, {"a_0": 5, "a_1": 0})
    road.drive(60, {"a_0": 5, "a_1": 5})
    road.reported, began = {}, road.slot / 2.0
    road.drive(15, {"a_0": 5, "a_1": 0})
    assert road.reported["a_1"][0] - began <= 15.0


def test_a_dead_lane_teaches_those_beside_it_no_share() -> None:
    """It is mended after a day: what it counts then makes no more due beside it than before."""
    road = ActivityRoad(THREE[:2])
    road.drive(240, {"a_0": 5, "a_1": 1})
    before = [road.rule._quiet["a_0"].beside["a_1"].share(band) for band in range(BANDS)]
    road.drive(1440, {"a_0": 5, "a_1": 0})
    after = [road.rule._quiet["a_0"].beside["a_1"].share(band) for band in range(BANDS)]
    assert after == pytest.approx(before, rel=1.0)  # of the minutes before it was known


def test_a_lane_stays_dead_until_its_first_vehicle() -> None:
    road = ActivityRoad(THREE[:2])
    road.drive(120, {"a_0": 5, "a_1": 5})
    road.drive(15, {"a_0": 5, "a_1": 0})
    assert road.reported.keys() == {"a_1"}
    road.doubted |= {"a_0", "a_1"}  # nobody is believed any more
    road.reported = {}
    road.drive(0.5, {"a_0": 5, "a_1": 0})
    assert road.reported.keys() == {"a_1"}
    road.reported = {}
    road.drive(5, {"a_0": 5, "a_1": 1})
    assert road.reported == {}


def test_a_lane_that_nobody_drives_on_here_or_along_is_not_called_dead() -> None:
    road = ActivityRoad(STATIONS, WAYS)
    road.drive(180, {lane.name: 8 if lane.name.endswith("1") else 0 for lane in STATIONS})
    assert road.reported == {}
    used = ActivityRoad(STATIONS, WAYS)
    used.drive(60, {lane.name: 0 if lane.name == "m_0" else 8 for lane in STATIONS})
    assert used.reported["m_0"][1].fault == "never_active"
