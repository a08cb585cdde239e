"""One vehicle over a pair of loops: its speed and length, if they can be believed, and its class by
length, which is all that a pair of loops tells of it.

Source: MnDOT IRIS DetectionEvent (mean of leading and trailing elapsed time, acceptance limits).
Its limits are for vehicles that hardly change their speed between the loops, as on a freeway. One
that brakes, stands or starts there has a speed, too, and no length: see `measure_slow`. No public
source has such limits for bicycles: those here are wide, after what can be ridden. All arithmetic
is in whole nanoseconds and millimetres.

Source of the limits of classes: FHWA's length-based schemes (Weinblatt, Minge, Petersen, TRR 2339;
pooled fund TPF-5(192)) have motorcycle, short, medium and long, commonly with 6.5, 21.5 and 49
feet. Ours are the limit within FHWA's motorcycle, and the one within its medium, from which on
vehicles are as long as a bus of one body. So `shortest` and `very_short` together are FHWA's
motorcycle, `medium` and `medium_long` its medium. A name says a length and no kind of vehicle: a
lorry of twelve metres is as long as a bus, and most motorcycles have more than 6.5 feet. These are
neither the classes of TLS 2012 (8+1), which need a signature, nor the thirteen of FHWA, which need
axles.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal, NamedTuple

MIN_ON_NS: Final = 20_000_000
MIN_ELAPSED_NS_PER_MM: Final = 16_404  # 5 ms a foot
SLACK_NS: Final = 20_000_000  # loop cards scan: their on-times jitter by 10 ms each

Kind = Literal["vehicle", "bicycle"]
Classes = tuple[tuple[str, int], ...]
"""(name, upper limit in cm), rising. The last one is open: its limit is not looked at."""

LENGTH_CLASSES: Final[Classes] = (
    ("shortest", 170),
    ("very_short", 198),  # 6.5 ft
    ("short", 655),  # 21.5 ft
    ("medium", 1000),
    ("medium_long", 1494),  # 49 ft
    ("long", 3000),
)


@dataclass(frozen=True, slots=True)
class PassageLimits:
    """What can be believed of one kind: speeds in 0.1 km/h, lengths and least spacing in mm."""

    speeds: tuple[int, int]
    lengths_mm: tuple[int, int]
    spacing_mm: int


VEHICLE_LIMITS: Final = PassageLimits(
    speeds=(50, 2000), lengths_mm=(500, 30_000), spacing_mm=1829
)  # six feet
BICYCLE_LIMITS: Final = PassageLimits(speeds=(30, 600), lengths_mm=(500, 4000), spacing_mm=500)
LIMITS: Final[Mapping[Kind, PassageLimits]] = {"vehicle": VEHICLE_LIMITS, "bicycle": BICYCLE_LIMITS}


class Passage(NamedTuple):
    """Speed in 0.1 km/h, length in cm (None: not known), pace in ns a metre.

    The mean of speeds is the time mean; the number of vehicles over the sum of paces is the space
    mean.
    """

    speed: int
    length: int | None
    pace: int


@dataclass(frozen=True, slots=True)
class SpeedTrap:
    """A pair of loops: leading edge to leading edge, a loop's effective length, tolerance."""

    spacing_mm: int
    loop_mm: int
    tolerance_permille: int = 200
    limits: PassageLimits = VEHICLE_LIMITS

    @property
    def max_elapsed_ns(self) -> int:
        """Twice what the slowest speed needs: one edge may be late when the other is early."""
        return self.spacing_mm * 72_000_000 // self.limits.speeds[0]


def measure_passage(trap: SpeedTrap, on1: int, off1: int, on2: int, off2: int) -> Passage | None:
    """What the four edges (ns) say, or None when no single vehicle can have made them."""
    limits, spacing = trap.limits, trap.spacing_mm
    first, second = off1 - on1, off2 - on2
    leading, trailing = on2 - on1, off2 - off1
    if spacing < limits.spacing_mm or first < MIN_ON_NS or second < MIN_ON_NS:
        return None
    least = spacing * MIN_ELAPSED_NS_PER_MM
    if leading < least or trailing < least:
        return None
    differ = abs(first - second)
    if differ > SLACK_NS and differ > max(first, second) * trap.tolerance_permille // 1000:
        return None
    elapsed = leading + trailing  # twice the mean
    speed = _divide(spacing * 72_000_000, elapsed)
    length_mm = _divide(spacing * (first + second), elapsed) - trap.loop_mm
    if not limits.speeds[0] <= speed <= limits.speeds[1]:
        return None
    if not limits.lengths_mm[0] <= length_mm <= limits.lengths_mm[1]:
        return None
    return Passage(speed, _divide(length_mm, 10), _divide(elapsed * 500, spacing))


def measure_slow(trap: SpeedTrap, on1: int, off1: int, on2: int, off2: int) -> Passage | None:
    """The speed of a vehicle that brakes, stands or starts between the loops; it has no length.

    Its on-times differ, and only the order of its edges says that it is one vehicle: its front is
    at the second loop while its rear is still on the first. One that is shorter than the way
    between has left the first by then, for no longer than it lay on it. None for anything else.
    """
    first, leading, trailing = off1 - on1, on2 - on1, off2 - off1
    if first < MIN_ON_NS or off2 - on2 < MIN_ON_NS or on2 - off1 > first:
        return None
    least = trap.spacing_mm * MIN_ELAPSED_NS_PER_MM
    if trap.spacing_mm < trap.limits.spacing_mm or leading < least or trailing < least:
        return None
    elapsed = leading + trailing
    speed = _divide(trap.spacing_mm * 72_000_000, elapsed)
    return Passage(speed, None, _divide(elapsed * 500, trap.spacing_mm))


def _divide(a: int, b: int) -> int:
    """The nearest integer to a / b."""
    return (2 * a + b) // (2 * b)


def count_by_class(classes: Classes, lengths: Iterable[int]) -> dict[str, int]:
    """How many of these lengths (cm) are of which class; those with none are left out.

    The names are in the order of the alphabet, so that equal counts are equal bytes.
    """
    limits = [limit for _, limit in classes[:-1]]
    counts = [0] * len(classes)
    for length in lengths:
        counts[bisect_left(limits, length)] += 1
    found = sorted(zip((name for name, _ in classes), counts, strict=True))
    return {name: count for name, count in found if count}


def class_of(classes: Classes, length: int) -> str:
    """The class of a length in cm."""
    return classes[bisect_left([limit for _, limit in classes[:-1]], length)][0]


def classes_problem(classes: Classes) -> str | None:
    """Why these are no classes, or None."""
    names, limits = [name for name, _ in classes], [limit for _, limit in classes]
    if not classes or len(set(names)) != len(names) or not all(names):
        return "classes need names, each of them once"
    if limits[0] <= 0 or any(a >= b for a, b in pairwise(limits)):
        return "limits of classes must rise"
    return None
