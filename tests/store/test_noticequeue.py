"""A disk that comes and goes makes few events, and the last of them tells how it stands."""

from edge.store.noticequeue import HOUR_NS, NOTICE_LIMIT, NOTICES_PER_HOUR, NoticeQueue

S = 1_000_000_000


def told(sentences: NoticeQueue, now_ns: int) -> list[str]:
    due = sentences.due(now_ns)
    sentences.mark_reported(len(due), now_ns)
    return [text for _, text in due]


def test_so_many_an_hour_become_events_and_then_the_latest_waits() -> None:
    sentences = NoticeQueue()
    for n in range(NOTICES_PER_HOUR):
        sentences.add(bool(n % 2), f"{n}.")
        assert sentences.due(n) == [(bool(n % 2), f"{n}.")]
        assert told(sentences, n) == [f"{n}."]
    for n in (50, 51, 52):
        sentences.add(True, f"{n}.")
        assert told(sentences, n) == []
    assert told(sentences, HOUR_NS - 1) == []
    assert told(sentences, HOUR_NS) == ["52. 2 more such messages before it were held back."]
    assert told(sentences, HOUR_NS) == []
    sentences.add(True, "next.")
    assert told(sentences, HOUR_NS + 1) == ["next."], "what was held back is counted once"


def test_all_that_is_free_is_used_and_the_first_of_them_counts_the_others() -> None:
    sentences = NoticeQueue()
    for n in range(NOTICE_LIMIT + 3):
        sentences.add(True, f"{n}.")
    first, last = NOTICE_LIMIT + 3 - NOTICES_PER_HOUR, NOTICE_LIMIT + 2
    found = told(sentences, S)
    assert len(found) == NOTICES_PER_HOUR
    assert found[0] == f"{first}. {first} more such messages before it were held back."
    assert found[-1] == f"{last}."
    sentences.add(True, "more.")
    assert told(sentences, S) == [], "at this very moment, too"


def test_what_is_said_while_events_are_made_waits_for_the_next_ones() -> None:
    sentences = NoticeQueue()
    sentences.add(True, "a.")
    due = sentences.due(0)
    sentences.add(False, "b.")
    sentences.mark_reported(len(due), 0)
    assert told(sentences, 1) == ["b."]
    sentences.mark_reported(0, 2)
    assert told(sentences, 2) == []


def test_a_clock_that_begins_anew_holds_nothing_back() -> None:
    sentences = NoticeQueue()
    for n in range(NOTICES_PER_HOUR):
        sentences.add(True, f"{n}.")
    assert len(told(sentences, 5 * HOUR_NS)) == NOTICES_PER_HOUR
    sentences.add(True, "then.")
    assert told(sentences, 5 * HOUR_NS) == []
    assert told(sentences, S) == ["then."]
