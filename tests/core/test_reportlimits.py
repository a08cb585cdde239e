"""The same thing is reported once until it is over, and no more than so often in an hour."""

from edge.core.reportlimits import HOUR_NS, HourlyLimit, ReportOnce


def test_a_subject_is_reported_again_only_after_it_was_forgotten() -> None:
    once = ReportOnce[str]()
    assert [once.first("a", 1), once.first("a", 2), once.first("b", 3)] == [True, False, True]
    once.forget("a")
    assert [once.first("a", 4), once.first("b", 4)] == [True, False]
    once.forget_all(until_ns=3)
    assert [once.first("a", 5), once.first("b", 5)] == [False, True]
    once.forget_all()
    assert [once.first("a", 5), once.first("b", 5)] == [True, True]


def test_of_too_many_subjects_the_last_ones_are_not_reported() -> None:
    once = ReportOnce[int](2)
    assert [once.first(n) for n in (1, 2, 3, 1)] == [True, True, False, False]
    once.forget(1)
    assert [once.first(3), once.first(1)] == [True, False]


def test_an_hour_has_room_for_so_many() -> None:
    limit = HourlyLimit(3)
    limit.add(2, 5)
    limit.add(1, 6)
    assert [limit.made(7), limit.room(7), limit.room(HOUR_NS + 4)] == [3, 0, 0]
    assert [limit.room(HOUR_NS + 5), limit.room(HOUR_NS + 6)] == [2, 3]


def test_reports_that_arrive_out_of_order_count_all_the_same() -> None:
    limit = HourlyLimit(2)
    limit.add(1, 5)
    limit.add(1, 4)
    assert [limit.room(3), limit.room(HOUR_NS + 4)] == [0, 0]
    assert limit.room(HOUR_NS + 5) == 2


def test_a_clock_that_begins_anew_holds_nothing_back() -> None:
    limit = HourlyLimit(1)
    limit.add(1, 5 * HOUR_NS)
    assert [limit.room(5 * HOUR_NS), limit.room(9)] == [0, 1]
