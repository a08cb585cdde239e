"""What manifests have proved, in the SQLite store (`storetables`: proof, proof_day, redated)."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from edge.core.numbers import Range
from edge.platform.days import UNKNOWN, DayCounts
from edge.platform.receivedrecord import Key, ReceivedRecord
from edge.platform.recordstore import RecordStore
from edge.platform.storedproofs import day_counts, day_row, load_proof, pack_proof
from edge.platform.streamproof import StreamProof, union, without

ID: Final = "(SELECT id FROM numbering WHERE gw = ? AND epoch = ? AND stream = ?)"
PROOFS: Final = """SELECT epoch, stream, facts FROM proof JOIN numbering ON id = numbering
WHERE gw = ? ORDER BY epoch, stream, chapter"""
CHAPTERS: Final = f"SELECT facts FROM proof WHERE numbering = {ID} ORDER BY chapter"
DAYS: Final = """SELECT stream, day, records, numbers, gaps, drops, proved, covered
FROM proof_day JOIN numbering ON id = numbering WHERE gw = ?"""
DAY: Final = f"""SELECT records, numbers, gaps, drops, proved, covered FROM proof_day
WHERE numbering = {ID} AND day = ?"""
REDATED: Final = """SELECT epoch, stream, seq FROM redated JOIN numbering ON id = numbering
WHERE gw = ? ORDER BY epoch, stream, seq"""
MANIFESTS: Final = """SELECT epoch, first, last FROM numbering JOIN ledger ON numbering = id
WHERE gw = ? AND stream = 'manifest' ORDER BY epoch, first"""


def proofs_of(db: sqlite3.Connection, gw: str) -> Iterator[tuple[int, str, StreamProof]]:
    """Raises sqlite3.Error, ValueError."""
    for epoch, stream, facts in db.execute(PROOFS, (gw,)):
        yield epoch, stream, load_proof(facts)


def days_of(db: sqlite3.Connection, gw: str, day: str | None) -> Iterator[tuple[str, DayCounts]]:
    """Raises sqlite3.Error, ValueError."""
    where, values = (
        (DAYS, (gw,)) if day is None else (f"{DAYS} AND day IN (?, ?)", (gw, day, UNKNOWN))
    )
    for stream, of, *row in db.execute(where, values):
        yield of, day_counts(stream, tuple(row))


def redated_of(db: sqlite3.Connection, gw: str) -> Iterator[Key]:
    for epoch, stream, seq in db.execute(REDATED, (gw,)):
        yield gw, epoch, stream, seq


class SqliteProofDesk:
    """See `edge.platform.prover.ProofDesk`; within a transaction of `db`."""

    def __init__(self, db: sqlite3.Connection, store: RecordStore, gw: str) -> None:
        self._db, self._store, self._gw = db, store, gw

    def pending(self) -> list[tuple[int, list[Range]]]:
        there: dict[int, list[Range]] = {}
        for epoch, first, last in self._db.execute(MANIFESTS, (self._gw,)).fetchall():
            there.setdefault(epoch, []).append((first, last))
        found = []
        for epoch, ranges in there.items():
            proofs = [proof for proof, _ in self.chapters(epoch, "manifest")]
            new = without(ranges, union((), (each for proof in proofs for each in proof.seen)))
            if new or any(proof.waiting for proof in proofs):
                found.append((epoch, new))
        return found

    def present(self, epoch: int, stream: str) -> list[Range]:
        sql = f"SELECT first, last FROM ledger WHERE numbering = {ID} ORDER BY first"
        return self._db.execute(sql, (self._gw, epoch, stream)).fetchall()

    def records(self, epoch: int, stream: str, first: int, last: int) -> Iterator[ReceivedRecord]:
        return self._store.record_range((self._gw, epoch, stream, first), last)

    def chapters(self, epoch: int, stream: str) -> list[tuple[StreamProof, int]]:
        rows = self._db.execute(CHAPTERS, (self._gw, epoch, stream))
        return [(load_proof(facts), len(facts)) for (facts,) in rows]

    def keep(self, epoch: int, stream: str, chapter: int, proof: StreamProof) -> None:
        of = self._gw, epoch, stream
        self._db.execute(
            f"INSERT OR REPLACE INTO proof VALUES ({ID}, ?, ?)", (*of, chapter, pack_proof(proof))
        )

    def redated(self, epoch: int, stream: str, first: int, last: int) -> list[int]:
        sql = f"SELECT seq FROM redated WHERE numbering = {ID} AND seq BETWEEN ? AND ?"
        rows = self._db.execute(sql, (self._gw, epoch, stream, first, last))
        return [seq for (seq,) in rows]

    def forget_redated(self, epoch: int, stream: str, numbers: Sequence[int]) -> None:
        sql = f"DELETE FROM redated WHERE numbering = {ID} AND seq = ?"
        self._db.executemany(sql, [(self._gw, epoch, stream, seq) for seq in numbers])

    def add_days(self, epoch: int, stream: str, days: Mapping[str, DayCounts]) -> None:
        of = self._gw, epoch, stream
        for day, counts in days.items():
            if (row := self._db.execute(DAY, (*of, day)).fetchone()) is not None:
                counts.add(day_counts(stream, row))
            values = (*of, day, *day_row(counts))
            self._db.execute(
                f"INSERT OR REPLACE INTO proof_day VALUES ({ID}, ?, ?, ?, ?, ?, ?, ?)", values
            )
