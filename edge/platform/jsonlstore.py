"""The store as an append-only file of JSON lines, which any program can read.

Beside `NAME.jsonl` stand `NAME.conflict.jsonl` and `NAME.refused.jsonl`, and `NAME.tally.json` with
how many of these each gateway has, and how many were more than are kept. A line of kind `record`
holds the payload as it came; `envelope` brings better wall times to a record before it. The index
is a private temporary database of SQLite, made anew at each start: it takes disk, not memory.

Records become lines of JSON and come back: a line that does not say what it should raises KeyError,
TypeError, ValueError or OverflowError.
"""

import base64
import contextlib
import dataclasses
import json
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from edge.core import ConfigError
from edge.durable.atomicwrite import replace_file
from edge.durable.sqlitefile import open_scratch
from edge.platform.days import DayCounts
from edge.platform.jsonlinesfile import JsonLinesFile, json_line
from edge.platform.keepquota import CONFLICT, KeepQuota, QuotaCount
from edge.platform.ledger import LedgerEntry, ledger_from
from edge.platform.prover import ProofDesk
from edge.platform.receivedrecord import Key, ReceivedRecord, RefusedMessage, WallTimes, bounds_text
from edge.platform.recordstore import (
    CommittedRecord,
    RecordStoreError,
    StoreDamage,
    StoreLock,
    StoreVerdict,
)
from edge.platform.streamproof import StreamProof

VERSION: Final = 2
INDEX: Final = """
CREATE TABLE record (gw TEXT, epoch INTEGER, stream TEXT, seq INTEGER, digest BLOB,
    wall_from TEXT, wall_to TEXT, tq TEXT, bounds TEXT, place INTEGER, length INTEGER,
    PRIMARY KEY (gw, epoch, stream, seq)) WITHOUT ROWID;
CREATE TABLE conflict (gw TEXT, epoch INTEGER, stream TEXT, seq INTEGER, digest BLOB,
    place INTEGER, length INTEGER, PRIMARY KEY (gw, epoch, stream, seq, digest)) WITHOUT ROWID;
CREATE TABLE joined (gw TEXT PRIMARY KEY, epoch INTEGER) WITHOUT ROWID;
"""
KEY: Final = "gw = ? AND epoch = ? AND stream = ? AND seq = ?"
BEFORE: Final = f"SELECT digest, wall_from, wall_to, tq, bounds FROM record WHERE {KEY}"
DATE: Final = f"UPDATE record SET wall_from = ?, wall_to = ?, tq = ?, bounds = ? WHERE {KEY}"
READ: Final = "SELECT place, length, wall_from, wall_to, tq, bounds FROM record WHERE gw = ?"
BESIDE: Final = f"SELECT 1 FROM conflict WHERE {KEY} AND digest = ?"
ORDER: Final = " ORDER BY gw, epoch, stream, seq"
# what a line that does not say what it should raises
DAMAGED: Final = (KeyError, TypeError, ValueError, OverflowError)


def key_map(key: Key) -> dict[str, object]:
    gw, epoch, stream, seq = key
    return {"gw": gw, "epoch": epoch, "stream": stream, "seq": seq}


def wall_map(wall: WallTimes) -> dict[str, object]:
    bounds = None if wall.bounds is None else json.loads(wall.bounds)
    return {"from": wall.start, "to": wall.end, "tq": wall.tq, "bounds": bounds}


def record_line(entry: ReceivedRecord, digest: bytes) -> dict[str, object]:
    if entry.payload[:1] == b"{":
        payload = {"payload": entry.payload.decode()}
    else:
        payload = {"payload_b64": base64.b64encode(entry.payload).decode("ascii")}
    return {
        "kind": "record",
        **key_map(entry.key),
        "topic": entry.topic,
        "source": entry.source,
        "boot": entry.boot,
        "mono": list(entry.mono),
        **wall_map(entry.wall),
        "received": entry.received,
        "content_type": entry.content_type,
        "digest": digest.hex(),
        **payload,
    }


def refused_line(each: RefusedMessage) -> dict[str, object]:
    payload = base64.b64encode(each.payload).decode("ascii")
    return {
        "kind": each.kind, "gw": each.gw, "topic": each.topic, "why": each.why, "size": each.size,
        "received": each.received, "payload_b64": payload,
    }  # fmt: skip


def parse_wall(line: dict[str, object]) -> WallTimes:
    return WallTimes(
        str(line["from"]), str(line["to"]), str(line["tq"]), bounds_text(line["bounds"])
    )


def parse_record_line(line: dict[str, Any]) -> ReceivedRecord:
    """The record that a line of kind `record` holds."""
    start, end = line["mono"]
    text = line.get("payload")
    payload = base64.b64decode(line["payload_b64"]) if text is None else text.encode()
    return ReceivedRecord(
        str(line["topic"]),
        (str(line["gw"]), int(line["epoch"]), str(line["stream"]), int(line["seq"])),
        str(line["source"]),
        int(line["boot"]),
        (int(start), int(end)),
        parse_wall(line),
        str(line["received"]),
        line["content_type"],
        payload,
    )


def parse_digest(line: dict[str, Any]) -> bytes:
    return bytes.fromhex(line["digest"])


class JsonLinesStore:
    """See `edge.platform.recordstore.RecordStore`. Used by one thread at a time."""

    def __init__(self, path: Path, *, write: bool) -> None:
        self._path = path
        self._tally = path.with_suffix(".tally.json")
        self._tally_damaged = False
        self._lock = StoreLock(path) if write else None
        self._journals: list[JsonLinesFile] = []
        self._index = open_scratch()
        try:
            with self._store_errors():
                self._index.executescript(INDEX)
                self._records = self._journal(path, write)
                self._conflicts = self._journal(path.with_suffix(".conflict.jsonl"), write)
                self._refused = self._journal(path.with_suffix(".refused.jsonl"), write)
                self._tallies = self._counted()
                self.name = self._name(write)
                self._index.execute("BEGIN")
                self._read_all()
                self._index.execute("COMMIT")
        except BaseException:
            self.close()
            raise
        self.damage = StoreDamage(
            sum(each.torn_bytes for each in self._journals),
            sum(each.damaged for each in self._journals) + self._tally_damaged,
        )

    def commit(
        self, entries: Sequence[ReceivedRecord], refused: Sequence[RefusedMessage]
    ) -> list[CommittedRecord]:
        """All that is named is on the disk when this returns."""
        done: list[CommittedRecord] = []
        kept, beside, aside = bytearray(), bytearray(), bytearray()
        with self._store_errors():
            self._index.execute("BEGIN")
            try:
                for entry in entries:
                    verdict = self._put(entry, kept, beside)
                    done.append(CommittedRecord(entry, verdict))
                for each in refused:
                    if self._tallies.keep(each.gw, each.kind, each.kept_size):
                        aside += json_line(refused_line(each))
                self._count()  # first: what is counted and not there only takes room
                for journal, data in (
                    (self._conflicts, beside), (self._refused, aside), (self._records, kept)
                ):  # fmt: skip
                    if data and journal is not None:
                        journal.append(bytes(data))
                self._index.execute("COMMIT")
            except BaseException:
                if self._index.in_transaction:
                    self._index.execute("ROLLBACK")
                self._tallies = self._counted()
                raise
        return done

    def gateways(self) -> list[tuple[str, int | None]]:
        with self._store_errors():
            return self._index.execute("SELECT gw, epoch FROM joined ORDER BY gw").fetchall()

    def records(self, gw: str, stream: str | None = None) -> Iterator[ReceivedRecord]:
        if stream is None:
            return self._read(f"{READ}{ORDER}", (gw,))
        return self._read(f"{READ} AND stream = ?{ORDER}", (gw, stream))

    def record_range(self, first: Key, last: int) -> Iterator[ReceivedRecord]:
        where = " AND epoch = ? AND stream = ? AND seq BETWEEN ? AND ?"
        return self._read(f"{READ}{where}{ORDER}", (*first, last))

    def conflicts(self, gw: str) -> Iterator[ReceivedRecord]:
        rows = f"SELECT place, length FROM conflict WHERE gw = ?{ORDER}"
        with self._store_errors():
            for place, length in self._index.execute(rows, (gw,)):
                if self._conflicts is not None:
                    yield parse_record_line(self._conflicts.at(place, length))

    def numbers(self, gw: str) -> Iterator[LedgerEntry]:
        return ledger_from(self.records(gw))

    def tallies(self) -> KeepQuota:
        with self._store_errors():
            return self._counted()

    def count(self, gw: str, epoch: int, stream: str) -> int | None:
        return None

    def proofs(self, gw: str) -> Iterator[tuple[int, str, StreamProof]]:
        """None: an audit reads all of it."""
        yield from ()

    def proved_days(self, gw: str, day: str | None = None) -> Iterator[tuple[str, DayCounts]]:
        yield from ()

    def redated(self, gw: str) -> Iterator[Key]:
        yield from ()

    @contextmanager
    def proving(self, gw: str) -> Iterator[ProofDesk | None]:
        yield None

    def close(self) -> None:
        self._index.close()
        while self._journals:  # a second call finds nothing to close
            self._journals.pop().close()
        if self._lock is not None:
            self._lock.close()

    # -- inside ------------------------------------------------------------------------------------

    def _journal(self, path: Path, write: bool) -> JsonLinesFile | None:
        if not write and not path.exists():
            return None
        self._journals.append(JsonLinesFile(path, write=write))
        return self._journals[-1]

    def _name(self, write: bool) -> str:
        assert self._records is not None
        if write and self._records.end == 0:
            name = secrets.token_hex(8)
            self._records.append(json_line({"kind": "store", "v": VERSION, "name": name}))
            return name
        for _, _, head in self._records.lines():
            match head:
                case {"kind": "store", "v": version, "name": str(name)}:
                    if version == VERSION:
                        return name
                    text = f"the store has version {version!r:.20}; this program reads {VERSION}"
                    raise ConfigError(f"{self._path}: {text}")
            break
        raise ConfigError(f"{self._path}: this is not a store of `receipts`; choose another name")

    def _read_all(self) -> None:
        assert self._records is not None
        for place, length, line in self._records.lines():
            try:
                self._indexed(line, place, length)
            except DAMAGED:
                self._records.damaged += 1
        for place, length, line in self._conflicts.lines() if self._conflicts else ():
            try:
                entry, digest = parse_record_line(line), parse_digest(line)
            except DAMAGED:
                assert self._conflicts is not None
                self._conflicts.damaged += 1
                continue
            self._beside(entry, digest, place, length)

    def _indexed(self, line: dict[str, Any], place: int, length: int) -> None:
        match line.get("kind"):
            case "record":
                if not self._add(parse_record_line(line), parse_digest(line), place, length):
                    raise ValueError("another line has this number already")
            case "envelope":
                self._date(
                    (line["gw"], line["epoch"], line["stream"], line["seq"]), parse_wall(line)
                )

    def _put(self, entry: ReceivedRecord, kept: bytearray, beside: bytearray) -> StoreVerdict:
        assert self._records is not None
        assert self._conflicts is not None
        digest = entry.digest()
        row = self._index.execute(BEFORE, entry.key).fetchone()
        if row is None:
            line = json_line(record_line(entry, digest))
            self._add(entry, digest, self._records.end + len(kept), len(line))
            kept += line
            return "stored"
        found, *wall = row
        if found != digest:
            if self._index.execute(BESIDE, (*entry.key, digest)).fetchone() is None:
                if not self._tallies.keep(entry.key[0], CONFLICT, entry.size):
                    return "excess"
                line = json_line(record_line(entry, digest))
                self._beside(entry, digest, self._conflicts.end + len(beside), len(line))
                beside += line
            return "conflict"
        if entry.wall.better(WallTimes(*wall)):
            self._date(entry.key, entry.wall)
            kept += json_line({"kind": "envelope", **key_map(entry.key), **wall_map(entry.wall)})
        return "repeat"

    def _add(self, entry: ReceivedRecord, digest: bytes, place: int, length: int) -> bool:
        """Whether none had its number before."""
        wall = entry.wall
        added = self._index.execute(
            "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (*entry.key, digest, wall.start, wall.end, wall.tq, wall.bounds, place, length),
        )
        joined = "INSERT INTO joined VALUES (?, ?) ON CONFLICT DO NOTHING"
        self._index.execute(joined, entry.key[:2])
        return bool(added.rowcount)

    def _beside(self, entry: ReceivedRecord, digest: bytes, place: int, length: int) -> None:
        insert = "INSERT INTO conflict VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
        row = (*entry.key, digest, place, length)
        self._index.execute(insert, row)

    def _counted(self) -> KeepQuota:
        """What has been written down. Damage there is no reason to store nothing more."""
        found = KeepQuota()
        try:
            for each in json.loads(self._tally.read_bytes()):
                numbers = int(each["kept"]), int(each["size"]), int(each["not_kept"])
                found.restore(str(each["gw"]), str(each["kind"]), QuotaCount(*numbers))
        except FileNotFoundError:
            pass
        except (*DAMAGED, RecursionError):
            self._tally_damaged = True
            return KeepQuota()
        return found

    def _count(self) -> None:
        """Write the tallies down, if any has changed."""
        if not self._tallies.changed:
            return
        rows = [
            {"gw": gw, "kind": kind, **dataclasses.asdict(tally)}
            for gw, kind, tally in self._tallies
        ]
        data = json.dumps(rows, ensure_ascii=False, indent=1).encode()
        replace_file(self._tally, data, 0o666, new=self._tally.with_suffix(".new"))
        self._tallies.changed.clear()

    def _date(self, key: Key, wall: WallTimes) -> None:
        self._index.execute(DATE, (wall.start, wall.end, wall.tq, wall.bounds, *key))

    def _read(self, sql: str, values: Sequence[Any]) -> Iterator[ReceivedRecord]:
        assert self._records is not None
        with self._store_errors():
            for place, length, *wall in self._index.execute(sql, values):
                yield parse_record_line(self._records.at(place, length)).dated(WallTimes(*wall))

    @contextlib.contextmanager
    def _store_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, *DAMAGED) as error:
            raise RecordStoreError(f"{self._path}: {error}") from error
