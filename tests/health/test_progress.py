"""The watchdog's food: work done, in virtual time."""

from edge.health import Progress

S = 1_000_000_000


def test_all_owners_in_time_are_healthy() -> None:
    progress = Progress()
    progress.expect("bus air", 5, 0)
    progress.expect("writer", 90, 0)
    assert progress.healthy(5 * S) == (True, "")


def test_one_hanging_owner_is_enough_and_is_named() -> None:
    progress = Progress()
    progress.expect("bus air", 5, 0)
    progress.expect("writer", 90, 0)
    progress.done("writer", 6 * S)
    ok, why = progress.healthy(6 * S)
    assert not ok
    assert why == "bus air has done nothing for 6 s"
    progress.done("bus air", 6 * S)
    assert progress.healthy(6 * S) == (True, "")


def test_being_asked_is_not_progress() -> None:
    progress = Progress()
    progress.expect("sender", 10, 0)
    answers = [progress.healthy(second * S)[0] for second in range(13)]
    assert answers == [True] * 11 + [False] * 2


def test_work_reported_late_does_not_move_time_back() -> None:
    progress = Progress()
    progress.expect("bus", 5, 0)
    progress.done("bus", 20 * S)
    progress.done("bus", 10 * S)  # another thread was slower to report
    assert progress.healthy(25 * S) == (True, "")
    assert not progress.healthy(25 * S + 1)[0]


def test_expecting_anew_changes_the_allowance_and_starts_now() -> None:
    progress = Progress()
    progress.expect("bus", 5, 0)
    progress.expect("bus", 60, 50 * S)
    assert progress.healthy(110 * S) == (True, "")
    assert not progress.healthy(111 * S)[0]
