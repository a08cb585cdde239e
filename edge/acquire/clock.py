"""The system clock: CLOCK_MONOTONIC for order, the wall for people, and how far to trust the wall.

Source: adjtimex(2). Reading needs no privilege (`modes` = 0).
"""

import asyncio
import ctypes
import time
from pathlib import Path
from typing import Final

from edge.core import Stamp, TimeQuality

TIME_ERROR: Final = 5  # adjtimex: the clock is not synchronised
STA_UNSYNC: Final = 0x0040
RTC: Final = Path("/sys/class/rtc/rtc0/since_epoch")
RECHECK_NS: Final = 1_000_000_000  # adjtimex costs 5 us; once a second is enough
BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class Timex(ctypes.Structure):
    """struct timex on 64-bit Linux (208 bytes); only `modes` and `status` are looked at."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 160),
    )


class SystemClock:
    """Time as the kernel tells it. `floor_ns` is the latest moment known to have passed.

    A wall clock below the floor is wrong; then time quality is `none`.
    """

    def __init__(self, floor_ns: int = 0) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.floor_ns = floor_ns
        self._checked_ns = -RECHECK_NS
        self._tq: TimeQuality = "none"
        self._offset_ns = 0

    def now(self) -> Stamp:
        mono_ns, wall_ns = time.monotonic_ns(), time.time_ns()
        # a step of the wall is seen at once, not at the next look at adjtimex
        stepped = abs(wall_ns - mono_ns - self._offset_ns) > RECHECK_NS
        if stepped or mono_ns - self._checked_ns >= RECHECK_NS:
            self._checked_ns, self._offset_ns = mono_ns, wall_ns - mono_ns
            self._tq = self._quality(wall_ns)
        return Stamp(mono_ns, wall_ns, self._tq)

    async def sleep_until(self, mono_ns: int) -> None:
        await asyncio.sleep(max(0.0, (mono_ns - time.monotonic_ns()) / 1e9))

    def _quality(self, wall_ns: int) -> TimeQuality:
        if wall_ns < self.floor_ns:
            return "none"
        timex = Timex()
        state = self._libc.adjtimex(ctypes.byref(timex))
        if state >= 0 and state != TIME_ERROR and not timex.status & STA_UNSYNC:
            return "ntp"
        if RTC.exists():
            return "rtc"
        return "floor" if self.floor_ns else "none"


def boot_id() -> str:
    """Names this boot of the machine; the same for every process until the next one."""
    return BOOT_ID.read_text(encoding="ascii").strip()
