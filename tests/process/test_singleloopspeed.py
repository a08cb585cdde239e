"""Speed from one loop: near what a pair would say, never wild, and the same after a restart."""

import random
from dataclasses import replace
from statistics import mean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.edge import Contact
from edge.process.engine import Engine, LaneSetup
from edge.process.traffic.singleloopspeed import GROUP_VEHICLES, MIN_VEHICLES, SingleLoopSpeed
from tests.kit.engine import MINUTE, PAIR, SINGLE, S, body, car, engine, found, presences
from tests.process.windows import packed

Vehicle = tuple[float, float, float]  # when, km/h, metres


def road(seed: int, minutes: int, kmh: float, per_min: int, trucks: float = 0.15) -> list[Vehicle]:
    """Vehicles at about a speed; some are trucks, which are slower."""
    chance, made, at = random.Random(seed), [], 0.5
    while at < minutes * 60 - 30:
        long = chance.random() < trucks
        speed = chance.gauss(kmh, kmh * 0.08) * (0.9 if long else 1)
        length = chance.uniform(9, 16) if long else chance.gauss(4.6, 0.3)
        made.append((at, speed, length))
        at += (length + 2) / speed * 3.6 + chance.expovariate(per_min / 60) + 0.3
    return made


def over(source: str, vehicles: list[Vehicle], loop_m: float = 2.0) -> list[Contact]:
    return presences(
        source, *((at, at + (length + loop_m) / kmh * 3.6) for at, kmh, length in vehicles)
    )


def errors(setup: LaneSetup, vehicles: list[Vehicle], loop_m: float = 2.0) -> list[float]:
    """Of each minute with five vehicles and more, what is said minus the true space mean."""
    made = engine(setup)
    made.contacts([*found(setup.lead), *over(setup.lead, vehicles, loop_m)])
    wrong = []
    for minute in range(1, int(vehicles[-1][0] // 60) + 1):
        reported = body(made.close(minute * MINUTE), setup.name).get("speed_single")
        true = [kmh for at, kmh, _ in vehicles if minute * 60 - 60 <= at < minute * 60]
        if len(true) >= 5:
            assert reported is not None
            wrong.append(reported["kmh"] - len(true) / sum(1 / kmh for kmh in true))
    return wrong


@pytest.mark.parametrize(
    ("kmh", "per_min", "most"), [(50, 12, 3.5), (100, 15, 7), (30, 16, 2.5), (8, 9, 1)]
)
def test_the_speed_is_near_that_of_a_pair(kmh: float, per_min: int, most: float) -> None:
    wrong = errors(SINGLE, road(1, 60, kmh, per_min))
    assert len(wrong) > 40
    assert mean(abs(each) for each in wrong) < most


def test_trucks_do_not_make_a_road_slow() -> None:
    """The mean of on-times would make it slower by a fifth."""
    vehicles = road(2, 60, 80, 12, trucks=0.25)
    true = len(vehicles) / sum(1 / kmh for _, kmh, _ in vehicles)
    by_mean = 6.7 * 3.6 * len(vehicles) / sum((m + 2) / kmh * 3.6 for _, kmh, m in vehicles)
    assert by_mean < 0.85 * true
    assert mean(errors(SINGLE, vehicles)) > (by_mean - true) / 3


def test_a_jam_is_seen_in_its_minute() -> None:
    free, jam = road(3, 10, 80, 12), road(4, 10, 12, 12)
    vehicles = [each for each in free if each[0] < 270]
    vehicles += [(270 + at, kmh, length) for at, kmh, length in jam]
    made = engine(SINGLE)
    made.contacts([*found("east_1.lead"), *over("east_1.lead", vehicles)])
    reported = [body(made.close(n * MINUTE), "east_1")["speed_single"]["kmh"] for n in range(1, 9)]
    assert all(kmh > 60 for kmh in reported[:4])
    assert all(kmh < 20 for kmh in reported[5:])


def test_the_vector_of_a_car_at_fifty() -> None:
    # single-loop-speed: 4.5 m and a zone of 2 m are on for 0.468 s; ours is 0.2 m longer
    made = engine(SINGLE)
    made.contacts([*found("east_1.lead"), *presences("east_1.lead", (5, 5.468))])
    reported = body(made.close(MINUTE), "east_1")["speed_single"]
    assert reported["effective_cm"] == 670
    assert reported["kmh"] * 6.5 / 6.7 == pytest.approx(50, abs=0.01)
    assert reported["isum"] == pytest.approx(3.6e9 / reported["kmh"], rel=1e-3)
    assert reported["n"] == 1


def test_a_limit_moves_the_length_a_little_and_the_loop_is_its_own_part() -> None:
    """A loop that sees further than it is long: what it adds is found, within bounds."""
    slow = road(5, 300, 50, 8, trucks=0.05)
    plain = errors(SINGLE, slow, loop_m=2.4)[-60:]
    limited = errors(replace(SINGLE, limit_kmh=50), slow, loop_m=2.4)[-60:]
    known = errors(replace(SINGLE, effective_m=2.4), slow, loop_m=2.4)[-60:]
    assert mean(plain) < -1.2
    assert abs(mean(limited)) < abs(mean(plain)) / 2
    assert abs(mean(known)) < 1.5


def test_traffic_that_does_not_flow_freely_teaches_nothing() -> None:
    single = SingleLoopSpeed(2.0, 50)
    single.close([(n * S, n * S + S // 2) for n in range(200)])  # half of the time: it is full
    single.close([((1000 + n * 60) * S, (1003 + n * 60) * S) for n in range(200)])  # each stands
    assert single.effective_cm == 670


@given(
    st.lists(st.tuples(st.integers(1, 10**11), st.integers(0, 10**11)), max_size=200),
    st.none() | st.floats(5, 200),
    st.floats(0.2, 50),
)
def test_it_is_never_wild(
    vehicles: list[tuple[int, int]], limit: float | None, zone_m: float
) -> None:
    single, at = SingleLoopSpeed(zone_m, limit), 0
    window: list[tuple[int, int]] = []
    for time, gap in vehicles:
        window.append((at, at + time))
        at += time + gap
        if gap % 7 == 0:
            reported = single.close(window)
            assert reported is not None
            assert reported.n == len(window)
            assert 0 < reported.kmh <= 200
            window = []
        if gap % 11 == 0:
            single.forget()
    assert single.close([]) is None
    assert abs(single.effective_cm - zone_m * 100 - 470) <= 51
    state: Any = single.snapshot()
    assert len(state["block"]) < GROUP_VEHICLES
    assert len(state["before"]) <= MIN_VEHICLES


def test_while_the_trail_loop_is_dead_the_lead_loop_tells_with_the_length_that_the_pair_knew() -> (
    None
):
    setup = replace(PAIR, max_presence_s=30)
    made = engine(setup)
    made.contacts(found("north_1.lead", "north_1.trail"))
    last: Any = None
    for minute in range(60):
        vehicles = [car("north_1", minute * 60 + 2 + i * 5, 50, 5.5) for i in range(11)]
        made.contacts(sorted((c for v in vehicles for c in v), key=lambda c: c.mono_ns))
        last = body(made.close((minute + 1) * MINUTE), "north_1")
        assert "speed_single" not in last
    assert last["speed"]["n"] == 11
    made.contacts([Contact("north_1.trail", True, 3601 * S)])
    made.contacts(over("north_1.lead", [(3605 + i * 5.0, 50, 5.5) for i in range(11)]))
    reported = body(made.close(61 * MINUTE), "north_1")
    assert (reported["health"], reported["speed"]) == ("trail_stuck_on", None)
    assert "classes" not in reported
    assert reported["speed_single"]["effective_cm"] > 720
    assert reported["speed_single"]["kmh"] == pytest.approx(50, abs=2)
    # in the window in which it dies, too
    dying = engine(setup)
    dying.contacts([*found("north_1.lead", "north_1.trail"), *car("north_1", 5, 50)])
    dying.contacts(over("north_1.lead", [(20, 50, 4.5)]))
    dying.contacts([Contact("north_1.trail", True, 20 * S)])
    reported = body(dying.close(MINUTE), "north_1")
    assert (reported["health"], reported["speed_single"]["n"]) == ("trail_stuck_on", 2)
    # a trail loop that says nothing at all
    silent = engine(PAIR)
    silent.contacts([*found("north_1.lead", "north_1.trail")])
    silent.contacts(over("north_1.lead", [(5, 50, 4.7)]))
    assert body(silent.close(MINUTE), "north_1")["speed_single"]["kmh"] == pytest.approx(50, 0.01)


def test_pulses_and_bicycles_have_none() -> None:
    for lane in (replace(SINGLE, mode="pulse"), replace(SINGLE, kind="bicycle")):
        made = engine(lane)
        made.contacts([*found("east_1.lead"), *presences("east_1.lead", (5, 5.125))])
        reported = body(made.close(MINUTE), "east_1")
        assert reported["volume"] == 1
        assert "speed_single" not in reported
        assert "tailgating" not in reported


def test_what_it_has_learnt_outlives_a_restart() -> None:
    setup = replace(SINGLE, limit_kmh=60)
    vehicles = road(6, 90, 50, 10)
    made, cut = engine(setup), 37 * 60
    made.contacts([*found("east_1.lead"), *over("east_1.lead", vehicles)])
    for minute in range(1, 38):
        made.close(minute * MINUTE)
    again = Engine(made.setup)
    again.restore(packed(made.snapshot()))
    again.contacts(made.pending()[0])
    reported = [
        body(each.close((cut + 60) * S), "east_1")["speed_single"] for each in (made, again)
    ]
    assert reported[0] == reported[1]
    assert reported[0]["effective_cm"] != 670


def test_a_median_is_filled_up_with_what_was_just_before_and_no_older() -> None:
    fast = [(n * 2 * S, n * 2 * S + S // 4) for n in range(MIN_VEHICLES)]
    at = fast[-1][1]
    for wait_s, slow in ((20, False), (90, True)):
        single = SingleLoopSpeed(2.0, None)
        single.close(fast)
        reported = single.close([(at + wait_s * S, at + wait_s * S + 2 * S)])
        assert reported is not None
        assert (reported.kmh < 15) is slow


@pytest.mark.parametrize(("stands_s", "sum_s"), [(4.9, 7 * 0.5), (5.1, 6 * 0.5 + 5.1)])
def test_who_stands_counts_by_his_own_time_and_a_long_vehicle_by_that_of_the_others(
    stands_s: float, sum_s: float
) -> None:
    times = [0.5, 0.5, stands_s, 0.5, 0.5, 0.5, 0.5]
    vehicles = [(n * 40 * S, n * 40 * S + round(time * S)) for n, time in enumerate(times)]
    single = SingleLoopSpeed(2.0, None)
    for reported in (single.alone(vehicles), single.close(vehicles)):
        assert reported is not None
        assert reported.kmh == pytest.approx(7 * 6.7 / sum_s * 3.6, abs=0.01)


def test_a_first_window_knows_no_vehicle_before_it() -> None:
    single = SingleLoopSpeed(2.0, None)
    single.close([(n * 2 * S, n * 2 * S + S // 4) for n in range(MIN_VEHICLES)])
    single.forget()
    reported = single.close([(20 * S, 24 * S)])  # of another clock
    assert reported is not None
    assert reported.kmh < 10
    made = engine(SINGLE)
    made.contacts([*found("east_1.lead"), *over("east_1.lead", road(1, 1, 80, 12))])
    made.close(MINUTE)
    made.start(MINUTE)
    made.contacts([*found("east_1.lead", at_s=60), *presences("east_1.lead", (62, 66))])
    assert body(made.close(2 * MINUTE), "east_1")["speed_single"]["kmh"] < 10
