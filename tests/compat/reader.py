"""Reads what each version has left, and knows nothing of the product.

Written from docs/architecture/formats.md, as a stranger would: sqlite3, msgpack, zlib and json. All
checksums are checked, and a file that is not as described ends the reading.
"""

import contextlib
import hashlib
import json
import shutil
import sqlite3
import struct
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgpack

DICTIONARY: Final = (Path(__file__).parent / "deflate.dictionary").read_bytes()
STREAMS: Final = frozenset(
    {"traffic", "bay", "air", "energy", "event", "register", "health", "manifest", "raw"}
)


class Row(NamedTuple):
    """A row of the outbox; `body` is what was packed."""

    id: int
    epoch: int
    stream: str
    seq: int
    source: str
    boot: int
    from_ns: int
    to_ns: int
    body: Any

    @property
    def key(self) -> tuple[int, str, int]:
        return self.epoch, self.stream, self.seq

    @property
    def covers(self) -> int:
        """How many numbers it stands for."""
        steps = self.body.get("covers", [[1, 1, 1]])
        return sum((last - first) // step + 1 for first, last, step in steps)


@dataclass(frozen=True)
class OutboxFile:
    """All tables of an outbox."""

    application: int
    version: int
    meta: Mapping[str, Any]
    rows: list[Row]
    states: Mapping[str, tuple[int, bytes]]
    counters: list[tuple[int, str, int, int]]  # epoch, stream, boot, next
    clock: list[tuple[Any, ...]]
    dropped: list[tuple[Any, ...]]
    dead: list[Row]

    def state(self, owner: str) -> Any:
        return msgpack.unpackb(self.states[owner][1], strict_map_key=False)


@dataclass(frozen=True)
class Segment:
    """One file of the stage."""

    number: int
    header: Mapping[str, Any]
    entries: list[list[Any]]


@dataclass(frozen=True)
class Journal:
    """Which rows were sent and confirmed."""

    token: int
    sent: set[int]
    confirmed: set[int]
    up_to: int
    doubted: int


def digest(value: Any) -> str:
    """Of anything that was decoded: the same for the same content."""
    text = json.dumps(_plain(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


# -- the outbox --------------------------------------------------------


def _inflated(data: bytes) -> bytes:
    """What begins with 0x01 is raw deflate with the dictionary; else it is as it is."""
    if data[:1] != b"\x01":
        return data
    engine = zlib.decompressobj(-15, zdict=DICTIONARY)
    found = engine.decompress(data[1:])
    assert engine.eof
    assert not engine.unused_data
    return found


def _decimal(digits: int, data: bytes) -> float:
    assert 0 <= digits <= 7
    return int.from_bytes(data, "big", signed=True) / float(10**digits)


def unpacked(body: bytes) -> Any:
    """A body as it was before it was packed."""
    if body[:1] == b"\x01":
        return msgpack.unpackb(_inflated(body), strict_map_key=False, ext_hook=_decimal)
    return msgpack.unpackb(body, strict_map_key=False)


def _crc(*fields: Any) -> int:
    """CRC-32 over the others as Python writes their list, then over the last one."""
    *head, body = fields
    return zlib.crc32(body, zlib.crc32(repr(head).encode()))


@contextlib.contextmanager
def open_copy(path: Path) -> Iterator[sqlite3.Connection]:
    """A copy with its log: SQLite moves that into it when it is opened."""
    with tempfile.TemporaryDirectory() as name:
        for each in (path, path.with_name(f"{path.name}-wal")):
            if each.exists():
                shutil.copy(each, name)
        with contextlib.closing(sqlite3.connect(Path(name) / path.name)) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            yield database


def read_outbox(path: Path) -> OutboxFile:
    with open_copy(path) as database:

        def ask(sql: str) -> list[Any]:
            return database.execute(sql).fetchall()

        rows = []
        for id_, level, *fields, body, crc in ask("SELECT * FROM record ORDER BY id"):
            assert _crc(*fields, body) == crc, f"row {id_}"
            assert fields[1] in STREAMS
            assert 0 <= level <= 4
            rows.append(Row._make([id_, *fields, unpacked(body)]))
        states = {}
        for owner, version, data, crc in ask("SELECT * FROM state"):
            assert _crc(owner, version, data) == crc, f"state of {owner}"
            states[owner] = version, _inflated(data)
        dead = [
            Row(id_, epoch, stream, seq, source, 0, 0, 0, unpacked(body))
            for id_, epoch, stream, seq, source, body, _ in ask("SELECT * FROM dead")
        ]
        return OutboxFile(
            ask("PRAGMA application_id")[0][0],
            ask("PRAGMA user_version")[0][0],
            dict(ask("SELECT * FROM meta")),
            rows,
            states,
            ask("SELECT * FROM counter"),
            ask("SELECT * FROM clock"),
            ask("SELECT * FROM dropped"),
            dead,
        )


def told(outbox: OutboxFile) -> dict[str, Any]:
    """What a manifest says of an outbox."""
    streams = {}
    for stream in sorted({row.stream for row in outbox.rows}):
        mine = [row for row in outbox.rows if row.stream == stream]
        streams[stream] = {
            "rows": len(mine),
            "merged": sum(row.covers > 1 for row in mine),
            "last": mine[-1].seq,
            "digest": digest([row[1:] for row in mine]),
        }
    return {
        "application_id": outbox.application,
        "user_version": outbox.version,
        "streams": streams,
        "states": {
            owner: {"version": version, "digest": digest(outbox.state(owner))}
            for owner, (version, _) in sorted(outbox.states.items())
        },
        "counters": digest(sorted(outbox.counters)),
        "starts": outbox.meta["starts"],
        "clock": len(outbox.clock),
        "dropped": [list(each) for each in outbox.dropped],
        "dead": digest([[*row.key, row.source, row.body] for row in outbox.dead]),
        "dead_rows": len(outbox.dead),
    }


def wall_of(outbox: OutboxFile, mono_ns: int) -> int:
    """The wall clock at a moment of the last boot."""
    _, _, then_ns, wall_ns, _ = max(outbox.clock)
    return int(wall_ns + mono_ns - then_ns)


# -- what lies beside it --------------------------------------------------------


def read_epochs(path: Path) -> dict[str, Any]:
    """starts boots epoch owner boot-id crc."""
    line, _, crc = path.read_text("ascii").rstrip("\n").rpartition(" ")
    assert zlib.crc32(line.encode()) == int(crc, 16)
    starts, boots, epoch, owner, boot_id = line.split(" ")
    return {
        "starts": int(starts),
        "boots": int(boots),
        "epoch": int(epoch),
        "owner": owner,
        "boot_id": boot_id,
    }


def read_highwater(path: Path, owner: str) -> list[int]:
    """epoch count crc; the sum begins with the owner."""
    data = path.read_bytes()
    assert len(data) == 64
    line, _, crc = data.decode("ascii").rstrip().rpartition(" ")
    assert zlib.crc32(line.encode(), zlib.crc32(owner.encode())) == int(crc, 16)
    return [int(each) for each in line.split(" ")]


def read_journal(path: Path, owner: str) -> Journal:
    """Entries of `word u64, crc32 u32`; the upper byte of a word is its kind."""
    kinds: dict[int, list[int]] = {kind: [] for kind in range(5)}
    data = path.read_bytes()
    for word, crc in struct.iter_unpack("<QI", data[: len(data) // 12 * 12]):
        assert zlib.crc32(struct.pack("<Q", word), zlib.crc32(owner.encode())) == crc
        kinds[word >> 56].append(word & (1 << 56) - 1)
    sent, confirmed, up_to, doubted, database = kinds.values()
    assert len(database) == 1
    return Journal(
        database[0],
        set(sent) - set(confirmed),
        set(confirmed),
        max(up_to, default=0),
        max(doubted, default=0),
    )


def read_stage(run_dir: Path) -> list[Segment]:
    """Entries of `length u32, crc32 u32, msgpack`: first the header. The last may be torn."""
    found = []
    for path in sorted(run_dir.glob("stage.*")):
        data, at, entries = path.read_bytes(), 0, []
        while len(head := data[at : at + 8]) == 8:
            length, crc = struct.unpack("<II", head)
            body = data[at + 8 : at + 8 + length]
            if zlib.crc32(body) != crc:
                break
            entries.append(msgpack.unpackb(body))
            at += 8 + length
        header, *rest = entries
        found.append(Segment(int(path.name.removeprefix("stage.")), header, rest))
    return found


def told_of_stage(segments: list[Segment], since: int) -> dict[str, Any]:
    """What a manifest says of a stage: of the segments that no commit has made unnecessary."""
    open_ = [segment for segment in segments if segment.number >= since]
    swept, on, mark_ns = Counter[str](), Counter[str](), 0
    for place, segment in enumerate(open_):
        for kind, *content in segment.entries[segment.header["carried"] if place else 0 :]:
            if kind == "s":
                swept.update(source for source, *_ in content[0])
            elif kind == "c":
                on.update(s for s, level, _, _, initial in content[0] if level and not initial)
                mark_ns = max(mark_ns, *(at_ns for _, _, at_ns, *_ in content[0]))  # a proof, too
            elif kind == "m":
                mark_ns = max(mark_ns, content[0])
    header = open_[0].header
    return {
        "v": header["v"],
        "boot": header["boot"],
        "owner": header["owner"],
        "segments": [segment.number for segment in open_],
        "window": header["window"],
        "mark_ns": mark_ns,
        "sweeps": dict(sorted(swept.items())),
        "contacts": dict(sorted(on.items())),
    }


def read_commit_log(path: Path) -> list[dict[str, Any]]:
    """Frames of `length u32, crc32 of the length, crc32 of the body, msgpack`."""
    data, at, found = path.read_bytes(), 0, []
    while at + 12 <= len(data):
        size, size_crc, crc = struct.unpack_from("<III", data, at)
        assert zlib.crc32(struct.pack("<I", size)) == size_crc
        body = data[at + 12 : at + 12 + size]
        assert zlib.crc32(body) == crc
        found.append(msgpack.unpackb(body, strict_map_key=False))
        at += 12 + size
    return found


def rows_of_log(frames: list[dict[str, Any]]) -> list[Row]:
    rows = {}
    for frame in frames[1:]:
        for id_, level, *fields, body, crc in frame["rows"]:
            assert 0 <= level <= 4
            assert _crc(*fields, body) == crc
            rows[id_] = Row._make([id_, *fields, unpacked(body)])
        for first, last in frame["out"]:
            rows = {id_: row for id_, row in rows.items() if not first <= id_ <= last}
    return list(rows.values())


def read_start_history(path: Path) -> dict[str, Any]:
    """count sha256 refused since_s crc."""
    line, _, crc = path.read_text("ascii").rstrip("\n").rpartition(" ")
    assert zlib.crc32(line.encode()) == int(crc, 16)
    count, sha256, refused, since_s = line.split(" ")
    return {"count": int(count), "sha256": sha256, "refused": refused, "since_s": int(since_s)}


def read_link_state(path: Path) -> dict[str, Any]:
    """A line with the checksum, a line of JSON."""
    check, body = path.read_bytes()[:-1].split(b"\n")
    assert zlib.crc32(body) == int(check, 16)
    found: dict[str, Any] = json.loads(body)
    return found


def message(payload: bytes) -> Any:
    """JSON, or MessagePack."""
    if payload[:1] == b"{":
        return json.loads(payload)
    return msgpack.unpackb(payload, strict_map_key=False)


def read_commissioning(folder: Path) -> dict[str, Any]:
    """Of `commissioning.json` and the sheets: who is at it, what each step came to, and the digest
    of each sheet."""
    state = json.loads((folder / "commissioning.json").read_bytes())
    sheets = {}
    for path in sorted(folder.glob("acceptance/sheet-*.json")):
        file = json.loads(path.read_bytes())
        text = json.dumps(file["sheet"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        digest = hashlib.sha256(text.encode()).hexdigest()
        assert digest == file["sha256"]
        sheets[str(file["sheet"]["number"])] = digest
    return {
        "by": state["by"],
        "number": state["number"],
        "steps": {
            name: [each["kind"] for each in step["findings"]]
            for name, step in sorted(state["steps"].items())
        },
        "sheets": sheets,
    }
