"""The records of one simulated gateway: numbered as an outbox numbers them, made when they go out.

A row of the street is known by its minute and its place, and is made anew from these each time. Of
the others (the gap at the start, health, manifests) the body is kept until the row is confirmed.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from msgspec import UNSET

from edge.core import Draft, Envelope, Record, RecordKey, Stream, TimeQuality
from edge.fleet.ledger import FormerEpoch
from edge.fleet.street import Street
from edge.outbox.epochs import START_COUNT_WRAP
from edge.wire.clockmoments import Moment, make_moment
from edge.wire.contract.body import body_map
from edge.wire.contract.boxevent import Gap, PreviousEpoch

MINUTE_NS: Final = 60_000_000_000
UP_NS: Final = 120_000_000_000  # of the boot when the daemon starts
OTHER_ROWS: Final = 1 << 40  # row numbers of what is kept; those of the street lie below
STARTS: Final = 200  # of a box before this run, at most
SOURCE: Final = "gateway"


@dataclass(frozen=True, slots=True)
class BoxStart:
    """A start of a gateway. `number` is its own, whatever the start; `minute`: of the wall, counted
    from 1970, in which it begins."""

    gw: str
    number: int
    epoch: int
    boot: int
    minute: int
    former: FormerEpoch | None

    @property
    def offset_ns(self) -> int:
        """Wall - monotonic."""
        return self.minute * MINUTE_NS - UP_NS

    @property
    def moment(self) -> Moment:
        """By which all of its records are dated."""
        return make_moment(self.boot, 0, self.offset_ns, TimeQuality.NTP, (None, None))


def plan_start(gw: str, minute: int, former: FormerEpoch | None, rng: random.Random) -> BoxStart:
    """The next start of a box, or the first that a fleet knows of: in this minute, or where the
    epoch before has ended."""
    number = crc32(gw.encode())
    count = rng.randrange(1, STARTS) if former is None else (former.epoch >> 32) + 1
    epoch = count % START_COUNT_WRAP << 32 | rng.getrandbits(32)
    boot = rng.randrange(1, STARTS) if former is None else former.boot + 1
    minute = minute if former is None else max(minute, former.minute)
    return BoxStart(gw, number, epoch, boot, minute, former)


class BoxRecords:
    """Rows by their numbers. `minutes` have passed."""

    def __init__(self, start: BoxStart, street: Street) -> None:
        self._start, self._street = start, street
        self.minutes = 0
        self._kept: dict[int, Record] = {}
        self._others = OTHER_ROWS
        self._last: dict[Stream, int] = {}  # numbers of what is kept

    @property
    def former(self) -> PreviousEpoch | None:
        """The epoch before, as this one names it."""
        former = self._start.former
        if former is None:
            return None
        return PreviousEpoch(epoch=former.epoch, last=dict(former.last))

    @property
    def now_ns(self) -> int:
        """The end of the last minute, on the monotonic clock."""
        return UP_NS + self.minutes * MINUTE_NS

    def begin(self) -> int:
        """The gap with which each start begins."""
        former = self._start.former
        text = "Nothing is known of the time before this start."
        if former is not None:
            text = "The box was off, or restarted: what was not committed is lost."
        gap = Gap(
            reason="start" if former is None else "power",
            sources=["*"],
            gap=(None, UP_NS // 1000),
            boot_before=None if former is None else former.boot,
            text=text,
            former=self.former or UNSET,
        )
        return self.keep(Draft(Stream.EVENT, SOURCE, UP_NS, UP_NS, gap))

    def pass_minute(self) -> range:
        """The rows that it leaves."""
        first = self.minutes * len(self._street)
        self.minutes += 1
        return range(first, first + len(self._street))

    def keep(self, draft: Draft) -> int:
        """The row of a record that cannot be made anew."""
        number = self._last[draft.stream] = self._last.get(draft.stream, 0) + 1
        row, self._others = self._others, self._others + 1
        self._kept[row] = Record(
            RecordKey(self._start.epoch, draft.stream, number),
            draft.source, self._start.boot, draft.from_ns, draft.to_ns, body_map(draft.body),
        )  # fmt: skip
        return row

    def key(self, row: int) -> RecordKey:
        """What names the record of a row."""
        if row >= OTHER_ROWS:
            return self._kept[row].key
        minute, place = divmod(row, len(self._street))
        return self._street_key(minute, place)

    def record(self, row: int) -> Record:
        """Of a row that is not forgotten."""
        if row >= OTHER_ROWS:
            return self._kept[row]
        street, start = self._street, self._start
        minute, place = divmod(row, len(street))
        from_ns = UP_NS + minute * MINUTE_NS
        return Record(
            self._street_key(minute, place),
            street.sources[place], start.boot, from_ns, from_ns + MINUTE_NS,
            street.body(start.number, start.minute + minute, place),
        )  # fmt: skip

    def envelope(self, record: Record, *, backfilled: bool, redelivered: bool) -> Envelope:
        """Its wall times."""
        offset_ns = self._start.offset_ns
        return Envelope(
            record.from_ns + offset_ns, record.to_ns + offset_ns, TimeQuality.NTP,
            backfilled, redelivered,
        )  # fmt: skip

    def forget(self, row: int) -> None:
        """It is confirmed."""
        self._kept.pop(row, None)

    def _street_key(self, minute: int, place: int) -> RecordKey:
        stream = self._street.streams[place]
        number = minute + 1
        if stream is Stream.TRAFFIC:
            number = minute * len(self._street.lanes) + place + 1
        return RecordKey(self._start.epoch, stream, number)


def gateway_names(first: str, count: int) -> Iterator[str]:
    """`gw-00001`, `gw-00002`, ... : the first is counted on, with as many digits."""
    head = first.rstrip("0123456789")
    digits = first[len(head) :]
    if not digits:
        raise ValueError(f"{first!r}: end it with a number, such as gw-00001")
    yield from (
        f"{head}{number:0{len(digits)}}" for number in range(int(digits), int(digits) + count)
    )
