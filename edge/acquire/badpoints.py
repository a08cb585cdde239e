"""Points that a device answers without a value, though another one would be there: since when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from edge.core import Grade, Point, Reason, Sweep
from edge.core.remedies import TEMPORARY_REASONS

# one that was swapped, or is withheld on purpose, is as it should be
MEANT_REASONS: Final = frozenset({*TEMPORARY_REASONS, Reason.GAP, Reason.SUPPRESSED})


@dataclass(frozen=True, slots=True)
class BadPoint:
    """Why it has no value now, and since when it has none (monotonic)."""

    reason: Reason
    since_ns: int


def bad_points(
    before: Mapping[str, BadPoint], result: Sweep, points: Sequence[Point]
) -> dict[str, BadPoint]:
    """By key, after this answer; `before` are those until now."""
    found = {}
    for point, quality in zip(points, result.qualities, strict=True):
        reason, was = quality.reason, before.get(point.key)
        if quality.grade is not Grade.BAD or reason is None:
            continue
        if reason not in MEANT_REASONS:
            found[point.key] = BadPoint(reason, result.mono_ns if was is None else was.since_ns)
        elif was is not None:  # nothing new is no end of it
            found[point.key] = was
    return found
