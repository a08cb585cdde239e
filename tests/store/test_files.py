"""Files beside the database."""

import os
from pathlib import Path

import pytest

from edge.store.files import PROBE, PROBE_BYTES, prove


def test_a_device_that_works_is_proved_and_nothing_stays_behind(tmp_path: Path) -> None:
    prove(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", [0, PROBE_BYTES - 1])
def test_a_device_that_keeps_something_else_than_it_took_does_not_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    """A worn card says that all is written; one bit of it is another one."""
    sync = os.fsync

    def wear(fd: int) -> None:
        sync(fd)
        (byte,) = os.pread(fd, 1, place)
        os.pwrite(fd, bytes([byte ^ 1]), place)

    monkeypatch.setattr(os, "fsync", wear)
    with pytest.raises(OSError, match="does not give back"):
        prove(tmp_path)
    assert not (tmp_path / PROBE).exists()
