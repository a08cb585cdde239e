"""What lies there is read up to a limit, and nothing keeps the reader waiting."""

import os
from pathlib import Path

import pytest

from edge.durable.readfile import NotAFileError, is_regular_file, read_beginning, read_file


def test_a_file_is_read_up_to_its_limit_and_not_beyond(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert [read_beginning(path, limit) for limit in (0, 4, 5, 6)] == [
        b"", b"1234", b"12345", b"12345",
    ]  # fmt: skip
    assert read_file(path) == read_file(path, 5) == b"12345"
    with pytest.raises(OSError, match="more than 4 bytes"):
        read_file(path, 4)


def test_what_is_not_there_is_none_or_an_error(tmp_path: Path) -> None:
    assert read_file(tmp_path / "none") is None
    with pytest.raises(FileNotFoundError):
        read_beginning(tmp_path / "none", 5)
    assert not is_regular_file(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        read_file(tmp_path / "file" / "below")


def test_a_link_is_followed_and_one_that_leads_to_itself_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "loop").symlink_to("loop")
    assert read_file(tmp_path / "link") == b"x"
    assert is_regular_file(tmp_path / "link")
    with pytest.raises(OSError):
        read_file(tmp_path / "loop")
    assert not is_regular_file(tmp_path / "loop")


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_what_is_no_file_is_refused_at_once_and_stays_open_nowhere(
    tmp_path: Path, kind: str
) -> None:
    path = Path("/dev/null") if kind == "device" else tmp_path / kind
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    opened = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(IsADirectoryError if kind == "folder" else NotAFileError):
            read_file(path)
    assert len(list(Path("/proc/self/fd").iterdir())) == opened
    assert not is_regular_file(path)
