"""Values with their time and their quality: what travels from a wire to a window."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from edge.core.point import Point
from edge.core.quality import GOOD, Quality, Reason, bad, uncertain

Value = float | int | bool | str


@dataclass(frozen=True, slots=True)
class Bad:
    """A sample that could not be had."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class UncertainValue:
    """A sample that was had, and is to be taken with care: a sensor that still warms up."""

    value: Value
    reason: Reason


Sample = Value | Bad | UncertainValue


def mark_stale(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """The same where they may be of an earlier asking."""
    return tuple(
        one if isinstance(one, Bad | UncertainValue) else UncertainValue(one, Reason.STALE)
        for one in samples
    )


@dataclass(frozen=True, slots=True)
class Reading:
    """A view of one value, for people and tests. The daemon passes sweeps."""

    point: Point
    value: Value | None
    quality: Quality


@dataclass(frozen=True, slots=True)
class Sweep:
    """One device, one moment: a value and a quality per point, in the order of its points.

    `values[i]` is None exactly where `qualities[i]` is bad.
    """

    source: str
    mono_ns: int
    values: tuple[Value | None, ...]
    qualities: tuple[Quality, ...]

    def readings(self, points: Sequence[Point]) -> Iterator[Reading]:
        """Point by point, for people."""
        for point, value, grade in zip(points, self.values, self.qualities, strict=True):
            yield Reading(point, value, grade)


_ALL_GOOD: dict[int, tuple[Quality, ...]] = {}


def all_good(count: int) -> tuple[Quality, ...]:
    """One shared tuple of `count` times good: the usual case costs nothing."""
    found = _ALL_GOOD.get(count)
    if found is None:
        found = _ALL_GOOD[count] = (GOOD,) * count
    return found


def sweep(source: str, mono_ns: int, samples: Sequence[Sample]) -> Sweep:
    """Name and stamp what a driver gave."""
    for sample in samples:
        if sample.__class__ is Bad or sample.__class__ is UncertainValue:
            break
    else:
        return Sweep(source, mono_ns, tuple(samples), all_good(len(samples)))  # type: ignore[arg-type]
    values: list[Value | None] = []
    grades: list[Quality] = []
    for sample in samples:
        match sample:
            case Bad(reason):
                values.append(None)
                grades.append(bad(reason))
            case UncertainValue(value, reason):
                values.append(value)
                grades.append(uncertain(reason))
            case value:
                values.append(value)
                grades.append(GOOD)
    return Sweep(source, mono_ns, tuple(values), tuple(grades))


def failed_sweep(source: str, mono_ns: int, count: int, reason: Reason) -> Sweep:
    """A sweep in which nothing could be had."""
    return Sweep(source, mono_ns, (None,) * count, (bad(reason),) * count)
