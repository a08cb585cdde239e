"""Time as the kernel tells it, and how far it is to be trusted."""

import ctypes
import time

from edge.acquire.clock import SystemClock, Timex, boot_id


def test_the_structure_is_as_long_as_the_kernel_s() -> None:
    assert ctypes.sizeof(Timex) == 208


def test_now_is_now_and_a_clock_below_its_floor_is_not_trusted() -> None:
    before = time.monotonic_ns()
    stamp = SystemClock().now()
    assert before <= stamp.mono_ns <= time.monotonic_ns()
    assert stamp.tq in ("none", "rtc", "ntp")
    assert SystemClock(floor_ns=time.time_ns() + 10**18).now().tq == "none"
    assert SystemClock(floor_ns=1).now().tq in ("floor", "rtc", "ntp")


async def test_sleeping_until_the_past_returns_at_once() -> None:
    await SystemClock().sleep_until(0)


def test_a_boot_has_one_name() -> None:
    assert boot_id() == boot_id()
    assert len(boot_id()) == 36
