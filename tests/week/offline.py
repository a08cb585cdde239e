"""One hour of a street, again and again, into a real outbox whose link is never up.

The hour's records are re-timed; registers go on where the hour before left them. Events come now
and then, a health record every 15 min. `Account` proves from the rows what became of each number.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from edge.core import Draft, Stamp, Stream
from edge.outbox import StoredRecord
from edge.outbox.outbox import Outbox
from edge.process.resolution import resolution_of
from tests.kit.asread import as_read
from tests.kit.clock import NTP
from tests.kit.virtualgateway import MONO_0, WALL_0, Commit, S, summaries

QUARTER: Final = 15  # minutes between two health records
FAULT_EVERY: Final = 37  # minutes: then a meter falls silent, and answers again
PAGE: Final = 1000  # rows read at one time

HEALTH: Final[Mapping[str, Any]] = {
    "uptime_s": 86_400.5, "reboot_cause": "power", "clock_synchronised": True,
    "queue_rows": 201_600, "queue_bytes": 123_456_789, "queue_limit_bytes": 268_435_456,
    "queue_age_s": 601_234.5, "queue_forecast_s": 1_234_567.8, "queue_forecast_downsampled_s": 9e6,
    "dropped": 0, "downsampled": 0, "connected": False, "sent": 0, "confirmed": 0, "late": 0,
    "reads": 1_728_000, "errors": 12, "device_error_ratio": {"meter_3": 0.0012, "meter_7": 0.0001},
    "flash_written_mb_day": 41.37, "flash_own_mb_day": 33.12, "card_life_years": 21.3,
    "card_endurance_tb": 0.4, "disk_free_bytes": 11_234_567_890, "disk_total_bytes": 31_234_567_890,
    "load": 0.31, "memory_free_bytes": 234_567_890, "temperature": 48.2, "throttled": [],
    "log_lines": 123, "log_suppressed": 0, "log_bytes": 12_345, "alarms": [],
}  # fmt: skip


class Again:
    """The commits of minutes 0, 1, 2, ... without an end, of one hour that is repeated."""

    def __init__(self, hour: Sequence[Commit]) -> None:
        self._hour = hour
        self._span_ns = hour[-1].at_ns - hour[0].at_ns + 60 * S
        self._grown = growth(hour)

    def __iter__(self) -> Iterator[Commit]:
        round_ = minute = 0
        while True:
            for commit in self._hour:
                minute += commit.closes
                moved = tuple(self._moved(draft, round_) for draft in commit.drafts)
                at_ns = commit.at_ns + round_ * self._span_ns
                if minute % QUARTER == 0:
                    moved += (Draft(Stream.HEALTH, "gateway", at_ns, at_ns, HEALTH),)
                yield Commit(at_ns, moved, commit.states)
                if minute % FAULT_EVERY == 0:
                    yield from faults(at_ns + 5 * S, commit.states["app"])
            round_ += 1

    def _moved(self, draft: Draft, round_: int) -> Draft:
        shift = round_ * self._span_ns
        body = as_read(draft)
        if "points" in body:
            body["points"] = {
                key: self._later(draft.source, key, point, round_) if "first" in point else point
                for key, point in body["points"].items()
            }
        return Draft(draft.stream, draft.source, draft.from_ns + shift, draft.to_ns + shift, body)

    def _later(self, source: str, key: str, point: Any, round_: int) -> dict[str, Any]:
        step, more = resolution_of(point["step"]), round_ * self._grown[source, key]
        ends = {name: step.value(step.steps(point[name]) + more) for name in ("first", "last")}
        return {**point, **ends}


def growth(hour: Sequence[Commit]) -> Mapping[tuple[str, str], int]:
    """By how many steps each register grows in the hour: the next begins where it ends."""
    firsts: dict[tuple[str, str], int] = {}
    lasts: dict[tuple[str, str], int] = {}
    for draft in summaries(hour):
        for key, point in as_read(draft)["points"].items():
            if "first" in point:
                step, name = resolution_of(point["step"]), (draft.source, key)
                firsts.setdefault(name, step.steps(point["first"]))
                lasts[name] = step.steps(point["last"])
    return {name: lasts[name] - first for name, first in firsts.items()}


def faults(at_ns: int, app: tuple[int, bytes]) -> Iterator[Commit]:
    """A device falls silent and answers again: two events, which do not wait for the minute."""
    body = {"event": "sensor_fault", "state": "on", "reason": "silent",
            "text": "meter_7: no answer within 0.5 s"}  # fmt: skip
    well = {"event": "sensor_fault", "state": "off", "text": "meter_7: answers again"}
    for late_s, each in ((0, body), (20, well)):
        moment = at_ns + late_s * S
        event = Draft(Stream.EVENT, "meter_7", moment, moment, each)
        yield Commit(moment, (event,), {"app": app})


def mark(at_ns: int) -> Stamp:
    return Stamp(at_ns, WALL_0 - MONO_0 + at_ns, NTP)


@dataclass(slots=True)
class Fed:
    """What was put in: how many drafts of each stream; and the growth of each register."""

    minutes: int = 0
    commits: int = 0
    drafts: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)  # covered, by source

    def take(self, outbox: Outbox, commit: Commit) -> None:
        outbox.commit(commit.drafts, commit.states, clock=mark(commit.at_ns))
        self.commits += 1
        for draft in commit.drafts:
            self.drafts[str(draft.stream)] += 1
            if "points" in as_read(draft):
                self.seconds[draft.source] += round(as_read(draft)["covered_s"])
        self.minutes += commit.closes


@dataclass(slots=True)
class Account:
    """What lies in the outbox, counted row by row. Nothing may be missing, nothing twice."""

    whole: int = 0  # rows that stand for themselves
    merged: int = 0  # rows that stand for more
    numbers: dict[str, Counter[int]] = field(default_factory=dict)
    lost: dict[str, set[int]] = field(default_factory=dict)  # what drop events declare
    seconds: Counter[str] = field(default_factory=Counter)

    def take(self, rows: Iterable[StoredRecord]) -> None:
        for stored in rows:
            record = stored.record
            covers = record.body.get("covers")
            found = self.numbers.setdefault(str(record.key.stream), Counter())
            if covers is None:
                self.whole += 1
                found[record.key.seq] += 1
            else:
                self.merged += 1
                for first, last, step in covers:
                    found.update(range(first, last + 1, step))
            if "points" in record.body:
                self.seconds[record.source] += round(record.body["covered_s"])
            if record.body.get("event") == "drop":
                first, last = record.body["range"]
                assert record.body["count"] == last - first + 1, "a range with holes"
                self.lost.setdefault(record.body["stream_of"], set()).update(range(first, last + 1))

    def check(self, fed: Fed) -> None:
        """Every number of every stream once, or declared; every second of every source."""
        for stream, count in fed.drafts.items():
            found, lost = self.numbers.get(stream, Counter()), self.lost.get(stream, set())
            assert set(found.values()) <= {1}, stream
            assert not lost & found.keys(), stream
            last = max((*found, *lost))
            assert lost | found.keys() == set(range(1, last + 1)), stream
            assert last >= count, stream
        assert self.seconds == fed.seconds


def account(outbox: Outbox, at_ns: int) -> Account:
    """Of all rows, read as the sender would; after a first confirmation, since losses are declared
    only when somebody hears again. The row that it takes away is counted, too."""
    made, after = Account(), 0
    first = outbox.pending(0, 1, urgent=True)
    made.take(first)
    outbox.commit((), {}, [stored.row for stored in first], clock=mark(at_ns))
    while rows := outbox.pending(after, PAGE):
        made.take(rows)
        after = rows[-1].row
    return made
