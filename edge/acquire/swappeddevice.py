"""What becomes of the registers of a device that is another one than before, or may be one.

A total counts growth from one good value to the next. So a value of another device must say that
something before it was lost, and one of a device that has not told yet who it is must wait: its
growth is not lost by that, it is counted with the next good value.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from edge.core import Bad, Point, PointKind, Reason, Sample, Sweep, UncertainValue, uncertain

GAP: Final = uncertain(Reason.GAP)
UNTOLD_READS: Final = 5  # readings after a start: a number that the last does not bring is given up


def mark_gap(points: Sequence[Point], samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """The first values of another device. A register without one says so, too: bad for the gap."""
    return tuple(
        _gap(point.kind is PointKind.TOTAL, sample)
        for point, sample in zip(points, samples, strict=True)
    )


def hold_registers(points: Sequence[Point], samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """Values of a device whose number is not known yet: its registers may be another one's."""
    return tuple(
        _held(sample) if point.kind is PointKind.TOTAL else sample
        for point, sample in zip(points, samples, strict=True)
    )


def mark_ambiguous(found: Sweep, places: Collection[int]) -> Sweep:
    """A sweep whose values of these places are of something else than the sweep's before."""
    pairs = enumerate(zip(found.values, found.qualities, strict=True))
    return replace(
        found,
        qualities=tuple(
            GAP if place in places and value is not None else quality
            for place, (value, quality) in pairs
        ),
    )


def _gap(register: bool, sample: Sample) -> Sample:
    match sample:
        case Bad():
            return Bad(Reason.GAP) if register else sample
        case UncertainValue(value, _):
            return UncertainValue(value, Reason.GAP)
    return UncertainValue(sample, Reason.GAP)


def _held(sample: Sample) -> Sample:
    match sample:
        case Bad():
            return sample
        case UncertainValue(value, _):
            return UncertainValue(value, Reason.WARMUP)
    return UncertainValue(sample, Reason.WARMUP)
