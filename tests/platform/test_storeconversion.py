"""A store of version 2 becomes one of version 3, and is the same whenever that was killed."""

import contextlib
import os
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from edge.cli.main import main
from edge.core import ConfigError, Stream
from edge.durable.filelock import FileLock
from edge.platform import storeconversion
from edge.platform.openstore import open_store
from edge.platform.receivedrecord import ReceivedRecord
from edge.platform.sqlite_store import SqliteStore
from tests.kit.clock import NONE
from tests.kit.records import E1, E2, GW, TOPICS, entry, record, sealed
from tests.long import size
from tests.platform.formerstore import write_former


def some() -> list[ReceivedRecord]:
    """Two gateways, two epochs, and a stream without sources; sealed."""
    mine = [entry(each) for each in sealed(*(record(n) for n in range(1, 31)))]
    mine += [entry(record(n, epoch=E2, stream=Stream.EVENT, source="")) for n in (1, 3)]
    mine += [entry(record(9, stream=Stream.ENERGY, source="m"), NONE, "json")]
    return mine


class Seen(NamedTuple):
    """What a reader finds in a store."""

    gateways: list[tuple[str, int | None]]
    records: list[ReceivedRecord]
    conflicts: list[ReceivedRecord]
    damaged: int
    name: str


def seen(path: Path) -> Seen:
    with contextlib.closing(open_store(path, write=False)) as store:
        found = store.gateways()
        records = [each for gw, _ in found for each in store.records(gw)]
        beside = [each for gw, _ in found for each in store.conflicts(gw)]
        return Seen(found, records, beside, store.damage.lines, store.name)


def version(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def ledger(path: Path) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as db:
        rows = "SELECT gw, epoch, stream, first, last FROM ledger JOIN numbering ON id = numbering"
        return sorted(db.execute(rows))


@pytest.fixture
def former(tmp_path: Path) -> Path:
    path = tmp_path / "city.db"
    write_former(path, some(), conflicts=[entry(record(1, body={"x": "other"}))])
    return path


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    sql = storeconversion.TAKE.replace(f"LIMIT {storeconversion.BATCH}", "LIMIT 7")
    assert sql != storeconversion.TAKE
    monkeypatch.setattr(storeconversion, "TAKE", sql)


def test_it_is_read_as_it_is(former: Path) -> None:
    before = former.read_bytes()
    found = seen(former)
    assert found.records == sorted(some(), key=lambda each: each.key)
    assert (found.gateways, found.damaged, len(found.conflicts)) == ([(GW, E1)], 0, 1)
    with contextlib.closing(open_store(former, write=False)) as store:
        assert [each.key[3] for each in store.record_range((GW, E1, "air", 4), 6)] == [4, 5, 6]
        assert [each.key[3] for each in store.records(GW, "event")] == [1, 3]
    assert former.read_bytes() == before


def test_it_is_the_same_afterwards(former: Path) -> None:
    told: list[int] = []
    before = seen(former)
    with contextlib.closing(open_store(former, write=True, progress=told.append)) as store:
        assert {each.verdict for each in store.commit(some(), [])} == {"repeat"}
        other = entry(record(1, body={"x": "other"}))
        assert [each.verdict for each in store.commit([other], [])] == ["conflict"]
    assert told == [7, 14, 21, 28, 34]
    assert seen(former) == before
    assert version(former) == 3
    assert ledger(former) == [
        (GW, E1, "air", 1, 30), (GW, E1, "energy", 9, 9), (GW, E1, "manifest", 1, 1),
        (GW, E2, "event", 1, 1), (GW, E2, "event", 3, 3),
    ]  # fmt: skip
    with contextlib.closing(sqlite3.connect(former)) as db:
        assert db.execute("SELECT name FROM sqlite_schema WHERE name = 'record_2'").fetchall() == []
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_the_audit_says_the_same(former: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def verdict() -> tuple[int, str]:
        return main(["audit", "--store", str(former), "--json"]), capsys.readouterr().out

    before = verdict()
    open_store(former, write=True).close()
    assert verdict() == before


def killed_at(path: Path, statement: int) -> bool:
    """Convert in another process, which kills itself before this statement. False: it ended."""
    child = os.fork()
    if child == 0:
        left = statement

        def count(_sql: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

        prepare: Callable[..., Any] = SqliteStore._prepare

        def prepared(self: Any, *args: Any) -> Any:
            self._db.set_trace_callback(count)
            return prepare(self, *args)

        SqliteStore._prepare = prepared  # type: ignore[method-assign,assignment]
        try:
            open_store(path, write=True).close()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def test_killed_before_any_statement_it_goes_on_where_it_was(tmp_path: Path) -> None:
    """A reader finds all records each time, in their order."""
    path = tmp_path / "city.db"
    write_former(path, some())
    before, statement, versions = seen(path), 0, set()
    while True:
        write_former(path, some())
        if not killed_at(path, statement):
            break
        versions.add(version(path))
        assert seen(path)[:4] == before[:4], f"killed before statement {statement}"
        open_store(path, write=True).close()
        assert seen(path)[:4] == before[:4]
        assert len(ledger(path)) == 5
        statement += size(3, 1)
    assert statement > 30
    assert versions == {2, 3}


def test_killed_again_and_again_it_ends(former: Path) -> None:
    before, kills = seen(former), 0
    while killed_at(former, 40):
        kills += 1
        assert seen(former) == before
    assert kills >= 2
    assert (seen(former), version(former)) == (before, 3)


@pytest.mark.parametrize(
    "rotten",
    [
        "payload = 'text' WHERE seq = 3", "payload = x'ff' WHERE seq = 3",
        "topic = CAST(x'ff61' AS TEXT)", "stream = 'a\u00e4' WHERE seq = 3",
        "stream = CAST(x'ff' AS TEXT) WHERE seq = 30", "wall_from = x'00' WHERE seq = 4",
        "gw = 'gw-0' WHERE seq = 9", "boot = 'x' WHERE seq = 5", "seq = 'x' WHERE seq = 6",
        "seq = 2.5 WHERE seq = 6", "epoch = 'now' WHERE seq > 20", "bounds = 'x' WHERE seq = 1",
        "content_type = x'00' WHERE seq = 1",
    ],
)  # fmt: skip
def test_what_is_rotten_stays_as_it_is(
    former: Path, rotten: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with contextlib.closing(sqlite3.connect(former)) as db:
        db.execute(f"UPDATE record SET {rotten}")
        db.commit()
    before = seen(former)
    code, said = main(["audit", "--store", str(former), "--json"]), capsys.readouterr().out
    assert killed_at(former, 50)
    halfway = seen(former)
    assert (sorted(halfway.records, key=str), halfway.damaged) == (
        sorted(before.records, key=str), before.damaged,
    )  # fmt: skip
    open_store(former, write=True).close()
    assert seen(former) == before
    assert (main(["audit", "--store", str(former), "--json"]), capsys.readouterr().out) == (
        code, said,
    )  # fmt: skip


def test_it_needs_little_more_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "city.db"
    many = [entry(record(n, body={"long": f"{n}" * 200})) for n in range(1000, 5000)]
    write_former(path, many)
    monkeypatch.setattr(storeconversion, "TAKE", storeconversion.TAKE.replace("7", "200"))
    before, most = path.stat().st_size, 0

    def look(_records: int) -> None:
        nonlocal most
        most = max(most, sum(file.stat().st_size for file in tmp_path.iterdir()))

    open_store(path, write=True, progress=look).close()
    assert before > 16 << 20
    assert most < before + (8 << 20), "the log is written back each 4 MiB"
    assert path.stat().st_size < before + (1 << 20)
    with contextlib.closing(sqlite3.connect(path)) as db:
        (free,) = db.execute("PRAGMA freelist_count").fetchone()
    assert free * 4096 > before / 2, "room for new records"


def test_a_reader_that_has_it_open_goes_on_with_what_it_saw(former: Path) -> None:
    with contextlib.closing(open_store(former, write=False)) as reader:
        records = reader.records(GW)
        first = next(records)
        open_store(former, write=True).close()
        assert [first, *records] == sorted(some(), key=lambda each: each.key)


def test_who_writes_it_converts_it_alone(former: Path) -> None:
    lock = FileLock(former.with_name("city.db.lock"))
    assert lock.take()
    with pytest.raises(ConfigError, match="another"):
        open_store(former, write=True)
    lock.release()
    assert version(former) == 2
    assert TOPICS.up in seen(former).records[0].topic
