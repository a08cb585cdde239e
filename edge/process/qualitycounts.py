"""Counting qualities: so many values were good, so many were not, and why."""

from collections.abc import Mapping
from functools import cache

from edge.core.quality import Grade, Reason, bad, uncertain

QualityCounts = dict[str, int]

quality_word = cache(str)
"""The wire's word of a quality, formatted once."""

GOOD_WORD = str(Grade.GOOD)
BAD_STALE = str(bad(Reason.STALE))
BAD_GAP = str(bad(Reason.GAP))
BAD_RANGE = str(bad(Reason.RANGE))
BAD_STUCK = str(bad(Reason.STUCK))
BAD_LOOP = str(bad(Reason.LOOP))
BAD_FAULT = str(bad(Reason.FAULT))
BAD_SUPPRESSED = str(bad(Reason.SUPPRESSED))
UNCERTAIN_GAP = str(uncertain(Reason.GAP))
UNCERTAIN_RANGE = str(uncertain(Reason.RANGE))
UNCERTAIN_ESTIMATED = str(uncertain(Reason.ESTIMATED))
UNCERTAIN_LOOP = str(uncertain(Reason.LOOP))
UNCERTAIN_CONTRADICTED = str(uncertain(Reason.CONTRADICTED))


def add_count(tally: QualityCounts, name: str, by: int = 1) -> None:
    """`by` more of `name`; zero leaves no trace."""
    if by:
        tally[name] = tally.get(name, 0) + by


def mark_contradicted(tally: QualityCounts) -> bool:
    """What was good is uncertain: a neighbour says that it cannot be so. Was there anything?"""
    good = tally.pop(GOOD_WORD, 0)
    add_count(tally, UNCERTAIN_CONTRADICTED, good)
    return good > 0


def sum_counts(a: Mapping[str, int], b: Mapping[str, int]) -> QualityCounts:
    """Both tallies as one, sorted by word so that equal tallies are equal bytes."""
    return {name: a.get(name, 0) + b.get(name, 0) for name in sorted({*a, *b})}
