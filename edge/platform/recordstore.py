"""Where the platform keeps records: what its three kinds of store have in common.

Any number of processes read a store. A file (SQLite, JSON lines) is written by one at a time, for
which a lock file lies beside it; PostgreSQL is written by any number.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from edge.core import ConfigError
from edge.core.numbers import Range
from edge.durable.filelock import FileLock
from edge.platform.days import DayCounts
from edge.platform.keepquota import CONFLICT, KeepQuota
from edge.platform.prover import ProofDesk
from edge.platform.receivedrecord import Key, ReceivedRecord, RefusedMessage
from edge.platform.streamproof import StreamProof

StoreVerdict = Literal["stored", "repeat", "conflict", "excess", "refused"]


class RecordStoreError(Exception):
    """The store cannot be read or written: nothing may be receipted."""


class DamagedRecordsError(RecordStoreError):
    """Some of one gateway's records cannot be read; those of others can."""


@dataclass(frozen=True, slots=True)
class CommittedRecord:
    """What became of a record. A conflict is kept beside the first content, not in place.

    All are durable now but the excess, for which their gateway has no more room, and the refused,
    which this store can never hold. `unfit`: why it cannot, or why a store that files bodies by
    columns could not do so with this one. `excess`: of what there was too much (`keepquota`).
    """

    entry: ReceivedRecord
    verdict: StoreVerdict
    unfit: str = ""
    excess: str = CONFLICT


@dataclass(frozen=True, slots=True)
class StoreDamage:
    """What was found: bytes of a last line that was cut, lines or rows that cannot be read."""

    torn_bytes: int = 0
    lines: int = 0


class RecordStore(Protocol):
    """Written by the collector, in groups; read by the audit, in the order of the keys.

    `name` is random, made with the store: a persistent session is named after it. `commit` returns
    when all is on the disk; what was stored before it raised is a repeat when it comes again.
    Everything raises RecordStoreError.
    """

    name: str
    damage: StoreDamage

    def commit(
        self, entries: Sequence[ReceivedRecord], refused: Sequence[RefusedMessage]
    ) -> list[CommittedRecord]: ...
    # with the epoch of its first record here; None: that is not known any more
    def gateways(self) -> list[tuple[str, int | None]]: ...
    def records(self, gw: str, stream: str | None = None) -> Iterator[ReceivedRecord]: ...
    def record_range(self, first: Key, last: int) -> Iterator[ReceivedRecord]: ...
    def conflicts(self, gw: str) -> Iterator[ReceivedRecord]: ...
    # epoch, stream and a range of numbers that are there, also those that a merged record covers
    def numbers(self, gw: str) -> Iterator[tuple[int, str, Range]]: ...
    def tallies(self) -> KeepQuota: ...  # of what came beside records
    # how many records are there of an epoch and stream; None: counting would take long
    def count(self, gw: str, epoch: int, stream: str) -> int | None: ...
    # what manifests have proved (`prover`): by epoch and stream, in order, in chapters
    def proofs(self, gw: str) -> Iterator[tuple[int, str, StreamProof]]: ...
    # what of it was counted of each day, or of one
    def proved_days(self, gw: str, day: str | None = None) -> Iterator[tuple[str, DayCounts]]: ...
    # of which records better times came when they were proved
    def redated(self, gw: str) -> Iterator[Key]: ...
    # None: another process proves this gateway, or this store does not keep proofs
    def proving(self, gw: str) -> AbstractContextManager[ProofDesk | None]: ...
    def close(self) -> None: ...


class StoreLock:
    """The right to write a store that is a file; held until `close`, or until the process ends.

    A file of its own: closing any descriptor of a database would give up SQLite's own locks.
    """

    def __init__(self, path: Path) -> None:
        self._lock = FileLock(path.with_name(f"{path.name}.lock"))
        try:
            taken = self._lock.take()
        except OSError as error:
            raise RecordStoreError(f"{self._lock.path}: {error.strerror}") from error
        if not taken:
            raise ConfigError(
                f"{path}: another `kerbstone receipts` writes this store; stop it first"
            )

    def close(self) -> None:
        self._lock.release()
