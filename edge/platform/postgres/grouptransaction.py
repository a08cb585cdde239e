"""One group of messages, written in one transaction.

Rows of the ledger are locked first, in the order of their numbers, so two writers that have the
same gateways wait for each other and never in a circle. What has come before is known from then
on: a number of the ledger is a repeat or a conflict, and its record is looked up. All others are
copied, and their numbers merged into the ledger. Then the tables by kind get their rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString

import psycopg
from psycopg.types.json import Jsonb

from edge.platform.keepquota import CONFLICT, COVERS, EPOCH, GAPS, SITE, KeepQuota, QuotaCount
from edge.platform.postgres.archivedrecords import archived_places
from edge.platform.postgres.kindrows import KindRows, Redated
from edge.platform.postgres.ledgerrows import LedgerRows
from edge.platform.postgres.places import Places
from edge.platform.postgres.rows import (
    COLUMNS,
    LEDGER,
    RECEIVED,
    SEQ,
    TYPES,
    WANTED,
    Place,
    clean,
    columns_of,
    moment_of,
    record_of,
    row_of,
    wall_list,
)
from edge.platform.receivedrecord import (
    Key,
    ReceivedRecord,
    RefusedMessage,
    WallTimes,
    same_content,
)
from edge.platform.recordstore import StoreVerdict

LOOK_UP: Final[LiteralString] = f"SELECT {COLUMNS} FROM record WHERE {WANTED}"
# a repeat is mostly one of today or of yesterday: two partitions are searched, and not all
RECENT: Final = " AND received > now() - interval '2 days'"
BESIDE: Final[LiteralString] = f"SELECT ledger, seq, digest FROM conflict WHERE {WANTED}"
DATE: Final = """
UPDATE record SET wall_from = %s, wall_to = %s, tq = %s, wall = %s
WHERE ledger = %s AND seq = %s AND received = %s"""
REDATED: Final = "INSERT INTO redated (ledger, seq) VALUES (%s, %s)"
COPY: Final[LiteralString] = f"COPY record ({COLUMNS}) FROM STDIN (FORMAT BINARY)"
COPY_BESIDE: Final[LiteralString] = f"COPY conflict ({COLUMNS}, digest) FROM STDIN (FORMAT BINARY)"
REFUSE: Final = """
INSERT INTO refused (kind, gw, topic, why, size, payload, received)
VALUES (%s, %s, %s, %s, %s, %s, coalesce(%s, clock_timestamp()))"""
TALLIES: Final = "SELECT kind, kept, size, more FROM tally WHERE gw = %s"
TALLY: Final = """
INSERT INTO tally (gw, kind, kept, size, more) VALUES (%s, %s, %s, %s, %s) ON CONFLICT (gw, kind)
DO UPDATE SET (kept, size, more) = (excluded.kept, excluded.size, excluded.more)"""
TALLY_LOCK: Final = 7_234_017_283_807_667_302  # counts of one gateway change in one group at a time


@dataclass(slots=True)
class _Known:
    """The record that has a place. `received` is None where it is one of this group."""

    payload: bytes
    wall: WallTimes
    received: datetime | None


class GroupTransaction:
    """Within a transaction of `connection`, once. `excess`: of what there was too much."""

    def __init__(self, connection: psycopg.Connection, places: Places) -> None:
        self._db, self._places = connection, places
        self.excess: dict[Key, str] = {}
        self._known: dict[Place, _Known] = {}
        self._beside: set[tuple[Place, bytes]] = set()
        self._gone: set[Place] = set()
        self._archived: set[Place] = set()
        self._fresh: dict[Place, ReceivedRecord] = {}
        self._dated: dict[Place, ReceivedRecord] = {}
        self._conflicts: list[tuple[Place, ReceivedRecord, bytes]] = []
        self._beyond: set[Place] = set()
        self._ledger = LedgerRows(connection)
        self._rows = KindRows(connection, places)
        self._quota: KeepQuota | None = None
        self._counted: set[str] = set()

    def write(
        self, entries: Sequence[ReceivedRecord], refused: Sequence[RefusedMessage]
    ) -> list[StoreVerdict]:
        """What became of each entry. Raises psycopg.Error: then nothing has become of any."""
        # what two writers may both have to make comes before any lock that both may need
        names = [entry.branch for entry in entries]
        branches = self._places.branches(self._db, set(names))
        filed = [e for e, name in zip(entries, names, strict=True) if name in branches]
        self._places.open_days(self._db, {entry.received[:10] for entry in filed})
        ledger = self._places.ledger_rows(self._db, (entry.key[:3] for entry in filed))
        self._claim({(row, e.key[3]) for e in filed if (row := ledger.get(e.key[:3]))})
        verdicts = [
            self._put(entry, ledger.get(entry.key[:3]))
            if name in branches else self._too_much(entry, SITE)
            for entry, name in zip(entries, names, strict=True)
        ]  # fmt: skip
        self._copy()
        for each in refused:
            self._refuse(each)
        if self._quota is not None:
            for place in self._quota.changed:
                tally = self._quota.of(*place)
                self._db.execute(TALLY, (*place, tally.kept, tally.size, tally.not_kept))
        self._write_rows()
        return verdicts

    @property
    def unfit(self) -> Mapping[Key, str]:
        """Why records that were stored have no row in the tables by kind."""
        return self._rows.unfit

    def _write_rows(self) -> None:
        """Last: who waits for rows that all gateways share holds no other lock that one wants."""
        redated = []
        for place, entry in self._dated.items():
            if place not in self._fresh and (received := self._known[place].received) is not None:
                redated.append(Redated(place, entry, received, entry.wall))
        better = {place: entry.wall for place, entry in self._dated.items()}
        old = self._ledger.newly_covered - self._fresh.keys()
        self._rows.write(self._fresh, better, redated, old)

    def _claim(self, places: set[Place]) -> None:
        """Enter these numbers into the ledger, and find what was there of them."""
        again, self._beyond = self._ledger.claim(places)
        if not again:
            return
        left = again - self._look_up(again, RECENT)
        left -= self._look_up(left, "") if left else set()
        self._archived = self._look_up_archived(left) if left else set()
        self._gone = left - self._archived
        found = self._db.execute(BESIDE, columns_of(again)).fetchall()
        self._beside = {((row, seq), digest) for row, seq, digest in found}

    def _look_up(self, places: set[Place], when: LiteralString) -> set[Place]:
        found = set()
        for row in self._db.execute(LOOK_UP + when, columns_of(places)):
            record = record_of(row, ("", 0, ""), "")
            place = row[LEDGER], row[SEQ]
            self._known[place] = _Known(record.payload, record.wall, row[RECEIVED])
            found.add(place)
        return found

    def _look_up_archived(self, places: set[Place]) -> set[Place]:
        found = set()
        for place, row in archived_places(self._db, places):
            record = record_of(row, ("", 0, ""), "")
            self._known[place] = _Known(record.payload, record.wall, row[RECEIVED])
            found.add(place)
        return found

    def _put(self, entry: ReceivedRecord, ledger: int | None) -> StoreVerdict:
        if ledger is None:
            return self._too_much(entry, EPOCH)
        place = ledger, entry.key[3]
        known = self._known.get(place)
        if known is None and place in self._gone:  # its day is no longer kept
            return "repeat"
        if place in self._beyond:
            return self._too_much(entry, GAPS)
        if known is None:
            self._known[place] = _Known(entry.payload, entry.wall, None)
            self._fresh[place] = entry
            if not self._ledger.cover(ledger, entry):
                self._quotas(entry.key[0]).count(entry.key[0], COVERS)
            return "stored"
        if same_content(known.payload, entry.payload):
            # a better time of an old day changes nothing there: its rows are packed
            if entry.wall.better(known.wall) and place not in self._archived:
                known.wall, self._dated[place] = entry.wall, entry
            return "repeat"
        digest = entry.digest()
        if (place, digest) not in self._beside:
            if not self._quotas(entry.key[0]).keep(entry.key[0], CONFLICT, entry.size):
                self.excess[entry.key] = CONFLICT
                return "excess"
            self._beside.add((place, digest))
            self._conflicts.append((place, entry, digest))
        return "conflict"

    def _too_much(self, entry: ReceivedRecord, kind: str) -> StoreVerdict:
        self._quotas(entry.key[0]).count(entry.key[0], kind)
        self.excess[entry.key] = kind
        return "excess"

    def _copy(self) -> None:
        beside = [entry for _, entry, _ in self._conflicts]
        names = {entry.branch for entry in [*self._fresh.values(), *beside]}
        branches = self._places.branches(self._db, names) if names else {}
        if self._fresh:
            with self._db.cursor().copy(COPY) as copy:
                copy.set_types(TYPES)
                for (ledger, _), entry in self._fresh.items():
                    copy.write_row(row_of(entry, ledger, branches[entry.branch]))
        if self._conflicts:
            with self._db.cursor().copy(COPY_BESIDE) as copy:
                copy.set_types([*TYPES, "bytea"])
                for (ledger, _), entry, digest in self._conflicts:
                    copy.write_row((*row_of(entry, ledger, branches[entry.branch]), digest))
        self._ledger.flush()
        for place, entry in self._dated.items():
            wall = entry.wall
            received = self._known[place].received or moment_of(self._fresh[place].received)
            times = moment_of(wall.start), moment_of(wall.end), wall.tq, Jsonb(wall_list(wall))
            self._db.execute(DATE, (*times, *place, received))
            if place not in self._fresh:
                self._db.execute(REDATED, place)

    def _refuse(self, each: RefusedMessage) -> None:
        if self._quotas(each.gw).keep(each.gw, each.kind, each.kept_size):
            row = (
                each.kind, each.gw, clean(each.topic), clean(each.why), each.size, each.payload,
                moment_of(each.received),
            )  # fmt: skip
            self._db.execute(REFUSE, row)

    def _quotas(self, gw: str) -> KeepQuota:
        """Of all gateways of this group that send what no gateway should; locked until its end."""
        if self._quota is None:
            self._db.execute("SELECT pg_advisory_xact_lock(%s)", (TALLY_LOCK,))
            row = self._db.execute("SELECT count(*) FROM tally").fetchone()
            self._quota = KeepQuota(elsewhere=row[0] if row is not None else 0)
        for name in {"", gw} - self._counted:
            self._counted.add(name)
            for kind, *counts in self._db.execute(TALLIES, (name,)):
                self._quota.restore(name, kind, QuotaCount(*counts))
        return self._quota
