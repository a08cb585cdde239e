"""The quarantine: what is in the way goes there, and it has an end."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge.outbox import inspect_outbox
from edge.outbox import quarantine as module
from edge.outbox.quarantine import QUARANTINE, quarantine_usage
from edge.outbox.salvage import Salvage


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
        module.quarantine(tmp_path, path.name, 1 << 20)
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
        module.quarantine_obstacle(tmp_path / "outbox.db", tmp_path)
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
    assert module._bytes(tmp_path / QUARANTINE) == 0


def test_of_databases_in_quarantine_the_oldest_goes_and_none_is_larger_than_may_be(
    tmp_path: Path,
) -> None:
    def put(content: bytes, limit: int = 1000) -> None:
        (tmp_path / "outbox.db").write_bytes(content)
        (tmp_path / "outbox.db-wal").write_bytes(b"log")
        module.quarantine(tmp_path, "outbox.db", limit)

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
