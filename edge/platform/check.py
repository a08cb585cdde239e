"""The auditor: is everything there that a gateway has numbered, once, and is no time missing?

Pure: it is fed with messages in the order of their arrival, which is not the order of their
numbers: live records overtake the backlog. So it judges at the end, and not before.
"""

import hashlib
import json
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from edge.platform.numbers import Numbers, Range, said, size, without
from edge.platform.timeline import SLACK_US, Timeline, uncovered
from edge.uplink.wire.decode import Message

ENVELOPE: Final = frozenset({"from", "to", "tq", "late", "again"})  # may differ when sent again
TIMED: Final = frozenset({"traffic", "bay", "air", "energy"})  # streams whose time must be whole
REMEMBERED: Final = 50_000  # contents of a stream, for telling a duplicate from a conflict
IN_FLIGHT: Final = 200  # messages that a broker may send again after our connection was lost
SHOWN: Final = 200  # duplicates and the like that are told one by one

StreamKey = tuple[str, int, str]  # gateway, epoch, stream


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that should not be. `kind` is a word for programs, `text` a sentence."""

    kind: str
    text: str


@dataclass(slots=True)
class Report:
    """What the auditor says in the end."""

    records: int = 0  # each counted once
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not self.findings


@dataclass(frozen=True, slots=True)
class _Gap:
    sources: tuple[str, ...]
    boot: int
    from_us: int
    to_us: int
    boot_before: int

    def names(self, source: str) -> bool:
        return "*" in self.sources or source in self.sources


@dataclass(frozen=True, slots=True)
class _Drop:
    first: int
    last: int | None
    count: int | None


class Auditor:
    """`take` every message, then `report`."""

    def __init__(self) -> None:
        self._records = 0
        self._numbers: dict[StreamKey, Numbers] = {}
        self._joined: dict[str, int] = {}  # gateway -> epoch that was running when we came
        self._contents: dict[StreamKey, OrderedDict[int, tuple[bytes, bool]]] = {}
        self._timelines: dict[tuple[str, str, str], dict[int, Timeline]] = {}
        self._gaps: dict[str, list[_Gap]] = {}
        self._drops: dict[StreamKey, list[_Drop]] = {}
        self._formers: dict[str, dict[int, Mapping[str, Any]]] = {}
        self._latest: deque[tuple[str, int, str, int]] = deque(maxlen=IN_FLIGHT)
        self._forgiven: set[tuple[str, int, str, int]] = set()
        self._found: list[Finding] = []
        self._hidden = 0
        self._redelivered = 0

    def take(self, message: Message) -> None:
        """One decoded message; retained copies (`last`, `status`, `meta`) are no records."""
        if message.kind != "record":
            return
        gw, epoch, stream, seq = key = message.key
        self._joined.setdefault(gw, epoch)
        is_new = self._numbers.setdefault((gw, epoch, stream), Numbers()).add(seq)
        data = message.data
        if not self._compare(key, data, is_new):
            return
        self._records += 1
        self._latest.append(key)
        if stream in TIMED:
            self._time(message)
        elif stream == "event":
            self._event(gw, data)

    def undecodable(self, topic: str, why: str) -> None:
        """A message that is not what the wire format allows."""
        self._find("undecodable", f"{topic}: {why}")

    def reconnected(self) -> None:
        """Our own connection was lost: the broker may send its last messages again."""
        self._forgiven = set(self._latest)

    def lost(self, count: int) -> None:
        """This program was too slow, and threw messages away."""
        self._find("overrun", f"{count} messages came faster than they could be checked")

    def report(self) -> Report:
        """The verdict over all that has come until now."""
        report = Report(self._records, list(self._found))
        if self._hidden:
            report.notes.append(f"{self._hidden} more findings of these kinds are not shown")
        if self._redelivered:
            report.notes.append(f"{self._redelivered} messages came again after a reconnection")
        for gw in self._joined:
            report.findings.extend(self._missing(gw, report.notes))
            report.findings.extend(self._holes(gw))
        return report

    # -- taking ------------------------------------------------------------------------------------

    def _compare(self, key: tuple[str, int, str, int], data: Mapping[str, Any], new: bool) -> bool:
        """Whether the record is new; a second one under the same number is looked at closely."""
        contents = self._contents.setdefault(key[:3], OrderedDict())
        digest, again = _digest(data), bool(data.get("again"))
        before = contents.get(key[3])
        if before is None:
            contents[key[3]] = digest, again
            if len(contents) > REMEMBERED:
                contents.popitem(last=False)
            if not new and not again:
                self._find("duplicate", f"{_name(key)} came twice, the first time long ago")
            return new
        if before[0] != digest:
            self._find("conflict", f"{_name(key)} came with two different contents")
        elif key in self._forgiven:
            self._redelivered += 1
        elif not (again or before[1]):
            self._find("duplicate", f"{_name(key)} came twice, and neither says `again`")
        return False

    def _time(self, message: Message) -> None:
        data, gw = message.data, message.topic.gw
        from_us, to_us = data["mono"]
        boots = self._timelines.setdefault((gw, data["stream"], message.topic.source), {})
        timeline = boots.setdefault(data["boot"], Timeline())
        if not timeline.add(from_us, to_us, (data["epoch"], data["seq"])):
            text = f"{_name(message.key)} speaks of a time of {message.topic.source}"
            self._find("overlap", f"{text} that another record has told ({from_us}..{to_us} us)")

    def _event(self, gw: str, data: Mapping[str, Any]) -> None:
        match data:
            case {
                "event": "gap",
                "gap": [int() | None as start, int(end)],
                "sources": [*sources],
            }:
                before = data.get("boot_before")
                names = tuple(str(source) for source in sources)
                if not isinstance(before, int):
                    before = data["boot"]
                self._gaps.setdefault(gw, []).append(
                    _Gap(names, data["boot"], start or 0, end, before)
                )
                if isinstance(data.get("former"), dict):
                    self._former(gw, data["epoch"], data["former"])
            case {"event": "drop", "epoch_of": int(epoch), "stream_of": str(stream)}:
                match data:
                    case {"range": [int(first), int(last)], "count": int(count)}:
                        drop = _Drop(first, last, count)
                    case _:
                        drop = _Drop(1, None, None)
                self._drops.setdefault((gw, epoch, stream), []).append(drop)

    def _former(self, gw: str, epoch: int, former: Mapping[str, Any]) -> None:
        match former:
            case {"epoch": int(of), "last": dict(last)} if of < epoch:
                self._formers.setdefault(gw, {})[of] = last

    def _find(self, kind: str, text: str) -> None:
        if len(self._found) < SHOWN:
            self._found.append(Finding(kind, text))
        else:
            self._hidden += 1

    # -- judging -----------------------------------------------------------------------------------

    def _missing(self, gw: str, notes: list[str]) -> Iterator[Finding]:
        joined = self._joined[gw]
        oldest = min(epoch for name, epoch, _ in self._numbers if name == gw)
        formers = self._formers.get(gw, {})
        keys = {key for key in self._numbers if key[0] == gw}
        # an epoch of which nothing at all has come is known from the one after it
        for epoch, last in formers.items():
            if epoch > oldest:
                keys |= {(gw, epoch, stream) for stream in last}
        for key in sorted(keys):
            _, epoch, stream = key
            numbers = self._numbers.get(key, Numbers())
            seen = key in self._numbers
            known: Any = formers.get(epoch, {}).get(stream)
            end = numbers.last if seen else 0
            if isinstance(known, int):
                if seen and end > known:
                    text = f"{gw} {epoch}/{stream} has come up to {end}, the gateway knows {known}"
                    yield Finding("damage", f"{text}: its memory was damaged or set back")
                end = max(end, known)
            start = 1
            if epoch <= joined:
                if not seen:
                    continue
                start = numbers.first
                if start > 1:
                    notes.append(f"{gw} {epoch}/{stream}: joined at number {start}")
            yield from self._unexplained(key, list(numbers.missing(start, end)))

    def _unexplained(self, key: StreamKey, missing: list[Range]) -> Iterator[Finding]:
        if not missing:
            return
        gw, epoch, stream = key
        drops = self._drops.get(key, [])
        ranges = [(drop.first, _end(drop)) for drop in drops]
        if self._all_declared(gw, epoch):
            return
        left = without(missing, ranges)
        declared = size(missing) - size(left)
        allowed = [drop.count for drop in drops]
        if left:
            text = f"{gw} {epoch}/{stream}: {size(left)} numbers are missing: {said(left)}"
            yield Finding("missing", text)
        if None not in allowed and declared > sum(count or 0 for count in allowed):
            text = f"{gw} {epoch}/{stream}: {declared} numbers are missing where the gateway"
            yield Finding("missing", f"{text} declared {sum(c or 0 for c in allowed)} as lost")

    def _all_declared(self, gw: str, epoch: int) -> bool:
        """Whether the gateway said that it lost its whole memory, this epoch's included."""
        return any(
            name == gw and stream == "*" and epoch <= lost for name, lost, stream in self._drops
        )

    def _holes(self, gw: str) -> Iterator[Finding]:
        gaps = self._gaps.get(gw, [])
        for (name, stream, source), boots in sorted(self._timelines.items()):
            if name != gw:
                continue
            mine = [gap for gap in gaps if gap.names(source)]
            for boot, timeline in boots.items():
                named = [(gap.from_us, gap.to_us) for gap in mine if gap.boot == boot]
                for left, right in timeline.holes():
                    missing = uncovered(left.to_us, right.from_us, named)
                    if missing and not self._numbers_missing(gw, stream, left.tail, right.head):
                        text = f"{gw} {stream}/{source}: {missing / 1e6:.3f} s are missing"
                        where = f"between {left.to_us} and {right.from_us} us of boot {boot}"
                        yield Finding("hole", f"{text} {where}")
            order = sorted(boots)
            for before, after in pairwise(order):
                first = boots[after].stretches[0]
                explained = any(
                    gap.boot == after
                    and gap.boot_before <= before
                    and gap.to_us >= first.from_us - SLACK_US
                    for gap in mine
                )
                if not explained and not self._numbers_missing(
                    gw, stream, boots[before].stretches[-1].tail, first.head
                ):
                    text = f"{gw} {stream}/{source}: no gap event leads from boot {before}"
                    yield Finding("hole", f"{text} to its first record of boot {after}")

    def _numbers_missing(
        self, gw: str, stream: str, left: tuple[int, int], right: tuple[int, int]
    ) -> bool:
        """Whether records between the two are missing: then that is told, or was declared."""
        if left[0] == right[0]:
            low, high = sorted((left[1], right[1]))
            return any(self._numbers[gw, left[0], stream].missing(low, high))
        last = self._formers.get(gw, {}).get(left[0], {}).get(stream)
        old, new = self._numbers[gw, left[0], stream], self._numbers[gw, right[0], stream]
        tail = isinstance(last, int) and any(old.missing(left[1], last))
        return tail or any(new.missing(1, right[1])) or self._all_declared(gw, left[0])


def _end(drop: _Drop) -> int:
    return 1 << 60 if drop.last is None else drop.last


def _digest(data: Mapping[str, Any]) -> bytes:
    content = {name: value for name, value in data.items() if name not in ENVELOPE}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=_bytes)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()


def _bytes(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(value)


def _name(key: tuple[str, int, str, int]) -> str:
    gw, epoch, stream, seq = key
    return f"{gw} {epoch}/{stream}/{seq}"
