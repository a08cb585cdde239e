"""Boots that contradict each other: the latest is right, and the most that agree."""

from itertools import combinations, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core import Stamp
from edge.core.walltime import CORRECTION_NS
from edge.outbox.clockmap import BOOTS, Anchor, consistent_anchors
from tests.kit.clock import FLOOR, NONE, NTP
from tests.kit.outbox import drafts, opened
from tests.outbox.test_clockmap import WALL, S, mark, marks, reported

DAY_S = 86_400
YEAR_S = 365 * DAY_S


def history(*days: float) -> list[Anchor]:
    """Boots of an hour each, that began on these days by their own clocks."""
    starts = [WALL + int(day * DAY_S * S) for day in days]
    return [Anchor(n, start, start + 3600 * S) for n, start in enumerate(starts, 1)]


@pytest.mark.parametrize(
    ("days", "right"),
    [
        ([], []),
        ([5], [1]),
        ([1, 2, 3], [1, 2, 3]),
        ([5000, 2], [2]),  # the later one overrules
        ([1, 5000], [1, 2]),  # which cannot be known to be wrong yet
        ([1, 5000, 3], [1, 3]),
        ([1, 2, 5000, 5001, 3], [1, 2, 5]),
        ([1, -300, 3], [2, 3]),  # one against one
        ([0, 1, -300, 3], [1, 2, 4]),
        ([1, 2, 3, -300], [4]),  # it was watched for an hour, and nobody knows better
        ([1.5, 1.2, 3], [1, 2, 3]),  # a correction by hours
    ],
)
def test_what_contradicts_the_others_is_left_out(days: list[float], right: list[int]) -> None:
    assert [anchor.boot for anchor in consistent_anchors(history(*days))] == right


DAYS = st.lists(st.integers(-2000, 6000).map(lambda tenth: tenth * 2.5), max_size=7)


@given(days=DAYS)
def test_as_many_as_can_be_follow_each_other_up_to_the_latest(days: list[float]) -> None:
    """Against all choices there are."""
    anchors = history(*days)
    found = consistent_anchors(anchors)
    assert [each for each in anchors if each in found] == found
    choices = (
        (*rest, anchors[-1])
        for length in range(len(anchors))
        for rest in combinations(anchors[:-1], length)
    )
    lengths = [len(c) for c in choices if all(a.end_ns <= b.start_ns for a, b in pairwise(c))]
    assert len(found) >= max(lengths, default=0)
    assert found[-1:] == anchors[-1:]
    for one, two in combinations(found, 2):
        assert one.end_ns <= two.start_ns + 2 * CORRECTION_NS


@given(
    days=st.lists(st.integers(1, 400), min_size=3, max_size=12),
    wrong=st.integers(0, 11),
    by_days=st.integers(-6000, 6000),
)
def test_one_wrong_boot_is_left_out_as_soon_as_two_others_or_the_latest_contradict_it(
    days: list[int], wrong: int, by_days: int
) -> None:
    """And where it stands against one, no third is lost."""
    begins = [float(sum(days[: n + 1])) for n in range(len(days))]
    truth = history(*begins)
    wrong = min(wrong, len(days) - 1)
    begins[wrong] += by_days
    given_ = history(*begins)
    against = [
        each
        for each in given_
        if (each.boot < wrong + 1 and each.end_ns > given_[wrong].start_ns)
        or (each.boot > wrong + 1 and each.start_ns < given_[wrong].end_ns)
    ]
    found = consistent_anchors(given_)
    left_out = {each.boot for each in given_} - {each.boot for each in found}
    if wrong == len(days) - 1:
        assert left_out <= {each.boot for each in against}, "it is the latest: nobody knows better"
        return
    assert found[-1] == truth[-1], "the floor of the next boot is right"
    if len(against) >= 2 or against == truth[-1:]:
        assert left_out <= {wrong + 1}
    else:
        assert left_out <= {wrong + 1, *(each.boot for each in against)}
        assert len(left_out) <= len(against)


def test_very_many_boots_are_compared(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    number = outbox.begin().boot
    outbox.commit(drafts(1), clock=mark(1, NTP, BOOTS * 3600))
    disk = outbox._storage.disk
    assert disk is not None
    with disk.transaction():
        disk._db.executemany(
            "INSERT INTO clock VALUES (?, 'best', ?, ?, 'ntp')",
            [(n - BOOTS, S, WALL + n * 3600 * S + n % 7 * 86_400 * S) for n in range(BOOTS)],
        )
    low, high = outbox.bounds(number)
    assert low is not None
    assert low <= WALL + BOOTS * 3600 * S + CORRECTION_NS
    assert high is None
    outbox.close()


# -- from the outbox -----------------------------------------------------------------------------


def test_within_a_boot_the_later_certainty_overrules_the_earlier(tmp_path: Path) -> None:
    wrong, right = mark(10, NTP, 14 * YEAR_S), mark(100, NTP)
    number = reported(tmp_path, [mark(1, NONE, -9999), wrong, right])
    assert marks(tmp_path, number) == [right, mark(1, NONE, -9999)]
    outbox = opened(tmp_path, boot="next")
    assert outbox.bounds(outbox.begin().boot) == (right.wall_ns, None)
    outbox.close()


def test_a_step_by_hours_overrules_nothing(tmp_path: Path) -> None:
    given_ = [mark(10, NTP, 3600), mark(100, NTP), mark(200, NTP, DAY_S)]
    number = reported(tmp_path, given_)
    assert marks(tmp_path, number) == given_[::-1]


def test_a_boot_that_was_wrong_is_bounded_by_those_that_were_right(tmp_path: Path) -> None:
    """Its records are dated by nothing that it was certain of, and are none the worse for that."""
    outbox = opened(tmp_path, boot="b1")
    outbox.begin()
    outbox.commit(drafts(1), clock=mark(100, NTP))
    outbox.close()
    outbox = opened(tmp_path, boot="b2")
    wrong = outbox.begin().boot
    outbox.commit(drafts(1), clock=mark(5, FLOOR, 300))
    outbox.commit(drafts(1), clock=mark(50, NTP, 14 * YEAR_S))
    assert outbox.marks(wrong) == [mark(50, NTP, 14 * YEAR_S), mark(5, FLOOR, 300)]
    outbox.close()
    outbox = opened(tmp_path, boot="b3")
    right = outbox.begin().boot
    assert outbox.bounds(right)[0] == mark(50, NTP, 14 * YEAR_S).wall_ns
    outbox.commit(drafts(1), clock=mark(5, NONE, 14 * YEAR_S))
    assert outbox.bounds(right)[0] == mark(50, NTP, 14 * YEAR_S).wall_ns
    outbox.commit(drafts(1), clock=mark(3700, NTP, DAY_S))
    assert outbox.marks(right)[0] == mark(3700, NTP, DAY_S)
    assert outbox.marks(wrong) == [mark(5, FLOOR, 300)]
    assert outbox.bounds(right) == (WALL + 100 * S, None)
    assert outbox.bounds(wrong) == (WALL + 100 * S, WALL + DAY_S * S)
    outbox.close()


def test_after_a_correction_by_hours_the_later_boot_tells_what_has_passed(tmp_path: Path) -> None:
    for name, beside_s in (("b1", 12 * 3600), ("b2", 0)):
        outbox = opened(tmp_path, boot=name)
        number = outbox.begin().boot
        outbox.commit(drafts(1), clock=mark(10, NTP, beside_s))
        outbox.close()
    outbox = opened(tmp_path, boot="b3")
    outbox.begin()
    assert len(outbox.marks(number - 1)) == 1, "both are believed"
    assert outbox.bounds(number + 1) == (mark(10, NTP).wall_ns, None)
    outbox.close()


def test_what_is_kept_of_a_wrong_boot_does_not_outlive_the_next_one(tmp_path: Path) -> None:
    """All is delivered; only the marks of former boots are left to speak."""
    walls = [(1, 14 * YEAR_S), (2, DAY_S), (3, 2 * DAY_S)]
    for n, beside_s in walls:
        outbox = opened(tmp_path, boot=f"b{n}")
        boot = outbox.begin().boot
        gone = [stored.row for stored in outbox.pending()]
        outbox.commit(drafts(1), confirmed=gone, clock=mark(9, NTP, beside_s))
        outbox.close()
    outbox = opened(tmp_path, boot="b4")
    assert outbox.bounds(outbox.begin().boot) == (mark(9, NTP, 2 * DAY_S).wall_ns, None)
    outbox.close()
    assert marks(tmp_path, boot - 2) == []


def test_a_damaged_mark_is_no_anchor(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    number = outbox.begin().boot
    outbox.commit(drafts(1), clock=Stamp(S, WALL, NTP))
    assert outbox._storage.disk is not None
    outbox._storage.disk._db.execute("UPDATE clock SET wall_ns = 'noon'")
    assert outbox.bounds(number + 1) == (None, None)
    outbox.close()
