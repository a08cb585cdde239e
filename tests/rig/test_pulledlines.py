"""Changes of lines in a guest stay as far apart as they were, however late host and guest are."""

from itertools import pairwise

from edge.rig.guest.pulled import LATE_NS, QUIET_NS, SETTLE_NS, PullPlan

MS = 1_000_000


class Kernel:
    """A guest that is held up between the `stalls`; what it pulled, and when."""

    def __init__(self, *stalls: tuple[int, int]) -> None:
        self.plan, self.now_ns = PullPlan(), 0
        self.pulled: list[tuple[int, str, bool]] = []
        self._stalls = stalls

    def run(self, until_ns: int) -> None:
        while (next_ns := self.plan.next_ns()) is not None and next_ns <= until_ns:
            self.now_ns = max(self.now_ns, next_ns)
            for from_ns, to_ns in self._stalls:
                if from_ns <= self.now_ns < to_ns:
                    self.now_ns = to_ns
            if (found := self.plan.pull(self.now_ns)) is not None:
                self.pulled.append((self.now_ns, *found))
        self.now_ns = max(self.now_ns, until_ns)


def pulses(kernel: Kernel, count: int, every_ms: int, long_ms: int) -> None:
    for number in range(1, count + 1):
        at_ns = number * every_ms * MS
        kernel.plan.take("one", "lead", True, at_ns)
        kernel.plan.take("one", "lead", False, at_ns + long_ms * MS)


def gaps(kernel: Kernel) -> list[int]:
    return [later[0] - one[0] for one, later in pairwise(kernel.pulled)]


def test_what_is_told_in_time_is_pulled_at_its_moment_and_in_its_order() -> None:
    kernel = Kernel()
    kernel.plan.take("one", "trail", True, 30 * MS)
    kernel.plan.take("one", "lead", True, 10 * MS)
    kernel.plan.take("one", "lead", False, 30 * MS)
    assert kernel.plan.pull(9 * MS) is None
    kernel.run(100 * MS)
    assert kernel.pulled == [
        (10 * MS, "lead", True), (30 * MS, "trail", True), (30 * MS, "lead", False),
    ]  # fmt: skip
    assert (kernel.plan.worst_ns, kernel.plan.next_ns()) == (0, None)


def test_a_guest_that_stood_still_over_a_whole_vehicle_has_it_as_long_as_it_was() -> None:
    kernel = Kernel((90 * MS, 600 * MS))
    pulses(kernel, 2, every_ms=100, long_ms=40)
    kernel.run(3000 * MS)
    assert [high for _, _, high in kernel.pulled] == [True, False, True, False]
    assert kernel.pulled[0][0] == 600 * MS + SETTLE_NS  # the kernel has had its time before it
    for gap_ns, street_ms in zip(gaps(kernel), (40, 60, 40), strict=True):
        assert gap_ns == street_ms * MS


def test_a_host_that_tells_two_changes_at_once_makes_no_shorter_vehicle() -> None:
    kernel = Kernel()
    kernel.run(700 * MS)
    pulses(kernel, 1, every_ms=100, long_ms=40)
    kernel.run(2000 * MS)
    assert gaps(kernel) == [40 * MS]
    assert kernel.plan.worst_ns == kernel.pulled[0][0] - 100 * MS >= 600 * MS


def test_it_catches_up_where_nothing_happens_and_says_how_late_it_was_at_most() -> None:
    kernel = Kernel((1490 * MS, 2000 * MS))
    pulses(kernel, 8, every_ms=1500, long_ms=40)
    kernel.run(60_000 * MS)
    assert kernel.plan.worst_ns == 500 * MS + SETTLE_NS
    assert kernel.pulled[-1][0] == (8 * 1500 + 40) * MS  # in time again
    assert set(gaps(kernel)[::2]) == {40 * MS}
    assert gaps(kernel)[1] == QUIET_NS  # between two vehicles


def test_a_lane_that_was_held_up_holds_up_no_other_one() -> None:
    kernel = Kernel()
    kernel.run(400 * MS)
    kernel.plan.take("one", "lead", True, 100 * MS)
    kernel.plan.take("one", "trail", True, 300 * MS)
    kernel.plan.take("two", "other", True, 500 * MS)
    kernel.run(3000 * MS)
    assert kernel.pulled == [
        (450 * MS, "lead", True), (500 * MS, "other", True), (650 * MS, "trail", True),
    ]  # fmt: skip


def test_a_little_lateness_holds_nothing_up() -> None:
    kernel = Kernel((100 * MS, 100 * MS + LATE_NS))
    pulses(kernel, 1, every_ms=100, long_ms=400)
    kernel.run(1000 * MS)
    assert [at_ns for at_ns, _, _ in kernel.pulled] == [100 * MS + LATE_NS, 500 * MS]
    assert kernel.plan.worst_ns == LATE_NS
