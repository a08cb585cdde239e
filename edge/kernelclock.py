"""The kernel's clocks, for every process: CLOCK_MONOTONIC, the wall, and whether it is disciplined.

Sources: adjtimex(2), whose reading needs no privilege (`modes` = 0); include/uapi/linux/timex.h.
"""

import asyncio
import ctypes
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from edge.core import Stamp, TimeQuality

TIME_ERROR: Final = 5  # adjtimex: not synchronised; 1 to 4 are a leap second, and are no error
STA_UNSYNC: Final = 0x0040
TORN_NS: Final = 1_000_000  # the process stood still between two looks at the clocks
TRIES: Final = 4  # at reading both clocks in one moment


wall_ns, mono_ns = time.time_ns, time.monotonic_ns


class Timex(ctypes.Structure):
    """struct timex on 64-bit Linux (208 bytes), up to `status`.

    The kernel has one definition for all architectures, in `__kernel_long_t`, which is a long of
    64 bits on aarch64 as it is on x86-64 (x32 and 32-bit machines differ, and are not supported).
    """

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 160),
    )


@dataclass(frozen=True, slots=True)
class Discipline:
    """What the kernel knows of its wall clock."""

    synced: bool
    max_error_us: int  # grows by 500 us a second until the time service corrects the clock again


def discipline(
    libc: ctypes.CDLL = ctypes.CDLL(None, use_errno=True),  # noqa: B008
) -> Discipline | None:
    """Read it; None where a sandbox forbids it. chrony sets the flag only with `rtcsync`."""
    timex = Timex()
    state = libc.adjtimex(ctypes.byref(timex))
    if state < 0:
        return None
    synced = state != TIME_ERROR and not timex.status & STA_UNSYNC
    return Discipline(synced, timex.maxerror)


def boottime_ns() -> int:
    """A monotonic time that also counts while the machine is suspended."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class KernelClock:
    """Time as the kernel gives it: `ntp` when it says synchronised, else `none`.

    May be asked from any thread. It waits in both ways: as a loop does, and as a process without.
    """

    def __init__(
        self,
        *,
        wall_ns: Callable[[], int] = wall_ns,
        mono_ns: Callable[[], int] = mono_ns,
        kernel: Callable[[], Discipline | None] = discipline,
    ) -> None:
        self._wall, self._mono, self._kernel = wall_ns, mono_ns, kernel

    def now(self) -> Stamp:
        found = self._kernel()
        synced = found is not None and found.synced
        return Stamp(*self._both(), TimeQuality.NTP if synced else TimeQuality.NONE)

    async def sleep_until(self, mono_ns: int) -> None:
        await asyncio.sleep(max(0.0, (mono_ns - self._mono()) / 1e9))

    def wait_until(self, mono_ns: int) -> None:
        time.sleep(max(0.0, (mono_ns - self._mono()) / 1e9))

    def _both(self) -> tuple[int, int]:
        """Both clocks in one moment: a process that is stopped in between has seen no step."""
        for _ in range(TRIES):
            mono_ns, wall_ns = self._mono(), self._wall()
            if self._mono() - mono_ns <= TORN_NS:
                break
        return mono_ns, wall_ns
