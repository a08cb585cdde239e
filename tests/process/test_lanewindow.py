"""One lane over windows: volume, occupancy, speeds, what is merged, and what cannot be told."""

from dataclasses import replace
from itertools import chain

import pytest

from edge.core.edge import Contact
from edge.process.engine import Engine, LaneSetup
from tests.kit.asread import as_read
from tests.kit.engine import (
    MINUTE,
    PAIR,
    SINGLE,
    S,
    body,
    car,
    engine,
    events,
    found,
    presences,
)

NORTH = ("north_1.lead", "north_1.trail")


def north(*contacts: Contact, setup: LaneSetup = PAIR) -> Engine:
    made = engine(setup)
    made.contacts(found(*NORTH))
    made.contacts(sorted(contacts, key=lambda each: each.mono_ns))
    return made


def test_a_presence_is_split_at_the_border_and_the_vehicle_counts_where_it_rises() -> None:
    made = engine(SINGLE)  # interval-straddle
    made.contacts(found("east_1.lead"))
    made.contacts(presences("east_1.lead", (58, 62), (70, 70.5)))
    first, second = body(made.close(MINUTE), "east_1"), body(made.close(2 * MINUTE), "east_1")
    assert (first["volume"], first["occupancy"], first["on_us"]) == (1, 0.0333, 2_000_000)
    assert (second["volume"], second["occupancy"], second["on_us"]) == (1, 0.0417, 2_500_000)
    assert first["covered_s"] == second["covered_s"] == 60
    assert first["speed"] is first["length"] is None
    assert first["quality"] == {"good": 1}
    assert second["gap"]["sum"] == 8000
    assert second["headway"]["sum"] == 12_000


def test_a_pair_tells_speed_and_length() -> None:
    made = north(*car("north_1", 5, 50), *car("north_1", 10, 80, 16.5), *car("north_1", 15, 100))
    reported = body(made.close(MINUTE), "north_1")
    assert reported["volume"] == reported["speed"]["n"] == 3
    assert (reported["speed"]["mean"], reported["speed"]["harmonic"]) == (76.67, 70.59)
    assert reported["length"]["sum"] == 450 + 1650 + 450
    assert reported["quality"] == {"good": 3}
    assert reported["health"] == "ok"
    assert reported["on_us"] == 468_000 + 832_500 + 234_000


def test_a_vehicle_that_breaks_up_is_one_vehicle() -> None:
    made = engine(SINGLE)
    made.contacts(found("east_1.lead"))
    made.contacts(presences("east_1.lead", (1, 1.3), (1.35, 1.8), (1.87, 2.2)))
    reported = body(made.close(MINUTE), "east_1")
    assert (reported["volume"], reported["breakups"]) == (1, 2)
    assert reported["on_us"] == 1_080_000


@pytest.mark.parametrize(
    ("setup", "part_s", "hole_s", "volume"),
    [
        (SINGLE, 0.1, 0.058, 1),  # as long as may be in anything
        (SINGLE, 0.1, 0.062, 2),
        (SINGLE, 0.3, 0.088, 1),  # 6.7 m in 0.3 s: another one would follow at less than 4 m
        (SINGLE, 0.3, 0.092, 2),
        (SINGLE, 0.8, 0.145, 1),  # and no longer than any driver's net gap
        (SINGLE, 0.8, 0.155, 2),
        (SINGLE, 2.1, 0.062, 2),  # slow ones stand as near to each other
        (replace(SINGLE, loop_m=1.5), 0.3, 0.115, 1),
        (replace(SINGLE, loop_m=6.0), 0.8, 0.062, 2),  # who is 6.6 m behind is another one
        (replace(SINGLE, kind="bicycle"), 0.8, 0.062, 2),  # they ride as near as they like
        (replace(SINGLE, mode="pulse"), 0.8, 0.03, 2),
    ],
)
def test_a_long_vehicle_that_falls_into_two_is_one_and_two_that_follow_are_two(
    setup: LaneSetup, part_s: float, hole_s: float, volume: int
) -> None:
    made = engine(setup)
    made.contacts(found("east_1.lead"))
    second = 5 + part_s + hole_s
    made.contacts(presences("east_1.lead", (5, 5 + part_s), (second, second + 0.3)))
    reported = body(made.close(MINUTE), "east_1")
    assert reported["volume"] == volume
    if setup.mode == "presence":
        assert reported.get("breakups", 0) == 2 - volume


def test_at_speed_a_longer_hole_is_still_one_vehicle() -> None:
    # 16.5 m at 108 km/h: 30 m/s, so the loop is passed in 67 ms; the hole may last 83 ms.
    def truck(hole_s: float) -> Engine:
        holed = [
            presences(f"north_1.{loop}", (at, at + 0.2), (at + 0.2 + hole_s, at + 0.617))
            for loop, at in (("lead", 1), ("trail", 1 + 4 / 30))
        ]
        return north(*chain(*holed))

    reported = body(truck(0.080).close(MINUTE), "north_1")
    assert (reported["volume"], reported["breakups"], reported["speed"]["n"]) == (1, 1, 1)
    assert reported["length"]["sum"] == pytest.approx(1650, abs=3)
    assert body(truck(0.090).close(MINUTE), "north_1")["volume"] == 2


def test_a_vehicle_that_the_second_loop_missed_has_the_speed_that_the_first_one_tells() -> None:
    made = north(*presences(NORTH[0], (20, 20.804)), *car("north_1", 22, 50))
    reported = body(made.close(MINUTE), "north_1")
    assert (reported["speed"]["n"], reported["speed"]["estimated"]) == (2, 1)
    assert reported["speed"]["mean"] == 40  # 6.7 m in 0.804 s are 30 km/h
    assert reported["speed"]["harmonic"] == 37.5
    assert reported["length"]["n"] == 1
    assert reported["quality"] == {"good": 1, "uncertain:estimated": 1}
    assert "speed_single" not in reported


def test_what_can_be_no_vehicle_counts_and_has_no_speed() -> None:
    made = north(*car("north_1", 5, 50), *presences(NORTH[0], (20, 20.1)))  # 241 km/h
    reported = body(made.close(MINUTE), "north_1")
    assert (reported["volume"], reported["speed"]["n"]) == (2, 1)
    assert "estimated" not in reported["speed"]
    assert reported["quality"] == {"bad:range": 1, "good": 1}


def test_where_the_pair_measured_nothing_all_of_it_is_an_estimate() -> None:
    made = north(*presences(NORTH[0], (20, 20.804)))
    reported = body(made.close(MINUTE), "north_1")
    assert (reported["speed"]["n"], reported["speed"]["estimated"]) == (1, 1)
    assert reported["speed"]["harmonic"] == reported["speed_single"]["kmh"] == 30
    assert reported["quality"] == {"uncertain:estimated": 1}


def test_vehicles_that_stand_and_start_have_a_speed_and_no_length() -> None:
    """Two in a queue: while the first stands on both loops, the second comes to the lead loop."""
    stand = [
        *presences(NORTH[0], (5, 32), (33.5, 36)),
        *presences(NORTH[1], (6, 34.5), (35, 36.8)),
    ]
    made = north(*stand, *car("north_1", 45, 50))
    reported = body(made.close(MINUTE), "north_1")
    assert (reported["volume"], reported["speed"]["n"], reported["length"]["n"]) == (3, 3, 1)
    paces = (1 + 2.5) / 8, (1.5 + 0.8) / 8, 3.6 / 50  # seconds for a metre
    assert reported["speed"]["harmonic"] == pytest.approx(3.6 * 3 / sum(paces), abs=0.01)
    assert reported["classes"] == {"short": 1}
    assert reported["quality"] == {"good": 3}
    assert "speed_single" not in reported


def test_who_stands_on_the_loops_at_a_border_has_a_speed_where_he_leaves() -> None:
    made = north(*presences(NORTH[0], (20, 130)), *presences(NORTH[1], (21, 133)))
    reported = [body(made.close(n * MINUTE), "north_1") for n in (1, 2, 3)]
    assert [each["volume"] for each in reported] == [1, 0, 0]
    assert [each["speed"]["n"] for each in reported] == [0, 0, 1]
    assert reported[2]["speed"]["mean"] == 7.2  # 4 m in the mean of 1 and 3 s
    assert reported[2]["quality"] == {"good": 1}


def test_both_loops_measure_nothing_that_stands_for_longer_than_is_believed() -> None:
    setup = replace(PAIR, max_presence_s=90)
    made = north(
        *presences(NORTH[0], (1, 60)), *presences(NORTH[1], (55, 93)),
        *car("north_1", 110, 50), setup=setup,
    )  # fmt: skip
    made.close(MINUTE)
    reported = body(made.close(2 * MINUTE), "north_1")
    assert reported["health"] == "ok"
    assert reported["quality"] == {"good": 1, "uncertain:estimated": 1}


def test_the_wrong_way_is_counted_and_has_no_speed() -> None:
    wrong = [  # trap-wrong-way
        *presences(NORTH[0], (10.288, 10.756)),
        *presences(NORTH[1], (10, 10.468)),
    ]
    reported = body(north(*wrong, *car("north_1", 20, 60)).close(MINUTE), "north_1")
    assert (reported["volume"], reported["wrong_way"], reported["speed"]["n"]) == (2, 1, 1)
    assert reported["speed"]["mean"] == 60


def test_a_passage_over_the_border_is_told_once() -> None:
    made = north(*car("north_1", 59.8, 50))
    first, second = body(made.close(MINUTE), "north_1"), body(made.close(2 * MINUTE), "north_1")
    assert (first["volume"], second["volume"]) == (1, 0)
    assert (first["speed"]["n"], second["speed"]["n"]) == (0, 1)
    assert (first["quality"], second["quality"]) == ({}, {"good": 1})


def test_a_dead_card_is_an_event_and_never_a_number() -> None:
    made = engine(replace(SINGLE, max_presence_s=90))
    made.contacts(found("east_1.lead"))
    made.contacts([Contact("east_1.lead", True, 30 * S), Contact("east_1.lead", False, 200 * S)])
    drafts = [made.close(minute * MINUTE) for minute in range(1, 6)]
    reported = [body(each, "east_1") for each in drafts]
    assert [each["health"] for each in reported] == ["ok", "stuck_on", "stuck_on", "stuck_on", "ok"]
    assert [each["volume"] for each in reported] == [1, None, None, None, 0]
    assert [each["occupancy"] for each in reported] == [0.5, None, None, None, 0]
    assert reported[1]["quality"] == {"bad:stuck": 1}
    assert (reported[1]["covered_s"], reported[1]["void_s"]) == (60, 60)
    begin, end = (event for each in drafts for event in events(each))
    assert (begin.from_ns, as_read(begin)["state"], as_read(begin)["fault"]) == (
        120 * S,
        "on",
        "stuck_on",
    )
    assert (end.from_ns, as_read(end)["state"]) == (200 * S, "off")
    assert as_read(begin)["part"] == "lead"
    assert begin.from_ns == begin.to_ns


def test_a_dead_second_loop_takes_the_speed_and_leaves_the_count() -> None:
    made = north(
        Contact(NORTH[1], True, 1 * S),
        *presences(NORTH[0], (10, 10.4), (20, 20.4)),
        setup=replace(PAIR, max_presence_s=30),
    )
    drafts = made.close(MINUTE)
    reported = body(drafts, "north_1")
    assert (reported["volume"], reported["speed"], reported["health"]) == (
        2,
        None,
        "trail_stuck_on",
    )
    assert reported["quality"]["bad:stuck"] == 1
    (event,) = events(drafts)
    assert as_read(event)["part"] == "trail"


def test_more_vehicles_than_can_pass_are_a_fault_until_it_is_calm() -> None:
    made = engine(SINGLE)
    made.contacts(found("east_1.lead"))
    made.contacts(presences("east_1.lead", *((10 + i * 0.5, 10.2 + i * 0.5) for i in range(40))))
    first, second = made.close(MINUTE), made.close(2 * MINUTE)
    assert (body(first, "east_1")["health"], body(second, "east_1")["health"]) == ("chatter", "ok")
    assert body(first, "east_1")["volume"] is None
    assert body(first, "east_1")["quality"] == {"bad:fault": 1}
    on, off = events([*first, *second])
    assert on.from_ns == round((10 + 37 * 0.5) * S)  # the 38th within 30 s
    assert off.from_ns == round((10 + 39 * 0.5 + 30) * S)


def test_thirty_seven_in_thirty_seconds_are_believed() -> None:
    made = engine(SINGLE)
    made.contacts(found("east_1.lead"))
    made.contacts(presences("east_1.lead", *((10 + i * 0.75, 10.2 + i * 0.75) for i in range(37))))
    reported = body(made.close(MINUTE), "east_1")
    assert (reported["volume"], reported["health"]) == (37, "ok")


def rage(source: str, at_s: float, edges: int, per_s: int = 5000) -> list[Contact]:
    return [Contact(source, n % 2 == 0, round((at_s + n / per_s) * S)) for n in range(edges)]


@pytest.mark.parametrize("batch", [100_000, 1000, 7])
def test_a_flood_is_no_empty_road(batch: int) -> None:
    """5,000 edges a second until the line is closed; opened again, it counts again."""
    made = engine(SINGLE)
    flood = [
        *found("east_1.lead"),
        *presences("east_1.lead", (5, 6)),
        *rage("east_1.lead", 59, 9000),
    ]
    for begin in range(0, len(flood), batch):
        made.contacts(flood[begin : begin + batch])
    made.closed("east_1.lead", flood[-1].mono_ns)
    first = made.close(MINUTE)
    made.contacts([*found("east_1.lead", at_s=63), *presences("east_1.lead", (70, 71))])
    second, third = made.close(2 * MINUTE), made.close(3 * MINUTE)
    for drafts in (first, second):
        reported = body(drafts, "east_1")
        assert reported["health"] == "chatter"
        assert reported["quality"] == {"bad:fault": 1}
        for key in ("volume", "occupancy", "on_us", "headway", "gap"):
            assert reported[key] is None
        assert reported["void_s"] == reported["covered_s"] > 0
    reported = body(third, "east_1")
    assert (reported["health"], reported["volume"], reported["occupancy"]) == ("ok", 0, 0)


def test_silence_is_a_fault_only_where_the_site_says_so() -> None:
    made = engine(replace(SINGLE, no_activity_s=90))
    made.contacts(found("east_1.lead"))
    first, second = made.close(MINUTE), made.close(2 * MINUTE)
    assert body(first, "east_1")["health"] == "ok"
    assert body(second, "east_1")["health"] == "no_activity"
    assert [event.from_ns for event in events(second)] == [90 * S]
    made.contacts(presences("east_1.lead", (130, 131)))
    third = made.close(3 * MINUTE)
    assert body(third, "east_1")["health"] == "ok"
    assert [as_read(event)["state"] for event in events(third)] == ["off"]


def test_pulse_mode_counts_and_measures_nothing_else() -> None:
    made = engine(replace(SINGLE, mode="pulse"))
    made.contacts(found("east_1.lead"))
    made.contacts(presences("east_1.lead", (5, 5.125), (7, 7.125), (9, 9.3)))
    reported = body(made.close(MINUTE), "east_1")
    assert reported["volume"] == 3
    assert (
        reported["occupancy"] is reported["on_us"] is reported["speed"] is reported["gap"] is None
    )
    assert reported["headway"]["sum"] == 4000
    assert reported["quality"] == {"bad:suppressed": 1, "good": 2, "uncertain:range": 1}


def test_lost_edges_are_told_and_the_count_goes_on() -> None:
    made = engine(SINGLE)
    made.contacts(found("east_1.lead"))
    made.contacts(presences("east_1.lead", (5, 6)))
    made.contacts([Contact("east_1.lead", True, 20 * S, lost=6)])
    made.contacts([Contact("east_1.lead", False, 21 * S)])
    reported = body(made.close(MINUTE), "east_1")
    assert (reported["volume"], reported["lost_edges"], reported["on_us"]) == (2, 6, 2_000_000)
    assert reported["quality"] == {"good": 2, "uncertain:gap": 1}
    assert reported["covered_s"] == 46  # nobody knows what was between 6 s and 20 s
    assert reported["headway"]["n"] == 0


def test_a_line_is_covered_from_the_moment_it_is_seen() -> None:
    made = engine(SINGLE)
    assert {**body(made.close(MINUTE), "east_1"), "headway": 0, "gap": 0} == {
        "lane": "east_1", "approach": "east", "covered_s": 0, "volume": None, "occupancy": None,
        "on_us": None, "speed": None, "length": None, "headway": 0, "gap": 0,
        "quality": {"bad:gap": 1}, "health": "unobserved",
    }  # fmt: skip
    made.contacts(found("east_1.lead", at_s=75, on=True))
    made.contacts([Contact("east_1.lead", False, 90 * S)])
    reported = body(made.close(2 * MINUTE), "east_1")
    # The vehicle was there before anybody looked: it occupies, and was not counted.
    assert (reported["covered_s"], reported["volume"], reported["occupancy"]) == (45, 0, 0.3333)


def test_a_closed_line_is_not_covered() -> None:
    made = engine(SINGLE)
    made.contacts(found("east_1.lead"))
    made.closed("east_1.lead", 10 * S)
    made.contacts(found("east_1.lead", at_s=40))
    assert body(made.close(MINUTE), "east_1")["covered_s"] == 30


def test_a_line_opened_again_is_not_covered_since_its_last_edge() -> None:
    made = engine(SINGLE)
    made.contacts(found("east_1.lead"))
    made.contacts(presences("east_1.lead", (5, 6)))
    made.contacts(found("east_1.lead", at_s=40))
    assert body(made.close(MINUTE), "east_1")["covered_s"] == 26


def test_vehicles_are_forgotten_when_nobody_listened() -> None:
    made = north(Contact(NORTH[0], True, 10 * S))
    made.mark_gap(11 * S, 41 * S)
    made.contacts(found(*NORTH, at_s=41))
    made.contacts(car("north_1", 50, 50))
    reported = body(made.close(MINUTE), "north_1")
    assert (reported["covered_s"], reported["volume"], reported["speed"]["n"]) == (30, 2, 1)
    assert reported["on_us"] == 1_468_000
    assert reported["quality"] == {"good": 1, "uncertain:gap": 1}


def test_a_late_contact_is_counted_and_said_so() -> None:
    made = engine(SINGLE)
    made.contacts(found("east_1.lead"))
    assert body(made.close(MINUTE), "east_1")["volume"] == 0
    made.contacts(presences("east_1.lead", (59, 61)))
    reported = body(made.close(2 * MINUTE), "east_1")
    assert (reported["volume"], reported["on_us"]) == (1, 1_000_000)  # its second before is gone
    assert reported["quality"] == {"good": 1, "uncertain:gap": 1}


def test_setups_that_cannot_work_are_refused() -> None:
    for change in (
        {"spacing_m": 1.5}, {"loop_m": 0}, {"bounce_ms": 0}, {"merge_ms": 5}, {"tolerance": 1},
        {"max_presence_s": 0}, {"effective_m": 0}, {"limit_kmh": 300}, {"tailgate_s": 0},
        {"stopped_s": 1}, {"stopped_s": 301}, {"classes": ()}, {"classes": (("a", 2), ("a", 3))},
        {"classes": (("a", 3), ("b", 3))},
    ):  # fmt: skip
        with pytest.raises(ValueError, match="lane north_1"):
            replace(PAIR, **change)
    with pytest.raises(ValueError, match="same name"):
        engine(PAIR, PAIR)
