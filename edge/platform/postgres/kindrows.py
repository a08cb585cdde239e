"""Writes the tables by kind and their sums, as the last part of a group's transaction.

What has been stored before is changed in two cases only: a record came again with a better time,
and a merged record came that stands for numbers which are there.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, LiteralString

import psycopg
from msgspec import ValidationError

from edge.core import TimeQuality
from edge.platform.postgres.kindtables import DEVICE, EVENT, LANE, KindTable, table_of
from edge.platform.postgres.lanesums import LaneSums
from edge.platform.postgres.places import Places
from edge.platform.postgres.ranges import multirange_of, numbers_in
from edge.platform.postgres.recordpack import PACK_SPAN
from edge.platform.postgres.rows import WANTED, Place, columns_of, moment_of
from edge.platform.receivedrecord import Key, ReceivedRecord, WallTimes

Times = tuple[datetime | None, datetime | None]

_OWN: Final[LiteralString] = ", ".join(name for name, _ in LANE.own)
_MERGED: Final = [name for name, _ in LANE.own].index("merged")
LANES: Final[LiteralString] = f"SELECT ledger, seq, source, wall_from, wall_to, {_OWN} FROM lane"
ONE_LANE: Final[LiteralString] = f"{LANES} WHERE received = %s AND ledger = %s AND seq = %s"
WHEN: Final[LiteralString] = f"SELECT DISTINCT received FROM record WHERE {WANTED}"
OLD_LANES: Final[LiteralString] = f"{LANES} WHERE received = ANY (%s) AND {WANTED}"
ARCHIVED_LANES: Final[LiteralString] = f"""
SELECT r.ledger, r.seq, r.source, r.wall_from, r.wall_to, {_OWN}
FROM unnest(%s::int[], %s::bigint[]) AS n (place, number)
JOIN lane_archived AS r
ON r.ledger = n.place AND r.first <= n.number AND r.first > n.number - {PACK_SPAN}
AND r.seq = n.number"""
COVERED: Final = """
SELECT l.id, (l.covered * n.numbers)::text
FROM ledger AS l JOIN unnest(%s::int[], %s::int8multirange[]) AS n (id, numbers) USING (id)
WHERE l.covered && n.numbers"""
DOUBT: Final = """
INSERT INTO doubt (ledger, seq, source, since, until, part, why) VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (ledger, seq) DO UPDATE SET (since, until) = (excluded.since, excluded.until)"""
LONGEST_DOUBT: Final = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Redated:
    """A stored record that came again with a better time."""

    place: Place
    entry: ReceivedRecord
    received: datetime
    wall: WallTimes


@dataclass(frozen=True, slots=True)
class _Row:
    place: Place
    entry: ReceivedRecord
    table: KindTable
    own: tuple[Any, ...]
    times: Times


class KindRows:
    """Of one group. `unfit` says of stored records why their bodies have no row here."""

    def __init__(self, db: psycopg.Connection, places: Places) -> None:
        self.unfit: dict[Key, str] = {}
        self._db, self._places = db, places
        self._sums = LaneSums()

    def write(
        self,
        fresh: Mapping[Place, ReceivedRecord],
        better: Mapping[Place, WallTimes],
        redated: Sequence[Redated],
        newly_covered: set[Place],
    ) -> None:
        """`better`: times of these that came with a repeat in the same group. `newly_covered`: old
        numbers for which a merged record of this group stands."""
        rows = [
            row for place, entry in fresh.items()
            if (row := self._row(place, entry, better.get(place, entry.wall))) is not None
        ]  # fmt: skip
        branches = self._places.branches(self._db, {row.entry.branch for row in rows})
        filed = self._file(rows, branches)
        for table in dict.fromkeys(row.table for row, _, _ in filed):
            self._copy(table, [each for each in filed if each[0].table is table])
        self._doubts(filed)
        self._sum(filed)
        if newly_covered:
            self._take_away(newly_covered)  # where they were added: before any other time is set
        for each in redated:
            self._date(each)
        self._sums.write(self._db)

    def _row(self, place: Place, entry: ReceivedRecord, wall: WallTimes) -> _Row | None:
        sent = entry.sent() if entry.data is None else entry.data
        table = table_of(entry.key[2], sent)
        if table is None or not entry.source:
            return None
        try:
            own = table.values(sent)
        except (ValidationError, ValueError, OverflowError) as error:
            self.unfit[entry.key] = f"{error!s:.200}"
            return None
        return _Row(place, entry, table, own, times_of(wall))

    def _file(
        self, rows: Sequence[_Row], branches: Mapping[str, int]
    ) -> list[tuple[_Row, int, tuple[Any, ...]]]:
        """Each with the number of its source, and what is in its own columns."""
        names = self._places.names
        sources = names.sources(
            self._db, {(branches[row.entry.branch], row.entry.source) for row in rows}
        )
        numbers = [sources.get((branches[row.entry.branch], row.entry.source)) for row in rows]
        lists = names.point_lists(
            self._db,
            {
                (source, row.own[0])
                for row, source in zip(rows, numbers, strict=True)
                if row.table is DEVICE and source is not None
            },
        )
        filed = []
        for row, source in zip(rows, numbers, strict=True):
            own = row.own
            if source is None:
                self.unfit[row.entry.key] = "its gateway has had too many sources"
                continue
            if row.table is DEVICE:
                if (points := lists.get((source, own[0]))) is None:
                    self.unfit[row.entry.key] = "its device has had too many lists of points"
                    continue
                own = points, *own[1:]
            filed.append((row, source, own))
        return filed

    def _copy(self, table: KindTable, filed: Iterable[tuple[_Row, int, tuple[Any, ...]]]) -> None:
        received: dict[str, datetime] = {}
        statement: LiteralString = f"COPY {table.name} ({table.columns}) FROM STDIN (FORMAT BINARY)"
        with self._db.cursor().copy(statement) as copy:
            copy.set_types(table.types)
            for row, source, own in filed:
                text = row.entry.received
                if (moment := received.get(text)) is None:
                    moment = received[text] = datetime.fromisoformat(text)
                ledger, seq = row.place
                copy.write_row((moment, *row.times, seq, ledger, source, *own))

    def _doubts(self, filed: Iterable[tuple[_Row, int, tuple[Any, ...]]]) -> None:
        for row, source, own in sorted(filed, key=lambda each: each[0].place):
            if row.table is EVENT:
                self._doubt(row.place, source, own, row.times[0])

    def _doubt(self, place: Place, source: int, own: Sequence[Any], until: datetime | None) -> None:
        since_s, kind, state, detail, part, _ = own
        if kind != "sensor_fault" or state != "on" or not since_s or until is None:
            return
        try:
            since = until - min(timedelta(seconds=since_s), LONGEST_DOUBT)
        except OverflowError:  # before the year 1
            return
        self._db.execute(DOUBT, (*place, source, since, until, part, detail or "not known"))

    def _sum(self, filed: Iterable[tuple[_Row, int, tuple[Any, ...]]]) -> None:
        lanes = [each for each in filed if each[0].table is LANE]
        if not lanes:
            return
        numbers: dict[int, list[int]] = {}
        for row, _, _ in lanes:
            numbers.setdefault(row.place[0], []).append(row.place[1])
        wanted = list(numbers), [multirange_of((n, n) for n in numbers[id_]) for id_ in numbers]
        covered = {
            (ledger, seq)
            for ledger, found in self._db.execute(COVERED, wanted).fetchall()
            for seq in numbers_in(found)
        }
        for row, source, own in lanes:
            if own[_MERGED] or row.place not in covered:
                self._sums.add(source, *row.times, own)

    def _date(self, each: Redated) -> None:
        sent = each.entry.sent() if each.entry.data is None else each.entry.data
        table = table_of(each.entry.key[2], sent)
        if table is None:
            return
        place, times = each.place, times_of(each.wall)
        if table is LANE:
            old = self._db.execute(ONE_LANE, (each.received, *place)).fetchone()
            if old is not None and not self._stands_covered(place, old[5:]):
                source, start, end, *own = old[2:]
                self._sums.add(source, start, end, own, sign=-1)
                self._sums.add(source, *times, own)
        row = self._db.execute(
            f"UPDATE {table.name} SET wall_from = %s, wall_to = %s"
            " WHERE received = %s AND ledger = %s AND seq = %s RETURNING source",
            (*times, each.received, *place),
        ).fetchone()
        if table is EVENT and row is not None:
            self._doubt(place, row[0], table.values(sent), times[0])

    def _stands_covered(self, place: Place, own: Sequence[Any]) -> bool:
        ledger, seq = place
        found = self._db.execute(COVERED, ([ledger], [multirange_of([(seq, seq)])])).fetchone()
        return found is not None and not own[_MERGED]

    def _take_away(self, places: set[Place]) -> None:
        """From the sums: the merged record counts now, and not these."""
        wanted = columns_of(places)
        received = [moment for (moment,) in self._db.execute(WHEN, wanted).fetchall()]
        found = self._db.execute(OLD_LANES, (received, *wanted)).fetchall()
        if left := places - {(row[0], row[1]) for row in found}:
            found += self._db.execute(ARCHIVED_LANES, columns_of(left)).fetchall()
        for _, _, source, start, end, *own in found:
            if not own[_MERGED]:
                self._sums.add(source, start, end, own, sign=-1)


def times_of(wall: WallTimes) -> Times:
    """None for what the gateway did not know: such a time would put a window into a wrong hour."""
    quality = TimeQuality.parse(wall.tq)
    if quality is None or quality.is_guessed:
        return None, None
    return moment_of(wall.start), moment_of(wall.end)
