"""Outboxes of others beside ours: each is kept under a name of its own."""

import errno
from pathlib import Path

import pytest

from edge.outbox import foreignoutbox


def test_each_kept_database_and_memory_has_a_number_of_its_own(tmp_path: Path) -> None:
    whose = foreignoutbox.owner_label("site/gw")
    for content in (b"one", b"two", b"three"):
        log = tmp_path / "commit.log"
        log.write_bytes(content)
        foreignoutbox.set_aside_commit_log(log, tmp_path, whose)
        assert not log.exists()
        (tmp_path / "outbox.db").write_bytes(content)
        foreignoutbox.set_aside(tmp_path, whose)
    reported = [path.read_bytes() for path in sorted(tmp_path.iterdir())]
    assert sorted(reported) == sorted([b"one", b"two", b"three"] * 2)
    assert foreignoutbox.foreign_bytes(tmp_path) == 2 * len(b"onetwothree")
    names = [path.name for path in foreignoutbox.list_foreign(tmp_path)]
    assert names == [f"outbox.foreign.site.gw.{number}db" for number in ("2.", "3.", "")]


def test_a_folder_that_cannot_be_asked_keeps_nothing_that_is_known(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(_path: Path, _pattern: str) -> None:
        raise OSError(errno.EIO, "a card that does not answer")

    monkeypatch.setattr(Path, "glob", broken)
    assert (foreignoutbox.list_foreign(tmp_path), foreignoutbox.foreign_bytes(tmp_path)) == ([], 0)
