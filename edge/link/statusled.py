"""What the status LED says, as flashes. Steady or dark says that this program does not run.

Each pattern begins with a pause of three seconds in which the LED is dark, except the last two.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from typing import Final, Literal

from edge.core import Clock
from edge.link.modempower import PowerLine

LedState = Literal["fine", "no_broker", "sensor_fault", "not_commissioned", "access_point"]

FLASH_S: Final = 0.2
BETWEEN_S: Final = 0.3
PAUSE_S: Final = 3.0


def _flashes(count: int) -> tuple[float, ...]:
    """Off, on, off, on: seconds of each, beginning with dark."""
    return (PAUSE_S, FLASH_S, *((BETWEEN_S, FLASH_S) * (count - 1)))


PATTERNS: Final[dict[LedState, tuple[float, ...]]] = {
    "fine": _flashes(1),
    "no_broker": _flashes(2),
    "sensor_fault": _flashes(3),
    "not_commissioned": (1.0, 1.0),
    "access_point": (0.2, 0.2),  # somebody stands there, and waits for it
}


@dataclass(frozen=True, slots=True)
class LedFacts:
    """`broker` and `faulty` are None while no daemon answers."""

    commissioned: bool
    broker: bool | None
    faulty: bool | None


def led_state(facts: LedFacts) -> LedState:
    """The worst of it. Without a broker nobody learns of a fault, so that comes first."""
    if facts.broker is None and not facts.commissioned:
        return "not_commissioned"
    if facts.broker is False:
        return "no_broker"
    return "fine" if facts.faulty is False else "sensor_fault"


class StatusLed:
    """Plays the pattern of its state on a line, in a thread: calls to others never bend a flash."""

    def __init__(
        self,
        line: PowerLine,
        clock: Clock,
        wait: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:
        self._line, self._wait, self._clock = line, wait, clock
        self._state: LedState = "not_commissioned"
        self._changed = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self.run, name="status_led", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def set_state(self, state: LedState) -> None:
        if state != self._state:
            self._state = state
            self._changed.set()

    def close(self) -> None:
        self._ended = True
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def run(self) -> None:
        """Until `close`. Times count from the pattern's begin: late wake-ups do not add up."""
        while not self._ended:
            self._changed.clear()
            due, lit = self._mono_s(), False
            for seconds in cycle(PATTERNS[self._state]):
                self._line.set(lit)
                due, lit = due + seconds, not lit
                if self._wait(self._changed, max(0.0, due - self._mono_s())):
                    break
        self._line.set(False)

    def _mono_s(self) -> float:
        return self._clock.now().mono_ns / 1e9
