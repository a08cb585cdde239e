"""Whether a device gives back what was written to it."""

import errno
import os
from pathlib import Path

import pytest

from edge.outbox.outboxfolder import PROBE_NAME, probe_device


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
