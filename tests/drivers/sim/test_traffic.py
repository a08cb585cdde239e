"""Vehicles of a simulated lane: plausible, of a seed, and never one on top of another."""

from itertools import pairwise
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.sim.drivencontact import NS
from drivers.sim.lanetraffic import LaneTraffic
from drivers.sim.loopcard import LoopCard
from drivers.sim.loops import SimVehicle, true_times
from drivers.sim.timeline import Timeline
from drivers.sim.traffic import Flow, LoopLayout, VehicleStream

LAYOUT = LoopLayout(4.0, 2.0)


def vehicles(stream: VehicleStream, count: int, per_hour: float) -> list[SimVehicle]:
    found: list[SimVehicle] = []
    for _ in range(count):
        found.append(stream.next(found[-1].t_s if found else 0.0, per_hour))
    return found


def test_as_many_come_as_are_asked_for() -> None:
    found = vehicles(VehicleStream(LAYOUT, 50.0, 3), 4000, 600.0)
    assert 4000 / found[-1].t_s * 3600 == pytest.approx(600.0, rel=0.05)
    assert mean(one.speed_kmh for one in found) == pytest.approx(50.0, rel=0.1)
    assert 4.0 < mean(one.length_m for one in found) < 6.5


def test_a_seed_gives_the_same_traffic_again_and_another_one_other_traffic() -> None:
    first, again, other = (vehicles(VehicleStream(LAYOUT, 50.0, n), 50, 400.0) for n in (1, 1, 2))
    assert first == again
    assert first != other


@given(
    st.integers(0, 10_000), st.floats(50.0, 2200.0), st.floats(20.0, 130.0),
    st.floats(1.9, 20.0), st.booleans(),
)  # fmt: skip
def test_no_vehicle_is_over_a_loop_before_the_one_in_front_has_left(
    seed: int, per_hour: float, speed_kmh: float, spacing_m: float, jammed: bool
) -> None:
    layout = LoopLayout(spacing_m, 2.0)
    stream = VehicleStream(layout, speed_kmh, seed)
    stream.jammed = jammed
    found = true_times(vehicles(stream, 60, per_hour), layout.spacing_m, layout.loop_m)
    for front, behind in pairwise(found):
        assert behind.lead_on_ns > front.lead_off_ns
        assert behind.trail_on_ns > front.trail_off_ns


def test_in_a_jam_they_are_slow_and_close() -> None:
    stream = VehicleStream(LAYOUT, 50.0, 1)
    stream.jammed = True
    found = vehicles(stream, 500, 400.0)
    assert max(one.speed_kmh for one in found) < 20.0
    occupied_s = sum((one.length_m + 2.0) * 3.6 / one.speed_kmh for one in found)
    assert occupied_s / found[-1].t_s > 0.35


def test_the_day_has_a_night() -> None:
    flow = Flow(900.0, day=True)
    assert flow.at(3.0) < 60.0
    assert flow.at(16.5) == 900.0
    assert flow.at(23.99) == pytest.approx(flow.at(0.0), rel=0.05)
    assert Flow(600.0).at(3.0) == 600.0


def lane(seed: int = 1, flow: float = 600.0) -> tuple[Timeline, LaneTraffic, list[str]]:
    """A pair; what closes is written down in its order."""
    line, seen = Timeline(lambda: 0), list[str]()

    def card(name: str) -> LoopCard:
        def drive(high: bool, t_ns: int) -> None:
            if high:
                seen.append(name)

        return LoopCard(line, drive, True)

    stream = VehicleStream(LAYOUT, 50.0, seed)
    return line, LaneTraffic(line, stream, card("lead"), card("trail"), lambda: flow), seen


def test_an_hour_of_a_lane_holds_no_more_than_what_is_on_its_loops() -> None:
    line, traffic, seen = lane()
    traffic.begin(0)
    most = 0
    for minute in range(60):
        line.run_until(minute * 60 * NS)
        most = max(most, line.waiting())
    assert most < 12
    assert 450 < traffic.vehicles < 750
    assert seen.count("lead") >= traffic.vehicles - 1


def test_a_pair_closes_in_the_direction_of_travel_and_when_swapped_against_it() -> None:
    for fault, first in (("", "lead"), ("swapped", "trail")):
        line, traffic, seen = lane(flow=200.0)
        traffic.misbehave(fault)
        traffic.begin(0)
        line.run_until(600 * NS)
        assert seen[0] == first
        assert sum(one == first for one in seen[::2]) > 0.8 * len(seen[::2])


def test_a_dead_pair_and_a_dead_card_feel_nobody_until_they_are_mended() -> None:
    for dead in ("pair", "card"):
        line, traffic, seen = lane()
        traffic.misbehave("dead_pair" if dead == "pair" else "")
        traffic.card_dead = dead == "card"
        traffic.begin(0)
        line.run_until(300 * NS)
        assert seen == []
        assert traffic.vehicles > 20
        traffic.misbehave("")
        traffic.card_dead = False
        line.run_until(600 * NS)
        assert {"lead", "trail"} == set(seen)


def test_an_empty_road_is_looked_at_again() -> None:
    line, traffic, seen = lane()
    traffic.stream.empty = True
    traffic.begin(0)
    line.run_until(300 * NS)
    assert seen == []
    traffic.stream.empty = False
    line.run_until(600 * NS)
    assert len(seen) > 10
