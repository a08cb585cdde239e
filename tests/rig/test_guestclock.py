"""How far a guest's clock is ahead, and that the bound holds whatever the way takes."""

import random

import pytest

from edge.rig.guestclock import GuestClock

MS = 1_000_000


class World:
    """The rig's clock, and a guest whose clock is ahead and runs a little fast."""

    def __init__(self, ahead_ns: int, fast: float = 0.0, seed: int = 1) -> None:
        self.now_ns, self.ahead_ns, self.fast = 0, ahead_ns, fast
        self.chance = random.Random(seed)

    def mono_ns(self) -> int:
        return self.now_ns

    def true_ns(self) -> int:
        return self.ahead_ns + round(self.now_ns * self.fast)

    def ask(self) -> int:
        self.now_ns += round(self.chance.uniform(0.1, 30) * MS)
        said_ns = self.now_ns + self.true_ns()
        self.now_ns += round(self.chance.uniform(0.1, 30) * MS)
        return said_ns


def test_before_the_first_answer_nothing_is_known() -> None:
    world = World(5)
    clock = GuestClock(world.ask, world.mono_ns)
    assert (clock.ahead_ns, clock.bound_ns) == (0, 0)


@pytest.mark.parametrize("seed", range(20))
def test_the_truth_lies_within_the_bound(seed: int) -> None:
    world = World(-7_000 * MS, seed=seed)
    clock = GuestClock(world.ask, world.mono_ns)
    clock.begin()
    assert abs(clock.ahead_ns - world.true_ns()) <= clock.bound_ns < 60 * MS


@pytest.mark.parametrize("seed", range(20))
def test_a_clock_that_runs_fast_is_followed_and_widens_the_bound(seed: int) -> None:
    world = World(3_000 * MS, fast=1e-4, seed=seed)
    clock = GuestClock(world.ask, world.mono_ns)
    clock.begin()
    first_ns = world.true_ns()
    for _ in range(600):
        world.now_ns += 1_000 * MS
        clock.look()
        assert abs(clock.ahead_ns - world.true_ns()) <= clock.bound_ns
    assert abs(clock.ahead_ns - first_ns) > 40 * MS  # 60 ms in ten minutes
    assert clock.bound_ns < 120 * MS


def test_another_machine_has_another_clock() -> None:
    world = World(9_000 * MS)
    clock = GuestClock(world.ask, world.mono_ns)
    clock.begin()
    world.ahead_ns = -2_000 * MS
    clock.begin()
    assert abs(clock.ahead_ns - world.true_ns()) <= clock.bound_ns < 60 * MS
