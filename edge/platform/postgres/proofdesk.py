"""What manifests have proved, in PostgreSQL. One process proves a gateway at a time.

It locks nothing that a group of records needs: numbers only come, and a better time that comes
meanwhile leaves its row in `redated`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, LiteralString

import psycopg

from edge.core.numbers import Range
from edge.platform.days import UNKNOWN, DayCounts
from edge.platform.postgres.archivedrecords import with_archived
from edge.platform.postgres.ranges import multirange_of, ranges_in
from edge.platform.postgres.rows import READ, record_of
from edge.platform.receivedrecord import Key, ReceivedRecord
from edge.platform.storedproofs import day_counts, day_row, load_proof, pack_proof
from edge.platform.streamproof import StreamProof

PROVING: Final = 1_264_870_002  # first of the two numbers of the lock of a gateway
OF_GATEWAY: Final = """
FROM ledger AS l JOIN gateway AS g ON g.id = l.gateway"""
PROOFS: Final[LiteralString] = f"""
SELECT l.epoch, l.stream, p.facts {OF_GATEWAY} JOIN proof AS p ON p.ledger = l.id
WHERE g.gw = %s ORDER BY l.epoch, l.stream COLLATE "C", p.chapter"""
DAYS: Final[LiteralString] = f"""
SELECT l.stream, d.day, d.records, d.numbers, d.gaps, d.drops, d.proved, d.covered
{OF_GATEWAY} JOIN proof_day AS d ON d.ledger = l.id WHERE g.gw = %s"""
REDATED: Final[LiteralString] = f"""
SELECT DISTINCT l.epoch, l.stream COLLATE "C", r.seq
{OF_GATEWAY} JOIN redated AS r ON r.ledger = l.id WHERE g.gw = %s ORDER BY 1, 2, 3"""
LOCK: Final = "SELECT pg_try_advisory_xact_lock(%s, id) FROM gateway WHERE gw = %s"
PENDING: Final[LiteralString] = f"""
SELECT l.epoch, (l.got - coalesce(p.seen, '{{}}'))::text {OF_GATEWAY}
LEFT JOIN LATERAL (
    SELECT range_agg(seen) AS seen, bool_or(waiting) AS waiting FROM proof WHERE ledger = l.id
) AS p ON true
WHERE g.gw = %s AND l.stream = 'manifest'
AND (p.waiting OR NOT l.got <@ coalesce(p.seen, '{{}}')) ORDER BY l.epoch"""
UNPROVED: Final[LiteralString] = f"""
SELECT DISTINCT g.gw {OF_GATEWAY}
LEFT JOIN LATERAL (SELECT range_agg(seen) AS seen FROM proof WHERE ledger = l.id) AS p ON true
WHERE l.stream = 'manifest' AND NOT l.got <@ coalesce(p.seen, '{{}}') ORDER BY 1"""
PLACE: Final[LiteralString] = f"""
SELECT l.id, (l.got + l.covered)::text {OF_GATEWAY}
WHERE (g.gw, l.epoch, l.stream) = (%s, %s, %s)"""
CHAPTERS: Final = "SELECT facts FROM proof WHERE ledger = %s ORDER BY chapter"
KEEP: Final = """
INSERT INTO proof (ledger, chapter, numbers, seen, waiting, facts) VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (ledger, chapter) DO UPDATE SET (numbers, seen, waiting, facts) =
    (excluded.numbers, excluded.seen, excluded.waiting, excluded.facts)"""
DAY: Final = """
SELECT records, numbers, gaps, drops, proved, covered FROM proof_day WHERE ledger = %s AND day = %s
"""
KEEP_DAY: Final = """
INSERT INTO proof_day (ledger, day, records, numbers, gaps, drops, proved, covered)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (ledger, day) DO UPDATE SET
    (records, numbers, gaps, drops, proved, covered) = (excluded.records, excluded.numbers,
    excluded.gaps, excluded.drops, excluded.proved, excluded.covered)"""
REDATED_IN: Final = "SELECT seq, id FROM redated WHERE ledger = %s AND seq BETWEEN %s AND %s"
FORGET: Final = "DELETE FROM redated WHERE ledger = %s AND seq = ANY (%s) AND id = ANY (%s)"


def proofs_of(db: psycopg.Connection, gw: str) -> Iterator[tuple[int, str, StreamProof]]:
    """Raises psycopg.Error, DamagedProofError."""
    for epoch, stream, facts in db.execute(PROOFS, (gw,)):
        yield epoch, stream, load_proof(facts)


def days_of(db: psycopg.Connection, gw: str, day: str | None) -> Iterator[tuple[str, DayCounts]]:
    """Of one day, and of what has none; or of all. Raises psycopg.Error, DamagedProofError."""
    if day is None:
        rows = db.execute(DAYS, (gw,))
    else:
        rows = db.execute(DAYS + " AND d.day = ANY (%s)", (gw, [day, UNKNOWN]))
    for stream, of, *row in rows:
        yield of, day_counts(stream, tuple(row))


def redated_of(db: psycopg.Connection, gw: str) -> Iterator[Key]:
    for epoch, stream, seq in db.execute(REDATED, (gw,)):
        yield gw, epoch, stream, seq


def unproved_gateways(db: psycopg.Connection) -> list[str]:
    """Those with manifests that nobody has looked at. Raises psycopg.Error."""
    return [gw for (gw,) in db.execute(UNPROVED)]


def begin_proving(db: psycopg.Connection, gw: str) -> bool:
    """Within a transaction: whether nobody else proves this gateway, and it is known."""
    row = db.execute(LOCK, (PROVING, gw)).fetchone()
    return row is not None and bool(row[0])


class PostgresProofDesk:
    """See `edge.platform.prover.ProofDesk`; within a transaction of `db`."""

    def __init__(self, db: psycopg.Connection, gw: str) -> None:
        self._db, self._gw = db, gw
        self._places: dict[tuple[int, str], tuple[int, list[Range]]] = {}
        self._redated: set[int] = set()  # rows that were there before the records were read

    def pending(self) -> list[tuple[int, list[Range]]]:
        rows = self._db.execute(PENDING, (self._gw,)).fetchall()
        return [(epoch, ranges_in(numbers)) for epoch, numbers in rows]

    def present(self, epoch: int, stream: str) -> list[Range]:
        return self._place(epoch, stream)[1]

    def records(self, epoch: int, stream: str, first: int, last: int) -> Iterator[ReceivedRecord]:
        key, ledger = (self._gw, epoch, stream), self._place(epoch, stream)[0]
        hot = self._db.execute(READ, (ledger, first, last), binary=True)
        # what cannot be read is not there: its manifest is left to the audit
        for branch, *row in with_archived(self._db, hot, ledger, first, last, set()):
            yield record_of(tuple(row), key, branch)

    def chapters(self, epoch: int, stream: str) -> list[tuple[StreamProof, int]]:
        rows = self._db.execute(CHAPTERS, (self._place(epoch, stream)[0],)).fetchall()
        return [(load_proof(facts), len(facts)) for (facts,) in rows]

    def keep(self, epoch: int, stream: str, chapter: int, proof: StreamProof) -> None:
        ledger, _ = self._place(epoch, stream)
        numbers, seen = multirange_of(proof.numbers), multirange_of(proof.seen)
        waiting = bool(proof.waiting)
        self._db.execute(KEEP, (ledger, chapter, numbers, seen, waiting, pack_proof(proof)))

    def redated(self, epoch: int, stream: str, first: int, last: int) -> list[int]:
        rows = self._db.execute(REDATED_IN, (self._place(epoch, stream)[0], first, last))
        found = rows.fetchall()
        self._redated |= {id_ for _, id_ in found}
        return [seq for seq, _ in found]

    def forget_redated(self, epoch: int, stream: str, numbers: Sequence[int]) -> None:
        ledger, _ = self._place(epoch, stream)
        self._db.execute(FORGET, (ledger, list(numbers), list(self._redated)))

    def add_days(self, epoch: int, stream: str, days: Mapping[str, DayCounts]) -> None:
        ledger, _ = self._place(epoch, stream)
        for day, counts in days.items():
            if (row := self._db.execute(DAY, (ledger, day)).fetchone()) is not None:
                counts.add(day_counts(stream, row))
            self._db.execute(KEEP_DAY, (ledger, day, *day_row(counts)))

    def _place(self, epoch: int, stream: str) -> tuple[int, list[Range]]:
        """Row of the ledger, and its numbers; no row has none."""
        if (found := self._places.get((epoch, stream))) is None:
            row = self._db.execute(PLACE, (self._gw, epoch, stream)).fetchone()
            found = (row[0], ranges_in(row[1])) if row is not None else (0, [])
            self._places[epoch, stream] = found
        return found
