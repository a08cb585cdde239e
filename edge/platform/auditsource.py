"""What an audit reads of one gateway: proofs that were made when its manifests came, and all
records that no proof speaks of.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from edge.core.numbers import Range, count_in_ranges
from edge.platform.auditreport import AuditFinding
from edge.platform.days import DayCounts, DaysOfGateway, day_of
from edge.platform.receivedranges import EpochStream, ReceivedRanges
from edge.platform.receivedrecord import Key, ReceivedRecord
from edge.platform.recordstore import RecordStore
from edge.platform.registercontinuity import RegisterContinuity
from edge.platform.sitecheck import SiteCheck
from edge.platform.storedpayload import sent_or_damage, stands_for
from edge.platform.streamproof import (
    DamagedProofError,
    OrderedProofs,
    StreamProof,
    feed_ranges,
    numbers_of,
    union,
    without,
)
from edge.platform.walltimecheck import RedatedMoments, is_dated_by
from edge.wire.down import MAX_SEQ

RANGES_ASKED: Final = 200  # of one epoch and stream; more are read as one


class AuditSource:
    """Of one gateway, for one audit. `odd`: proofs and records do not agree, so that only reading
    all records tells what is wrong. `short`: the store counts fewer than it had. Without `proved`,
    and where no proofs are, all are read."""

    def __init__(self, store: RecordStore, gw: str, *, proved: bool) -> None:
        self.store, self.odd, self.short = store, False, False
        self._gw = gw
        self._proofs: dict[EpochStream, list[StreamProof]] = {}
        try:
            for epoch, stream, proof in store.proofs(gw) if proved else ():
                self._proofs.setdefault((epoch, stream), []).append(proof)
        except DamagedProofError:
            self._proofs.clear()
        self._redated: dict[EpochStream, list[int]] = {}
        for _, epoch, stream, seq in store.redated(gw) if self._proofs else ():
            self._redated.setdefault((epoch, stream), []).append(seq)

    @property
    def manifests(self) -> list[tuple[int, StreamProof]]:
        """Proofs of manifests, with their epochs."""
        return [
            (epoch, proof)
            for (epoch, stream), proofs in self._proofs.items() if stream == "manifest"
            for proof in proofs
        ]  # fmt: skip

    @property
    def records(self) -> int:
        """How many were proved."""
        proofs = chain.from_iterable(self._proofs.values())
        return sum(count_in_ranges(proof.numbers) for proof in proofs)

    @property
    def branch(self) -> str:
        """Prefix, site and gateway of the topics of those that were proved."""
        topics = (proof.topic for proof in chain.from_iterable(self._proofs.values()))
        return next(filter(None, topics), "").partition("/up/")[0]

    def days(self, day: str | None) -> Iterator[tuple[str, DayCounts]]:
        """What was counted of proved records, of all days or of one."""
        if self._proofs:
            yield from self.store.proved_days(self._gw, day)

    def entries(
        self, received: ReceivedRanges, registers: RegisterContinuity, days: DaysOfGateway,
        site_check: SiteCheck, streams: Sequence[str | None] = (None,),
    ) -> Iterator[ReceivedRecord]:  # fmt: skip
        """All records that are to be read, or those of some streams, in the order of their keys.
        What was proved takes its place between them."""
        if not self._proofs:
            for stream in streams:
                yield from self.store.records(self._gw, stream)
            return
        for place, ranges in self._places():
            if streams != (None,) and place[1] not in streams:
                continue
            proofs = self._proofs.get(place, [])
            self.odd |= not feed_ranges(proofs, *place, received)
            for proof in proofs:
                if proof.numbers:
                    first = (self._gw, *place, proof.numbers[0][0])
                    self.odd |= site_check.look(proof.topic, first) is not None
            again = {e.key[3]: day_of(e.wall) for _, e in self._dated_again([place])}
            between = OrderedProofs(proofs, (self._gw, *place), received, registers, days, again)
            expected = sum(count_in_ranges(proof.numbers) for proof in proofs)
            for entry in self._read(place, ranges):
                self.odd |= received.boots.get(place[0], entry.boot) != entry.boot
                between.until(entry.key[3])
                expected += 1
                yield entry
            between.until(MAX_SEQ + 1)
            found = self.store.count(self._gw, *place)
            self.short |= found is not None and found != expected  # some were taken away since
            self.odd |= self.short

    def unproved(self, stream: str) -> Iterator[ReceivedRecord]:
        """Those of one stream."""
        if not self._proofs:
            yield from self.store.records(self._gw, stream)
            return
        for place, ranges in self._places():
            if place[1] == stream:
                yield from self._read(place, ranges)

    def look_at_redated(self, corrections: RedatedMoments, days: DaysOfGateway) -> None:
        """Records of which better times came after they were proved: a manifest has to name them.
        It may be another day, too."""
        for old, entry in self._dated_again(set(self._redated)):
            sent = sent_or_damage(entry)
            moments = corrections.of(entry.key[1], entry.boot)
            if isinstance(sent, AuditFinding) or not is_dated_by(entry, moments):
                self.odd = True
            elif (day := day_of(entry.wall)) != old:
                days.move(entry.key, entry.source, sent, stands_for(sent), (old, day))

    # -- inside ------------------------------------------------------------------------------------

    def _places(self) -> Iterator[tuple[EpochStream, list[Range]]]:
        """In order; with the numbers that may have records which were not proved."""
        found: dict[EpochStream, list[Range]] = {place: [] for place in self._proofs}
        for epoch, stream, each in self.store.numbers(self._gw):
            found.setdefault((epoch, stream), []).append(each)
        for place in sorted(found):
            proofs = self._proofs.get(place, ())
            yield place, without(found[place], union((), _numbers(proofs)))

    def _read(self, place: EpochStream, ranges: list[Range]) -> Iterator[ReceivedRecord]:
        key = self._gw, *place
        if len(ranges) <= RANGES_ASKED:
            for first, last in ranges:
                yield from self.store.record_range((*key, first), last)
            return
        wanted = numbers_of(ranges)
        for entry in self.store.record_range((*key, ranges[0][0]), ranges[-1][1]):
            if entry.key[3] in wanted:
                yield entry

    def _dated_again(self, places: Iterable[EpochStream]) -> Iterator[tuple[str, ReceivedRecord]]:
        """Of these, with the day on which each was counted."""
        for place in places:
            for seq in self._redated.get(place, ()):
                key = (self._gw, *place, seq)
                if (old := self._proved_day(key)) is not None:
                    yield from ((old, entry) for entry in self.store.record_range(key, seq))

    def _proved_day(self, key: Key) -> str | None:
        """On which day a record was counted; None: it was not proved."""
        for proof in self._proofs.get(key[1:3], ()):
            if any(first <= key[3] <= last for first, last in proof.numbers):
                for span in proof.days:
                    if span.first <= key[3] <= span.last:
                        return span.day
        return None


def _numbers(proofs: list[StreamProof] | tuple[()]) -> Iterator[Range]:
    return (each for proof in proofs for each in proof.numbers)
