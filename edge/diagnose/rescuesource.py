"""What a file of ours still holds, whoever has left it: records with their times, or what a stage
had read. For `kerbstone outbox rescue`."""

import dataclasses
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from edge.acquire.stage import StageSegment, open_segment
from edge.config import Site
from edge.core import Contact, Envelope, Record, Stamp, Sweep
from edge.core.walltime import make_envelope
from edge.gateway.uplinksetup import find_tls_files
from edge.outbox import commitlog
from edge.outbox.memoryoutbox import MemoryOutbox
from edge.outbox.rowformat import DamagedRowError, OutboxRow, try_record
from edge.outbox.salvage import Progress, Salvage
from edge.platform.receivedrecord import ReceivedRecord, make_received
from edge.platform.recordstore import RecordStore
from edge.wire import Topics, WireError, decode, encode, iso_time

GROUP_RECORDS: Final = 500  # records of one commit of an export
SQLITE: Final = b"SQLite format 3\0"
DATABASE_AFFIXES: Final = ("outbox", ".db")
NO_LIMIT: Final = 1 << 40  # bytes: of what lies in a file nothing is dropped for room


class RescueSource(Protocol):
    """A file with records. `rows` once, then the counts are right."""

    owner: str
    read: int
    damaged: int
    found: int
    expected: int | None
    dead_letters: int
    trouble: str | None
    version: int | None

    def rows(self) -> Iterator[OutboxRow]: ...
    def marks(self, boot: int) -> Sequence[Stamp]: ...
    def bounds(self, boot: int) -> tuple[int | None, int | None]: ...
    def close(self) -> None: ...


class CommitLogSource:
    """The log of an outbox that was in memory."""

    def __init__(self, path: Path) -> None:
        self.trouble: str | None = None
        self.damaged = self.read = self.found = self.dead_letters = 0
        self.expected: int | None = None
        self.version: int | None = None
        left = commitlog.read_log(path, MemoryOutbox(NO_LIMIT))
        if left.damaged:
            self.trouble = "some of its commits cannot be read, and nobody knows what was in them"
        self._rows = sorted(left.memory.rows.values())
        self._marks = {left.boot: [left.mark] if left.mark is not None else []}
        self.owner = left.owner

    def rows(self) -> Iterator[OutboxRow]:
        for row in self._rows:
            if try_record(row) is None:
                self.damaged += 1
                continue
            self.read += 1
            yield row

    def marks(self, boot: int) -> Sequence[Stamp]:
        return self._marks.get(boot, ())

    def bounds(self, boot: int) -> tuple[int | None, int | None]:
        return None, None

    def close(self) -> None:
        pass


def is_stage(path: Path) -> bool:
    try:
        return open_segment(path) is not None
    except OSError:
        return False


def open_rescue_source(path: Path, progress: Progress) -> RescueSource:
    """A database, or the log of one in memory. Raises OSError, DamagedRowError: it is neither."""
    head = b""
    if path.is_file():  # else its log is there
        with path.open("rb") as file:
            head = file.read(16)
    named = path.name.startswith(DATABASE_AFFIXES[0]) and path.name.endswith(DATABASE_AFFIXES[1])
    if head == SQLITE or named:
        try:
            return Salvage(path, progress)
        except sqlite3.Error as error:
            raise DamagedRowError(str(error)) from error
    return CommitLogSource(path)


class RecordDates:
    """Records with the wall times that the file's own clock maps give them.

    They are marked as backfilled and as redelivered.
    """

    def __init__(self, source: RescueSource) -> None:
        self._found, self._rows = source, source.rows()
        self._boots: dict[int, tuple[Sequence[Stamp], tuple[int | None, int | None]]] = {}

    def dated(self) -> Iterator[tuple[Record, Envelope]]:
        """Those that nobody has asked for yet."""
        for row in self._rows:
            if (record := try_record(row)) is not None:
                yield record, self._envelope(record)

    def count_rest(self) -> None:
        """Look through what is left, so that the file's counts are right."""
        for _ in self._rows:
            pass

    def _envelope(self, record: Record) -> Envelope:
        boot = record.boot
        if boot not in self._boots:
            self._boots.clear()  # rows come in order of age: one boot after the other
            self._boots[boot] = self._found.marks(boot), self._found.bounds(boot)
        marks, known = self._boots[boot]
        return make_envelope(
            marks, record.from_ns, record.to_ns, backfilled=True, redelivered=True, known=known
        )


@dataclass(slots=True)
class ExportCounts:
    """What an export has written."""

    written: int = 0
    conflicts: int = 0
    unwritable: int = 0


def export_records(
    records: Iterable[tuple[Record, Envelope]], topics: Topics, gw: str, store: RecordStore,
    wall_ns: int,
    progress: Callable[[ExportCounts], None],
) -> ExportCounts:  # fmt: skip
    """Into a store as `kerbstone receipts` writes it, which `kerbstone audit` reads."""
    done, received = ExportCounts(), iso_time(wall_ns)
    group: list[ReceivedRecord] = []

    def commit() -> None:
        for each in store.commit(group, ()):
            done.written += each.verdict == "stored"
            done.conflicts += each.verdict == "conflict"
        group.clear()
        progress(done)

    for record, dated in records:
        try:
            topic = topics.record(record.key.stream, record.source)
            payload = encode(record, dated, gw, "json")
            for message in decode(topic, payload.data, payload.content_type):
                group.append(
                    make_received(message, topic, payload.data, payload.content_type, received)
                )
        except WireError:
            done.unwritable += 1
        if len(group) >= GROUP_RECORDS:
            commit()
    commit()
    return done


def stage_entries(path: Path) -> Iterator[str]:
    """What a stage holds, entry by entry, as JSON: what was read, of which no record was made yet.

    Raises DamagedRowError behind what can be read of it."""
    segment = open_segment(path)
    if segment is None:
        return
    try:
        for each in _pieces(segment):
            yield json.dumps(each, ensure_ascii=False)
    except (ValueError, TypeError, LookupError) as error:
        raise DamagedRowError(f"the bytes after byte {segment.at} are no entry") from error
    if left := path.stat().st_size - segment.at:
        raise DamagedRowError(f"its last {left} bytes are not whole entries")


def _pieces(segment: StageSegment) -> Iterator[dict[str, object]]:
    yield {"kind": "window", "from_ns": segment.start_ns, "to_ns": segment.end_ns}
    for entry, repeated in segment.read():
        if isinstance(entry, list):
            yield from (_piece(each, repeated) for each in entry)
        elif isinstance(entry, int):
            yield {"kind": "listened", "until_ns": entry}
        elif isinstance(entry[0], str):
            yield {"kind": "unwatched", "source": entry[0], "at_ns": entry[1]}
        else:
            yield {"kind": "gap", "from_ns": entry[0], "to_ns": entry[1]}


def _piece(each: Contact | Sweep, repeated: bool) -> dict[str, object]:
    again = {"repeated": True} if repeated else {}
    if isinstance(each, Contact):
        return {"kind": "contact", **dataclasses.asdict(each), **again}
    qualities = [str(quality) for quality in each.qualities]
    return {"kind": "sweep", "source": each.source, "mono_ns": each.mono_ns,
            "values": list(each.values), "qualities": qualities, **again}  # fmt: skip


def certificate_mismatch(site: Site) -> str | None:
    """Why the broker would not take records of this gateway from us, as far as we can see."""
    known = find_tls_files(site)
    if known.cert is None:
        return None
    try:
        from cryptography import x509
        from cryptography.x509.oid import NameOID

        certificate = x509.load_pem_x509_certificate(known.cert.read_bytes())
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except ImportError:  # the broker sees to it
        return None
    except (OSError, ValueError) as error:
        return f"{known.cert} cannot be read: {error}"
    if [each.value for each in names] == [site.place.gateway]:
        return None
    return f"the certificate {known.cert} is not for {site.place.gateway}"
