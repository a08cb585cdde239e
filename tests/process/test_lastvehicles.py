"""The last vehicles are those of the records; a line's history is bounded, and true at any time."""

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core import Contact
from edge.process.linehistory import EDGES_KEPT, LINE_BYTES, LineHistory
from edge.process.traffic.lastvehicles import LastVehicle, last_vehicles
from tests.kit.engine import MINUTE, PAIR, SINGLE, S, body, car, engine, found, presences
from tests.long import examples


def passed(*vehicles: list[Contact]) -> list[list[Contact]]:
    """The edges of both loops, each in its order."""
    flat = sorted((one for each in vehicles for one in each), key=lambda one: one.mono_ns)
    return [[one for one in flat if one.source.endswith(part)] for part in ("lead", "trail")]


def test_a_vehicle_has_the_speed_length_and_class_that_its_record_counts() -> None:
    loops = passed(car("north_1", 5, 50), car("north_1", 9, 72, 12))
    assert last_vehicles(PAIR, loops, 20 * S) == [
        LastVehicle(5 * S, 468_000_000, 50.0, 4.5, "short"),
        LastVehicle(9 * S, 700_000_000, 72.0, 12.0, "medium_long"),
    ]


def test_one_that_is_still_there_has_no_speed_and_no_end() -> None:
    loops = passed(car("north_1", 5, 50))
    lead = [one for one in loops[0] if one.on]
    assert last_vehicles(PAIR, [lead, []], round(5.1 * S)) == [LastVehicle(5 * S, None)]


def test_a_single_loop_tells_how_long_it_was_occupied() -> None:
    contacts = presences("east_1.lead", (1, 1.5), (3, 3.4))
    assert last_vehicles(SINGLE, [contacts], 9 * S) == [
        LastVehicle(1 * S, 500_000_000),
        LastVehicle(3 * S, 400_000_000),
    ]


def test_a_lane_without_edges_has_no_vehicles() -> None:
    assert last_vehicles(PAIR, [[], []], S) == []


@given(
    st.lists(
        st.tuples(st.floats(1.0, 4.0), st.floats(20.0, 120.0), st.floats(2.0, 18.0)), max_size=12
    )
)
@settings(max_examples=examples(60))
def test_they_are_as_many_and_as_fast_as_the_record_says(
    drawn: list[tuple[float, float, float]],
) -> None:
    at_s, vehicles = 1.0, []
    for wait_s, kmh, length_m in drawn:
        vehicles.append(car("north_1", at_s, kmh, length_m))
        at_s += wait_s + (length_m + 6) / kmh * 3.6
    loops = passed(*vehicles)
    made = engine(PAIR)
    made.contacts(found("north_1.lead", "north_1.trail"))
    made.contacts(sorted(loops[0] + loops[1], key=lambda one: one.mono_ns))
    record = body(made.close(10 * MINUTE), "north_1")
    shown = last_vehicles(PAIR, loops, 10 * MINUTE)
    measured = [one.speed_kmh for one in shown if one.speed_kmh is not None]
    assert len(shown) == record["volume"] == len(drawn)
    assert len(measured) == record["speed"]["n"] if measured else not record["speed"]["n"]
    if measured:
        assert record["speed"]["mean"] == pytest.approx(sum(measured) / len(measured), abs=0.06)


def flips(count: int, step_ns: int = S, begin_ns: int = S) -> list[Contact]:
    return [Contact("a", n % 2 == 0, begin_ns + n * step_ns) for n in range(count)]


def test_a_line_knows_its_last_edges_and_forgets_older_ones() -> None:
    line = LineHistory("a")
    line.take(Contact("a", False, 0, initial=True))
    edges = flips(EDGES_KEPT + 7)
    for one in edges[:5]:
        line.take(one)
    assert (line.last_edges(), line.complete_from_ns) == (edges[:5], None)
    for one in edges[5:]:
        line.take(one)
    assert line.last_edges() == edges[7:]
    assert line.complete_from_ns == edges[7].mono_ns
    assert (line.edges, line.last_ns, line.level) == (71, edges[-1].mono_ns, edges[-1].on)


def test_edges_of_an_hour_are_counted_and_leave_it() -> None:
    line, hour_ns = LineHistory("a"), 60 * MINUTE
    for one in flips(600, 10 * S):  # 100 minutes, six a minute
        line.take(one)
    last_ns = line.last_ns or 0
    assert 354 <= line.edges_in_hour(last_ns) <= 360
    assert 174 <= line.edges_in_hour(last_ns + hour_ns // 2) <= 180
    assert line.edges_in_hour(last_ns + hour_ns) == 0
    assert line.edges_in_hour(last_ns + 50 * hour_ns) == 0
    assert line.edges == 600


@given(st.lists(st.integers(0, 90 * MINUTE), max_size=40), st.integers(0, 90 * MINUTE))
def test_edges_of_an_hour_are_those_of_59_to_60_minutes(steps: list[int], rest_ns: int) -> None:
    line, at_ns, times = LineHistory("a"), 0, []
    for step in steps:
        at_ns += step
        times.append(at_ns)
        line.take(Contact("a", True, at_ns))
    now_ns = at_ns + rest_ns
    least = sum(now_ns - each < 59 * MINUTE for each in times)
    most = sum(now_ns - each < 60 * MINUTE for each in times)
    assert least <= line.edges_in_hour(now_ns) <= most


def test_what_was_before_a_line_was_closed_is_not_put_together_with_what_came_after() -> None:
    line = LineHistory("a")
    for one in flips(4):
        line.take(one)
    line.close("it chatters")
    assert (line.level, line.closed, line.last_edges(), line.edges) == (None, "it chatters", [], 4)
    line.take(Contact("a", True, 60 * S, initial=True))
    assert (line.level, line.closed, line.edges) == (True, "", 4)
    later = flips(2, begin_ns=70 * S)
    for one in later:
        line.take(one)
    assert line.last_edges() == later


def test_edges_that_the_kernel_lost_are_counted_and_no_vehicle_spans_them() -> None:
    line = LineHistory("a")
    line.take(Contact("a", True, S))
    line.take(Contact("a", True, 5 * S, lost=3))
    assert (line.edges, line.lost) == (2, 3)
    assert line.last_edges()[1].lost == 1
    shown = last_vehicles(SINGLE, [[*line.last_edges()]], 9 * S)
    assert all(one.on_ns is None for one in shown)


def test_a_line_costs_what_is_said() -> None:
    line = LineHistory("a")
    for one in flips(5000):
        line.take(one)
    numbers = sum(each.itemsize * len(each) for each in (line._kept, line._counts))
    assert numbers == LINE_BYTES == 752
    whole = sys.getsizeof(line) + sys.getsizeof(line._kept) + sys.getsizeof(line._counts)
    assert whole < 1200
