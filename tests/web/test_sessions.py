"""A session is found by its cookie until it is idle, old, closed, or one of too many."""

from edge.web import sessions
from edge.web.sessions import IDLE_S, MOST_S, SESSIONS, Sessions


def test_a_session_is_found_by_its_cookie_and_by_no_other() -> None:
    all_of_them = Sessions()
    token, session = all_of_them.open(0.0)
    assert all_of_them.find(token, 1.0) is session
    assert all_of_them.find(token[:-1], 1.0) is None
    assert all_of_them.find("", 1.0) is None
    assert all_of_them.find(None, 1.0) is None
    assert all_of_them.find("\udcff", 1.0) is None


def test_use_keeps_a_session_and_idleness_ends_it() -> None:
    all_of_them = Sessions()
    token, session = all_of_them.open(0.0)
    assert all_of_them.find(token, IDLE_S - 1) is session
    assert all_of_them.find(token, 2 * IDLE_S - 2) is session
    assert all_of_them.find(token, 3 * IDLE_S - 2) is None
    assert len(all_of_them) == 0


def test_no_use_keeps_a_session_for_longer_than_its_whole_time() -> None:
    all_of_them = Sessions()
    token, _ = all_of_them.open(0.0)
    now_s = 0.0
    while now_s < MOST_S - IDLE_S:
        now_s += IDLE_S / 2
        assert all_of_them.find(token, now_s) is not None
    assert all_of_them.find(token, MOST_S) is None


def test_a_closed_session_is_gone() -> None:
    all_of_them = Sessions()
    token, _ = all_of_them.open(0.0)
    all_of_them.close("somebody else's")
    assert all_of_them.find(token, 1.0) is not None
    all_of_them.close(token)
    assert all_of_them.find(token, 1.0) is None


def test_the_session_that_is_unused_for_longest_gives_way() -> None:
    all_of_them = Sessions()
    tokens = [all_of_them.open(float(n))[0] for n in range(SESSIONS)]
    assert all_of_them.find(tokens[0], 20.0) is not None
    all_of_them.open(21.0)
    assert len(all_of_them) == SESSIONS
    assert all_of_them.find(tokens[0], 22.0) is not None
    assert all_of_them.find(tokens[1], 22.0) is None


def test_the_memory_of_this_process_holds_no_cookie() -> None:
    all_of_them = Sessions()
    token, session = all_of_them.open(0.0)
    assert token.encode() not in all_of_them._sessions
    assert token != session.csrf
    assert len(sessions._key(token)) == 32
