"""Proves manifests as they come, so that an audit is a look at what was proved.

A manifest holds when all that it seals is here, has its digest and the wall times that it names,
and there is nothing odd in it. What holds is folded into a `StreamProof`; all else is left to the
audit. It is safe to prove late, never, or after a kill: what is not proved is read by the audit.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

from edge.core.numbers import Numbers, Range, count_in_ranges
from edge.platform.auditreport import AuditFinding
from edge.platform.days import DayCounts
from edge.platform.receivedrecord import ReceivedRecord, load_payload
from edge.platform.seals import Seal, prove_seal, seal_of
from edge.platform.storedpayload import load_passed, sent_or_damage, stands_for
from edge.platform.streamproof import (
    DamagedProofError,
    OddRecordError,
    ProofMaker,
    StreamProof,
    WaitingManifest,
    merge_proofs,
    moments_of,
    numbers_of,
    union,
    without,
)
from edge.platform.walltimecheck import RedatedMoments, WallTimeCheck

CHAPTER_BYTES: Final = 32 << 10  # a chapter is written anew with each manifest
PLACE_BYTES: Final = 4 << 20  # of all chapters of an epoch and stream; a year of gaps takes .2 MB
MANIFESTS_A_TURN: Final = 100
READ_A_TURN: Final = 20_000  # records, and those of one manifest more
SEALED_LIMIT: Final = 10_000  # numbers of a manifest; a gateway seals 2,000 at most
WAITING_LIMIT: Final = 500  # of one epoch; the oldest are left to the audit
WAITING_RANGES: Final = 20_000  # of these together
TRIES: Final = 8  # with times that a later manifest may explain
READ_IN_VAIN: Final = 10  # times, each record of an epoch and stream on average
MOMENTS_LIMIT: Final = 200  # of one epoch, by which records were dated anew: each is tried

Place = tuple[int, str]
"""Epoch and stream."""


class ProofDesk(Protocol):
    """A store while the manifests of one gateway are proved, in one transaction."""

    def pending(self) -> Sequence[tuple[int, list[Range]]]:
        """Epochs with manifests nobody has looked at, and their numbers; none where one waits."""

    def present(self, epoch: int, stream: str) -> list[Range]:
        """Numbers that are there, or covered."""

    def records(self, epoch: int, stream: str, first: int, last: int) -> Iterator[ReceivedRecord]:
        """In the order of their numbers."""

    def chapters(self, epoch: int, stream: str) -> list[tuple[StreamProof, int]]:
        """What was proved before, and the bytes that each takes."""

    def keep(self, epoch: int, stream: str, chapter: int, proof: StreamProof) -> None: ...
    def add_days(self, epoch: int, stream: str, days: Mapping[str, DayCounts]) -> None: ...
    def redated(self, epoch: int, stream: str, first: int, last: int) -> list[int]:
        """For which numbers better times have come."""

    def forget_redated(self, epoch: int, stream: str, numbers: Sequence[int]) -> None:
        """Of these the times that were read after `redated` hold."""


class ProvingStore(Protocol):
    """`proving` is None where another process proves this gateway, or nothing is to be done."""

    def proving(self, gw: str) -> AbstractContextManager[ProofDesk | None]: ...


def prove_gateway(store: ProvingStore, gw: str) -> int:
    """How many manifests were found to hold. Raises RecordStoreError.

    Where what was proved before is damaged, nothing is: the audit reads all of this gateway.
    """
    held, more = 0, True
    while more:
        count, more = prove_some(store, gw)
        held += count
    return held


def prove_some(store: ProvingStore, gw: str) -> tuple[int, bool]:
    """The same for one transaction, which is short whatever this gateway has sent: and whether
    there are more."""
    try:
        with store.proving(gw) as desk:
            if desk is None:
                return 0, False
            turn = _Turn(desk, gw)
            turn.run()
    except DamagedProofError:
        return 0, False
    return turn.held, turn.more


class _Turn:
    def __init__(self, desk: ProofDesk, gw: str) -> None:
        self.held, self.more = 0, False
        self._read = 0
        self._present: dict[Place, Numbers] = {}
        self._moments: dict[int, RedatedMoments] = {}
        self._desk, self._gw = desk, gw
        self._chapters = _Chapters(desk)
        self._redated: dict[Place, list[int]] = {}  # of which the times are proved now

    def run(self) -> None:
        left = MANIFESTS_A_TURN
        for epoch, ranges in self._desk.pending():
            if self.more:
                break
            self._retry(epoch)
            for entry in self._manifests(epoch, ranges):
                if not left or self._read >= READ_A_TURN:
                    self.more = True
                    break
                left -= 1
                self._look(entry)
        self._chapters.keep()
        for place, numbers in self._redated.items():
            self._desk.forget_redated(*place, numbers)

    def _manifests(self, epoch: int, ranges: Sequence[Range]) -> Iterator[ReceivedRecord]:
        for first, last in ranges:
            yield from self._desk.records(epoch, "manifest", first, last)

    def _retry(self, epoch: int) -> None:
        place = epoch, "manifest"
        waiting = self._chapters.first(place).waiting
        self._chapters.first(place).waiting = []
        for each in waiting:
            if self._read >= READ_A_TURN or self._absent(each):
                self._chapters.first(place).waiting.append(each)
                continue
            for entry in self._desk.records(epoch, "manifest", each.seq, each.seq):
                self._look(entry, each.tries)

    def _look(self, entry: ReceivedRecord, tries: int = 0) -> None:
        """Fold it, let it wait, or leave it to the audit."""
        _, epoch, _, seq = entry.key
        first = self._chapters.change_first((epoch, "manifest"))
        try:
            sent = _whole(entry)
            seal = seal_of(entry.key, sent)
            if seal.count > SEALED_LIMIT:
                raise OddRecordError("it seals more than a gateway does")
            if not seal.count and "former" not in sent:
                raise OddRecordError("it seals nothing, and another one may say the same")
            ranges = list(seal.ranges)
            known = self._chapters.sealed((seal.epoch, seal.stream))
            if without(ranges, without(ranges, known)):
                raise OddRecordError("some of it is sealed already")
            waiting = WaitingManifest(seq, seal.epoch, seal.stream, ranges, tries)
            if self._absent(waiting):
                self._wait(first, waiting)
            elif not self._prove(entry, sent, seal):
                if tries >= TRIES:
                    raise OddRecordError("its times stay wrong")
                waiting.tries += 1
                self._wait(first, waiting)
        except (OddRecordError, ValueError):
            first.aside = union(first.aside, [(seq, seq)])

    def _wait(self, proof: StreamProof, waiting: WaitingManifest) -> None:
        proof.waiting.append(waiting)
        parts = sum(len(each.numbers) for each in proof.waiting)
        while len(proof.waiting) > WAITING_LIMIT or parts > WAITING_RANGES:
            gone = proof.waiting.pop(0)
            parts -= len(gone.numbers)
            proof.aside = union(proof.aside, [(gone.seq, gone.seq)])

    def _absent(self, waiting: WaitingManifest) -> bool:
        """Whether some of what it seals is not here."""
        place = waiting.epoch, waiting.stream
        if (there := self._present.get(place)) is None:
            there = self._present[place] = numbers_of(self._desk.present(*place))
        return any(any(there.missing(*each)) for each in waiting.numbers)

    def _prove(self, entry: ReceivedRecord, sent: Mapping[str, object], seal: Seal) -> bool:
        """False where only times are wrong. Raises OddRecordError."""
        moments = self._moments_of(seal.epoch)
        if entry.key[1] == seal.epoch:
            moments.add(seal.epoch, seal.clock_redelivered)
        place = seal.epoch, seal.stream
        if seal.count:
            self._may_read(place)
        before = self._read
        redated = self._desk.redated(seal.epoch, seal.stream, seal.first, seal.last)
        walls = WallTimeCheck(seal, moments)
        sealed = (
            None if seal.stream == "manifest" else ProofMaker(self._gw, seal.epoch, seal.stream)
        )
        try:
            result = prove_seal(seal, self._sealed(seal, walls, sealed))
            if walls.wrong:
                self._in_vain(place, self._read - before)
                return False
            if not result.proved:
                raise OddRecordError("not all is here, or it is not what was sealed")
        except OddRecordError:
            self._in_vain(place, self._read - before)
            raise
        own = ProofMaker(self._gw, entry.key[1], "manifest")
        own.take(entry, sent, stands_for(sent))
        said = own.proof()
        said.moments = [each.packed() for each in seal.clock_redelivered]
        said.sealing, said.signed = int(seal.count > 0), int("sig" in sent)
        own.days.day(said.days[0].day).proved += 1
        parts = [((entry.key[1], "manifest"), said, own.days.days)]
        if sealed is not None:
            parts.append(((seal.epoch, seal.stream), sealed.proof(), sealed.days.days))
        elif entry.key[1] == seal.epoch:  # each that holds is folded by itself
            said.sealed = union((), seal.ranges)
        else:
            parts.append(((seal.epoch, "manifest"), StreamProof(sealed=union((), seal.ranges)), {}))
        self._chapters.fold(parts)
        if again := set(redated) & set(seal.numbers):
            self._redated.setdefault((seal.epoch, seal.stream), []).extend(again)
        self.held += 1
        return True

    def _sealed(
        self, seal: Seal, walls: WallTimeCheck, maker: ProofMaker | None
    ) -> Iterator[tuple[int, Mapping[str, object]]]:
        """Until there is one with a wrong time."""
        wanted = set(seal.numbers)
        for first, last in seal.spans:
            for entry in self._desk.records(seal.epoch, seal.stream, first, last):
                self._read += 1
                if entry.key[3] not in wanted:
                    continue
                sent = _whole(entry, load_passed)
                walls.look(entry, sent)
                if walls.wrong:
                    return
                if maker is not None:
                    maker.take(entry, sent, stands_for(sent))
                yield entry.key[3], sent

    def _moments_of(self, epoch: int) -> RedatedMoments:
        """By which its records were dated anew, as manifests say that hold, or are looked at."""
        if (found := self._moments.get(epoch)) is None:
            found = self._moments[epoch] = RedatedMoments(MOMENTS_LIMIT)
            for proof in self._chapters.of((epoch, "manifest")):
                found.add(epoch, moments_of(proof))
        return found

    def _may_read(self, place: Place) -> None:
        """Raises OddRecordError where records were read in vain too often: a manifest of some
        bytes may name thousands of them, and thousands of manifests the same ones."""
        there = count_in_ranges(self._present[place].ranges())
        if self._chapters.first(place).vain > READ_IN_VAIN * there:
            raise OddRecordError("too many manifests of these records do not hold")

    def _in_vain(self, place: Place, records: int) -> None:
        if records:
            self._chapters.change_first(place).vain += records


class _Chapters:
    """What is kept of a gateway, as far as it is looked at, and what of it has changed."""

    def __init__(self, desk: ProofDesk) -> None:
        self._desk = desk
        self._found: dict[Place, list[StreamProof]] = {}
        self._changed: set[tuple[Place, int]] = set()
        self._days: dict[Place, dict[str, DayCounts]] = {}
        self._full: set[Place] = set()  # their next part begins a chapter
        self._large: set[Place] = set()  # they take no more

    def of(self, place: Place) -> list[StreamProof]:
        """In order; at least one."""
        if (found := self._found.get(place)) is None:
            kept = self._desk.chapters(*place)
            found = self._found[place] = [proof for proof, _ in kept] or [StreamProof()]
            if kept and kept[-1][1] > CHAPTER_BYTES:
                self._full.add(place)
            if sum(size for _, size in kept) > PLACE_BYTES:
                self._large.add(place)
        return found

    def first(self, place: Place) -> StreamProof:
        """Where it stands what waits, what is left to the audit, and what was read in vain."""
        return self.of(place)[0]

    def change_first(self, place: Place) -> StreamProof:
        """The same, to be changed."""
        self._changed.add((place, 0))
        return self.first(place)

    def sealed(self, place: Place) -> list[Range]:
        """What manifests that hold have sealed of it."""
        is_own = place[1] == "manifest"
        return union((), (r for each in self.of(place)
                          for r in (each.sealed if is_own else each.numbers)))  # fmt: skip

    def fold(self, parts: Sequence[tuple[Place, StreamProof, dict[str, DayCounts]]]) -> None:
        """All of them, or none. Raises OddRecordError."""
        made: list[tuple[Place, StreamProof]] = []
        for place, part, _ in parts:
            chapters = self.of(place)
            if place in self._large:
                raise OddRecordError("what is kept of its epoch and stream takes too much room")
            if place in self._full:
                self._full.discard(place)
                chapters.append(StreamProof())
            made.append((place, merge_proofs(chapters[-1], part, place[0])))
        for place, proof in made:
            chapters = self.of(place)
            chapters[-1] = proof
            self._changed.add((place, len(chapters) - 1))
        for place, _, days in parts:
            counted = self._days.setdefault(place, {})
            for day, counts in days.items():
                counted.setdefault(day, DayCounts()).add(counts)

    def keep(self) -> None:
        """What has changed."""
        for place, chapter in sorted(self._changed):
            self._desk.keep(*place, chapter, self._found[place][chapter])
        for place, days in self._days.items():
            self._desk.add_days(*place, days)


def _whole(
    entry: ReceivedRecord, load: Callable[[bytes], dict[str, Any]] = load_payload
) -> Mapping[str, object]:
    sent = sent_or_damage(entry, load)
    if isinstance(sent, AuditFinding):
        raise OddRecordError(sent.text)
    return sent
