"""Whether the rig itself had a processor when it needed one.

A rig in real time plays the far end of wires. On a machine that has too much to do its answers are
late, and a box is right to call that a fault: so it is noted when the rig has stood still.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from edge.rig.runlog import Stall

STEP_S: Final = 0.05
STEPS: Final = 10
STALL_S: Final = 0.1
"""Late by so much in all within half a second: so long a master of Modbus waits for an answer, on
whose way the rig sleeps four times."""
MOST: Final = 1000  # of a run, the last ones
NS: Final = 1_000_000_000


class StallWatch:
    """A thread that sleeps, and looks how late it wakes."""

    def __init__(
        self,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock_ns, self._sleep = clock_ns, sleep
        self._found: deque[tuple[int, int]] = deque(maxlen=MOST)  # woke at, late by (ns)
        self._late: deque[int] = deque(maxlen=STEPS)  # of the last steps (ns)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rig-stalls", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def stalls(self, zero_ns: int) -> list[Stall]:
        """Those since `zero_ns`, by the clock of the run."""
        return [
            Stall(t_s=(woke_ns - zero_ns) / NS, for_s=late_ns / NS)
            for woke_ns, late_ns in list(self._found)
            if woke_ns >= zero_ns
        ]

    def step(self) -> None:
        """Sleep once, and look how late it woke."""
        due_ns = self._clock_ns() + round(STEP_S * NS)
        self._sleep(STEP_S)
        woke_ns = self._clock_ns()
        self._late.append(max(0, woke_ns - due_ns))
        if (late_ns := sum(self._late)) >= STALL_S * NS:
            self._found.append((woke_ns, late_ns))
            self._late.clear()

    def _run(self) -> None:
        while not self._over.is_set():
            self.step()
