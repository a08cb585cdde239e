"""Records: what leaves the box. A draft has no number yet; the outbox gives it one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, ClassVar, Final, Protocol, Self

from edge.core.clock import TimeQuality

TOPIC_PREFIX: Final = (
    "kerbstone/v1"  # what topics begin with, unless a site is configured otherwise
)


class StreamLevel(IntEnum):
    """What is dropped first when there is no room: the lowest. Also what else is asked of it."""

    RAW = 0
    HEALTH = 1
    SUMMARY = 2  # of each period: two merge into one, and its time must be whole
    SEAL = 3
    URGENT = 4  # goes ahead of all others


class Stream(StrEnum):
    """Kinds of records. Numbers run per stream. All that is asked of a stream stands here; its
    form stands in `edge/wire/contract/catalogue.py`."""

    level: StreamLevel
    retained: bool  # the broker keeps the newest of each source

    TRAFFIC = "traffic", StreamLevel.SUMMARY, True
    BAY = "bay", StreamLevel.SUMMARY, True
    AIR = "air", StreamLevel.SUMMARY, True
    ENERGY = "energy", StreamLevel.SUMMARY, True
    EVENT = "event", StreamLevel.URGENT
    REGISTER = "register", StreamLevel.URGENT, True
    HEALTH = "health", StreamLevel.HEALTH
    MANIFEST = "manifest", StreamLevel.SEAL
    RAW = "raw", StreamLevel.RAW

    def __new__(cls, name: str, level: StreamLevel | None = None, retained: bool = False) -> Self:
        """The name is its value, and what it is compared with. Raises TypeError."""
        if level is None:
            raise TypeError(f"stream {name}: say of which level it is")
        stream = str.__new__(cls, name)
        stream._value_ = name
        stream.level, stream.retained = level, retained
        return stream

    @classmethod
    def of_level(cls, level: StreamLevel) -> frozenset[str]:
        """The names of all streams of this level."""
        return frozenset(str(stream) for stream in cls if stream.level is level)


class Body(Protocol):
    """What a record says: one of the Structs of `edge/wire/contract`."""

    __struct_encode_fields__: ClassVar[tuple[str, ...]]


StoredBody = Mapping[str, Any]
"""A body as it is kept and sent. JSON-like: numbers, text, booleans, None, lists and maps."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a window or an event has to say, before it has a number.

    `from_ns` and `to_ns` are monotonic; for an event both are the moment it speaks of.
    """

    stream: Stream
    source: str
    from_ns: int
    to_ns: int
    body: Body | StoredBody


@dataclass(frozen=True, slots=True)
class RecordKey:
    """What names a record for ever, together with the gateway's id."""

    epoch: int
    stream: Stream
    seq: int


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is known at sending, outside key and digest: wall times (Unix ns) and their quality."""

    from_wall_ns: int
    to_wall_ns: int
    tq: TimeQuality
    backfilled: bool = False  # sent from the backlog, not live
    redelivered: bool = False  # may have been sent before
    bounds_ns: tuple[int | None, int | None] | None = None  # when it can have been; None: unknown


@dataclass(frozen=True, slots=True)
class Record:
    """A numbered draft. `epoch` is one start of the daemon: start counter * 2**32 + 32 random bits.

    The counter wraps at 2**21, so that an epoch stays below 2**53 and JavaScript can read it.
    """

    key: RecordKey
    source: str
    boot: int
    from_ns: int
    to_ns: int
    body: StoredBody = field(hash=False)
