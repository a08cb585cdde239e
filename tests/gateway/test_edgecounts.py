"""What a person asks before a lane: when it changed last, and how often in the last hour."""

from edge.core import Contact
from edge.gateway.edgecounts import EdgeCounts

S, MINUTE, HOUR = 1_000_000_000, 60_000_000_000, 3_600_000_000_000


def contact(at_ns: int, *, initial: bool = False, source: str = "north_1.lead") -> Contact:
    return Contact(source, on=True, mono_ns=at_ns, initial=initial)


def test_edges_since_the_start_are_counted_and_the_last_is_known() -> None:
    counts = EdgeCounts(0)
    counts.see([contact(S, initial=True), contact(5 * S), contact(9 * S)])
    assert counts.status("north_1.lead", 20 * S) == {"last_s": 11.0, "edges": 2, "over_s": 20.0}


def test_a_level_that_was_found_is_no_edge() -> None:
    counts = EdgeCounts(0)
    counts.see([contact(S, initial=True)])
    assert counts.status("north_1.lead", MINUTE)["last_s"] is None


def test_of_a_line_that_never_changed_it_is_said_how_long_it_was_watched() -> None:
    assert EdgeCounts(0).status("north_1.lead", 2 * HOUR) == {
        "last_s": None, "edges": 0, "over_s": 3600.0,
    }  # fmt: skip


def test_after_an_hour_older_edges_do_not_count() -> None:
    counts = EdgeCounts(0)
    for minute in range(180):
        counts.see([contact(minute * MINUTE + S)] if minute < 60 or minute >= 170 else [])
        counts.sample((minute + 1) * MINUTE)
    found = counts.status("north_1.lead", 180 * MINUTE)
    assert found == {"last_s": 59.0, "edges": 10, "over_s": 3600.0}
