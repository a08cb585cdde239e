"""How full the outbox is, what it has done since its start, and how long its room lasts.

How many rows lie in some spans is told without reading them: a week of them is half a gigabyte.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from msgspec import UNSET

from edge.outbox.diskoutbox import DiskOutbox
from edge.outbox.downsample import Downsampler
from edge.outbox.eviction import EVICT_MARGIN_BYTES, evict_margin, row_bytes
from edge.outbox.failover import FailoverStorage
from edge.outbox.foreignoutbox import foreign_bytes, list_foreign
from edge.outbox.mergeable import RowRanges, is_open_ended
from edge.outbox.quarantine import quarantine_usage
from edge.outbox.rowformat import SUMMARY_LEVEL, OutboxRow
from edge.wire.contract.body import known
from edge.wire.contract.health import Health

STARTS_LIMIT: Final = 64  # that are looked at; with more of them it says too little

HOUR_NS: Final = 3_600_000_000_000
SLOT_WIDTH_NS: Final = 60_000_000_000  # commits of a minute are one entry
MIN_SPAN_NS: Final = 120_000_000_000  # a rate of less than that says nothing


class Inflow(NamedTuple):
    """Bytes that came within `over_ns`: of summaries, and of the rest; rows of any kind."""

    over_ns: int
    summaries: int
    others: int
    rows: int


class FillRate:
    """The bytes of the last hour, by the monotonic times of the commits. Bounded."""

    def __init__(self) -> None:
        # [first ns, last ns, summary bytes, other bytes, rows] of some commits
        self._slots: deque[list[int]] = deque()

    def add(self, mono_ns: int, summary_bytes: int, other_bytes: int, rows: int) -> None:
        """One commit."""
        slots = self._slots
        if slots and mono_ns < slots[-1][1]:  # another clock: begin anew
            slots.clear()
        if not slots or mono_ns - slots[-1][0] >= SLOT_WIDTH_NS:
            slots.append([mono_ns, mono_ns, 0, 0, 0])
        slot = slots[-1]
        slot[1] = mono_ns
        slot[2] += summary_bytes
        slot[3] += other_bytes
        slot[4] += rows
        while len(slots) > 1 and mono_ns - slots[1][0] >= HOUR_NS:
            slots.popleft()

    def inflow(self) -> Inflow:
        """What came after the first entry: that one says when the time begins."""
        if not self._slots:
            return Inflow(0, 0, 0, 0)
        first, *rest = self._slots
        over_ns = self._slots[-1][1] - first[1]
        sums = [sum(slot[place] for slot in rest) for place in (2, 3, 4)]
        return Inflow(over_ns, *sums)


class DownsampleOutlook(NamedTuple):
    """What merging can still do."""

    gain: float  # bytes that the rows that wait would give back
    ratio: float  # by which summaries shrink
    coming: bool  # those that are to come will merge, too
    margin: int  # bytes: when room runs out and merging gives less back, the oldest rows go


def forecast_full(room: int, inflow: Inflow) -> float | None:
    """Seconds until `room` bytes are used up; None when nobody can say, or never."""
    return _rounded(room, inflow.summaries + inflow.others, inflow.over_ns)


def forecast_drop(room: int, inflow: Inflow, outlook: DownsampleOutlook) -> float | None:
    """Seconds until the first row is dropped, as above.

    Each time that room runs out merging makes `margin` of it, from what waited and what has come
    since; the last time it cannot, and what it has left is of no use.
    """
    came, ratio = inflow.summaries + inflow.others, outlook.ratio
    saved = inflow.summaries * (1 - 1 / ratio) if outlook.coming else 0.0
    if came <= 0:
        return None
    room = max(0, room)
    left = outlook.gain + room * saved / came - outlook.margin
    if left < 0:
        return forecast_full(room, inflow)
    lasts = room + outlook.margin + left * came / (came - saved)
    return _rounded(lasts, came, inflow.over_ns)


def _rounded(room: float, came: float, over_ns: int) -> float | None:
    if over_ns < MIN_SPAN_NS or came <= 0:
        return None
    return round(max(0.0, room) * over_ns / came / 1e9, 1)


def count_rows(disk: DiskOutbox, spans: RowRanges) -> int:
    """Rows of a start are numbered one after the other, so what has not merged and was not
    confirmed lies without holes. Raises sqlite3.Error."""
    count = 0
    for first, last in reversed(spans):
        for _ in range(STARTS_LIMIT):
            newest = _outermost_row(disk, first, last, "DESC")
            if newest is None:
                break
            begin = max(first, newest >> 32 << 32)
            oldest = _outermost_row(disk, begin, newest, "ASC")
            count += newest - (newest if oldest is None else oldest) + 1
            last = begin - 1
    return count


def _outermost_row(disk: DiskOutbox, first: int, last: int, order: str) -> int | None:
    found = disk.rows(
        f"SELECT id FROM record WHERE id BETWEEN ? AND ? ORDER BY id {order} LIMIT 1",
        (first, last),
    )
    return found[0][0] if found else None


@dataclass(frozen=True, slots=True)
class OutboxCounts:
    """How full the outbox is. `streams` counts rows; `size` is the bytes of database, log and
    quarantine, which `limit` bounds. Sums are since the start."""

    rows: int = 0
    streams: Mapping[str, int] = field(default_factory=dict)
    size: int = 0
    limit: int = 0
    oldest: tuple[int, int] | None = None  # boot and monotonic ns of the oldest row
    confirmed: int = 0  # of `rows`: they have arrived, and go with the next commit
    dropped: int = 0
    damaged: int = 0
    dead_letters: int = 0
    quarantined: int = 0
    foreign_files: list[str] = field(
        default_factory=list
    )  # databases of another version of this program
    in_memory: str | None = None  # why nothing is written to disk
    commits: int = 0
    bytes_in: int = 0  # of the bodies of all records that were taken
    downsampled: int = 0  # rows that were merged into others
    wal: int = 0  # bytes of the log, as it is on disk
    ballast: int = 0  # bytes set aside for a full disk, outside of `limit`
    # seconds until there is no more room, at the rate of the last hour and with nothing leaving;
    # with downsampling; None: not known yet, or never
    forecast_s: float | None = None
    forecast_downsampled_s: float | None = None

    def oldest_age_s(self, boot: int, now_ns: int) -> float | None:
        """Of the oldest row. One of another boot has an age that nobody knows here."""
        if self.oldest is None or self.oldest[0] != boot:
            return None
        return round(max(0, now_ns - self.oldest[1]) / 1e9, 1)

    def health(self, boot: int, now_ns: int) -> Health:
        """What a health record says of it."""
        forecast_s, downsampled_s = self.forecast_s, self.forecast_downsampled_s
        return Health(
            queue_rows=self.rows,
            queue_bytes=self.size,
            queue_limit_bytes=self.limit,
            queue_age_s=known(self.oldest_age_s(boot, now_ns)),
            queue_forecast_s=UNSET if forecast_s is None else round(forecast_s),
            queue_forecast_downsampled_s=UNSET if downsampled_s is None else round(downsampled_s),
            dropped=self.dropped,
            downsampled=self.downsampled,
            damaged=self.damaged,
            dead_letters=self.dead_letters,
            quarantined=self.quarantined,
            in_memory=self.in_memory is not None,
        )


class OutboxStats:
    """Of one start. Sums, and the rate of the last hour."""

    def __init__(self) -> None:
        self.commits = self.bytes_in = self.dropped = self.damaged = 0
        self._rate = FillRate()
        self._latest = 0  # bytes that the latest commit has taken

    def committed(self, rows: Sequence[OutboxRow], mono_ns: int | None) -> None:
        """One commit; without a time it does not count for the rate."""
        self.commits += 1
        self.bytes_in += sum(len(row.body) for row in rows)
        if mono_ns is None:
            return
        sizes = [row_bytes(row.body) for row in rows if row.level == SUMMARY_LEVEL]
        others = sum(row_bytes(row.body) for row in rows if row.level != SUMMARY_LEVEL)
        self._latest = sum(sizes) + others
        self._rate.add(mono_ns, sum(sizes), others, len(rows))

    def counts(
        self, storage: FailoverStorage, downsampler: Downsampler | None, spans: RowRanges
    ) -> OutboxCounts:
        """How full the outbox is, and what has happened since the start."""
        folder, limit = storage.place.folder, storage.place.limit_bytes
        kept, in_quarantine = quarantine_usage(folder)
        first, streams = storage.after(0, 1), storage.tally()
        unknown: tuple[float | None, float | None] = (None, None)
        plain, downsampled = storage.ask(
            lambda disk: self.forecasts(disk, limit, downsampler, spans), unknown
        )
        return OutboxCounts(
            rows=sum(streams.values()),
            streams=streams,
            size=in_quarantine + foreign_bytes(folder) + storage.read(DiskOutbox.size, 0),
            limit=limit,
            oldest=(first[0].boot, first[0].from_ns) if first else None,
            dropped=self.dropped,
            damaged=self.damaged,
            dead_letters=storage.read(DiskOutbox.dead_letter_count, 0),
            quarantined=kept,
            foreign_files=[str(path) for path in list_foreign(folder)],
            in_memory=storage.in_memory,
            commits=self.commits,
            bytes_in=self.bytes_in,
            downsampled=downsampler.rows if downsampler else 0,
            wal=storage.ask(DiskOutbox.wal_size, 0),
            ballast=storage.ballast.size,
            forecast_s=plain,
            forecast_downsampled_s=downsampled,
        )

    def forecasts(
        self, disk: DiskOutbox, limit_bytes: int, downsampler: Downsampler | None, spans: RowRanges
    ) -> tuple[float | None, float | None]:
        """Seconds until there is no room, and until a row is dropped; only rows within `spans` may
        merge. Raises sqlite3.Error."""
        room, inflow = disk.room() - EVICT_MARGIN_BYTES - self._latest, self._rate.inflow()
        plain = forecast_full(room, inflow)
        if downsampler is None:
            return plain, plain
        where = downsampler.mergeable_ranges(disk, spans)
        waiting = count_rows(disk, where)
        downsampler.estimate(disk, where, waiting)
        size = min(waiting * inflow.summaries // max(1, inflow.rows), disk.used_bytes())
        outlook = DownsampleOutlook(
            gain=size * (1 - 1 / downsampler.ratio),
            ratio=downsampler.ratio,
            coming=is_open_ended(spans),
            margin=evict_margin(limit_bytes),
        )
        return plain, forecast_drop(room, inflow, outlook)
