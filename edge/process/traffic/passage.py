"""One vehicle over a pair of loops: its speed and length, if they can be believed.

Source: MnDOT IRIS DetectionEvent (mean of leading and trailing elapsed time, acceptance limits).
All arithmetic is in whole nanoseconds and millimetres.
"""

from typing import Final, NamedTuple

MIN_ON_NS: Final = 20_000_000
MIN_ELAPSED_NS_PER_MM: Final = 16_404  # 5 ms a foot
SLACK_NS: Final = 20_000_000  # loop cards scan: their on-times jitter by 10 ms each
MIN_SPACING_MM: Final = 1829  # six feet
SPEEDS: Final = (50, 2000)  # 0.1 km/h
LENGTHS_MM: Final = (500, 30_000)


class Passage(NamedTuple):
    """Speed in 0.1 km/h, length in cm, pace in ns a metre (its sum gives the space mean)."""

    speed: int
    length: int
    pace: int


class Trap(NamedTuple):
    """A pair of loops: leading edge to leading edge, length of a loop, tolerance of on-times."""

    spacing_mm: int
    loop_mm: int
    tolerance_permille: int = 200

    @property
    def max_elapsed_ns(self) -> int:
        """Twice what the slowest speed needs: one edge may be late when the other is early."""
        return self.spacing_mm * 72_000_000 // SPEEDS[0]


def passage(trap: Trap, on1: int, off1: int, on2: int, off2: int) -> Passage | None:
    """What the four edges (ns) say, or None when no single vehicle can have made them."""
    first, second = off1 - on1, off2 - on2
    leading, trailing = on2 - on1, off2 - off1
    if trap.spacing_mm < MIN_SPACING_MM or min(first, second) < MIN_ON_NS:
        return None
    if min(leading, trailing) < trap.spacing_mm * MIN_ELAPSED_NS_PER_MM:
        return None
    allowed = max(first, second) * trap.tolerance_permille // 1000
    if abs(first - second) > max(allowed, SLACK_NS):
        return None
    elapsed = leading + trailing  # twice the mean
    speed = _divide(trap.spacing_mm * 72_000_000, elapsed)
    length_mm = _divide(trap.spacing_mm * (first + second), elapsed) - trap.loop_mm
    if not SPEEDS[0] <= speed <= SPEEDS[1] or not LENGTHS_MM[0] <= length_mm <= LENGTHS_MM[1]:
        return None
    return Passage(speed, _divide(length_mm, 10), _divide(elapsed * 500, trap.spacing_mm))


def _divide(a: int, b: int) -> int:
    """The nearest integer to a / b."""
    return (2 * a + b) // (2 * b)
