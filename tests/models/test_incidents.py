"""Incidents of simulated streets: what there is, what loops could show, and how it is scored."""

import argparse
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.congestion.incidentrules import CaliforniaRule, DeviateRule, FormerRule, sections
from models.congestion.incidents import (
    RULES,
    IncidentCounts,
    changed_limits,
    kind_of,
    most_per_week,
    play_day,
    table,
    tables,
)
from models.congestion.incidenttimeline import timeline
from models.congestion.incidenttruth import StreetIncident, incidents_of, sight_of
from models.congestion.scenarios.simstreet import (
    SAMPLE,
    Floats,
    Interval,
    LoopPlace,
    Position,
    SimStreet,
    StreetLink,
    load_street,
)

HOURS = 1.0


def _link(name: str, after: str | None, events: tuple[Interval, ...] = ()) -> StreetLink:
    calm = np.zeros(int(HOURS * 360))
    return StreetLink(name, "corridor", 2, 1000.0, 100.0, after, 1000.0, events, (), calm, calm)


def _street(
    incidents: list[list[Any]],
    loops: tuple[tuple[str, Position, float], ...] = (
        ("a", "corridor", 300),
        ("b", "corridor", 300),
    ),
    events: tuple[Interval, ...] = (),
    flow: Floats | None = None,
) -> SimStreet:
    places = tuple(
        LoopPlace(f"{link}_{position}_{i}", link, position, i, "lead", at_m, 2.0)
        for link, position, at_m in loops
        for i in (0, 1)
    )
    stays = np.stack([np.arange(0, 3600, 3.0), np.arange(0, 3600, 3.0) + 0.3], axis=1)
    links = (_link("a", "b", events), _link("b", None))
    return SimStreet(
        "made", "corridor", "training", 1, HOURS, links, places,
        tuple(stays if flow is None else flow for _ in places),
        {"cause": "incident", "incidents": incidents},
    )  # fmt: skip


def test_lanes_that_are_blocked_at_once_are_one_incident() -> None:
    street = _street(
        [["a", 0, 800.0, 600, 300], ["a", 1, 800.0, 600, 300], ["a", 1, 700.0, 2000, 300],
         ["elsewhere", 0, 1.0, 5, 5]]
    )  # fmt: skip
    assert incidents_of(street) == [
        StreetIncident("a", (0, 1), 800.0, 600.0, 900.0),
        StreetIncident("a", (1,), 700.0, 2000.0, 2300.0),
    ]


@pytest.mark.parametrize(
    ("at_m", "events", "loops", "sight"),
    [
        (800.0, (), (("a", "corridor", 300), ("b", "corridor", 300)), "none"),  # too far away
        (400.0, (), (("a", "corridor", 300), ("b", "corridor", 300)), "lane"),
        (800.0, ((700.0, 900.0),), (("a", "corridor", 300), ("b", "corridor", 300)), "jam"),
        (800.0, ((100.0, 900.0),), (("a", "corridor", 300), ("b", "corridor", 300)), "none"),
        (400.0, ((700.0, 900.0),), (("a", "corridor", 300),), "none"),  # nothing downstream
        (200.0, ((700.0, 900.0),), (("a", "corridor", 300),), "none"),  # nothing upstream
    ],
)
def test_an_incident_is_visible_by_its_lane_or_its_jam_between_loops(
    at_m: float,
    events: tuple[Interval, ...],
    loops: tuple[tuple[str, Position, float], ...],
    sight: str,
) -> None:
    street = _street([["a", 0, at_m, 600, 300]], loops, events)
    (incident,) = incidents_of(street)
    assert sight_of(street, incident) == sight


def test_alarms_that_name_its_link_in_time_find_it_and_all_others_are_false() -> None:
    street = _street([["a", 0, 400.0, 600, 300]])
    truth = [(one, sight_of(street, one)) for one in incidents_of(street)]
    counts = IncidentCounts()
    alarms = [(660.0, ("a", "b")), (900.0, ("a", "a")), (900.0, ("b", "b")), (1200.0, ("a", "b"))]
    assert counts.add(street, truth, alarms) == [True]
    assert (counts.incidents, counts.visible, counts.found, counts.found_visible) == (1, 1, 1, 1)
    assert (counts.false, counts.delays_s) == ({"rush": 2, "usual": 0}, [60.0])


def test_the_upper_bound_of_a_rate_is_that_of_poisson() -> None:
    assert most_per_week(0, 1.0) == pytest.approx(3.0, abs=0.01)
    assert most_per_week(1, 2.0) == pytest.approx(4.744 / 2, abs=0.01)
    assert most_per_week(2000, 1.0) == pytest.approx(2075, abs=5)
    assert most_per_week(0, 0.0) == float("inf")


def test_a_table_has_a_row_for_each_rule() -> None:
    lines = list(table({("roads", name): IncidentCounts() for name in RULES}))
    assert len(lines) == 2 + len(RULES)
    assert len({line.count("|") for line in lines}) == 1


def test_no_rule_finds_anything_where_nothing_happens() -> None:
    street = _street([])
    rules = {name: make(street) for name, make in RULES.items()}
    assert set(play_day(street, rules)) == set(RULES)
    assert [a for found in play_day(street, rules).values() for a in found] == []


def test_places_follow_each_other_within_a_link_and_to_the_next() -> None:
    street = _street([], (("a", "stop", 990), ("a", "mid", 500), ("b", "mid", 400)))
    assert sections(street) == [
        (("a", "mid"), ("a", "stop")), (("a", "stop"), ("b", "mid")),
    ]  # fmt: skip


def _jam() -> SimStreet:
    """From 1800 s on vehicles stand at the first station, and few come to the second."""
    free = np.stack([np.arange(0, 1800, 3.0), np.arange(0, 1800, 3.0) + 0.3], axis=1)
    slow = np.stack([np.arange(1800, 3600, 6.0), np.arange(1800, 3600, 6.0) + 4.8], axis=1)
    few = np.stack([np.arange(1800, 3600, 8.0), np.arange(1800, 3600, 8.0) + 0.3], axis=1)
    street = _street([["a", 0, 800.0, 1790, 1700]], events=((1800.0, 3600.0),))
    upper, lower = np.concatenate([free, slow]), np.concatenate([free, few])
    stays = tuple(upper if loop.link == "a" else lower for loop in street.loops)
    return replace(street, stays=stays)


def test_all_rules_find_a_jam_above_an_empty_road_and_the_timeline_draws_it() -> None:
    street = _jam()
    rules = {
        **{name: make(street) for name, make in RULES.items()},
        "former": FormerRule(street),
        "california": CaliforniaRule(street, 0.2, 0.5, 0.15),
        "deviate": DeviateRule(street, 4.5),
    }
    for name, alarms in play_day(street, rules).items():
        assert [names for _, names in alarms][:1] == [("a", "b")], name
        assert 1800 < alarms[0][0] < 2400, name
    (incident,) = incidents_of(street)
    lines = list(timeline(street, incident, range(-1, 3)))
    assert "visible by jam" in lines[0]
    assert lines[1].startswith("told after: ")
    assert lines[2].split() == ["minute", "-1", "0", "1", "2"]
    assert len(lines) == 3 + len(street.loops) + len(street.links)


def test_each_limit_is_changed_by_itself() -> None:
    alarms = play_day(_jam(), {name: make(_jam()) for name, make in changed_limits().items()})
    assert len(alarms) > 20
    assert all(found and found[0][1] == ("a", "b") for found in alarms.values())


def test_the_sample_streets_are_of_both_kinds() -> None:
    kinds = {kind_of(load_street(SAMPLE / name)) for name in ("corridor_1048", "arterial_1019")}
    assert kinds == {"roads without signals", "streets with signals"}


def test_the_evaluation_gives_the_table_of_a_folder() -> None:
    lines = list(tables(argparse.Namespace(streets=SAMPLE)))
    assert sum("the gateway" in line for line in lines) == 2
