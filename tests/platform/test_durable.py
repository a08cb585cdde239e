"""What `commit` has returned for is on the disk; what failed has left nothing; a reader sees one
state."""

import base64
import gc
import json
import os
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from edge.core import ConfigError
from edge.platform import jsonlinesfile, keepquota
from edge.platform.jsonlinesfile import RECORD_HEAD, JsonLinesFile
from edge.platform.openstore import open_store
from edge.platform.receivedrecord import (
    ReceivedRecord,
    RefusedMessage,
    WallTimes,
    make_received,
)
from edge.platform.recordstore import RecordStore, RecordStoreError
from edge.platform.sqlite_store import SqliteStore
from edge.wire import decode
from tests.bench.cityrecords import bundles
from tests.kit.clock import NTS
from tests.kit.records import E1, GW, entry, record

FULL = 2  # of `PRAGMA synchronous`
OTHER = entry(record(1, body={"x": "other"}))
FOREIGN = RefusedMessage("foreign", "gw-evil", "t", "why", 1, b"x", "now")


def test_the_database_waits_for_the_disk(tmp_path: Path) -> None:
    """The connection that commits is asked: without FULL, SQLite syncs at checkpoints only, and a
    power cut takes what has a receipt."""
    store = SqliteStore(tmp_path / "store.db", write=True)
    asked = [store._db.execute(f"PRAGMA {name}").fetchone()[0] for name in (
        "synchronous", "journal_mode")]  # fmt: skip
    assert asked == [FULL, "wal"]
    store.close()


def test_records_of_a_street_take_little_more_than_their_payloads(tmp_path: Path) -> None:
    store, size = SqliteStore(tmp_path / "store.db", write=True), 0
    for bundle in bundles(10, 30):
        made = []
        for topic, payload, content_type in bundle:
            (message,) = decode(topic, payload, content_type)
            made.append(make_received(message, topic, payload, content_type, "now"))
            size += len(payload)
        store.commit(made, [])
    store.close()
    assert (tmp_path / "store.db").stat().st_size < 1.3 * size


def test_each_file_of_lines_is_synced_behind_its_last_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: dict[int, int] = {}  # inode -> size when it was synced
    folders = 0
    fsync = os.fsync

    def noted(handle: int) -> None:
        nonlocal folders
        fsync(handle)
        found = os.fstat(handle)
        synced[found.st_ino] = found.st_size
        folders += stat.S_ISDIR(found.st_mode)

    monkeypatch.setattr(os, "fsync", noted)
    store = open_store(tmp_path / "store.jsonl", write=True)
    assert folders == 3, "each new file stays in its folder"
    for number in range(3):
        made = record(number + 1)
        store.commit([entry(made), OTHER, entry(made, NTS, redelivered=True)], [FOREIGN])
        files = [file.stat() for file in tmp_path.iterdir() if file.suffix in (".jsonl", ".json")]
        assert len(files) == 4
        assert {file.st_ino: file.st_size for file in files} == {
            file.st_ino: synced.get(file.st_ino) for file in files
        }
    assert folders == 6, "and each new tally"
    synced.clear()
    assert [each.verdict for each in store.commit([OTHER], [])] == ["conflict"]
    assert synced == {}, "what is there already costs no write"
    store.close()
    for file in tmp_path.glob("*.jsonl"):
        with file.open("ab") as handle:
            handle.write(b'{"kind"')
    synced.clear()
    open_store(tmp_path / "store.jsonl", write=True).close()
    files = [file.stat() for file in tmp_path.glob("*.jsonl")]
    assert [synced.get(file.st_ino) for file in files] == [file.st_size for file in files]


def test_a_payload_of_text_is_kept_as_text(tmp_path: Path) -> None:
    """So that any program reads it."""
    path = tmp_path / "store.jsonl"
    store = open_store(path, write=True)
    made = [entry(record(1), encoding="json"), entry(record(2))]
    store.commit(made, [])
    _, first, second = map(json.loads, path.read_text("utf-8").splitlines())
    assert first["payload"].encode() == made[0].payload
    assert base64.b64decode(second["payload_b64"]) == made[1].payload
    assert list(store.records(GW)) == made
    store.close()


def test_a_commit_that_fails_leaves_nothing(store: RecordStore) -> None:
    good = entry(record(1))
    bad = replace(entry(record(2)), key=(GW, E1, "air", 1 << 70))
    others = [entry(record(1, body={"x": n})) for n in range(keepquota.KEPT_PER_KIND)]
    for _ in range(2):
        with pytest.raises((OverflowError, RecordStoreError)):
            store.commit([good, *others, bad], [])
        assert [*store.records(GW), *store.conflicts(GW), *store.gateways()] == []
    done = store.commit([good, OTHER], [])
    assert [each.verdict for each in done] == ["stored", "conflict"], "and takes no room"
    assert list(store.conflicts(GW)) == [OTHER]


def test_a_reader_sees_one_state(store: RecordStore, path: Path) -> None:
    store.commit([entry(record(1))], [])
    reader = open_store(path, write=False)
    store.commit([entry(record(2)), OTHER], [])
    assert [each.key[3] for each in reader.records(GW)] == [1]
    assert list(reader.conflicts(GW)) == []
    reader.close()


@pytest.mark.parametrize("write", [True, False])
def test_a_database_of_another_program_that_is_still_empty_is_none_of_ours(
    tmp_path: Path, write: bool
) -> None:
    path = tmp_path / "city.db"
    db = sqlite3.connect(path)
    db.execute("PRAGMA application_id = 77")
    db.close()
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="not a store"):
        open_store(path, write=write)
    assert path.read_bytes() == before


def test_a_newer_version_is_told_and_left_alone(path: Path) -> None:
    open_store(path, write=True).close()
    if path.suffix == ".db":
        db = sqlite3.connect(path)
        db.execute("PRAGMA user_version = 9")
        db.close()
    else:
        path.write_bytes(path.read_bytes().replace(b'"v":2', b'"v":9'))
    before = path.read_bytes()
    for write in (True, True, False):  # who is refused gives the lock back
        with pytest.raises(ConfigError, match=r"has version 9; this program reads (2|up to 3)$"):
            open_store(path, write=write)
    assert path.read_bytes() == before


def test_a_database_that_has_tables_of_another_program_gets_none_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "city.db"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE theirs (x)")
    db.close()
    before = path.read_bytes()
    for write in (True, True, False):
        with pytest.raises(ConfigError, match="not a store"):
            open_store(path, write=write)
    assert path.read_bytes() == before


def test_what_cannot_be_opened_gives_the_lock_back(path: Path) -> None:
    path.mkdir()
    for _ in range(2):
        with pytest.raises(RecordStoreError, match=str(path)):
            open_store(path, write=True)
    path.rmdir()
    open_store(path, write=True).close()


def test_a_store_that_was_closed_is_one_file_again(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store.db", write=True)
    store.commit([entry(record(1))], [])
    assert (tmp_path / "store.db-wal").exists()
    store.close()
    assert {file.name for file in tmp_path.iterdir()} == {"store.db", "store.db.lock"}


def test_an_empty_file_is_no_store_yet(path: Path) -> None:
    path.touch()
    with pytest.raises(ConfigError, match="not a store"):
        open_store(path, write=False)
    assert path.read_bytes() == b""
    open_store(path, write=True).close()
    assert path.read_bytes()


def test_a_store_keeps_its_name(path: Path) -> None:
    names = set()
    for write in (True, True, False):
        store = open_store(path, write=write)
        names.add(store.name)
        store.close()
    (name,) = names
    assert len(name) == 16


def test_lines_that_say_too_little_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "store.jsonl"
    store = open_store(path, write=True)
    store.commit([entry(record(1)), OTHER], [])
    store.close()
    bad = b'{"kind":"record","gw":"x"}\n{"kind":"record",\n'
    path.write_bytes(path.read_bytes() + bad)
    beside = path.with_suffix(".conflict.jsonl")
    beside.write_bytes(bad + beside.read_bytes())
    for write in (False, True):
        again = open_store(path, write=write)
        assert (again.damage.lines, again.damage.torn_bytes) == (4, 0)
        assert list(again.records(GW)) == [entry(record(1))]
        assert list(again.conflicts(GW)) == [OTHER]
        again.close()


@pytest.mark.parametrize("tail", [1, 65_534, 65_535, 65_536, 65_537, 200_000])
def test_the_end_of_the_last_whole_line_is_found(tmp_path: Path, tail: int) -> None:
    """Also where it is the first byte of what is read at once."""
    path = tmp_path / "lines"
    whole = (RECORD_HEAD + b'1"}\n') * 2
    path.write_bytes(whole + b"x" * tail)
    for write in (False, True):
        file = JsonLinesFile(path, write=write)
        assert (file.end, file.torn_bytes) == (len(whole), tail)
        assert (len(list(file.lines())), file.damaged) == (2, 0)
        file.close()
    assert path.read_bytes() == whole


def test_a_line_that_is_longer_than_any_of_ours_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonlinesfile, "LINE_LIMIT", 64)
    path = tmp_path / "lines"
    whole = [RECORD_HEAD + b'%d"}\n' % n for n in range(3)]
    for middle in (b"x" * 63 + b"\n", b"x" * 64 + b"\n", b"x" * 65 + b"\n", b"{" * 500 + b"\n"):
        path.write_bytes(whole[0] + middle + whole[1] + whole[2])
        file = JsonLinesFile(path, write=False)
        starts = [0, len(whole[0] + middle), len(whole[0] + middle + whole[1])]
        assert [(place, length, line["kind"]) for place, length, line in file.lines()] == [
            (start, len(whole[0]), str(n)) for n, start in enumerate(starts)
        ]
        assert file.damaged == 1
        assert file.at(starts[1], len(whole[1])) == {"kind": "1"}
        with pytest.raises(ValueError, match="damaged"):
            file.at(starts[1], len(whole[1]) - 1)
        file.close()


def test_what_is_written_in_parts_is_written_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a nearly full disk takes it."""
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda h, data, at: pwrite(h, bytes(data)[:7], at))
    path = tmp_path / "lines"
    file = JsonLinesFile(path, write=True)
    for n in range(3):
        file.append(RECORD_HEAD + b'%d"}\n' % n)
    assert file.end == path.stat().st_size
    file.close()
    assert path.read_bytes() == b"".join(RECORD_HEAD + b'%d"}\n' % n for n in range(3))


ORDER = ["atomic", "floor", "rtc", "ntp", "nts"]  # the first is none that is known


def wall(tq: str, bounds: str | None = None) -> WallTimes:
    return WallTimes("a", "b", tq, bounds)


def test_times_are_replaced_by_better_ones_only() -> None:
    for mine, one in enumerate(ORDER):
        for others, two in enumerate(ORDER):
            for bounds in (None, "[1]"):
                better = wall(one, bounds).better(wall(two))
                assert better == (mine > others or (mine == others and bounds is not None))
                assert wall(one, bounds).better(wall(two, "[2]")) == (mine > others)
    assert not wall("atomic").better(wall("none"))
    assert not wall("none").better(wall("atomic"))


def test_a_branch_is_what_stands_before_up() -> None:
    made: ReceivedRecord = entry(record(1))
    assert made.branch == f"kerbstone/v1/stadt/{GW}"
    batch = replace(made, topic=made.topic.removesuffix("/hut"), source="")
    assert batch.branch == made.branch
    assert made.size == len(made.topic) + len(made.payload)
    assert FOREIGN.kept_size == 2


def test_a_commit_may_happen_in_another_thread(store: RecordStore) -> None:
    with ThreadPoolExecutor(1) as pool:
        assert len(pool.submit(store.commit, [entry(record(1))], [FOREIGN]).result()) == 1
    assert list(store.records(GW)) == [entry(record(1))]


def handles() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_nothing_stays_open_behind_a_store(path: Path) -> None:
    gc.collect()  # what other tests have left
    before = handles()
    for _ in range(3):
        store = open_store(path, write=True)
        store.commit([entry(record(1)), OTHER], [FOREIGN])
        opened = handles()
        with pytest.raises(ConfigError, match="another"):
            open_store(path, write=True)
        assert handles() == opened
        store.close()
        assert handles() == before
        with pytest.raises(RecordStoreError):
            store.gateways()
        reader = open_store(path, write=False)
        reader.close()
        reader.close()
        assert handles() == before


def test_files_are_for_their_owner_and_group(tmp_path: Path) -> None:
    open_store(tmp_path / "store.jsonl", write=True).close()
    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    assert len(modes) == 4
    assert all(mode & ~0o640 == 0 for mode in modes.values()), modes


def test_a_head_stands_first(tmp_path: Path) -> None:
    path = tmp_path / "store.jsonl"
    store = open_store(path, write=True)
    store.commit([entry(record(1))], [])
    store.close()
    head, line = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(line + head)
    for write in (True, False):
        with pytest.raises(ConfigError, match="not a store"):
            open_store(path, write=write)
    assert path.read_bytes() == line + head


def test_a_place_where_no_store_can_be_is_wrong_use(tmp_path: Path) -> None:
    for name in ("none.db", "none.jsonl"):
        with pytest.raises(ConfigError, match="there is no such file"):
            open_store(tmp_path / name, write=False)
        with pytest.raises(ConfigError, match="does not exist; make it"):
            open_store(tmp_path / "folder" / name, write=True)
    with pytest.raises(ConfigError, match=r"ends in \.db"):
        open_store(tmp_path / "store.txt", write=True)
    assert list(tmp_path.iterdir()) == []
