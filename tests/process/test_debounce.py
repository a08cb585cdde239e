"""One line: bounce is merged backward, losses are told, levels are found again."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.edge import Contact
from edge.process.debounce import Debouncer, LineChange

MS = 1_000_000


def play(*edges: tuple[bool, float], end_ms: float = 10_000) -> list[tuple[str, float]]:
    line = Debouncer(15 * MS)
    line.fold([Contact("x", False, 0, initial=True)], 0)
    line.fold([Contact("x", on, round(at * MS)) for on, at in edges], 0)
    line.end_window(round(end_ms * MS))
    return reported(line, end_ms)


def reported(line: Debouncer, end_ms: float) -> list[tuple[str, float]]:
    return [(each.what.name, each.at_ns / MS) for each in line.take(round(end_ms * MS))]


def test_chatter_is_one_change_at_its_first_edge() -> None:
    assert play(
        (True, 100), (False, 102), (True, 104),
        (False, 400), (True, 403), (False, 409),
    ) == [("FOUND_OFF", 0), ("RISE", 100), ("FALL", 400)]  # fmt: skip


def test_a_spike_is_nothing() -> None:
    assert play((True, 100), (False, 103), (True, 500), (False, 700)) == [
        ("FOUND_OFF", 0),
        ("RISE", 500),
        ("FALL", 700),
    ]


def test_an_edge_right_before_the_border_counts_before_it() -> None:
    line = Debouncer(15 * MS)
    line.fold([Contact("x", False, 0, initial=True), Contact("x", True, 995 * MS)], 0)
    line.end_window(1000 * MS)
    assert reported(line, 1000) == [("FOUND_OFF", 0), ("RISE", 995)]
    # What bounces over the border is no change of its own.
    line.fold([Contact("x", False, 1001 * MS), Contact("x", True, 1002 * MS)], 1000 * MS)
    line.fold([Contact("x", False, 1400 * MS)], 1000 * MS)
    line.end_window(2000 * MS)
    assert reported(line, 2000) == [("FALL", 1400)]


@pytest.mark.parametrize(
    ("before", "lost", "rises"),
    [
        (True, 4, 2),  # fall, rise, fall, rise
        (True, 3, 1),  # fall, rise, fall
        (False, 3, 2),  # rise, fall, rise
        (False, 2, 1),  # rise, fall
    ],
)
def test_lost_edges_are_told_with_the_rises_among_them(before: bool, lost: int, rises: int) -> None:
    line = Debouncer(15 * MS)
    line.fold([Contact("x", not before, 0, initial=True), Contact("x", before, 100 * MS)], 0)
    after = before if lost % 2 else not before
    line.fold([Contact("x", after, 900 * MS, lost=lost)], 0)
    line.end_window(1000 * MS)
    (reported,) = [each for each in line.take(1000 * MS) if each.what is LineChange.LOST]
    assert (reported.since_ns, reported.lost, reported.rises) == (100 * MS, lost, rises)


def test_time_that_runs_backward_is_held() -> None:
    assert play(
        (True, 100), (False, 300), (True, 200), (False, 290), (True, 500), (False, 700)
    ) == [
        ("FOUND_OFF", 0),
        ("RISE", 100),
        ("FALL", 300),
        ("RISE", 500),
        ("FALL", 700),
    ]


def test_a_line_that_was_played_beyond_the_border_is_saved_as_it_is() -> None:
    line, again = Debouncer(15 * MS), Debouncer(15 * MS)
    line.fold([Contact("x", False, 0, initial=True), Contact("x", True, 1500 * MS)], 0)
    line.fold([Contact("x", False, 1800 * MS)], 0)
    for each in (line, again):
        if each is again:
            again.restore(line.snapshot())
        each.end_window(1000 * MS)
        assert reported(each, 1000) == [("FOUND_OFF", 0)] * (each is line)
    for each in (line, again):
        each.end_window(2000 * MS)
        assert reported(each, 2000) == [("RISE", 1500), ("FALL", 1800)]


def test_an_edge_older_than_the_border_and_the_edge_before_it_is_held_and_counted() -> None:
    line = Debouncer(15 * MS)
    line.fold([Contact("x", False, 0, initial=True), Contact("x", True, 100 * MS)], 0)
    line.end_window(1000 * MS)
    line.fold([Contact("x", False, 50 * MS)], 1000 * MS)
    line.end_window(2000 * MS)
    assert reported(line, 2000) == [("FOUND_OFF", 0), ("RISE", 100), ("FALL", 100)]
    assert line.late == 1


def test_an_edge_that_cannot_follow_means_that_one_is_missing() -> None:
    names = [name for name, _ in play((True, 100), (True, 300), (False, 500))]
    assert names == ["FOUND_OFF", "RISE", "LOST", "RISE", "FALL"]


def test_the_same_edge_twice_is_one() -> None:
    assert play((True, 100), (True, 100), (False, 300), (False, 300)) == [
        ("FOUND_OFF", 0),
        ("RISE", 100),
        ("FALL", 300),
    ]


def test_a_first_edge_tells_what_was_before_it() -> None:
    line = Debouncer(15 * MS)
    line.fold([Contact("x", False, 50 * MS), Contact("x", True, 200 * MS)], 0)
    line.end_window(1000 * MS)
    assert reported(line, 1000) == [("FOUND_OFF", 50), ("RISE", 200)]


def test_after_a_gap_the_level_is_found_again() -> None:
    line = Debouncer(15 * MS)
    line.fold([Contact("x", False, 0, initial=True), Contact("x", True, 100 * MS)], 0)
    line.mark_unobserved(200 * MS)
    line.fold([Contact("x", True, 700 * MS, initial=True), Contact("x", False, 800 * MS)], 0)
    line.end_window(1000 * MS)
    assert reported(line, 1000) == [
        ("FOUND_OFF", 0), ("RISE", 100), ("UNOBSERVED", 200), ("FOUND_ON", 700), ("FALL", 800),
    ]  # fmt: skip


def shaken(line: Debouncer, edges: int, step_ms: float, from_ms: float = 100) -> None:
    """So many edges, one right after the other."""
    steps = [round((from_ms + n * step_ms) * MS) for n in range(edges)]
    line.fold([Contact("x", n % 2 == 0, at) for n, at in enumerate(steps)], 0)


def watched() -> Debouncer:
    line = Debouncer(15 * MS)
    line.fold([Contact("x", False, 0, initial=True)], 0)
    return line


@pytest.mark.parametrize(("edges", "flooded"), [(100, False), (102, True)])
def test_more_bounce_than_a_contact_can_explain_is_a_flood(edges: int, flooded: bool) -> None:
    line = watched()
    shaken(line, edges, 0.2)
    line.end_window(1000 * MS)
    assert reported(line, 1000) == [("FOUND_OFF", 0)], "all of it is swallowed"
    assert line.noisy is flooded
    line.end_window(2000 * MS)
    assert not line.noisy, "it was in the window before"


def test_spikes_without_end_are_a_flood_too() -> None:
    line = watched()
    for n in range(300):  # 2 ms long, ten a second
        shaken(line, 2, 2, 100 + n * 100)
    line.end_window(31_000 * MS)
    assert reported(line, 31_000) == [("FOUND_OFF", 0)]
    assert line.noisy


def test_a_spike_now_and_then_is_none() -> None:
    line = watched()
    for n in range(300):  # a night of them, in one window
        shaken(line, 2, 2, 100 + n * 5000)
    line.end_window(1_501_000 * MS)
    assert not line.noisy


def test_bad_contacts_under_the_densest_traffic_are_no_flood() -> None:
    """37 vehicles in 30 s, and each change bounces twenty times."""
    line = watched()
    for n in range(74):
        for at in range(21):
            on = (n + at) % 2 == 0
            line.fold([Contact("x", on, round((100 + n * 400 + at * 0.5) * MS))], 0)
    line.end_window(31_000 * MS)
    assert len(reported(line, 31_000)) == 75
    assert not line.noisy


def test_a_flood_that_was_played_beyond_the_border_stands_in_its_own_windows() -> None:
    line, again = watched(), Debouncer(15 * MS)
    shaken(line, 4000, 0.2, from_ms=1900)  # until 2.7 s
    flooded = []
    for second in range(1, 5):
        line.end_window(second * 1000 * MS)
        flooded.append(line.noisy)
        again.restore(line.snapshot())
        line = again
    assert flooded == [False, True, True, False]


def test_a_line_that_is_opened_again_begins_without_a_past() -> None:
    line = watched()
    shaken(line, 1000, 0.2)
    line.mark_unobserved(400 * MS)
    line.end_window(1000 * MS)
    assert line.noisy
    line.fold([Contact("x", False, 1500 * MS, initial=True)], 1000 * MS)
    shaken(line, 20, 0.2, from_ms=1600)
    line.end_window(2000 * MS)
    assert not line.noisy


EDGES = st.lists(
    st.tuples(st.integers(0, 40), st.booleans(), st.sampled_from([0, 0, 0, 0, 1, 2, 5])),
    max_size=60,
)


@given(EDGES, st.lists(st.integers(1, 59), max_size=5))
def test_rises_and_falls_alternate_whatever_comes(
    steps: Sequence[tuple[int, bool, int]], cuts: list[int]
) -> None:
    at, contacts = 0, []
    for wait, on, lost in steps:
        at += wait * MS
        contacts.append(Contact("x", on, at, lost))
    line = Debouncer(15 * MS)
    level: bool | None = None
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), 60], strict=True):
        line.fold(contacts[begin:end], 0)
        line.end_window(at + 1)
        for event in line.take(at + 1):
            match event.what:
                case LineChange.RISE:
                    assert level is False
                    level = True
                case LineChange.FALL:
                    assert level is True
                    level = False
                case LineChange.LOST:
                    assert level is not None
                    level = False
                case LineChange.FOUND_OFF | LineChange.FOUND_ON:
                    assert level is None
                    level = event.what is LineChange.FOUND_ON
                case LineChange.UNOBSERVED:
                    level = None
