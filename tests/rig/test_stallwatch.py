"""Whether the rig itself had a processor when it needed one."""

from edge.rig.stallwatch import NS, STEP_S, StallWatch


class Machine:
    """Each sleep lasts as long as it says, and so much longer."""

    def __init__(self, *late_s: float) -> None:
        self.now_ns, self._late_s = 0, list(late_s)

    def sleep(self, for_s: float) -> None:
        self.now_ns += round((for_s + self._late_s.pop(0)) * NS)


def test_only_a_long_wait_for_a_processor_is_noted_and_when_it_was_over() -> None:
    machine = Machine(0.0, 0.05, 0.7, 0.0)
    watch = StallWatch(lambda: machine.now_ns, machine.sleep)
    for _ in range(4):
        watch.step()
    (stall,) = watch.stalls(0)
    assert round(stall.for_s, 6) == 0.75
    assert round(stall.t_s, 6) == round(3 * STEP_S + 0.75, 6)


def test_many_small_delays_are_a_stall_too_and_each_counts_once() -> None:
    machine = Machine(*[0.012] * 20)
    watch = StallWatch(lambda: machine.now_ns, machine.sleep)
    for _ in range(20):
        watch.step()
    assert [round(each.for_s, 6) for each in watch.stalls(0)] == [0.108, 0.108]


def test_small_delays_that_are_rare_are_none() -> None:
    machine = Machine(*([0.09] + [0.0] * 9) * 5)
    watch = StallWatch(lambda: machine.now_ns, machine.sleep)
    for _ in range(50):
        watch.step()
    assert watch.stalls(0) == []


def test_what_was_before_the_run_does_not_count() -> None:
    machine = Machine(0.5, 0.5)
    watch = StallWatch(lambda: machine.now_ns, machine.sleep)
    watch.step()
    zero_ns = machine.now_ns + 1
    watch.step()
    (stall,) = watch.stalls(zero_ns)
    assert 0.5 < stall.t_s < 0.6


def test_it_ends() -> None:
    watch = StallWatch()
    watch.start()
    watch.stop()
    assert not watch._thread.is_alive()
