"""A bus whose thread hangs in a system call: how long is too long, and what is tried then.

Pure rules; `edge.gateway.busworkers` acts on them. A thread cannot be killed. So it is left behind
with its descriptor closed, and another one is tried once; when that hangs too, the process ends and
systemd starts it again; the board's watchdog stands behind that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edge.config import Bus
from edge.gateway.wiring import PolledDevice

FLOOR_S: Final = 90.0  # IEC 62056-21 at 300 baud reads for 75 s and is called for 5 before
QUESTIONS_LIMIT: Final = (
    20  # more than any driver asks one after the other while nobody answers in time
)
GRACE_S: Final = 15.0  # the watchdog waits so much longer: the bus is tried anew first
FORGET_TRIAL_NS: Final = 24 * 3_600_000_000_000  # of good work after a trial: it never was
OTHER_HUNG_LIMIT: Final = (
    2  # buses that hung, and were tried without any success: it is not the bus
)
WORKED_BEATS: Final = 2  # beats: the first comes before any device is asked


class HungError(Exception):
    """A bus hangs and trying it anew does not help: the process has to end."""


def hang_timeout_s(bus: Bus, devices: Sequence[PolledDevice], floor_s: float = FLOOR_S) -> float:
    """How long a bus's thread may go without having finished with a device.

    A silent device is no hang: opening and reading it may take its time-out several times over.
    The time-out is the longest that the bus or a device on it is configured with (`timeout_s`, 30 s
    at most); drivers without one bound their reading by themselves, to less than the floor.
    """
    own_s = (float(getattr(d.polled, "timeout_s", 0.0)) for d in devices)
    longest_s = max(float(getattr(bus, "timeout_s", 0.0)), *own_s, 0.0)
    return max(floor_s, QUESTIONS_LIMIT * longest_s)


@dataclass(slots=True)
class _Trial:
    since_ns: int
    worked: bool = False


class RestartTrials:
    """Which buses were tried anew, and how it went. Times are monotonic ns."""

    def __init__(self) -> None:
        self._trials: dict[str, _Trial] = {}
        self.count = 0  # since the start of the process

    def request_restart(self, bus: str, now_ns: int, left: bool = False) -> str:
        """This bus hangs: "" when it is to be tried anew, else why that is no use.

        `left`: the thread that was left behind last time still hangs. At most one a bus does.
        """
        found = self._trials.get(bus)
        if found is not None and (left or now_ns - found.since_ns < FORGET_TRIAL_NS):
            return f"bus {bus} hangs in a system call again, after it got a new thread"
        others = [name for name, t in self._trials.items() if not t.worked]
        if len(others) >= OTHER_HUNG_LIMIT:
            return f"bus {bus} hangs in a system call, and so do {' and '.join(others)}"
        self._trials[bus] = _Trial(now_ns)
        self.count += 1
        return ""

    def mark_worked(self, bus: str) -> None:
        """The thread that was tried has got work done."""
        if (found := self._trials.get(bus)) is not None:
            found.worked = True
