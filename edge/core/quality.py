"""How far a value can be trusted: a grade, and for all but good one reason from a closed list."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final


class Grade(StrEnum):
    """Three grades, as in OPC UA."""

    GOOD = "good"
    UNCERTAIN = "uncertain"
    BAD = "bad"


class Reason(StrEnum):
    """Why a value is not good. The list is closed: the platform may switch on it."""

    CRC = "crc"  # damaged on the wire: checksum, length, framing
    RANGE = "range"  # outside what the device can measure, or not a number
    SILENT = "silent"  # the device did not answer
    BUSY = "busy"  # the device answered that it is busy
    ADDRESS = "address"  # the device has no such register
    STALE = "stale"  # the device had nothing new
    WARMUP = "warmup"  # the device is running, but has not settled yet
    STUCK = "stuck"  # the same value for too long
    FAULT = "fault"  # the device says itself that it is broken
    CLOCK = "clock"  # the clock was stepped within the window
    CALIBRATION = "calibration"  # calibration expired or missing
    PARTIAL = "partial"  # only a part of the window was watched
    GAP = "gap"  # data before this value were lost
    ESTIMATED = "estimated"  # calculated, not measured
    SUPPRESSED = "suppressed"  # withheld on purpose
    CONTRADICTED = "contradicted"  # it contradicts another value of the same site
    LOOP = "loop"  # the loop that counted is in doubt


@dataclass(frozen=True, slots=True)
class Quality:
    """A grade and a reason. `str()` gives the word used on the wire: `good`, `bad:crc`."""

    grade: Grade
    reason: Reason | None = None

    def __str__(self) -> str:
        return f"{self.grade}:{self.reason}" if self.reason else str(self.grade)


GOOD: Final = Quality(Grade.GOOD)


@cache
def bad(reason: Reason) -> Quality:
    """The one object that says bad for this reason."""
    return Quality(Grade.BAD, reason)


@cache
def uncertain(reason: Reason) -> Quality:
    """The one object that says uncertain for this reason."""
    return Quality(Grade.UNCERTAIN, reason)


def parse_quality(word: str) -> Quality:
    """Back from the wire's word. Raises ValueError for a word that is not in the lists."""
    grade, _, reason = word.partition(":")
    match Grade(grade):
        case Grade.GOOD if not reason:
            return GOOD
        case Grade.BAD:
            return bad(Reason(reason))
        case Grade.UNCERTAIN:
            return uncertain(Reason(reason))
    raise ValueError(f"{word!r} is no quality")
