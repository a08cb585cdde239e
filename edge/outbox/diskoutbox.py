"""The tables of the outbox: every statement on records, counters, states and losses.

Raises sqlite3.Error, decides nothing.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from edge.core import StoredState
from edge.outbox.database import Database
from edge.outbox.drops import DropRange, PendingDrops
from edge.outbox.rowformat import (
    STREAM_LEVELS,
    URGENT_LEVEL,
    OutboxRow,
    RowHead,
    pack_state,
    row_checksum,
)

DEAD_LETTER_LIMIT: Final = 100
DROP_LAST_LIMIT: Final = 50  # rows that are taken at one time although they are to be spared
FETCH_BYTES: Final = 1 << 20  # bytes of bodies, as they are stored, read at one time
# no epoch: how many rows a stream has lies beside its counter, whose page each commit writes
# anyway; a table of its own would be another page
COUNTER_ROW: Final = -1
COUNT_LIMIT: Final = 1 << 53  # what is not below it was never counted


class DiskOutbox(Database):
    """One open database, with what its tables hold."""

    def __init__(
        self,
        folder: Path,
        max_bytes: int,
        wal_bytes: int,
        *,
        whole: bool = False,
        reading: bool = False,
    ) -> None:
        # no row of this stream has a smaller id
        self._low: defaultdict[str, int] = defaultdict(int)
        super().__init__(folder, max_bytes, wal_bytes, whole=whole, reading=reading)

    # -- starts ---------------------------------------------------------------------------------

    def former(self) -> tuple[int, int, dict[str, int]] | None:
        """Epoch, boot and last numbers of the latest start that numbered anything."""
        rows = self.rows(
            "SELECT epoch, boot, stream, next FROM counter"
            f" WHERE epoch = (SELECT max(epoch) FROM counter WHERE epoch < {COUNT_LIMIT})"
            f" AND epoch <> {COUNTER_ROW}"
        )
        known = [row for row in rows if _counts(row[0], row[1], row[3])]
        if not known:
            return None
        return known[0][0], known[0][1], {stream: next_ - 1 for _, _, stream, next_ in known}

    def forget_counters(self, epoch: int) -> None:
        """Of starts before this one: nothing refers to them any more."""
        self.rows(f"DELETE FROM counter WHERE epoch < ? AND epoch <> {COUNTER_ROW}", (epoch,))

    def oldest_boot(self) -> int | None:
        """Of the oldest row: boots never go back, so no row is of an earlier one."""
        found = self.rows("SELECT boot FROM record ORDER BY id LIMIT 1")
        return found[0][0] if found and _is_whole_number(found[0][0]) else None

    # -- writing: all of these inside a transaction ------------------------------------------------

    def count_up(
        self, epoch: int, boot: int, before: Mapping[str, int], after: Mapping[str, int]
    ) -> None:
        """Move the counter rows; raises DatabaseError when one is not where it was left."""
        for stream, following in after.items():
            if stream not in before:
                self.change(
                    "INSERT INTO counter VALUES (?, ?, ?, ?)", (epoch, stream, boot, following)
                )
                continue
            moved = self.change(
                "UPDATE counter SET next = ? WHERE epoch = ? AND stream = ? AND next = ?",
                (following, epoch, stream, before[stream]),
            )
            if moved != 1:
                raise sqlite3.DatabaseError(f"the counter of {stream} is not where it was left")

    def set_counters(self, epoch: int, boot: int, following: Mapping[str, int]) -> None:
        """After a time in memory: the counters are where memory says, never lower."""
        self._db.executemany(
            "INSERT INTO counter VALUES (?1, ?2, ?3, ?4)"
            " ON CONFLICT DO UPDATE SET next = max(next, ?4)",
            [(epoch, stream, boot, number) for stream, number in following.items()],
        )

    def insert(self, rows: Iterable[OutboxRow]) -> None:
        """Rows that are there already stay as they are."""
        tally: dict[str, int] = {}
        for row in rows:
            added = self.change("INSERT OR IGNORE INTO record VALUES (?,?,?,?,?,?,?,?,?,?,?)", row)
            tally[row.stream] = tally.get(row.stream, 0) + added
        self._tally(tally)

    def delete(self, ids: Iterable[int]) -> None:
        """Rows that are gone already are no error."""
        tally: dict[str, int] = {}
        for number in ids:
            for (stream,) in self.rows(
                "DELETE FROM record WHERE id = ? RETURNING stream", (number,)
            ):
                tally[stream] = tally.get(stream, 0) - 1
        self._tally(tally)

    def delete_between(self, first: int, last: int, limit: int) -> int:
        """The oldest rows there, at most `limit`; how many those were."""
        tally: dict[str, int] = {}
        for (stream,) in self.rows(
            "DELETE FROM record WHERE id IN (SELECT id FROM record"
            " WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?) RETURNING stream",
            (first, last, limit),
        ):
            tally[stream] = tally.get(stream, 0) - 1
        self._tally(tally)
        return -sum(tally.values())

    def replace(self, row: OutboxRow) -> None:
        """A row that stands for others now; those are deleted by themselves."""
        self.change(
            "UPDATE record SET from_ns = ?, body = ?, crc = ? WHERE id = ?",
            (row.from_ns, row.body, row.crc, row.id),
        )

    def _tally(self, change: Mapping[str, int]) -> None:
        self._db.executemany(
            f"INSERT INTO counter VALUES ({COUNTER_ROW}, ?1, 0, ?2)"
            " ON CONFLICT DO UPDATE SET next = next + ?2",
            [(stream, number) for stream, number in change.items() if number],
        )

    def set_states(self, states: Mapping[str, StoredState]) -> None:
        stored = [(owner, version, pack_state(data)) for owner, (version, data) in states.items()]
        self._db.executemany(
            "INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?)",
            [(*each, row_checksum(*each)) for each in stored],
        )

    def set_drops(self, drops: PendingDrops) -> None:
        """The table of losses that no event has declared yet."""
        self._db.execute("DELETE FROM dropped")
        self._db.executemany(
            "INSERT INTO dropped VALUES (?, ?, ?, ?, ?, ?)",
            [(*key, drop.first, drop.last, drop.count) for key, drop in drops.items()],
        )

    def add_dead_letter(self, row: OutboxRow, why: str) -> None:
        """Keep what no broker takes, for people; the oldest make room, and events before others:
        a refusal may itself lead to an event that is refused."""
        self._db.execute(
            "INSERT OR REPLACE INTO dead VALUES (?, ?, ?, ?, ?, ?, ?)",
            (row.id, row.epoch, row.stream, row.seq, row.source, row.body, why),
        )
        self._db.execute(
            "DELETE FROM dead WHERE id NOT IN (SELECT id FROM dead"
            " ORDER BY stream = 'event', id DESC LIMIT ?)",
            (DEAD_LETTER_LIMIT,),
        )

    # -- reading: everything is fetched at once, no cursor stays open ------------------------------

    def after(self, row: int, limit: int, urgent: bool = False) -> list[OutboxRow]:
        """Rows in order of age, until they have more than FETCH_BYTES bytes."""
        only = f" AND level = {URGENT_LEVEL}" if urgent else ""
        cursor = self._db.execute(
            f"SELECT * FROM record WHERE id > ?{only} ORDER BY id LIMIT ?", (row, limit)
        )
        found: list[OutboxRow] = []
        size = 0
        try:
            for values in cursor:
                found.append(OutboxRow._make(values))
                size += len(values[9]) if isinstance(values[9], bytes) else 0
                if size > FETCH_BYTES:
                    break
        finally:
            cursor.close()
        return found

    def row_heads(self, after: int, last: int, limit: int) -> list[RowHead]:
        """Of the rows behind `after`, up to `last`: all but their bodies."""
        return [
            RowHead._make(values)
            for values in self.rows(
                "SELECT id, level, epoch, stream, seq, source, boot, from_ns, to_ns FROM record"
                " WHERE id > ? AND id <= ? ORDER BY id LIMIT ?",
                (after, last, limit),
            )
        ]

    def oldest(
        self,
        streams: Collection[str],
        limit: int,
        need: int,
        spared: Callable[[int], bool] = lambda row: False,
    ) -> list[OutboxRow]:
        """At most `limit` of the oldest rows of these streams, as many as `need` bytes ask for;
        those that are `spared` only when there are no others."""
        places = ",".join("?" * len(streams))
        low = min(self._low[stream] for stream in streams)
        # thousands may be spared: their bodies are not read
        cursor = self._db.execute(
            "SELECT id, length(body) FROM record"
            f" WHERE id >= ? AND stream IN ({places}) ORDER BY id",
            (low, *streams),
        )
        first = 0
        found: list[int] = []
        others: list[int] = []
        try:
            for number, size in cursor:
                first = first or number
                if spared(number):
                    if len(others) < DROP_LAST_LIMIT:
                        others.append(number)
                    continue
                found.append(number)
                need -= 100 + (size or 0)
                if need <= 0 or len(found) >= limit:
                    break
        finally:
            cursor.close()
        if first:
            self._low.update(dict.fromkeys(streams, first))
        rows = (self.row(number) for number in found or others)
        return [row for row in rows if row is not None]

    def with_numbers_of_others(self, rows: Sequence[OutboxRow]) -> set[int]:
        """Ids of those whose key stands in another row, too. Reads all rows once."""
        ids = [row.id for row in rows]
        keys = [part for row in rows for part in (row.epoch, row.stream, row.seq)]
        found = self.rows(
            "SELECT epoch, stream, seq FROM record WHERE (epoch, stream, seq) IN "
            f"(VALUES {', '.join(['(?, ?, ?)'] * len(rows))}) "
            f"AND id NOT IN ({', '.join('?' * len(rows))})",
            [*keys, *ids],
        )
        others = {tuple(key) for key in found}
        return {row.id for row in rows if (row.epoch, row.stream, row.seq) in others}

    def row(self, number: int) -> OutboxRow | None:
        found = self.rows("SELECT * FROM record WHERE id = ?", (number,))
        return OutboxRow._make(found[0]) if found else None

    def state(self, owner: str) -> tuple[int, bytes, int] | None:
        """Version, bytes as they are stored (`unpack_state` is their way back) and checksum."""
        found = self.rows("SELECT version, data, crc FROM state WHERE owner = ?", (owner,))
        return found[0] if found else None

    def drops(self) -> PendingDrops:
        found = self.rows("SELECT * FROM dropped")
        return PendingDrops(
            {
                (epoch, stream, reason): DropRange(first, last, count)
                for epoch, stream, reason, first, last, count in found
                if _is_whole_number(epoch, first)
                and isinstance(stream, str)
                and isinstance(reason, str)
                and (last is count is None or _is_whole_number(last, count))
            }
        )

    def tally(self) -> dict[str, int]:
        """Rows of each stream."""
        found = self.rows(
            f"SELECT stream, next FROM counter WHERE epoch = {COUNTER_ROW} AND next > 0"
        )
        return {
            stream: rows
            for stream, rows in found
            if stream in STREAM_LEVELS and _is_whole_number(rows)
        }

    def rows_between(self, first: int, last: int) -> list[tuple[str, int]]:
        """Streams, and how many of their rows lie there."""
        return self.rows(
            "SELECT stream, count(*) FROM record WHERE id BETWEEN ? AND ? GROUP BY stream",
            (first, last),
        )

    def dead_letter_count(self) -> int:
        return int(self.one("SELECT count(*) FROM dead"))


def _counts(*values: object) -> bool:
    """As `_is_whole_number`, and each may be an epoch, a boot or a number."""
    return all(isinstance(value, int) and 0 <= value < COUNT_LIMIT for value in values)


def _is_whole_number(*values: object) -> bool:
    """Columns of a damaged page may hold anything, and these have no checksum."""
    return all(isinstance(value, int) for value in values)
