"""Time: a moment on both clocks, how far its wall clock can be trusted, and who tells it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol, Self

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class TimeQuality(StrEnum):
    """How far a wall clock can be trusted, the least first. The words go on the wire and to disk.

    `rank` is the order; as texts they compare by their letters. `is_guessed`: nobody has told it
    the time, so what is dated by it is sent with bounds. `is_synchronised`: a time service vouches
    for it.
    """

    rank: int
    is_guessed: bool
    is_synchronised: bool

    def __new__(cls, word: str, guessed: bool = False, synchronised: bool = False) -> Self:
        made = str.__new__(cls, word)
        made._value_, made.rank = word, len(cls.__members__)
        # attributes, for they are asked per record: a property takes three times as long
        made.is_guessed, made.is_synchronised = guessed, synchronised
        return made

    NONE = "none", True, False  # not known; may be 1970
    FLOOR = "floor", True, False  # the earliest that it can be
    RTC = "rtc", False, False  # of the board's battery clock
    NTP = "ntp", False, True
    NTS = "nts", False, True  # with authentication

    @classmethod
    def parse(cls, word: object) -> "TimeQuality | None":
        """From outside, or from a page that may be damaged; None for what is none of the words."""
        return cls(word) if isinstance(word, str) and word in cls._value2member_map_ else None


@dataclass(frozen=True, slots=True, order=True)
class Stamp:
    """A moment: monotonic for order, wall for people, `tq` for trust in the wall clock."""

    mono_ns: int
    wall_ns: int
    tq: TimeQuality

    @property
    def offset_ns(self) -> int:
        """Wall - monotonic: it holds until the wall is set."""
        return self.wall_ns - self.mono_ns

    def utc(self) -> datetime:
        """Its wall time; the caller knows what that is worth."""
        return EPOCH + timedelta(microseconds=self.wall_ns // 1000)


class Clock(Protocol):
    """The only source of time, of every process. May be asked from any thread."""

    def now(self) -> Stamp: ...


class AsyncClock(Clock, Protocol):
    """For who waits in an event loop: others go on."""

    async def sleep_until(self, mono_ns: int) -> None: ...


class BlockingClock(Clock, Protocol):
    """For who waits in a process without a loop, or in a thread of its own."""

    def wait_until(self, mono_ns: int) -> None: ...
