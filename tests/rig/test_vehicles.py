"""The vehicles of a scenario: repeatable, never over a loop together, as its tables say."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace as changed

from drivers.sim.traffic import LEAST_HEADWAY_S
from edge.rig.scenario import Signal, Traffic, Vehicle
from edge.rig.vehicles import LENGTHS, Passage, cycle_of, driven, passages, times
from tests.rig.scenes import SIGNAL, read_site, scenario

BUSY = Traffic(lanes=("north_1", "north_2"), per_hour=1500, speed_kmh=50.0, spread_kmh=8.0)
NS = 1_000_000_000


def of(found: list[Passage], lane: str) -> list[Passage]:
    return [one for one in found if one.lane == lane]


def test_the_same_seed_gives_the_same_vehicles_and_another_one_others(tmp_path: Path) -> None:
    site = read_site(tmp_path)
    one = scenario(tmp_path, 600.0, traffic=(BUSY,))
    again = scenario(tmp_path, 600.0, traffic=(BUSY,))
    assert passages(one, site) == passages(again, site)
    assert passages(scenario(tmp_path, 600.0, seed=2, traffic=(BUSY,)), site) != passages(one, site)
    first, second = (of(passages(one, site), lane) for lane in ("north_1", "north_2"))
    assert [p.t_s for p in first] != [p.t_s for p in second]


def test_a_lane_beside_it_changes_nothing_for_a_lane(tmp_path: Path) -> None:
    site = read_site(tmp_path)
    alone = scenario(tmp_path, 600.0, traffic=(changed(BUSY, lanes=("north_2",)),))
    both = scenario(tmp_path, 600.0, traffic=(BUSY,))
    assert of(passages(both, site), "north_2") == passages(alone, site)


def test_no_two_vehicles_are_over_one_loop_at_once(tmp_path: Path) -> None:
    site = read_site(tmp_path)
    lane = site.lanes["north_1"]
    tables = (
        changed(BUSY, spread_kmh=25.0, kind="mixed"),
        changed(BUSY, per_hour=900, kind="trailer", speed_kmh=30.0),
        Traffic(lanes=("north_1",), per_hour=200, kind="bicycle", speed_kmh=15.0),
    )
    fixed = tuple(Vehicle(lane="north_1", at_s=t_s, stops_s=20.0) for t_s in (100.0, 400.0))
    found = of(passages(scenario(tmp_path, 900.0, traffic=tables, vehicles=fixed), site), "north_1")
    assert len(found) > 150
    for before, after in pairwise(found):
        assert times(before, lane)[-1].lead[1] < times(after, lane)[0].lead[0]
        assert times(before, lane)[-1].trail[1] < times(after, lane)[0].trail[0]
    assert {100.0, 400.0} <= {one.t_s for one in found}


def test_as_many_come_as_the_table_says(tmp_path: Path) -> None:
    site = read_site(tmp_path)
    light = Traffic(lanes=("north_1",), per_hour=360, spread_kmh=5.0)
    found = passages(scenario(tmp_path, 36_000.0, traffic=(light,)), site)
    assert len(found) == pytest.approx(3600, rel=0.06)
    headways = [after.t_s - before.t_s for before, after in pairwise(found)]
    assert min(headways) > 0.9 * LEAST_HEADWAY_S
    assert 0.1 < sum(one > 10.0 for one in headways) / len(headways) < 0.6  # Poisson, not even


def test_even_arrivals_keep_their_headway(tmp_path: Path) -> None:
    even = Traffic(lanes=("north_1",), per_hour=360, arrivals="even", from_s=5.0, until_s=46.0)
    found = passages(scenario(tmp_path, 60.0, traffic=(even,)), read_site(tmp_path))
    assert [one.t_s for one in found] == [5.0, 15.0, 25.0, 35.0, 45.0]
    assert {one.speed_kmh for one in found} == {50.0}


@pytest.mark.parametrize("kind", [*LENGTHS, "mixed"])
def test_lengths_are_those_of_the_kind(kind: str, tmp_path: Path) -> None:
    site = read_site(tmp_path)
    table = changed(BUSY, lanes=("north_1",), per_hour=600, kind=kind)
    found = passages(scenario(tmp_path, 3600.0, traffic=(table,)), site)
    low, high = LENGTHS["car" if kind == "mixed" else kind]
    if kind == "mixed":
        trucks = [one for one in found if one.length_m >= 8.0]
        assert 0.04 < len(trucks) / len(found) < 0.2
    elif kind == "trailer":
        assert all(len(times(one, site.lanes["north_1"])) == 2 for one in found)
        assert all(driven(one, site.lanes["north_1"]).length_m > low for one in found)
    else:
        assert all(low <= one.length_m <= high for one in found)


def test_a_vehicle_is_over_the_loops_as_its_speed_and_length_say(tmp_path: Path) -> None:
    lane = read_site(tmp_path).lanes["north_1"]
    car = Passage("north_1", 10.0, 36.0, 5.0)  # 10 m/s
    (row,) = times(car, lane)
    assert row.lead == pytest.approx((10.0, 10.7))
    assert row.trail == pytest.approx((10.4, 11.1))
    true = driven(car, lane)
    assert (true.on_s, true.off_s, true.length_m) == pytest.approx((10.0, 11.1, 5.0))


def test_a_trailer_is_felt_as_two_if_its_drawbar_is_longer_than_a_loop(tmp_path: Path) -> None:
    lane = read_site(tmp_path).lanes["north_1"]
    front, rear = times(Passage("north_1", 0.0, 36.0, 11.0, gap_m=3.0), lane)
    assert front.lead == pytest.approx((0.0, 0.6))
    assert rear.lead == pytest.approx((0.7, 1.3))
    assert len(times(Passage("north_1", 0.0, 36.0, 10.0, gap_m=1.9), lane)) == 1
    assert driven(Passage("north_1", 0.0, 36.0, 11.0, gap_m=3.0), lane).length_m == 8.0


def test_one_that_stops_stands_on_both_loops(tmp_path: Path) -> None:
    lane = read_site(tmp_path).lanes["north_1"]
    going = Passage("north_1", 0.0, 36.0, 5.0)
    (free,), (stood,) = times(going, lane), times(replace(going, stops_s=30.0), lane)
    assert stood.lead == (free.lead[0], free.lead[1] + 30.0)
    assert stood.trail == (free.trail[0], free.trail[1] + 30.0)


def test_traffic_waits_at_the_stop_line_until_green(tmp_path: Path) -> None:
    site = read_site(tmp_path, SIGNAL)
    lane = site.lanes["south_1"]
    signal = Signal(approach="south", red_s=40.0, green_s=20.0, amber_s=3.0, offset_s=7.0)
    table = Traffic(lanes=("south_1",), per_hour=500)
    found = passages(scenario(tmp_path, 1200.0, traffic=(table,), signals=(signal,)), site)
    cycle = cycle_of(signal)
    assert len(found) > 60
    assert sum(one.stops_s > 1 for one in found) > 10
    for one in found:
        gone_s = one.t_s + one.stops_s  # it moves then
        assert cycle.colour(round((gone_s - 7.0) * NS))[0] == "green", one
    for before, after in pairwise(found):
        assert times(before, lane)[-1].lead[1] < after.t_s


def test_a_vehicle_of_its_own_does_not_wait(tmp_path: Path) -> None:
    site = read_site(tmp_path, SIGNAL)
    signal = Signal(approach="south", red_s=40.0, green_s=20.0)
    red = Vehicle(lane="south_1", at_s=10.0)
    (one,) = passages(scenario(tmp_path, vehicles=(red,), signals=(signal,)), site)
    assert (one.t_s, one.stops_s) == (10.0, 0.0)
