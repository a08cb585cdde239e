"""One gateway's numbers and times, as they have come: what is there, twice, covered, sealed.

It is fed in any order: live records overtake the backlog. So it judges at the end.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from edge.core import Stream, StreamLevel
from edge.core.numbers import Numbers, decode_steps
from edge.platform.auditreport import AuditFinding, record_name
from edge.platform.declaredlosses import DeclaredLosses
from edge.platform.epochorder import EpochOrder, order_epochs
from edge.platform.receivedrecord import Key
from edge.platform.seals import Seal, seal_of
from edge.platform.timeline import Timeline

TIMED_STREAMS: Final = Stream.of_level(StreamLevel.SUMMARY)  # their time must be whole

EpochStream = tuple[int, str]


class ReceivedRanges:
    """`joined` is the epoch that was running when we came: before that nobody listened."""

    def __init__(self, gw: str, joined: int) -> None:
        self.gw, self.joined_epoch = gw, joined
        self.declared = DeclaredLosses()
        self.numbers: dict[EpochStream, Numbers] = {}
        self.covered: dict[EpochStream, Numbers] = {}
        self.sealed: dict[EpochStream, Numbers] = {}
        self.resealed: set[tuple[int, str, int]] = set()  # where manifests seal nothing new
        # of each stream and source, by epoch and boot
        self.timelines: dict[tuple[str, str], dict[tuple[int, int], Timeline]] = {}
        self.boots: dict[int, int] = {}  # of each epoch
        self.latest = joined  # the epoch that was heard last
        self.heard = ""  # when

    def add_number(self, epoch: int, stream: str, seq: int, heard: str = "") -> bool:
        """A record has this number, and came when the platform's clock said `heard`, if it says
        so. Whether none had it before."""
        if heard >= self.heard:
            self.heard, self.latest = heard, epoch
        new = self.numbers.setdefault((epoch, stream), Numbers()).add(seq)
        return new or seq in self.covered.get((epoch, stream), ())

    def add_record(self, source: str, data: Mapping[str, Any]) -> Iterator[AuditFinding]:
        """What a record says that is new; `add_number` has been called."""
        stream: str = data["stream"]
        key = self.gw, data["epoch"], stream, data["seq"]
        self.boots.setdefault(key[1], data["boot"])
        yield from self._covers(key, data.get("covers"))
        if stream in TIMED_STREAMS:
            yield from self._time(source, key, data)
        elif stream == "event":
            self.declared.event(key, data)
        elif stream == "manifest":
            self.declared.note_former(data["epoch"], data.get("former"))

    def add_seal(self, key: Key, data: Mapping[str, Any]) -> Seal | AuditFinding:
        """What a manifest seals; its numbers are known to exist from now on."""
        try:
            seal = seal_of(key, data)
        except ValueError as error:
            return AuditFinding(
                "digest", f"the manifest {record_name(*key)} cannot be used: {error}", key
            )
        if not seal.count:
            return seal
        sealed = self.sealed.setdefault((seal.epoch, seal.stream), Numbers())
        if not any(any(sealed.missing(*each)) for each in seal.ranges):
            self.resealed.add((seal.epoch, seal.stream, seal.first))
        for first, last in seal.ranges:
            sealed.add_range(first, last)
        return seal

    def order(self) -> EpochOrder:
        """Of all epochs that have come, are sealed or named."""
        return order_epochs(
            {epoch for epoch, _ in (*self.numbers, *self.sealed)}, self.declared.claims
        )

    def _covers(self, key: Key, covers: object) -> Iterator[AuditFinding]:
        _, epoch, stream, seq = key
        if seq in self.covered.get((epoch, stream), ()):
            text = (
                f"{record_name(*key)} arrived as a record of its own, and another record covers it"
            )
            yield AuditFinding("conflict", f"{text}, too", key)
        if covers is None:
            return
        try:
            found = sorted(set(decode_steps(covers)))
            if not found or found[-1] != seq:
                raise ValueError("the list does not end with the record's own number")
        except ValueError as error:
            yield AuditFinding("undecodable", f"{record_name(*key)}: covers: {error}", key)
            return
        numbers = self.numbers[epoch, stream]
        marked = self.covered.setdefault((epoch, stream), Numbers())
        twice = 0
        for number in found[:-1]:
            twice += not numbers.add(number)
            marked.add(number)
        if twice:
            text = (
                f"{record_name(*key)} covers {twice} numbers that other records have or cover too"
            )
            yield AuditFinding("conflict", text, key)

    def _time(self, source: str, key: Key, data: Mapping[str, Any]) -> Iterator[AuditFinding]:
        from_us, to_us = data["mono"]
        boots = self.timelines.setdefault((key[2], source), {})
        timeline = boots.setdefault((key[1], data["boot"]), Timeline())
        if not timeline.add(from_us, to_us, (key[1], key[3])):
            text = f"{record_name(*key)} covers a time of {source}"
            text = f"{text} that another record covers too ({from_us}..{to_us} us)"
            yield AuditFinding("overlap", text, key)
