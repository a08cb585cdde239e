"""Which time has come, and which is missing."""

from edge.platform import timeline
from edge.platform.timeline import Timeline, uncovered
from tests.platform.records import E1


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
