"""Actions of a simulated cabinet come at their moments, in their order."""

import threading
import time

from drivers.sim.timeline import Timeline


def test_actions_come_in_the_order_of_their_moments_and_of_their_naming() -> None:
    seen: list[tuple[str, int]] = []
    line = Timeline(lambda: 0)
    line.at(20, lambda t_ns: seen.append(("late", t_ns)))
    line.at(10, lambda t_ns: seen.append(("first", t_ns)))
    line.at(10, lambda t_ns: seen.append(("second", t_ns)))
    line.run_until(15)
    assert seen == [("first", 10), ("second", 10)]
    assert line.waiting() == 1


def test_an_action_may_name_the_next_one_and_an_hour_passes_at_once() -> None:
    line, count = Timeline(lambda: 0), [0]

    def again(t_ns: int) -> None:
        count[0] += 1
        line.at(t_ns + 1_000_000_000, again)

    line.at(0, again)
    line.run_until(3600 * 1_000_000_000)
    assert count == [3601]
    assert line.waiting() == 1


def test_in_its_thread_an_action_is_never_early_and_is_told_its_own_moment() -> None:
    line, done = Timeline().start(), threading.Event()
    found: list[tuple[int, int]] = []
    due_ns = time.monotonic_ns() + 30_000_000

    def action(t_ns: int) -> None:
        found.append((t_ns, time.monotonic_ns()))
        done.set()

    line.at(due_ns, action)
    assert done.wait(20)
    line.stop()
    ((told_ns, came_ns),) = found
    assert told_ns == due_ns
    assert came_ns >= due_ns


def test_nothing_comes_after_its_end() -> None:
    line, seen = Timeline().start(), threading.Event()
    line.stop()
    line.now(lambda t_ns: seen.set())
    assert not seen.wait(0.05)
