"""Counting qualities: so many values were good, so many were not, and why."""

from collections.abc import Mapping
from functools import cache

from edge.core.quality import Grade, Reason, bad, uncertain

Tally = dict[str, int]

word = cache(str)
"""The wire's word of a quality, formatted once."""

GOOD_WORD = str(Grade.GOOD)
STALE = str(bad(Reason.STALE))
BAD_GAP = str(bad(Reason.GAP))
BAD_RANGE = str(bad(Reason.RANGE))
STUCK = str(bad(Reason.STUCK))
BAD_LOOP = str(bad(Reason.LOOP))
FAULT = str(bad(Reason.FAULT))
SUPPRESSED = str(bad(Reason.SUPPRESSED))
GAP = str(uncertain(Reason.GAP))
DOUBT_RANGE = str(uncertain(Reason.RANGE))
DOUBT_LOOP = str(uncertain(Reason.LOOP))
CONTRADICTED = str(uncertain(Reason.CONTRADICTED))


def count(tally: Tally, name: str, by: int = 1) -> None:
    """`by` more of `name`; zero leaves no trace."""
    if by:
        tally[name] = tally.get(name, 0) + by


def contradict(tally: Tally) -> bool:
    """What was good is uncertain: a neighbour says that it cannot be so. Was there anything?"""
    good = tally.pop(GOOD_WORD, 0)
    count(tally, CONTRADICTED, good)
    return good > 0


def added(a: Mapping[str, int], b: Mapping[str, int]) -> Tally:
    """Both tallies as one, sorted by word so that equal tallies are equal bytes."""
    return {name: a.get(name, 0) + b.get(name, 0) for name in sorted({*a, *b})}
