"""The store of a city in PostgreSQL. Any number of processes write it at once, and read it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final, LiteralString

import psycopg

from edge.platform.days import DayCounts
from edge.platform.gatewaynotice import GatewayNotice
from edge.platform.keepquota import KeepQuota, QuotaCount
from edge.platform.ledger import LedgerEntry
from edge.platform.postgres.archivedrecords import with_archived
from edge.platform.postgres.grouptransaction import GroupTransaction
from edge.platform.postgres.notices import keep_notices
from edge.platform.postgres.opendatabase import open_database, store_errors
from edge.platform.postgres.places import LedgerKey, Places
from edge.platform.postgres.proofdesk import (
    PostgresProofDesk,
    begin_proving,
    days_of,
    proofs_of,
    redated_of,
    unproved_gateways,
)
from edge.platform.postgres.ranges import ranges_in
from edge.platform.postgres.rows import READ, WITH_BRANCH, PostgresRow, record_of
from edge.platform.prover import ProofDesk
from edge.platform.receivedrecord import Key, ReceivedRecord, RefusedMessage, refused_record
from edge.platform.recordstore import CommittedRecord, StoreDamage
from edge.platform.streamproof import StreamProof

UNSTORABLE: Final = (psycopg.DataError, ValueError, OverflowError)  # it would fail again for ever
FETCHED: Final = 1_000  # rows that a reader holds at once
GATEWAYS: Final = 'SELECT gw, joined_epoch FROM gateway ORDER BY gw COLLATE "C"'
LEDGER_OF: Final = """
SELECT l.id, l.epoch, l.stream FROM ledger AS l JOIN gateway AS g ON g.id = l.gateway
WHERE g.gw = %s AND l.got <> '{}' ORDER BY l.epoch, l.stream COLLATE "C" """
IN_CONFLICT: Final = """
SELECT l.id, l.epoch, l.stream FROM ledger AS l JOIN gateway AS g ON g.id = l.gateway
WHERE g.gw = %s AND EXISTS (SELECT FROM conflict AS c WHERE c.ledger = l.id)
ORDER BY l.epoch, l.stream COLLATE "C" """
LEDGER_ROW: Final = """
SELECT l.id FROM ledger AS l JOIN gateway AS g ON g.id = l.gateway
WHERE (g.gw, l.epoch, l.stream) = (%s, %s, %s)"""
NUMBERS: Final = """
SELECT l.epoch, l.stream, (l.got + l.covered)::text
FROM ledger AS l JOIN gateway AS g ON g.id = l.gateway
WHERE g.gw = %s ORDER BY l.epoch, l.stream COLLATE "C" """
CONFLICTS: Final[LiteralString] = f"""
SELECT {WITH_BRANCH} FROM conflict AS r
WHERE ledger = %s ORDER BY seq, digest"""
LAST: Final = (1 << 63) - 1


class PostgresStore:
    """See `edge.platform.recordstore.RecordStore`. Used by one thread at a time.

    A reader sees one state of the store, whatever is written meanwhile. Raises ConfigError for an
    address that is none, and for a database whose tables are not those of this version.
    """

    def __init__(self, url: str, *, write: bool) -> None:
        self.damage = StoreDamage()
        self._url, self._write = url, write
        self._places, self._readers = Places(), 0
        with store_errors():
            self._db = self._connect()
            row = self._db.execute("SELECT name FROM store").fetchone()
        self.name = str(row[0]) if row is not None else ""

    def commit(
        self, entries: Sequence[ReceivedRecord], refused: Sequence[RefusedMessage]
    ) -> list[CommittedRecord]:
        """On the disk when this returns. A record that the database cannot hold is set aside.

        When it raises, nobody knows what has been stored: that is a repeat when it is committed
        again.
        """
        with store_errors():
            self._open()
            if entries:
                self._places.open_ahead(self._db, max(entry.received for entry in entries))
            return self._commit(entries, refused)

    def keep_notices(self, notices: Sequence[GatewayNotice]) -> None:
        """The last status of each gateway, and the history of its description."""
        with store_errors():
            self._open()
            with self._db.transaction():
                keep_notices(self._db, notices)

    def gateways(self) -> list[tuple[str, int | None]]:
        with store_errors():
            return [(gw, epoch) for gw, epoch in self._db.execute(GATEWAYS)]

    def records(self, gw: str, stream: str | None = None) -> Iterator[ReceivedRecord]:
        """In the order of the keys; of one stream in the order of epochs and numbers."""
        for number, key in self._ledger_of(gw):
            if stream in (None, key[2]):
                yield from self._stored(key, number, 0, LAST)

    def record_range(self, first: Key, last: int) -> Iterator[ReceivedRecord]:
        """The records of one epoch and stream, from a number to another one."""
        with store_errors():
            row = self._db.execute(LEDGER_ROW, first[:3]).fetchone()
        if row is not None:
            yield from self._stored(first[:3], row[0], first[3], last)

    def conflicts(self, gw: str) -> Iterator[ReceivedRecord]:
        for number, key in self._ledger_of(gw, IN_CONFLICT):
            for row in self._read(CONFLICTS, (number,)):
                yield record_of(row[1:], key, row[0])

    def numbers(self, gw: str) -> Iterator[LedgerEntry]:
        """What is there of each epoch and stream, or covered by a merged record; in order."""
        with store_errors():
            rows = self._db.execute(NUMBERS, (gw,)).fetchall()
        for epoch, stream, numbers in rows:
            yield from ((epoch, stream, each) for each in ranges_in(numbers))

    def tallies(self) -> KeepQuota:
        found = KeepQuota()
        with store_errors():
            for gw, kind, *counts in self._db.execute(
                "SELECT gw, kind, kept, size, more FROM tally"
            ):
                found.restore(gw, kind, QuotaCount(*counts))
        return found

    def count(self, gw: str, epoch: int, stream: str) -> int | None:
        """Never: of a city's year this would read an index of 100 GB."""
        return None

    def proofs(self, gw: str) -> Iterator[tuple[int, str, StreamProof]]:
        with store_errors():
            yield from proofs_of(self._db, gw)

    def proved_days(self, gw: str, day: str | None = None) -> Iterator[tuple[str, DayCounts]]:
        with store_errors():
            yield from days_of(self._db, gw, day)

    def redated(self, gw: str) -> Iterator[Key]:
        with store_errors():
            yield from redated_of(self._db, gw)

    def unproved(self) -> list[str]:
        """Gateways whose manifests somebody has stored, and did not live to prove."""
        with store_errors():
            return unproved_gateways(self._db)

    @contextmanager
    def proving(self, gw: str) -> Iterator[ProofDesk | None]:
        with store_errors(), self._db.transaction():
            yield PostgresProofDesk(self._db, gw) if begin_proving(self._db, gw) else None

    def close(self) -> None:
        self._db.close()

    # -- inside ------------------------------------------------------------------------------------

    def _commit(
        self, entries: Sequence[ReceivedRecord], refused: Sequence[RefusedMessage]
    ) -> list[CommittedRecord]:
        """All of it or nothing; or in parts, when one message cannot be stored."""
        try:
            with suppress(psycopg.errors.CheckViolation):  # a day that it knew has been archived
                return self._write_group(entries, refused)
            return self._write_group(entries, refused)
        except UNSTORABLE as error:
            if len(entries) + len(refused) == 1:
                return self._set_aside(entries, error)
        if entries and refused:
            return self._commit(entries, ()) + self._commit((), refused)
        half = max(len(entries), len(refused)) // 2
        return self._commit(entries[:half], refused[:half]) + self._commit(
            entries[half:], refused[half:]
        )

    def _set_aside(
        self, entries: Sequence[ReceivedRecord], error: Exception
    ) -> list[CommittedRecord]:
        """Nothing is kept of a refused message that cannot be kept: it is told when it comes."""
        why = f"the database cannot hold it: {' '.join(str(error).split())}"
        for entry in entries:
            self._commit((), [refused_record(entry, why)])
        return [CommittedRecord(entry, "refused", why) for entry in entries]

    def _write_group(
        self, entries: Sequence[ReceivedRecord], refused: Sequence[RefusedMessage]
    ) -> list[CommittedRecord]:
        try:
            with self._db.transaction():
                group = GroupTransaction(self._db, self._places)
                verdicts = group.write(entries, refused)
        except BaseException:
            self._places = Places()  # what was made in it is nowhere
            raise
        return [
            CommittedRecord(
                entry, verdict, group.unfit.get(entry.key, ""), group.excess.get(entry.key, "")
            )
            for entry, verdict in zip(entries, verdicts, strict=True)
        ]

    def _open(self) -> None:
        """Connect again when the connection has ended: perhaps to another server's copy."""
        if self._db.closed:
            self._db, self._places = self._connect(), Places()

    def _connect(self) -> psycopg.Connection:
        connection = open_database(self._url)
        if not self._write:
            # locked before there is a snapshot: a day that is archived later stays where it is
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            connection.execute("LOCK TABLE record IN ACCESS SHARE MODE")
        return connection

    def _ledger_of(self, gw: str, query: LiteralString = LEDGER_OF) -> list[tuple[int, LedgerKey]]:
        with store_errors():
            rows = self._db.execute(query, (gw,)).fetchall()
        return [(number, (gw, epoch, stream)) for number, epoch, stream in rows]

    def _stored(
        self, key: LedgerKey, ledger: int, first: int, last: int
    ) -> Iterator[ReceivedRecord]:
        with store_errors():
            hot = self._read(READ, (ledger, first, last))
            for branch, *row in with_archived(self._db, hot, ledger, first, last):
                yield record_of(tuple(row), key, branch)

    def _read(self, query: LiteralString, values: tuple[int, ...]) -> Iterator[PostgresRow]:
        """The name of the branch, and the columns."""
        self._readers += 1
        name = f"reader{self._readers}"
        with store_errors(), self._db.cursor(name, withhold=self._write) as cursor:
            cursor.itersize = FETCHED
            yield from cursor.execute(query, values)
