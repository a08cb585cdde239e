"""Which time has come, and which is missing."""

from collections.abc import Iterator
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edge.platform import timeline
from edge.platform.timeline import Timeline, uncovered
from tests.kit.records import E1


def test_stretches_that_touch_are_one_and_keep_their_ends() -> None:
    line = Timeline()
    parts = [(0, 10), (20, 30), (10, 20), (40, 50)]
    for at, (start, end) in enumerate(parts, 1):
        assert line.add(start, end, (E1, at), (E1, at + 10))
    first, second = line.stretches
    assert (first.from_us, first.to_us, first.head, first.tail) == (0, 30, (E1, 1), (E1, 12))
    assert (second.head, second.tail) == ((E1, 4), (E1, 14))
    assert list(line.holes()) == [(first, second)]
    for start, end in ((29, 40), (30, 41), (0, 1), (-5, 1), (49, 60), (20, 45)):
        assert not line.add(start, end, (E1, 9))
    assert line.add(30, 40, (E1, 9))
    assert [(each.from_us, each.to_us) for each in line.stretches] == [(0, 50)]


def test_a_hole_is_what_no_gap_names() -> None:
    slack = timeline.SLACK_US
    assert uncovered(0, slack, []) == 0
    assert uncovered(0, slack + 1, []) == slack + 1
    whole = 100 * slack
    gaps = [(60 * slack, 80 * slack), (-5, 10 * slack), (200 * slack, 300 * slack)]
    assert uncovered(0, whole, gaps) == 70 * slack
    assert uncovered(0, whole, [(0, whole)]) == 0
    assert uncovered(0, whole, [(-9, whole + 9)]) == 0
    inner = [(10 * slack, 50 * slack), (20 * slack, 30 * slack)]
    assert uncovered(0, whole, inner) == 60 * slack
    assert uncovered(0, whole, [(-9, -1), (whole, whole + 9)]) == whole


def stretches(order: list[int]) -> Iterator[tuple[int, int]]:
    for n in order:
        yield n * 10, n * 10 + 10


@given(st.permutations(list(range(8))), st.sets(st.integers(0, 7)))
def test_a_timeline_does_not_care_for_order(order: list[int], absent: set[int]) -> None:
    timeline = Timeline()
    for start, end in stretches([n for n in order if n not in absent]):
        assert timeline.add(start, end, (1, start))
    present = sorted(set(range(8)) - absent)
    holes = [(a * 10 + 10, b * 10) for a, b in pairwise(present) if b > a + 1]
    assert [(left.to_us, right.from_us) for left, right in timeline.holes()] == holes
    for start, _ in stretches(present):
        assert not timeline.add(start + 3, start + 5, (1, 99))


def test_rounding_of_a_gap_is_forgiven() -> None:
    assert uncovered(1_000_000, 2_000_000, [(1_000_400, 1_999_700)]) == 0
    assert uncovered(1_000_000, 2_000_000, [(1_100_000, 2_000_000)]) == 100_000
