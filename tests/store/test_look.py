"""`kerbstone outbox` without a daemon: it looks, and leaves everything as it was."""

import os
from pathlib import Path

import pytest

from edge.store import Outbox, look
from tests.store.test_outbox import LIMIT, MARK, drafts, kill, opened

Picture = dict[str, tuple[int, int, bytes]]


def picture(folder: Path) -> Picture:
    """All that could change: names, times, contents."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mtime_ns,
            path.lstat().st_ino,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in (folder, *sorted(folder.rglob("*")))
    }


def copied(folder: Path, to: Path) -> Path:
    """The files of an outbox as a power cut leaves them, its log not yet in the database."""
    to.mkdir()
    for path in folder.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to


def test_a_look_changes_nothing_and_sees_what_is_only_in_the_log(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    outbox.commit(drafts(30), clock=MARK)
    place = copied(tmp_path / "outbox", tmp_path / "cut")
    kill(outbox)
    assert (place / "outbox.db-wal").stat().st_size > 10_000
    before = picture(place)
    for _ in range(2):
        counts = look(place, LIMIT)
        assert (counts.rows, counts.streams, counts.oldest) == (30, {"air": 30}, (1, 0))
        assert counts.wal == (place / "outbox.db-wal").stat().st_size
        assert counts.ballast == 0
    assert picture(place) == before


def test_a_look_does_not_release_the_ballast_or_make_one(tmp_path: Path) -> None:
    outbox = Outbox.open(tmp_path / "o", limit_bytes=LIMIT, boot_id="b", ballast_bytes=1 << 20)
    outbox.begin()
    outbox.close()
    before = picture(tmp_path / "o")
    assert look(tmp_path / "o", LIMIT).ballast == 1 << 20
    assert picture(tmp_path / "o") == before


def nothing(place: Path) -> None:
    place.write_bytes(b"")


def text(place: Path) -> None:
    place.write_text("no database at all" * 100)


def pipe(place: Path) -> None:
    os.mkfifo(place)


def folder(place: Path) -> None:
    place.mkdir()


@pytest.mark.parametrize("what", [nothing, text, pipe, folder])
def test_what_is_no_outbox_is_said_and_left_as_it_is(tmp_path: Path, what: object) -> None:
    what(tmp_path / "outbox.db")  # type: ignore[operator]
    before = picture(tmp_path)
    with pytest.raises(ValueError, match="cannot be read"):
        look(tmp_path, LIMIT)
    assert picture(tmp_path) == before


def test_without_an_outbox_there_is_nothing_to_look_at(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        look(tmp_path, LIMIT)
    assert list(tmp_path.iterdir()) == []
