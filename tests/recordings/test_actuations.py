"""From events to edges: nothing is made up, and nobody is silent whom nobody watched."""

import io
from collections.abc import Iterable
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.recordings.actuations import (
    HALF_TICK_MS,
    EdgeLine,
    SignalEdges,
    SignalSurvey,
    survey_signal,
)
from edge.recordings.edgefile import read_edge_rows
from edge.recordings.eventcodes import CARD_SAYS, LOG_GOES_ON
from edge.recordings.eventsort import LoggedEvent
from tests.long import examples

START_MS = 1_796_050_800_000  # a whole minute
ON, OFF = 82, 81


def events(*some: tuple[int, int, int]) -> list[LoggedEvent]:
    """(ms, channel, code), sorted as the sort does."""
    return sorted(LoggedEvent(0, START_MS + t_ms, channel, code) for t_ms, channel, code in some)


def rows(
    some: Iterable[LoggedEvent], lines: Iterable[str] = ("D1",), gap_ms: int = 300_000
) -> tuple[list[EdgeLine], SignalSurvey, SignalEdges]:
    found, survey = list(some), SignalSurvey()
    survey_signal(found, survey, gap_ms)
    edges = SignalEdges(survey, list(lines))
    return list(edges.rows(found)), survey, edges


def test_a_vehicle_is_two_edges_of_a_line_that_was_found_free() -> None:
    found, survey, _ = rows(events((500, 1, ON), (900, 1, OFF)))
    assert found == [(500, "D1", "=0"), (500, "D1", "1"), (900, "D1", "0")]
    assert (survey.actuations, survey.repeated_on, survey.repeated_off) == (1, 0, 0)


def test_a_detector_whose_first_change_is_an_end_was_found_occupied() -> None:
    found, survey, _ = rows(events((500, 1, OFF), (900, 1, ON), (1000, 1, OFF)))
    assert found[:2] == [(500, "D1", "=1"), (500, "D1", "0")]
    assert survey.repeated_off == 0


def test_a_begin_without_an_end_is_passed_on_as_it_is_and_counted() -> None:
    found, survey, _ = rows(events((0, 1, ON), (900, 1, ON), (1000, 1, OFF), (1500, 1, OFF)))
    assert [row.level for row in found] == ["=0", "1", "1", "0", "0"]
    assert (survey.repeated_on, survey.repeated_off) == (1, 1)


def test_a_change_there_and_back_within_a_tick_is_a_short_one() -> None:
    """The order of two rows of one tick says nothing: what stood before decides."""
    found, survey, _ = rows(events((0, 1, ON), (0, 1, OFF), (400, 1, ON), (900, 1, OFF)))
    half = HALF_TICK_MS
    assert [(t, level) for t, _, level in found] == [
        (0, "=0"), (0, "1"), (half, "0"), (400, "1"), (900, "0"),
    ]  # fmt: skip
    found, survey, _ = rows(events((0, 1, ON), (400, 1, ON), (400, 1, OFF), (900, 1, OFF)))
    assert [(t, level) for t, _, level in found] == [
        (0, "=0"), (0, "1"), (400, "0"), (400 + half, "1"), (900, "0"),
    ]  # fmt: skip
    assert survey.short == 1


def test_a_stretch_in_which_nothing_was_logged_was_watched_by_nobody() -> None:
    some = events((0, 1, ON), (500, 1, OFF), (700_000, 1, OFF), (700_500, 2, ON))
    found, survey, _ = rows(some, ["D1", "D2", "D3"])
    assert survey.gaps == [(START_MS + 500, START_MS + 700_000)]
    gone = [row for row in found if row.level == "?"]
    assert gone == [(550, "D1", "?"), (550, "D2", "?"), (550, "D3", "?")]
    assert [row for row in found if row.t_ms == 700_000] == [
        (700_000, "D1", "=1"), (700_000, "D2", "=0"), (700_000, "D3", "=0"), (700_000, "D1", "0"),
    ]  # fmt: skip


def test_a_log_that_goes_on_shows_that_a_silent_detector_is_silent() -> None:
    alive = [(10_000 * i, 0, LOG_GOES_ON) for i in range(90)]
    found, survey, _ = rows(events((0, 1, ON), (500, 1, OFF), *alive, (900_000, 1, ON)))
    assert survey.gaps == []
    assert "?" not in {row.level for row in found}
    _, survey, _ = rows(events((0, 1, ON), (900_000, 1, ON)), gap_ms=0)
    assert survey.gaps == []


def test_green_begins_once_and_ends_once() -> None:
    some = events((0, 1, ON), (1000, 2, 8), (5000, 2, 1), (9000, 2, 7), (9000, 2, 8), (9100, 2, 8))
    found, _, _ = rows(some, ["D1", "P2"])
    assert [(t, level) for t, line, level in found if line == "P2"] == [
        (0, "=1"), (1000, "0"), (5000, "1"), (9000, "0"),
    ]  # fmt: skip


def test_a_detector_and_a_phase_of_one_number_are_two_lines() -> None:
    found, _, _ = rows(events((0, 2, ON), (0, 2, 1), (500, 2, OFF), (500, 2, 7)), ["D2", "P2"])
    assert [row for row in found if row.level in "01"] == [
        (0, "D2", "1"), (0, "P2", "1"), (500, "D2", "0"), (500, "P2", "0"),
    ]  # fmt: skip


def test_what_the_card_said_is_no_edge_and_is_carried_over() -> None:
    some = events((0, 1, ON), (500, 1, OFF), *((1000 + c, 1, c) for c in CARD_SAYS))
    found, survey, edges = rows(some)
    assert [row.level for row in found] == ["=0", "1", "0"]
    assert [word.said for word in edges.said] == [
        "restored", "fault_other", "watchdog", "open_loop", "shorted_loop", "excessive_change",
    ]  # fmt: skip
    assert survey.card_words == 6


def test_rows_of_lines_that_the_site_does_not_have_are_not_written() -> None:
    found, _, _ = rows(events((0, 1, ON), (100, 9, ON), (500, 1, OFF)))
    assert {row.line for row in found} == {"D1"}


@given(
    st.lists(
        st.tuples(
            st.integers(0, 400).map(lambda t: t * 100) | st.integers(0, 2_000_000),
            st.integers(1, 3),
            st.sampled_from([1, 7, 8, 81, 82, 83, 87, LOG_GOES_ON]),
        ),
        min_size=1, max_size=60, unique=True,
    )
)  # fmt: skip
@settings(max_examples=examples(500))
def test_whatever_is_logged_the_file_is_one_that_replay_takes(
    some: list[tuple[int, int, int]],
) -> None:
    lines = ["D1", "D2", "D3", "P1", "P2", "P3"]
    found, survey, _ = rows(events(*some), lines)
    assert all(a.t_ms <= b.t_ms for a, b in pairwise(found))
    text = "t_ms,line,level\n" + "".join(f"{t},{line},{level}\n" for t, line, level in found)
    read = list(read_edge_rows(io.StringIO(text)))
    assert [row.error for row in read if row.error] == []
    for line in lines:
        mine = [row.level for row in found if row.line == line]
        # each stretch in which it was watched begins with how it stood
        assert mine[0].startswith("=")
        for before, after in pairwise(mine):
            assert (before == "?") == after.startswith("=")
    short = sum(1 for row in found if row.level in ("0", "1") and row.line.startswith("D"))
    logged = len({(t, c, code) for t, c, code in some if code in (81, 82)})
    assert short == logged
    assert survey.actuations == len({(t, c) for t, c, code in some if code == 82})
