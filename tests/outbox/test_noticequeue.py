"""A disk that comes and goes makes few events, and the last of them tells how it stands."""

from edge.core.reportlimits import HOUR_NS
from edge.outbox.noticequeue import NOTICE_LIMIT, NOTICES_PER_HOUR, NoticeQueue

S = 1_000_000_000


def reported(notices: NoticeQueue, now_ns: int) -> list[str]:
    due = notices.due(now_ns)
    notices.mark_reported(len(due), now_ns)
    return [text for _, text in due]


def test_so_many_an_hour_become_events_and_then_the_latest_waits() -> None:
    notices = NoticeQueue()
    for n in range(NOTICES_PER_HOUR):
        notices.add(bool(n % 2), f"{n}.")
        assert notices.due(n) == [(bool(n % 2), f"{n}.")]
        assert reported(notices, n) == [f"{n}."]
    for n in (50, 51, 52):
        notices.add(True, f"{n}.")
        assert reported(notices, n) == []
    assert reported(notices, HOUR_NS - 1) == []
    assert reported(notices, HOUR_NS) == ["52. 2 more such messages before it were held back."]
    assert reported(notices, HOUR_NS) == []
    notices.add(True, "next.")
    assert reported(notices, HOUR_NS + 1) == ["next."], "what was held back is counted once"


def test_all_that_is_free_is_used_and_the_first_of_them_counts_the_others() -> None:
    notices = NoticeQueue()
    for n in range(NOTICE_LIMIT + 3):
        notices.add(True, f"{n}.")
    first, last = NOTICE_LIMIT + 3 - NOTICES_PER_HOUR, NOTICE_LIMIT + 2
    found = reported(notices, S)
    assert len(found) == NOTICES_PER_HOUR
    assert found[0] == f"{first}. {first} more such messages before it were held back."
    assert found[-1] == f"{last}."
    notices.add(True, "more.")
    assert reported(notices, S) == [], "at this very moment, too"


def test_what_is_said_while_events_are_made_waits_for_the_next_ones() -> None:
    notices = NoticeQueue()
    notices.add(True, "a.")
    due = notices.due(0)
    notices.add(False, "b.")
    notices.mark_reported(len(due), 0)
    assert reported(notices, 1) == ["b."]
    notices.mark_reported(0, 2)
    assert reported(notices, 2) == []


def test_a_clock_that_begins_anew_holds_nothing_back() -> None:
    notices = NoticeQueue()
    for n in range(NOTICES_PER_HOUR):
        notices.add(True, f"{n}.")
    assert len(reported(notices, 5 * HOUR_NS)) == NOTICES_PER_HOUR
    notices.add(True, "then.")
    assert reported(notices, 5 * HOUR_NS) == []
    assert reported(notices, S) == ["then."]
