"""Files beside the database: a device that lies, what is in the way, a quarantine with an end."""

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge.outbox import ballast, inspect_outbox, outboxfolder, storefiles
from edge.outbox.salvage import Salvage
from edge.outbox.storefiles import PROBE_NAME, QUARANTINE, probe_device, quarantine_usage


def test_a_device_that_gives_back_what_was_written_is_proved(tmp_path: Path) -> None:
    (tmp_path / PROBE_NAME).write_bytes(b"of a start before" * 10_000)
    probe_device(tmp_path)
    assert list(tmp_path.iterdir()) == []


def changed(fd: int, size: int, place: int) -> bytes:
    return bytes(size)


def short(fd: int, data: bytes) -> int:
    return len(data) - 1


@pytest.mark.parametrize(("name", "lie"), [("pread", changed), ("write", short)])
def test_a_device_that_keeps_something_else_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, lie: object
) -> None:
    monkeypatch.setattr(os, name, lie)
    with pytest.raises(OSError, match="does not give back") as reported:
        probe_device(tmp_path)
    assert reported.value.errno == errno.EIO
    assert list(tmp_path.iterdir()) == [], "the probe does not stay"


def test_the_probe_follows_no_link(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"of somebody else")
    (tmp_path / PROBE_NAME).symlink_to(target)
    with pytest.raises(OSError, match="symbolic"):
        probe_device(tmp_path)
    assert target.read_bytes() == b"of somebody else"


@pytest.mark.parametrize("wrong", [b"INTEGER PRIMARY K\x81Y", b"INTEGER\xc3PRIMARY(KEY"])
def test_a_database_with_a_schema_that_is_no_text_is_put_aside_and_looked_at(
    tmp_path: Path, wrong: bytes
) -> None:
    """SQLite's own sentence quotes it, and is then no text either."""
    path = tmp_path / "outbox.db"
    for _ in range(3):
        with closing(sqlite3.connect(path)) as db:
            db.execute("CREATE TABLE record (id INTEGER PRIMARY KEY)")
        path.write_bytes(path.read_bytes().replace(b"INTEGER PRIMARY KEY", wrong))
        with closing(Salvage(path)) as salvage:
            assert list(salvage.rows()) == []
        with pytest.raises(ValueError, match="cannot be read"):
            inspect_outbox(tmp_path, 1 << 20)
        storefiles.quarantine(tmp_path, path.name, 1 << 20)
    assert quarantine_usage(tmp_path)


def test_what_is_put_aside_pushes_out_the_oldest_whatever_it_is(tmp_path: Path) -> None:
    """Also where somebody has left a file, or a link to his own, in the place of a folder."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_bytes(b"x")
    home = tmp_path / QUARANTINE
    home.mkdir()
    (home / "000001").write_bytes(b"12345")
    (home / "000002").symlink_to(outside)
    for _ in range(3):
        (tmp_path / "outbox.db").mkdir()
        storefiles._quarantine_obstacle(tmp_path / "outbox.db", tmp_path)
    assert sorted(path.name for path in home.iterdir()) == ["000004", "000005"]
    assert (outside / "precious").read_bytes() == b"x"


def test_the_bytes_in_quarantine_are_those_of_plain_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert quarantine_usage(tmp_path) == (0, 0)
    place = tmp_path / QUARANTINE / "000001"
    place.mkdir(parents=True)
    (place / "outbox.db").write_bytes(bytes(70))
    (place / "outbox.db-wal").write_bytes(bytes(5))
    (place / "link").symlink_to(place / "outbox.db")
    (tmp_path / QUARANTINE / "readme").write_bytes(b"xyz")
    assert quarantine_usage(tmp_path) == (1, 78)

    def gone(path: Path) -> None:
        raise FileNotFoundError(2, "cleared up meanwhile", str(path))

    monkeypatch.setattr(Path, "lstat", gone)
    assert storefiles._bytes(tmp_path / QUARANTINE) == 0


def test_each_kept_database_and_memory_has_a_number_of_its_own(tmp_path: Path) -> None:
    whose = outboxfolder.owner_label("site/gw")
    for content in (b"one", b"two", b"three"):
        log = tmp_path / "commit.log"
        log.write_bytes(content)
        outboxfolder.set_aside_commit_log(log, tmp_path, whose)
        assert not log.exists()
        (tmp_path / "outbox.db").write_bytes(content)
        outboxfolder.set_aside(tmp_path, whose)
    reported = [path.read_bytes() for path in sorted(tmp_path.iterdir())]
    assert sorted(reported) == sorted([b"one", b"two", b"three"] * 2)
    assert outboxfolder.foreign_bytes(tmp_path) == 2 * len(b"onetwothree")
    names = [path.name for path in outboxfolder.list_foreign(tmp_path)]
    assert names == [f"outbox.foreign.site.gw.{number}db" for number in ("2.", "3.", "")]


def test_a_folder_that_cannot_be_asked_keeps_nothing_that_is_known(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(_path: Path, _pattern: str) -> None:
        raise OSError(errno.EIO, "a card that does not answer")

    monkeypatch.setattr(Path, "glob", broken)
    assert (outboxfolder.list_foreign(tmp_path), outboxfolder.foreign_bytes(tmp_path)) == ([], 0)


def test_zeros_are_real_blocks_or_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 2 * ballast.CHUNK + 5
    with (tmp_path / "x").open("wb") as file:
        ballast.write_zeros(file.fileno(), size)
        assert os.fstat(file.fileno()).st_size == size
        assert os.fstat(file.fileno()).st_blocks * 512 >= size
        monkeypatch.setattr(os, "pwrite", lambda fd, data, place: len(data) - 1)
        with pytest.raises(OSError, match="space") as reported:
            ballast.write_zeros(file.fileno(), size)
        assert reported.value.errno == errno.ENOSPC


def test_of_databases_in_quarantine_the_oldest_goes_and_none_is_larger_than_may_be(
    tmp_path: Path,
) -> None:
    def put(content: bytes, limit: int = 1000) -> None:
        (tmp_path / "outbox.db").write_bytes(content)
        (tmp_path / "outbox.db-wal").write_bytes(b"log")
        storefiles.quarantine(tmp_path, "outbox.db", limit)

    def kept() -> list[bytes]:
        return [path.read_bytes() for path in sorted((tmp_path / QUARANTINE).rglob("outbox.db"))]

    for content in (b"one", b"two", b"three"):
        put(content)
    assert kept() == [b"two", b"three"]
    put(b"4" * 989)
    assert kept() == [b"three", b"4" * 989], "just as much as may be, with their logs"
    put(b"5" * 998)
    assert kept() == [b"5" * 500], "one alone, and cut"
    assert quarantine_usage(tmp_path) == (1, 503)
    put(b"6" * 500)
    assert kept() == [b"6" * 500], "with the other one there would be too much"
