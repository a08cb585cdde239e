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


def test_time_in_which_nobody_could_look_is_nobodys_silence() -> None:
    """SIGSTOP for a minute: after SIGCONT nobody hangs, and who did hang still does."""
    progress = Progress()
    progress.expect("bus", 5, 0)
    progress.expect("writer", 90, 0)
    progress.done("bus", 2 * S)
    assert progress.healthy(3 * S) == (True, "")
    assert progress.healthy(63 * S) == (True, "")
    assert progress.silent_ns("bus", 63 * S) == S
    assert progress.healthy(67 * S) == (True, "")
    assert progress.healthy(68 * S) == (False, "bus has done nothing for 6 s")


def test_a_main_loop_that_is_a_little_late_forgives_nothing() -> None:
    progress = Progress()
    progress.expect("bus", 5, 0)
    assert [progress.healthy(second * S)[0] for second in (0, 9)] == [True, False]


def test_what_was_done_just_after_the_pause_is_not_in_the_future() -> None:
    progress = Progress()
    progress.expect("bus", 5, 0)
    progress.look(0)
    progress.done("bus", 60 * S)
    assert progress.look(61 * S) == 61 * S
    assert progress.silent_ns("bus", 61 * S) == 0
    assert progress.silent_ns("nobody", 61 * S) == 0


def test_all_have_worked_when_each_has_done_something() -> None:
    progress = Progress()
    assert not progress.worked()
    progress.expect("bus", 5, 0)
    progress.expect("writer", 90, 0)
    progress.look(0)
    progress.look(50 * S)  # a pause is no work
    progress.done("bus", 51 * S)
    assert not progress.worked()
    progress.done("writer", 52 * S)
    assert progress.worked()
