"""Wrong tries wait, for longer each time; a stranger cannot keep others out for long."""

from edge.web.loginlimit import ALL_FREE, ALL_MOST_S, FORGET_S, FREE, MOST_S, SOURCES, LoginLimit


def test_the_first_wrong_tries_of_a_source_wait_for_nothing_and_then_each_waits_longer() -> None:
    limit, now_s = LoginLimit(), 100.0
    waits = []
    for _ in range(FREE + 9):
        limit.begin("10.0.0.2", now_s)
        waits.append(limit.wait_s("10.0.0.2", now_s))
        now_s += waits[-1]
    assert waits[:FREE] == [0.0] * FREE
    assert waits[FREE : FREE + 4] == [2.0, 4.0, 8.0, 16.0]
    assert waits[-1] == MOST_S
    assert limit.wait_s("10.0.0.3", now_s) == 0.0


def test_ten_tries_at_once_are_ten_tries() -> None:
    limit = LoginLimit()
    for _ in range(10):
        limit.begin("10.0.0.2", 1.0)
    assert limit.wait_s("10.0.0.2", 1.0) == 2.0 * 2.0**5


def test_a_right_try_makes_its_source_new() -> None:
    limit = LoginLimit()
    for _ in range(FREE + 3):
        limit.begin("10.0.0.2", 1.0)
    limit.right("10.0.0.2")
    assert limit.wait_s("10.0.0.2", 1.0) == 0.0


def test_many_sources_wait_together_and_never_for_long() -> None:
    limit, now_s = LoginLimit(), 0.0
    for n in range(2000):
        limit.begin(f"10.0.{n >> 8}.{n & 255}", now_s)
    assert limit.wait_s("10.9.9.9", now_s) == ALL_MOST_S
    assert len(limit) <= SOURCES


def test_who_has_no_address_waits_as_all_do_and_never_for_long() -> None:
    """Behind the socket proxy of an interface the stranger and the technician are one source."""
    limit, now_s = LoginLimit(), 0.0
    for _ in range(200):
        limit.begin("", now_s)
        assert limit.wait_s("", now_s) <= ALL_MOST_S
        now_s += limit.wait_s("", now_s)
    assert limit.wait_s("", now_s - 0.1) > 0.0
    assert len(limit) == 0


def test_few_wrong_tries_of_all_make_nobody_wait() -> None:
    limit = LoginLimit()
    for n in range(ALL_FREE):
        limit.begin(f"10.0.0.{n}", 0.0)
    assert limit.wait_s("10.9.9.9", 0.0) == 0.0


def test_wrong_tries_are_forgotten_after_a_while() -> None:
    limit = LoginLimit()
    for _ in range(FREE + 5):
        limit.begin("10.0.0.2", 0.0)
    assert limit.wait_s("10.0.0.2", FORGET_S) == 0.0
    limit.begin("10.0.0.2", FORGET_S)
    assert limit.wait_s("10.0.0.2", FORGET_S) == 0.0
