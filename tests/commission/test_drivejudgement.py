"""A drive over a lane: what is found of each mistake, at any speed, and whoever else passes."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.commission.drivejudgement import (
    DriveSeen,
    ToldDrive,
    judge_drive,
    passage_groups,
    speed_bounds,
)
from edge.commission.verdict import worst_verdict
from edge.process.enginesetup import LaneSetup
from tests.commission.street import DrivenStreet, S
from tests.long import examples

SPEEDS = st.floats(12, 60)
LENGTHS = st.floats(3.6, 6.5)
SPACINGS = st.floats(2.5, 6.0)
LOOPS = st.floats(1.0, 2.5)


def setup_of(name: str, spacing_m: float | None = 4.0, loop_m: float = 2.0) -> LaneSetup:
    return LaneSetup(name, "north", spacing_m, loop_m)


def kinds(seen: DriveSeen) -> set[str]:
    return {each.kind for each in seen.findings}


def judged(
    street: DrivenStreet,
    setups: list[LaneSetup],
    told: ToldDrive,
    to_s: float = 60.0,
    **wiring: Any,
) -> DriveSeen:
    trace = street.trace(setups, **wiring)
    return judge_drive(setups, setups[0], trace, street.start_ns + round(to_s * S), told)


@settings(max_examples=examples(800), deadline=None)
@given(SPEEDS, LENGTHS, SPACINGS, LOOPS, st.floats(0, 1))
def test_a_drive_over_a_sound_pair_passes(
    speed: float, length: float, spacing: float, loop: float, shown: float
) -> None:
    """Whatever the speedometer may show at that speed."""
    street = DrivenStreet({"a": (spacing, loop), "b": (spacing, loop)})
    street.vehicle("a", 9.0, speed, length)
    setups = [setup_of("a", spacing, loop), setup_of("b", spacing, loop)]
    told = ToldDrive(speed + shown * (0.1 * speed + 4), length)
    seen = judged(street, setups, told)
    assert kinds(seen) == {"drive_seen"}, seen.findings
    assert seen.own is not None
    assert seen.own.speed_kmh == pytest.approx(speed, rel=0.02)
    assert worst_verdict(seen.findings) == "passed"


@settings(max_examples=examples(800), deadline=None)
@given(SPEEDS, LENGTHS, SPACINGS, LOOPS)
def test_a_swapped_pair_is_found(speed: float, length: float, spacing: float, loop: float) -> None:
    street = DrivenStreet({"a": (spacing, loop)})
    street.vehicle("a", 3.0, speed, length)
    wires = {"a.lead": "a.trail", "a.trail": "a.lead"}
    seen = judged(street, [setup_of("a", spacing, loop)], ToldDrive(speed), wires=wires)
    assert "swapped" in kinds(seen)
    assert "exchange" in next(f for f in seen.findings if f.kind == "swapped").remedy.lower()


@settings(max_examples=examples(800), deadline=None)
@given(SPEEDS, LENGTHS, st.sampled_from([{"a.lead"}, {"a.trail"}, {"a.lead", "a.trail"}]))
def test_an_inverted_loop_is_found_and_the_drive_is_measured_all_the_same(
    speed: float, length: float, inverted: set[str]
) -> None:
    street = DrivenStreet({"a": (4.0, 2.0)})
    street.vehicle("a", 12.0, speed, length)
    seen = judged(street, [setup_of("a")], ToldDrive(speed), inverted=inverted)
    assert {f.figures["loop"] for f in seen.findings if f.kind == "inverted"} == inverted
    assert seen.own is not None
    assert seen.own.kind == "ordered"
    assert seen.own.speed_kmh == pytest.approx(speed, rel=0.02)
    assert "swapped" not in kinds(seen)


@settings(max_examples=examples(800), deadline=None)
@given(SPEEDS, LENGTHS)
def test_a_lane_that_is_wired_to_another_is_found(speed: float, length: float) -> None:
    street = DrivenStreet({"a": (4.0, 2.0), "b": (4.0, 2.0)})
    street.vehicle("a", 5.0, speed, length)
    wires = {f"{x}.{p}": f"{y}.{p}" for x, y in ("ab", "ba") for p in ("lead", "trail")}
    seen = judged(street, [setup_of("a"), setup_of("b")], ToldDrive(speed), wires=wires)
    (found,) = [f for f in seen.findings if f.verdict == "failed"]
    assert found.kind == "other_lane"
    assert found.figures["other"] == "b"


@settings(max_examples=examples(800), deadline=None)
@given(SPEEDS, LENGTHS, st.sampled_from(["lead", "trail"]))
def test_loops_of_two_lanes_that_are_crossed_are_found(
    speed: float, length: float, part: str
) -> None:
    street = DrivenStreet({"a": (4.0, 2.0), "b": (4.0, 2.0)})
    street.vehicle("a", 5.0, speed, length)
    wires = {f"a.{part}": f"b.{part}", f"b.{part}": f"a.{part}"}
    seen = judged(street, [setup_of("a"), setup_of("b")], ToldDrive(speed), wires=wires)
    (found,) = [f for f in seen.findings if f.kind == "crossed"]
    assert found.figures["wrong"] == f"b.{part}"
    assert found.figures["right"] == f"a.{part}"


@settings(max_examples=examples(800), deadline=None)
@given(SPEEDS, LENGTHS, st.sampled_from([0.5, 0.6, 1.7, 2.2, 3.0]))
def test_a_spacing_that_does_not_fit_the_speed_is_found(
    speed: float, length: float, factor: float
) -> None:
    """The spacing of the configuration is another one than that in the road."""
    street = DrivenStreet({"a": (4.0, 2.0)})
    street.vehicle("a", 5.0, speed, length)
    told = ToldDrive(speed * 1.05 + 2)
    seen = judged(street, [setup_of("a", 4.0 * factor)], told)
    low, high = speed_bounds(told.speed_kmh or 0)
    if low <= speed * factor <= high:
        return  # so slow that a speedometer may show it
    (found,) = [f for f in seen.findings if f.verdict == "failed"]
    assert found.kind in ("spacing_wrong", "spacing_in_feet")
    right = found.figures["right"]
    assert isinstance(right, int | float)
    assert right == pytest.approx(4.0, rel=0.2)


@settings(max_examples=examples(800), deadline=None)
@given(SPEEDS, LENGTHS, st.sampled_from([{"a.lead"}, {"a.trail"}, {"a.lead", "a.trail"}]))
def test_a_pair_that_is_swapped_and_inverted_is_both(
    speed: float, length: float, inverted: set[str]
) -> None:
    street = DrivenStreet({"a": (4.0, 2.0)})
    street.vehicle("a", 12.0, speed, length)
    wires = {"a.lead": "a.trail", "a.trail": "a.lead"}
    seen = judged(street, [setup_of("a")], ToldDrive(speed), inverted=inverted, wires=wires)
    assert {f.figures["loop"] for f in seen.findings if f.kind == "inverted"} == inverted
    assert "swapped" in kinds(seen)


def test_a_spacing_in_feet_is_named() -> None:
    street = DrivenStreet({"a": (4.0, 2.0)})
    street.vehicle("a", 5.0, 30.0, 4.5)
    seen = judged(street, [setup_of("a", 13.1)], ToldDrive(32.0))
    assert "spacing_in_feet" in kinds(seen)


def test_a_loop_that_nobody_feels_is_said_so() -> None:
    street = DrivenStreet({"a": (4.0, 2.0)})
    street.vehicle("a", 5.0, 30.0, 4.5, trail=False)
    seen = judged(street, [setup_of("a")], ToldDrive(30.0))
    (found,) = [f for f in seen.findings if f.kind == "loop_silent"]
    assert found.figures["loop"] == "a.trail"


def test_nothing_moved() -> None:
    seen = judged(DrivenStreet({"a": (4.0, 2.0)}), [setup_of("a")], ToldDrive(30.0))
    assert kinds(seen) == {"nothing_moved"}


def test_a_stuck_loop_is_no_inverted_one() -> None:
    street = DrivenStreet({"a": (4.0, 2.0)})
    seen = judged(street, [setup_of("a")], ToldDrive(30.0), inverted={"a.lead"})
    assert "inverted" not in kinds(seen)


def test_a_speed_that_nobody_told_leaves_the_spacing_unproven() -> None:
    street = DrivenStreet({"a": (4.0, 2.0)})
    street.vehicle("a", 5.0, 30.0, 4.5)
    seen = judged(street, [setup_of("a")], ToldDrive())
    assert kinds(seen) == {"speed_untold"}
    assert worst_verdict(seen.findings) == "unproven"


def test_who_drives_against_traffic_is_told_that_it_may_be_that() -> None:
    street = DrivenStreet({"a": (4.0, 2.0)})
    street.vehicle("a", 5.0, 30.0, 4.5, back=True)
    seen = judged(street, [setup_of("a")], ToldDrive(30.0))
    (found,) = [f for f in seen.findings if f.kind == "swapped"]
    assert "against the direction of traffic" in found.remedy


def test_a_lane_with_one_loop_is_driven_over() -> None:
    street = DrivenStreet({"a": (4.0, 2.0)})
    street.vehicle("a", 5.0, 30.0, 4.5, trail=False)
    seen = judged(street, [setup_of("a", None)], ToldDrive(30.0))
    assert kinds(seen) == {"drive_seen_single"}


def test_a_loop_of_the_lane_beside_that_feels_it_too_is_told() -> None:
    street = DrivenStreet({"a": (4.0, 2.0), "b": (4.0, 2.0)})
    street.vehicle("a", 5.0, 30.0, 4.5)
    street.vehicle("b", 5.1, 33.0, 3.0, trail=False)
    seen = judged(street, [setup_of("a"), setup_of("b")], ToldDrive(30.0))
    assert kinds(seen) == {"splashover"}


def test_loops_that_feel_one_vehicle_for_different_times() -> None:
    street = DrivenStreet({"a": (4.0, 2.0)})
    street._add("a.lead", street.start_ns + S, street.start_ns + 1_500_000_000)
    street._add("a.trail", street.start_ns + 1_400_000_000, street.start_ns + 2_400_000_000)
    assert "uneven" in kinds(judged(street, [setup_of("a")], ToldDrive(36.0)))


def with_traffic(rng: random.Random, lanes: list[str], per_hour: float) -> DrivenStreet:
    """Other vehicles on all lanes for five minutes, none closer than drivers are."""
    street = DrivenStreet({name: (4.0, 2.0) for name in lanes})
    for lane in lanes:
        at_s = rng.expovariate(per_hour / 3600)
        while at_s < 300:
            street.vehicle(lane, at_s, rng.uniform(30, 70), rng.choice([4.2, 4.6, 5.1, 11.0]))
            at_s += 2.5 + rng.expovariate(per_hour / 3600)
    return street


@settings(max_examples=examples(800), deadline=None)
@given(st.integers(0, 10**6), st.floats(60, 600), st.booleans(), st.floats(18, 45))
def test_other_traffic_does_not_pass_for_the_drive(
    seed: int, per_hour: float, swapped: bool, speed: float
) -> None:
    """Without a word nobody is taken for it; chosen from the list, it is judged as on an empty
    road; the order is found by whoever passes."""
    rng = random.Random(seed)
    street = with_traffic(rng, ["a", "b"], per_hour)
    at_s = rng.uniform(30, 250)
    while not street.free("a", at_s - 2, at_s + 4):
        at_s = rng.uniform(5, 290)
        if rng.random() < 0.01:
            return  # there is no gap to drive in
    street.vehicle("a", at_s, speed, 4.5)
    setups = [setup_of("a"), setup_of("b")]
    wires = {"a.lead": "a.trail", "a.trail": "a.lead"} if swapped else {}
    told = ToldDrive(speed * 1.05 + 1, 4.5)
    seen = judged(street, setups, told, 305, wires=wires)
    if passage_groups(seen) > 1:
        assert seen.own is None
        assert "which_was_yours" in kinds(seen)
        assert not kinds(seen) & {"drive_seen", "speed_untold", "spacing_wrong", "other_lane"}
        assert not kinds(seen) & ({"order_seen"} if swapped else {"swapped_by_others"})
    at_ns = street.start_ns + round(at_s * S)
    place = next(
        (n for n, one in enumerate(seen.passages)
         if abs(one.at_ns - at_ns) < 10_000_000 and one.lane == "a"), None,
    )  # fmt: skip
    assert place is not None, "the drive is not in the list"
    chosen = judge_drive(
        setups, setups[0], street.trace(setups, wires=wires), street.start_ns + 305 * S,
        ToldDrive(told.speed_kmh, told.length_m, place),
    )  # fmt: skip
    wrong = {f.kind for f in chosen.findings if f.verdict == "failed"}
    assert wrong == ({"swapped"} if swapped else set()), chosen.findings


@settings(max_examples=examples(400), deadline=None)
@given(st.integers(0, 10**6), st.floats(200, 700), st.booleans())
def test_three_vehicles_that_agree_show_the_order(
    seed: int, per_hour: float, swapped: bool
) -> None:
    street = with_traffic(random.Random(seed), ["a"], per_hour)
    wires = {"a.lead": "a.trail", "a.trail": "a.lead"} if swapped else {}
    seen = judged(street, [setup_of("a")], ToldDrive(30.0), 305, wires=wires)
    pairs = [one for one in seen.passages if len(one.spans) == 2]
    if len(pairs) >= 3 and passage_groups(seen) > 1:
        assert ("swapped_by_others" if swapped else "order_seen") in kinds(seen)


def test_the_order_of_an_earlier_drive_must_agree() -> None:
    street = DrivenStreet({"a": (4.0, 2.0)})
    street.vehicle("a", 5.0, 30.0, 4.5)
    setups = [setup_of("a")]
    trace = street.trace(setups)
    to_ns = street.start_ns + 20 * S
    seen = judge_drive(setups, setups[0], trace, to_ns, ToldDrive(30.0), "reversed")
    assert kinds(seen) == {"disagrees"}
    assert seen.order == "ordered"


def test_what_is_kept_of_a_drive_holds_no_other_vehicle() -> None:
    street = with_traffic(random.Random(4), ["a", "b"], 600)
    setups = [setup_of("a"), setup_of("b")]
    seen = judged(street, setups, ToldDrive(30.0, mine=3), 305)
    assert seen.own is not None
    loops = seen.figures["loops"]
    assert isinstance(loops, list)
    assert len(loops) == len(seen.own.spans)


def test_a_dead_pair_is_named_while_others_pass_on_another_lane() -> None:
    """Nobody finds his drive in the list then, and no drive but his own was asked for."""
    street = DrivenStreet({"a": (4.0, 2.0), "b": (4.0, 2.0)})
    for n in range(3):
        street.vehicle("b", 5.0 + 12 * n, 45.0, 4.5)
    seen = judged(street, [setup_of("a"), setup_of("b")], ToldDrive(31.0))
    assert kinds(seen) == {"nothing_moved", "which_was_yours"}


@settings(max_examples=examples(300), deadline=None)
@given(SPEEDS, SPEEDS, st.floats(0.3, 1.2), st.booleans())
def test_a_vehicle_that_passes_beside_is_no_splashover(
    mine: float, theirs: float, apart: float, before: bool
) -> None:
    street = DrivenStreet({"a": (4.0, 2.0), "b": (4.0, 2.0)})
    street.vehicle("a", 9.0, mine, 4.5)
    street.vehicle("b", 9.0 - apart if before else 9.0 + 10.5 / (mine / 3.6) + apart - 10.5 / (
        theirs / 3.6), theirs, 4.5)  # fmt: skip
    setups = [setup_of("a"), setup_of("b")]
    told = ToldDrive(mine + 1, 4.5)
    seen = judged(street, setups, told)
    assert "splashover" not in kinds(seen)
    assert seen.own is None
    place = next(n for n, each in enumerate(seen.passages) if each.lane == "a")
    seen = judged(street, setups, ToldDrive(mine + 1, 4.5, place))
    assert kinds(seen) == {"drive_seen"}


def test_a_pair_that_feels_the_lane_beside_it_is_still_found() -> None:
    """Both of its loops, later and for less than the vehicle's own."""
    street = DrivenStreet({"a": (4.0, 2.0), "b": (4.0, 1.0)})
    street.vehicle("a", 9.0, 30.0, 4.5)
    street.vehicle("b", 9.06, 30.0, 4.5)
    seen = judged(street, [setup_of("a"), setup_of("b")], ToldDrive(31.0, 4.5))
    assert kinds(seen) == {"splashover"}
