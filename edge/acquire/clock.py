"""The system clock: CLOCK_MONOTONIC for order, the wall for people, and how far to trust the wall.

Sources: Documentation/ABI/testing/sysfs-class-rtc of the kernel; systemd-timesyncd.service(8).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from edge import kernelclock
from edge.acquire.timefloor import YEAR_NS, TimeFloor
from edge.core import Stamp, TimeQuality
from edge.kernelclock import Discipline, KernelClock, discipline

RECHECK_NS: Final = 1_000_000_000  # adjtimex costs 5 us; once a second is enough
JUMP_NS: Final = 100_000_000  # the wall moved by more than this: look again at once

HORIZON_NS: Final = 10 * YEAR_NS  # a wall that is so far beyond the floor is nonsense

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
RTCS: Final = "sys/class/rtc"  # `hctosys` in it is 1 where the kernel took the time from that RTC
TIMESYNC: Final = "var/lib/systemd/timesync/clock"  # its mtime: when timesyncd last knew the time


class SystemClock(KernelClock):
    """Time as the kernel gives it. May be asked from any thread.

    `floor` knows the latest moment that has passed. Time quality: `synced_as` when the kernel says
    synchronised, and nothing speaks against that: only the site knows whether its time service
    checks signatures (`nts`). For all else, a synchronised wall that is watched before it is
    believed among it: `none` when it cannot be right (before the floor, or years beyond it); `rtc`
    when the kernel took the time from a battery-backed clock and nobody has set it since; else
    `floor`.
    """

    def __init__(
        self,
        *,
        synced_as: TimeQuality = TimeQuality.NTP,
        root: Path = Path("/"),
        wall_ns: Callable[[], int] = kernelclock.wall_ns,
        mono_ns: Callable[[], int] = kernelclock.mono_ns,
        kernel: Callable[[], Discipline | None] = discipline,
    ) -> None:
        super().__init__(wall_ns=wall_ns, mono_ns=mono_ns, kernel=kernel)
        self.synced_as, self._root = synced_as, root
        self.floor = TimeFloor()
        self.max_error_us: int | None = None  # by the kernel's own account; None: not known
        self.steps = 0  # how often the wall was seen to jump
        self._checked_ns: int | None = None
        self._tq = TimeQuality.NONE
        self._offset_ns = 0
        self._from_rtc = self._hctosys = self._reads_rtc()
        self.raise_floor(self._timesync_ns())

    def now(self) -> Stamp:
        mono_ns, wall_ns = self._both()
        offset_ns, checked_ns = wall_ns - mono_ns, self._checked_ns
        # a step of the wall is seen at once, not at the next look at adjtimex
        stepped = checked_ns is not None and abs(offset_ns - self._offset_ns) > JUMP_NS
        if stepped:
            self.steps += 1
            hctosys = self._reads_rtc()
            # an RTC whose driver came late sets the clock, too; else it was somebody else
            self._from_rtc, self._hctosys = hctosys and not self._hctosys, hctosys
        if stepped or checked_ns is None or mono_ns - checked_ns >= RECHECK_NS:
            self._checked_ns, self._offset_ns = mono_ns, offset_ns
            self._tq = self._quality(wall_ns)
        return Stamp(mono_ns, wall_ns, self._tq)

    def raise_floor(self, ns: int, *, signed: bool = False) -> None:
        """This moment (Unix ns) has passed. One that cannot be believed is ignored.

        `signed`: no time service has said so, but somebody whose signature was verified.
        """
        if self.floor.rise(ns, signed=signed):
            self._checked_ns = None

    def resume(self, offset_ns: int) -> None:
        """A former process of this boot was certain of this wall - monotonic time."""
        self.floor.resume(offset_ns)
        self._checked_ns = None

    def wrong(self) -> int | None:
        """None, or the floor (Unix ns) to check certificates by, as the wall may not be right.

        It is the signed one: a floor that one wrong answer of a time service put years ahead
        would refuse every certificate, and lock the box out for as long as time is unknown. Who
        can keep time away from the box gains little by that: the wall would stand at no more.
        """
        doubted = self.now().tq is TimeQuality.NONE or self.floor.doubt is not None
        return self.floor.signed_ns if doubted else None

    def _quality(self, wall_ns: int) -> TimeQuality:
        mono_ns, found = wall_ns - self._offset_ns, self._kernel()
        self.max_error_us = None if found is None else found.max_error_us
        if found is None or not found.synced:
            self.floor.unvouched()
        elif self.floor.vouched(wall_ns, mono_ns, authentic=self.synced_as is TimeQuality.NTS):
            self._from_rtc = self._hctosys  # whoever has set it before: it is right now
            return self.synced_as
        if not self.floor.ns <= wall_ns <= self.floor.ns + HORIZON_NS:
            return TimeQuality.NONE
        return TimeQuality.RTC if self._from_rtc else TimeQuality.FLOOR

    def _reads_rtc(self) -> bool:
        """Whether the kernel took the time from an RTC, at the boot or when its driver came."""
        try:
            return any(
                file.read_text(encoding="ascii").strip() == "1"
                for file in (self._root / RTCS).glob("rtc*/hctosys")
            )
        except (OSError, ValueError):
            return False

    def _timesync_ns(self) -> int:
        try:
            return (self._root / TIMESYNC).stat().st_mtime_ns
        except OSError:
            return 0


def boot_id() -> str:
    """Names this boot of the machine; the same for every process until the next one."""
    return BOOT_ID.read_text(encoding="ascii").strip()
