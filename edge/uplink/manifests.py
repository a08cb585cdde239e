"""Manifests: what was handed over, sealed by a chain of digests. Decision 13.

Pure: it is given each record that goes out, and gives drafts when they are due.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, cast

from msgspec import UNSET

from edge.core import Draft, Record, StoredBody, StoredState, Stream
from edge.core.numbers import Numbers, Step, decode_steps
from edge.wire import CHAIN_START, chain_record
from edge.wire.clockmoments import MOMENTS_LIMIT, Moment, parse_moments
from edge.wire.contract.body import body_map
from edge.wire.contract.boxevent import PreviousEpoch
from edge.wire.contract.manifest import Manifest, Moments
from edge.wire.contract.manifest import Moment as PackedMoment
from edge.wire.contract.terms import Algorithm
from edge.wire.keptstate import pack_state

SEGMENT_RECORDS: Final = 2000  # records of one segment; then it ends before its time
SEGMENTS_LIMIT: Final = 64  # open at one time; then the oldest end
SEALED_LIMIT: Final = 64  # epochs and streams of which it is known what was sealed
SEALED_RANGES_LIMIT: Final = 256  # of each of these
REDATED_LIMIT: Final = 1024  # moments by which records were dated that went out again
REDATED_LISTED_LIMIT: Final = 256  # of these it is known that a manifest has listed them
MANIFEST_OWNER: Final = "manifest"  # of the state
VERSION: Final = 2

SegmentPlace = tuple[int, str]  # epoch and stream


@dataclass(frozen=True, slots=True)
class Signature:
    """What a device's key adds to a manifest."""

    alg: Algorithm
    cert_sha256: str
    sig: str


Sign = Callable[[StoredBody], Signature]
"""Signs a manifest's body."""


@dataclass(slots=True)
class ManifestSegment:
    """Records of one epoch and stream with growing numbers.

    `clock` are the moments by which they were dated, `clock_redelivered` those by which others were
    that went out once more.
    """

    epoch: int
    stream: str
    steps: list[Step] = field(default_factory=list)
    count: int = 0
    chain: bytes = CHAIN_START
    clock: list[Moment] = field(default_factory=list)
    clock_redelivered: list[Moment] = field(default_factory=list)
    # asked about before: they are no news
    _known: set[Moment] = field(default_factory=set, init=False, repr=False, compare=False)

    @property
    def first(self) -> int:
        return self.steps[0][0] if self.steps else 1

    @property
    def last(self) -> int:
        return self.steps[-1][1] if self.steps else 0

    @property
    def full(self) -> bool:
        return self.count >= SEGMENT_RECORDS

    def has_room(self, by: Sequence[Moment]) -> bool:
        """Whether all of these moments can be listed, too."""
        return len(self.clock) + len(self._news(by)) <= MOMENTS_LIMIT

    def add(self, record: Record, by: Sequence[Moment]) -> None:
        """Only where there is room for its moments."""
        number = record.key.seq
        self.chain = chain_record(self.chain, record)
        self.count += 1
        self.clock += self._news(by)
        self._known.update(by)
        last = self.steps[-1] if self.steps else None
        if last is not None and last[0] == last[1]:
            last[1], last[2] = number, number - last[0]
        elif last is not None and number - last[1] == last[2]:
            last[1] = number
        else:
            self.steps.append([number, number, 1])

    def _news(self, by: Sequence[Moment]) -> list[Moment]:
        news: list[Moment] = []
        for moment in by:
            if moment not in self._known and not any(
                moment.same(other) for other in (*self.clock, *news)
            ):
                news.append(moment)
        return news

    def body(self) -> Manifest:
        return Manifest(
            epoch_of=self.epoch,
            stream_of=self.stream,
            first=self.first,
            last=self.last,
            count=self.count,
            seqs=[(first, last, step) for first, last, step in self.steps],
            sha256=self.chain.hex(),
            clock=_packed(self.clock),
            clock_redelivered=_packed(self.clock_redelivered) or UNSET,
        )


class Manifests:
    """All segments of one gateway. `sign` None: there is no key."""

    def __init__(self, sign: Sign | None = None) -> None:
        self._sign = sign
        self._open: list[ManifestSegment] = []
        self._ended: list[ManifestSegment] = []  # full, or too many: their drafts are due at once
        # of drafts that were given and may not be kept yet
        self._leaving: list[tuple[Draft, ManifestSegment]] = []
        self._sealed: dict[SegmentPlace, Numbers] = {}
        self._again: dict[Moment, int] = {}  # by which what goes again is dated; and an epoch of it
        self._listed: list[Moment] = []  # of these, the last that a manifest has listed
        self.changes = 0  # so often has something changed
        self._kept = 0  # `changes` of the last snapshot that was kept

    @property
    def changed(self) -> bool:
        """Since the last snapshot that was kept: or that one holds what leaves it next."""
        return self.changes != self._kept or bool(self._leaving)

    def handed(self, record: Record, *by: Moment) -> None:
        """This record goes out, dated by one of these moments, 32 at most: a former process may
        have dated it by another one than this.

        It is sealed the first time. Later it may be dated better: that is listed as well.
        """
        key = record.key
        place = key.epoch, str(key.stream)
        sealed = self._sealed.get(place)
        if sealed is None:
            sealed = self._sealed[place] = Numbers()
            while len(self._sealed) > SEALED_LIMIT:  # what is forgotten may be sealed twice
                del self._sealed[min(known for known in self._sealed if known != place)]
        if not sealed.add(key.seq):
            self._dated_again(key.epoch, by)
            return
        sealed.drop_lowest(SEALED_RANGES_LIMIT)
        self.changes += 1
        segment = self._segment(place, key.seq)
        if segment.count and not segment.has_room(by):
            self._end(segment)
            segment = self._segment(place, key.seq)
        segment.add(record, by)
        if segment.full:
            self._end(segment)

    def due(self, now_ns: int, *, all_: bool) -> list[Draft]:
        """The manifests of segments that have ended; with `all_` of all that are open.

        Until the commit of a draft is durable (`mark_durable`), a snapshot that does not go with
        it holds its segment.
        """
        ended, self._ended = self._ended, []
        if all_:
            ended, self._open = [*ended, *self._open], []
        ended += self._list_redated(ended, all_=all_)
        self.changes += bool(ended)
        drafts = [self._draft(segment.stream, segment.body(), now_ns) for segment in ended]
        self._leaving += zip(drafts, ended, strict=True)
        return drafts

    def opening(self, epoch: int, former: PreviousEpoch, now_ns: int) -> Draft:
        """The first manifest of an epoch: it seals nothing and names the former epoch."""
        body = ManifestSegment(epoch, str(Stream.MANIFEST)).body()
        body.former = former
        return self._draft(str(Stream.MANIFEST), body, now_ns)

    def snapshot(self, going: Sequence[Draft] = ()) -> dict[str, object]:
        """For the outbox, as it is when a commit has kept it with the drafts `going`."""
        apart = {id(draft) for draft in going}
        leaving = (segment for draft, segment in self._leaving if id(draft) not in apart)
        return {
            "version": VERSION,
            "open": [
                [
                    s.epoch,
                    s.stream,
                    s.steps,
                    s.count,
                    s.chain,
                    _packed(s.clock),
                    _packed(s.clock_redelivered),
                ]
                for s in (*leaving, *self._ended, *self._open)
            ],
            "redelivered": [[epoch, *moment.packed()] for moment, epoch in self._again.items()],
            "listed": _packed(self._listed),
            "sealed": [
                [epoch, stream, numbers.ranges()]
                for (epoch, stream), numbers in self._sealed.items()
            ],
        }

    def riding(
        self, going: Sequence[Draft]
    ) -> tuple[Mapping[str, StoredState], Callable[[], None]]:
        """What goes with a commit of the drafts `going`, and what to call once it is durable:
        nothing when nothing has gone out. The rider of the outbox."""
        if not self.changed:
            return {}, lambda: None
        state = pack_state(VERSION, self.snapshot(going))
        return {MANIFEST_OWNER: state}, partial(self.mark_durable, self.changes, going)

    def mark_durable(self, changes: int, going: Sequence[Draft]) -> None:
        """A snapshot is durable, with the drafts `going`; `changes` is how many there were then."""
        apart = {id(draft) for draft in going}
        self._leaving = [each for each in self._leaving if id(each[0]) not in apart]
        self._kept = changes

    def restore(self, state: Mapping[str, Any]) -> None:
        """Raises ValueError for what is no snapshot of this version; then nothing is changed."""
        try:
            if state["version"] != VERSION:
                raise ValueError("another version")
            segments = [
                ManifestSegment(int(e), str(s), *_parsed(*rest)) for e, s, *rest in state["open"]
            ]
            sealed: dict[SegmentPlace, Numbers] = {}
            for epoch, stream, ranges in state["sealed"]:
                numbers = sealed[int(epoch), str(stream)] = Numbers()
                for first, last in ranges:
                    numbers.add_range(int(first), int(last))
            again = {
                parse_moments([moment])[0]: int(epoch) for epoch, *moment in state["redelivered"]
            }
            listed = [parse_moments([moment])[0] for moment in state["listed"]]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"the state of the manifests cannot be read: {error!r}") from error
        self._open, self._sealed, self._again = segments, sealed, again
        self._listed = listed[-REDATED_LISTED_LIMIT:]

    def _segment(self, place: SegmentPlace, number: int) -> ManifestSegment:
        """The one that this number continues, or a new one."""
        fitting = (
            segment
            for segment in self._open
            if (segment.epoch, segment.stream) == place and segment.last < number
        )
        found = max(fitting, key=lambda segment: segment.last, default=None)
        if found is None:
            found = ManifestSegment(*place)
            self._open.append(found)
            if len(self._open) > SEGMENTS_LIMIT:
                self._ended.append(self._open.pop(0))
        return found

    def _end(self, segment: ManifestSegment) -> None:
        self._open.remove(segment)
        self._ended.append(segment)

    def _dated_again(self, epoch: int, by: Sequence[Moment]) -> None:
        for moment in by:
            if moment in self._again or moment in self._listed:
                continue
            known = (*self._again, *self._listed)
            if not any(moment.same(other) for other in known):
                self.changes += 1
                self._again[moment] = epoch
                while len(self._again) > REDATED_LIMIT:
                    del self._again[next(iter(self._again))]

    def _list_redated(self, ended: list[ManifestSegment], *, all_: bool) -> list[ManifestSegment]:
        """What went again is listed in manifests that are due; more of them, if none has room."""
        more: list[ManifestSegment] = []
        while self._again and (all_ or len(self._again) >= MOMENTS_LIMIT):
            some = list(self._again)[:MOMENTS_LIMIT]
            free = (segment for segment in ended if not segment.clock_redelivered)
            segment = next(free, None) or ManifestSegment(
                self._again[some[0]], str(Stream.MANIFEST)
            )
            if not segment.count:
                more.append(segment)
            segment.clock_redelivered = some
            for moment in some:
                del self._again[moment]
            self._listed = [*self._listed, *some][-REDATED_LISTED_LIMIT:]
        return more

    def _draft(self, source: str, body: Manifest, now_ns: int) -> Draft:
        if self._sign is not None:
            signed = self._sign(body_map(body))
            body.alg, body.cert_sha256, body.sig = signed.alg, signed.cert_sha256, signed.sig
        return Draft(Stream.MANIFEST, source, now_ns, now_ns, body)


def _packed(clock: Sequence[Moment]) -> Moments:
    return [cast("PackedMoment", tuple(moment)) for moment in clock]


def _parsed(found: Any, count: Any, chain: Any, clock: Any, again: Any) -> Iterator[Any]:
    numbers = decode_steps(found)
    if not isinstance(chain, bytes) or len(chain) != len(CHAIN_START) or count != len(numbers):
        raise ValueError("an impossible segment")
    known = list(parse_moments(clock)), list(parse_moments(again))
    return iter(([list(step) for step in found], int(count), chain, *known))
