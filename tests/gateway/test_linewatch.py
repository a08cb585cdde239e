"""What is asked before a lane: when each loop changed last, and how often in the last hour."""

from edge.core import Contact, ContactLine
from edge.gateway.linewatch import LineWatch
from tests.kit.engine import PAIR, setup

S, MINUTE, HOUR = 1_000_000_000, 60_000_000_000, 3_600_000_000_000
LINED = {
    "17": ContactLine("north_1.lead", on_high=True),
    "27": ContactLine("north_1.trail", on_high=True),
}


def watch(*contacts: Contact) -> LineWatch:
    made = LineWatch(setup(PAIR), LINED, 0)
    made.take(contacts)
    return made


def contact(at_ns: int, *, initial: bool = False, source: str = "north_1.lead") -> Contact:
    return Contact(source, on=True, mono_ns=at_ns, initial=initial)


def test_edges_since_the_start_are_counted_and_the_last_is_known() -> None:
    lines = watch(contact(S, initial=True), contact(5 * S), contact(9 * S))
    assert lines.edge_counts("north_1", 20 * S) == {
        "lead": {"last_s": 11.0, "edges": 2, "over_s": 20.0},
        "trail": {"last_s": None, "edges": 0, "over_s": 20.0},
    }


def test_a_level_that_was_found_is_no_edge() -> None:
    lines = watch(contact(S, initial=True))
    assert lines.edge_counts("north_1", MINUTE)["lead"]["last_s"] is None


def test_of_a_line_that_never_changed_it_is_said_how_long_it_was_watched() -> None:
    assert watch().edge_counts("north_1", 2 * HOUR)["lead"] == {
        "last_s": None, "edges": 0, "over_s": 3600.0,
    }  # fmt: skip


def test_after_an_hour_older_edges_do_not_count() -> None:
    minutes = (minute for minute in range(180) if minute < 60 or minute >= 170)
    lines = watch(*(contact(minute * MINUTE + S) for minute in minutes))
    assert lines.edge_counts("north_1", 180 * MINUTE)["lead"] == {
        "last_s": 59.0, "edges": 10, "over_s": 3600.0,
    }  # fmt: skip


def test_what_lines_cost_does_not_grow() -> None:
    lines = watch(*(contact(number * S) for number in range(10_000)))
    assert lines.edge_counts("north_1", 10_000 * S)["lead"]["edges"] <= 3600
    assert len(lines.lane_status("north_1", 10_000 * S)["vehicles"]) <= 8
