"""A simulated contact on a GPIO line of its own chip: it closes and opens by itself, for ever."""

import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from drivers.sim.gpio import SimChip

PATTERNS: Final = {  # closed for so many seconds, once in so many
    "loop": (0.4, 3.0),  # a car a while
    "s0": (0.05, 1.0),  # 3.6 kW at 1000 impulses a kWh
    "contact": (5.0, 10.0),
}


class SimContact:
    """One contact to ground, closed for `on_s` once in `every_s`. A context manager."""

    def __init__(self, path: Path, line: str, on_s: float, every_s: float) -> None:
        self.line, self.on_s, self.every_s = line, on_s, every_s
        self._chip = SimChip((line,), path)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sim-contact", daemon=True)

    def __enter__(self) -> Self:
        self._chip.start()
        self._chip.drive(self.line, True, time.monotonic_ns())
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.set()
        self._thread.join(5)
        self._chip.close()

    def _run(self) -> None:
        while not self._end.wait(self.every_s - self.on_s):
            self._chip.drive(self.line, False, time.monotonic_ns())
            self._end.wait(self.on_s)
            self._chip.drive(self.line, True, time.monotonic_ns())
