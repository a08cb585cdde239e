"""What is kept of records whose manifests held, so that an audit need not read them once more.

It is what the audit would make of them: their numbers, their times without gaps, the two ends of
each register, what events declare lost. One `StreamProof` is of one gateway, epoch and stream, or
of a part of it (a chapter), and never of records in which anything is odd: these are left to the
audit, which reads them each time.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from edge.core.numbers import Numbers, Range
from edge.platform.days import DaysOfGateway, day_of
from edge.platform.receivedranges import ReceivedRanges
from edge.platform.receivedrecord import ReceivedRecord
from edge.platform.registercontinuity import (
    RegisterContinuity,
    RegisterReading,
    RegisterRun,
    is_continuous,
    readings_of,
)
from edge.platform.timeline import Timeline
from edge.wire.clockmoments import Moment, parse_moments

DECLARING: Final = frozenset({"gap", "drop", "meter", "swap", "box_swap"})
"""Events that `declaredlosses` understands."""
DECLARED: Final = (
    "event", "gap", "sources", "boot_before", "boot", "former", "epoch_of", "stream_of", "range",
    "count", "source", "point", "mono", "set_aside",
)  # fmt: skip
"""What it reads of them."""


class OddRecordError(Exception):
    """A record that an audit has to say something about."""


class DamagedProofError(Exception):
    """What was kept of proved records cannot be read: the audit has to read the records."""


class RegisterSpan(Struct, array_like=True):
    """A register over records between which no number is absent: their growth is counted once."""

    source: str
    point: str
    head: RegisterReading
    tail: RegisterReading
    grown: bool


class DaySpan(Struct, array_like=True):
    """Records of one day (2026-11-26, or `unknown`) between which no number is absent."""

    first: int
    last: int
    day: str


class Saying(Struct, array_like=True):
    """What the record with this number says of others: of an event or a manifest."""

    seq: int
    said: dict[str, Any]


class WaitingManifest(Struct, array_like=True):
    """One that does not hold yet: records are not here, or their times are corrected later."""

    seq: int
    epoch: int
    stream: str
    numbers: list[Range]
    tries: int = 0


class StreamProof(Struct, omit_defaults=True):
    """Numbers are sorted ranges. `covered` are those for which merged records of these stand.

    Of manifests only: those that others of them have `sealed`; the `moments` by which records were
    dated anew, as `Moment.packed`; how many are `sealing` anything, and `signed`; those that are
    left to the audit (`aside`) or `waiting`. `vain` is how many records were read for manifests
    that did not hold.
    """

    numbers: list[Range] = []
    covered: list[Range] = []
    topic: str = ""  # of its first record
    boot: int = 0
    heard: str = ""  # when the last of them came
    stretches: dict[str, list[tuple[int, int, int, int]]] = {}  # source -> from, to, head, tail
    registers: list[RegisterSpan] = []
    days: list[DaySpan] = []
    sayings: list[Saying] = []
    sealed: list[Range] = []
    moments: list[list[Any]] = []
    sealing: int = 0
    signed: int = 0
    aside: list[Range] = []
    waiting: list[WaitingManifest] = []
    vain: int = 0

    @property
    def seen(self) -> list[Range]:
        """Numbers of manifests that were looked at, whatever came of it."""
        numbers = union(self.numbers, self.aside)
        return union(numbers, [(each.seq, each.seq) for each in self.waiting])


class ProofMaker:
    """Takes records of one epoch and stream in the order of their numbers; of any odd one it raises
    OddRecordError, and is not to be used any more."""

    def __init__(self, gw: str, epoch: int, stream: str) -> None:
        self.days = DaysOfGateway()
        self._place = epoch, stream
        self._received = ReceivedRanges(gw, epoch)
        self._registers: dict[tuple[str, str], RegisterSpan] = {}  # the last one of each
        self._made = StreamProof(stretches={})

    def take(self, entry: ReceivedRecord, sent: Mapping[str, Any], stands_for: int) -> None:
        """`sent` is its payload, found whole."""
        made, (gw, epoch, stream, seq) = self._made, entry.key
        if not made.topic:
            made.topic, made.boot = entry.topic, entry.boot
            if not entry.branch.endswith(f"/{gw}"):
                raise OddRecordError("its topic is another gateway's")
        elif entry.boot != made.boot or not made.topic.startswith(f"{entry.branch}/up/"):
            raise OddRecordError("its boot or its topic differs from those before it")
        self._received.add_number(epoch, stream, seq, entry.received)
        for finding in self._received.add_record(entry.source, sent):
            raise OddRecordError(finding.text)
        day = day_of(entry.wall)
        self.days.record(entry.key, entry.source, day, sent, stands_for)
        there = self._received.numbers[self._place]
        if made.days and made.days[-1].day == day and not _absent(there, made.days[-1].last, seq):
            made.days[-1].last = seq
        else:
            made.days.append(DaySpan(seq, seq, day))
        for point, reading in readings_of(entry.key, sent):
            self._read(entry.source, point, reading, there)
        if stream == "event" and sent.get("event") in DECLARING:
            said = {name: sent[name] for name in DECLARED if name in sent}
            made.sayings.append(Saying(seq, said))
        elif stream == "manifest" and "former" in sent:
            made.sayings.append(Saying(seq, {"former": sent["former"]}))

    def _read(self, source: str, point: str, reading: RegisterReading, there: Numbers) -> None:
        span, grown = self._registers.get((source, point)), reading.last > reading.before
        if span is None or _absent(there, span.tail.place[1], reading.place[1]):
            span = RegisterSpan(source, point, reading, reading, grown)
            self._registers[source, point] = span
            self._made.registers.append(span)
        elif is_continuous(span.tail, reading):
            span.tail, span.grown = reading, span.grown or grown
        else:
            raise OddRecordError(f"{source}.{point} does not continue")

    def proof(self) -> StreamProof:
        """Of all that was taken."""
        made, received = self._made, self._received
        made.numbers = _ranges(received.numbers.get(self._place))
        made.covered = _ranges(received.covered.get(self._place))
        made.numbers = without(made.numbers, made.covered)
        made.heard = received.heard
        for (_, source), timelines in received.timelines.items():
            for timeline in timelines.values():
                made.stretches[source] = _packed(timeline)
        return made


def merge_proofs(proof: StreamProof, more: StreamProof, epoch: int) -> StreamProof:
    """Both together. Raises OddRecordError where they do not fit."""
    if proof.numbers and more.numbers and proof.boot != more.boot:
        raise OddRecordError("another boot in one epoch")
    if proof.numbers and more.numbers and _branch(proof) != _branch(more):
        raise OddRecordError("another site in one epoch")
    if _overlap(union(proof.numbers, proof.covered), union(more.numbers, more.covered)):
        raise OddRecordError("a number twice")
    head = proof if proof.numbers else more
    made = StreamProof(
        union(proof.numbers, more.numbers), union(proof.covered, more.covered), head.topic,
        head.boot, max(proof.heard, more.heard), dict(proof.stretches),
        sealed=union(proof.sealed, more.sealed),
        moments=proof.moments + [each for each in more.moments if each not in proof.moments],
        sealing=proof.sealing + more.sealing, signed=proof.signed + more.signed,
        aside=union(proof.aside, more.aside), waiting=proof.waiting + more.waiting,
        vain=proof.vain + more.vain,
    )  # fmt: skip
    for source, stretches in more.stretches.items():
        timeline = Timeline()
        for start, end, head, tail in (*proof.stretches.get(source, ()), *stretches):
            if not timeline.add(start, end, (epoch, head), (epoch, tail)):
                raise OddRecordError(f"a time of {source} twice")
        made.stretches[source] = _packed(timeline)
    there = numbers_of(union(made.numbers, made.covered))
    made.registers = list(_joined_registers([*proof.registers, *more.registers], there))
    made.days = list(_joined_days([*proof.days, *more.days], there))
    made.sayings = sorted([*proof.sayings, *more.sayings], key=lambda each: each.seq)
    return made


def feed_ranges(
    proofs: Iterable[StreamProof], epoch: int, stream: str, received: ReceivedRanges
) -> bool:
    """What needs no order: as if their records had been added. Whether all of it fits."""
    fits = True
    for proof in proofs:
        _feed_sealed(
            proof.sealed if stream == "manifest" else proof.numbers, epoch, stream, received
        )
        if not proof.numbers:
            continue
        if proof.heard >= received.heard:
            received.heard, received.latest = proof.heard, epoch
        received.boots.setdefault(epoch, proof.boot)
        numbers = received.numbers.setdefault((epoch, stream), Numbers())
        for first, last in (*proof.numbers, *proof.covered):
            numbers.add_range(first, last)
        if proof.covered:
            covered = received.covered.setdefault((epoch, stream), Numbers())
            for first, last in proof.covered:
                covered.add_range(first, last)
        for source, stretches in proof.stretches.items():
            boots = received.timelines.setdefault((stream, source), {})
            timeline = boots.setdefault((epoch, proof.boot), Timeline())
            for start, end, head, tail in stretches:
                fits &= timeline.add(start, end, (epoch, head), (epoch, tail))
    return fits


def _feed_sealed(
    ranges: Iterable[Range], epoch: int, stream: str, received: ReceivedRanges
) -> None:
    for first, last in ranges:
        received.sealed.setdefault((epoch, stream), Numbers()).add_range(first, last)


class OrderedProofs:
    """What of the proofs of one epoch and stream is to be taken between the records that were not
    proved, by its number. `again` are days of records that were dated anew since."""

    def __init__(
        self, proofs: Iterable[StreamProof], key: tuple[str, int, str],
        received: ReceivedRanges, registers: RegisterContinuity, days: DaysOfGateway,
        again: Mapping[int, str],
    ) -> None:  # fmt: skip
        self._key, self._received = key, received
        self._registers, self._days = registers, days
        items: list[tuple[int, RegisterSpan | DaySpan | Saying]] = []
        for proof in proofs:
            items += ((each.seq, each) for each in proof.sayings)
            items += ((each.head.place[1], each) for each in proof.registers)
            for each in proof.days:
                items += ((span.first, span) for span in _days_again(each, again))
        self._items = sorted(items, key=lambda item: item[0], reverse=True)

    def until(self, seq: int) -> None:
        """All before this number."""
        while self._items and self._items[-1][0] < seq:
            match self._items.pop()[1]:
                case Saying(seq=number, said=said):
                    self._say(number, said)
                case RegisterSpan(source=source, point=point) as span:
                    run = RegisterRun(span.head, span.tail, span.grown)
                    self._registers.take_run((self._key[2], source, point), run)
                case DaySpan(first=first, day=day):
                    self._days.mark(self._key[1:], first, day)

    def _say(self, seq: int, said: Mapping[str, Any]) -> None:
        declared, key = self._received.declared, (*self._key, seq)
        if key[2] == "event":
            declared.event(key, said)
        else:
            declared.note_former(key[1], said.get("former"))


def moments_of(proof: StreamProof) -> list[Moment]:
    """By which records were dated anew. Raises ValueError."""
    return [moment for each in proof.moments for moment in parse_moments([each])]


def numbers_of(ranges: Iterable[Range]) -> Numbers:
    found = Numbers()
    for first, last in ranges:
        found.add_range(first, last)
    return found


def union(one: Iterable[Range], other: Iterable[Range]) -> list[Range]:
    """Numbers of either, as ranges that do not touch."""
    return numbers_of([*one, *other]).ranges()


def without(ranges: Iterable[Range], taken: Iterable[Range]) -> list[Range]:
    """What is left of `ranges`. Both are walked once."""
    there = numbers_of(taken)
    left: list[Range] = []
    for first, last in ranges:
        left += there.missing(first, last)
    return left


def _branch(proof: StreamProof) -> str:
    return proof.topic.partition("/up/")[0]


def _overlap(one: list[Range], other: list[Range]) -> bool:
    return bool(without(one, without(one, other)))


def _ranges(numbers: Numbers | None) -> list[Range]:
    return [] if numbers is None else numbers.ranges()


def _packed(timeline: Timeline) -> list[tuple[int, int, int, int]]:
    return [(each.from_us, each.to_us, each.head[1], each.tail[1]) for each in timeline.stretches]


def _joined_registers(spans: list[RegisterSpan], there: Numbers) -> Iterator[RegisterSpan]:
    """Spans between which no number is absent are one, if they meet."""
    spans.sort(key=lambda span: (span.source, span.point, span.head.place))
    open_: RegisterSpan | None = None
    for span in spans:
        if open_ is not None:
            if (
                (open_.source, open_.point) == (span.source, span.point)
                and not _absent(there, open_.tail.place[1], span.head.place[1])
                and is_continuous(open_.tail, span.head)
            ):
                grown = open_.grown or span.grown
                open_ = RegisterSpan(span.source, span.point, open_.head, span.tail, grown)
                continue
            yield open_
        open_ = span
    if open_ is not None:
        yield open_


def _joined_days(spans: list[DaySpan], there: Numbers) -> Iterator[DaySpan]:
    spans.sort(key=lambda span: span.first)
    open_: DaySpan | None = None
    for span in spans:
        if open_ is not None:
            if open_.day == span.day and not _absent(there, open_.last, span.first):
                open_ = DaySpan(open_.first, span.last, span.day)
                continue
            yield open_
        open_ = span
    if open_ is not None:
        yield open_


def _days_again(span: DaySpan, again: Mapping[int, str]) -> Iterator[DaySpan]:
    """A span, parted at records that are of other days now."""
    first = span.first
    for seq in sorted(seq for seq in again if span.first <= seq <= span.last):
        if first < seq:
            yield DaySpan(first, seq - 1, span.day)
        yield DaySpan(seq, seq, again[seq])
        first = seq + 1
    if first <= span.last:
        yield DaySpan(first, span.last, span.day)


def _absent(there: Numbers, first: int, last: int) -> bool:
    return first > last or any(there.missing(first, last))
