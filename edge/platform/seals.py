"""Manifests: what one seals, and whether what came is what was sealed (decision 13).

`Replays` finds manifests that say word for word what another one says: one of them stands in a
place of another. A signature covers what a manifest says, and not its number, which nobody knows
yet when it signs. So who can write the store can fill the place of a manifest that he has taken
away with a copy of one that holds, and what the first one sealed is sealed by nobody.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from edge.core.numbers import Range, Step, decode_steps, format_numbers
from edge.platform.auditreport import AuditFinding, record_name
from edge.platform.receivedrecord import Key
from edge.wire import CHAIN_START, chain_map, signed_bytes
from edge.wire.clockmoments import Moment, parse_moments
from edge.wire.down import MAX_SEQ
from edge.wire.records import HEADER_KEYS
from edge.wire.topics import STREAMS

SPAN: Final = 500  # numbers that are read at once
SPAN_GAP: Final = 50  # numbers between two that are rather read than asked for apart
# what a map that is none of ours makes `chain_map` raise
UNREADABLE: Final = (KeyError, TypeError, ValueError, OverflowError)


@dataclass(frozen=True, slots=True)
class Seal:
    """One manifest: the digest over these numbers of one epoch and stream."""

    key: Key  # of the manifest's own record
    epoch: int
    stream: str
    seqs: tuple[tuple[int, int, int], ...]
    first: int
    last: int
    count: int
    sha256: str
    clock: tuple[Moment, ...]  # by which these were dated
    clock_redelivered: tuple[Moment, ...]  # by which any were that went out again

    @property
    def numbers(self) -> list[int]:
        return [number for a, b, step in self.seqs for number in range(a, b + 1, step)]

    @property
    def ranges(self) -> Iterator[Range]:
        for first, last, step in self.seqs:
            if step == 1:
                yield first, last
            else:
                yield from ((number, number) for number in range(first, last + 1, step))

    @property
    def spans(self) -> Iterator[Range]:
        """What to read of a store for its numbers: not all that lies between the first and the
        last of them, which may be a year."""
        start = end = 0
        for number in self.numbers:
            if not start:
                start = number
            elif number - end > SPAN_GAP or number - start >= SPAN:
                yield start, end
                start = number
            end = number
        if start:
            yield start, end

    @property
    def text(self) -> str:
        return f"the manifest {record_name(*self.key)}"


def seal_of(key: Key, data: Mapping[str, Any]) -> Seal:
    """Of the record of a manifest. Raises ValueError when it contradicts itself."""
    match data:
        case {
            "epoch_of": int(epoch), "stream_of": str(stream), "first": int(first),
            "last": int(last), "count": int(count), "seqs": list(seqs), "sha256": str(sha256),
            "clock": list(clock),
        }:  # fmt: skip
            if stream not in STREAMS or not 0 <= epoch < MAX_SEQ:
                raise ValueError("epoch_of or stream_of is invalid")
            if "former" in data and (epoch, key[3]) != (key[1], 1):
                raise ValueError("only the first manifest of an epoch may have `former`")
            numbers = decode_steps(seqs)
            if not all(a < b for a, b in pairwise(numbers)):
                raise ValueError("its numbers are not in ascending order")
            # the first one of an epoch seals nothing: it names the former epoch
            ends = (numbers[0], numbers[-1]) if numbers else (first, first - 1)
            if (first, last, count) != (*ends, len(numbers)):
                raise ValueError("first, last and count are not those of seqs")
            known, again = parse_moments(clock), parse_moments(data.get("clock_redelivered", ()))
            return Seal(key, epoch, stream, _steps(seqs), first, last, count, sha256, known, again)
    raise ValueError("epoch_of, stream_of, first, last, count, seqs, sha256 or clock is missing")


@dataclass(frozen=True, slots=True)
class SealProof:
    """`proved` only when all is here and the digest is the same. `absent` numbers are not here."""

    proved: bool
    absent: tuple[int, ...] = ()
    finding: AuditFinding | None = None


def prove_seal(seal: Seal, records: Iterable[tuple[int, Mapping[str, Any]]]) -> SealProof:
    """`records` are those with the numbers of the seal, in order; others are passed over."""
    chain = CHAIN_START
    wanted = seal.numbers
    absent: list[int] = []
    at = 0
    for seq, sent in records:
        while at < len(wanted) and wanted[at] < seq:
            absent.append(wanted[at])
            at += 1
        if at < len(wanted) and wanted[at] == seq:
            try:
                chain = chain_map(chain, sent)
            except UNREADABLE:
                return SealProof(False, (), _differs(seal))
            at += 1
    absent.extend(wanted[at:])
    if absent:
        return SealProof(False, tuple(absent))
    if chain.hex() != seal.sha256:
        return SealProof(False, (), _differs(seal))
    return SealProof(True)


def _differs(seal: Seal) -> AuditFinding:
    ranges = format_numbers([(seal.first, seal.last)])
    text = f"{seal.text} seals {seal.count} numbers of {seal.epoch}/{seal.stream} ({ranges})"
    return AuditFinding("digest", f"{text}, but the records that arrived are different", seal.key)


def _steps(seqs: list[Step]) -> tuple[tuple[int, int, int], ...]:
    return tuple((first, last, step) for first, last, step in seqs)


class Replays:
    """Fed with the manifests of one gateway. `resealed` is where some seal nothing new: the first
    one there, and all of those, are remembered. An honest box hardly ever has any."""

    def __init__(self, resealed: Collection[tuple[int, str, int]]) -> None:
        self._resealed = resealed
        self._first: dict[bytes, Key] = {}

    def look(self, seal: Seal, sent: Mapping[str, Any]) -> AuditFinding | None:
        """Whether another one has said the same before."""
        if "former" in sent:
            return None  # the first of its epoch, and it can stand nowhere else
        if seal.count and (seal.epoch, seal.stream, seal.first) not in self._resealed:
            return None
        body = {field: value for field, value in sent.items() if field not in HEADER_KEYS}
        digest = hashlib.sha256(signed_bytes(body)).digest()
        first = self._first.setdefault(digest, seal.key)
        if first == seal.key:
            return None
        text = (
            f"{seal.text} has exactly the content of {record_name(*first)}: a copy has replaced a "
            "manifest that is missing"
        )
        return AuditFinding("replay", text, seal.key)
