"""What must outlive a power cut waits for the disk, under its name."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.outbox.epochs import EPOCH_FILE, EpochFile, write_epoch_file
from edge.outbox.highwater import HIGHWATER_NAME, HighWaterFiles, HighWaterMark
from edge.outbox.quarantine import quarantine

Synced = list[tuple[str, list[str]]]


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> Synced:
    """What was made durable, by its path, and the names in a folder at that moment."""
    found: Synced = []

    def noting(sync: Callable[[int], None]) -> Callable[[int], None]:
        def note(fd: int) -> None:
            path = Path(f"/proc/self/fd/{fd}").readlink()
            found.append(
                (str(path), sorted(each.name for each in path.iterdir()) if path.is_dir() else [])
            )
            sync(fd)

        return note

    monkeypatch.setattr(os, "fsync", noting(os.fsync))
    monkeypatch.setattr(os, "fdatasync", noting(os.fdatasync))
    return found


def test_an_epoch_file_is_durable_with_its_name(tmp_path: Path, synced: Synced) -> None:
    write_epoch_file(tmp_path, EpochFile(3, 2, "b", 7, "s/gw"))
    assert synced == [(f"{tmp_path}/{EPOCH_FILE}.new", []), (str(tmp_path), [EPOCH_FILE])]


def test_what_is_put_aside_is_durable_where_it_lies_now(tmp_path: Path, synced: Synced) -> None:
    (tmp_path / "outbox.db").write_bytes(b"x")
    quarantine(tmp_path, "outbox.db", 1 << 20)
    assert synced == [(str(tmp_path), ["quarantine"])]


def test_how_far_it_has_come_is_durable_on_the_card_alone(tmp_path: Path, synced: Synced) -> None:
    run = tmp_path / "run"
    run.mkdir()
    water = HighWaterFiles(tmp_path, run)
    for on_disk in (True, False, True):
        water.commit(HighWaterMark(1 << 32, 1), 0, on_disk=on_disk)
    water.write_at_end(HighWaterMark(1 << 32, 1))
    assert synced == [(f"{tmp_path}/{HIGHWATER_NAME}", [])] * 4
