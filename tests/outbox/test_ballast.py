"""A full file system: the ballast saves the last records, and is built again when there is room."""

import contextlib
import errno
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.core import Stream
from edge.outbox import Outbox, ballast
from edge.outbox.ballast import CHUNK, Ballast, free_bytes, write_zeros
from tests.kit.outbox import drafts, everything, kill
from tests.outbox.failover import at

SIZE = 1 << 20
DISK = 8 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", str(place)],
        capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("no file system may be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("size", [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5])
def test_zeros_take_real_blocks_where_none_can_be_allocated(tmp_path: Path, size: int) -> None:
    with (tmp_path / "ballast").open("wb") as file:
        write_zeros(file.fileno(), size)
    found = (tmp_path / "ballast").stat()
    assert found.st_size == size <= found.st_blocks * 512


def test_a_file_that_takes_only_a_part_is_no_ballast(tmp_path: Path) -> None:
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    with (tmp_path / "ballast").open("wb") as file:
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (CHUNK + 100, usual[1]))
            with pytest.raises(OSError, match="No space left"):
                write_zeros(file.fileno(), 2 * CHUNK)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, usual)


def opened(disk: Path, size: int = SIZE, limit: int = 64 << 20) -> Outbox:
    outbox = Outbox.open(disk / "outbox", limit_bytes=limit, boot_id="b", ballast_bytes=size)
    outbox.begin()
    return outbox


def fill(disk: Path) -> None:
    """Somebody else takes all that is left."""
    with (disk / "hog").open("ab", buffering=0) as hog, contextlib.suppress(OSError):
        while True:
            hog.write(bytes(4096))
    assert free_bytes(disk) == 0


def rows(outbox: Outbox) -> list[int]:
    return [s.record.key.seq for s in everything(outbox) if s.record.key.stream is Stream.AIR]


def reported(outbox: Outbox) -> list[tuple[str, str]]:
    return [
        (s.record.body["state"], s.record.body["text"])
        for s in everything(outbox)
        if s.record.key.stream is Stream.EVENT
    ]


def test_a_full_disk_is_survived_on_the_ballast(disk: Path) -> None:
    outbox = opened(disk)
    assert outbox.counts().ballast == (disk / "outbox" / "ballast").stat().st_blocks * 512 == SIZE
    assert outbox.counts().size < SIZE, "it is none of the outbox's bytes"
    outbox.commit(drafts(5), clock=at(1))
    fill(disk)
    count = 5
    for second in range(2, 12):
        assert len(outbox.commit(drafts(20, size=1000), clock=at(second))) >= 20
        count += 20
    counts = outbox.counts()
    assert (counts.in_memory, counts.ballast) == (None, 0)
    assert rows(outbox) == list(range(1, count + 1))
    ((state, text),) = reported(outbox)
    assert state == "on"
    assert "is full" in text
    assert "1024 KiB that were set aside" in text
    kill(outbox)

    outbox = opened(disk)  # still full
    assert outbox.opened.in_memory is None
    assert rows(outbox) == list(range(1, count + 1)), "all of it is on disk"
    outbox.close()


def test_a_start_on_a_full_disk_gives_up_the_ballast(disk: Path) -> None:
    outbox = opened(disk)
    outbox.commit(drafts(40, size=1000), clock=at(1))
    outbox.close()
    fill(disk)
    outbox = opened(disk)
    outbox.commit(drafts(40, size=1000), clock=at(2))
    counts = outbox.counts()
    assert (counts.in_memory, counts.ballast, counts.streams["air"]) == (None, 0, 80)
    assert [state for state, _ in reported(outbox)] == ["on"]
    outbox.close()


def test_the_first_start_of_all_on_a_full_disk_goes_on_in_memory(disk: Path) -> None:
    fill(disk)
    outbox = opened(disk)
    assert len(outbox.commit(drafts(3), clock=at(1))) >= 3
    assert outbox.counts().in_memory is not None
    (disk / "hog").unlink()
    for second in (2, 40, 80):
        outbox.commit(drafts(1), clock=at(second))
    assert outbox.counts().in_memory is None
    assert sorted(rows(outbox)) == list(range(1, 7))
    outbox.close()


def test_when_the_ballast_is_used_up_it_goes_on_in_memory_and_back(disk: Path) -> None:
    outbox = opened(disk)
    fill(disk)
    for second in range(1, 40):
        outbox.commit(drafts(50, size=1000), clock=at(second))
    assert outbox.counts().in_memory is not None
    assert "full" in str(outbox.counts().in_memory)
    (disk / "hog").unlink()
    outbox.commit(drafts(1), clock=at(80))
    assert (outbox.counts().in_memory, outbox.counts().ballast) == (None, 0)
    for second in (120, 160):
        outbox.commit(drafts(1), clock=at(second))
    assert outbox.counts().ballast == SIZE, "built again"
    outbox.commit([], clock=at(170))
    assert [state for state, _ in reported(outbox)] == ["on", "on", "off", "off"]
    assert sorted(rows(outbox)) == list(range(1, 39 * 50 + 4))
    outbox.close()


def test_it_is_built_again_only_when_there_is_twice_its_size(disk: Path) -> None:
    outbox = opened(disk)
    fill(disk)
    outbox.commit(drafts(200, size=1000), clock=at(1))
    assert outbox.counts().ballast == 0
    os.truncate(disk / "hog", (disk / "hog").stat().st_size - SIZE)
    for second in (2, 40, 80):
        outbox.commit([], clock=at(second))
    assert SIZE // 2 < free_bytes(disk) < 2 * SIZE
    assert outbox.counts().ballast == 0
    (disk / "hog").unlink()
    outbox.commit([], clock=at(120))
    assert outbox.counts().ballast == SIZE
    outbox.close()


def test_a_small_disk_gets_none(disk: Path) -> None:
    outbox = opened(disk, size=DISK // 3)
    assert outbox.counts().ballast == 0
    outbox.commit(drafts(3), clock=at(1))
    fill(disk)
    made = outbox.commit(drafts(500, size=1000), clock=at(2))
    assert len(made) == 500
    assert outbox.counts().in_memory is not None, "then memory is all there is"
    outbox.close()


def test_a_disk_that_was_too_full_at_the_start_gets_one_later(disk: Path) -> None:
    (disk / "hog").write_bytes(bytes(DISK - 3 * SIZE))
    outbox = opened(disk)
    outbox.commit(drafts(1), clock=at(1))
    assert outbox.counts().ballast == 0
    (disk / "hog").unlink()
    outbox.commit([], clock=at(100))
    assert outbox.counts().ballast == SIZE
    outbox.commit(drafts(1), clock=at(101))
    assert reported(outbox) == [], "nothing has happened"
    outbox.close()


def test_the_limit_of_the_outbox_is_not_a_full_disk(tmp_path: Path) -> None:
    outbox = opened(tmp_path, limit=1 << 20)
    for second in range(60):
        outbox.commit(drafts(50, size=1000, at=second), clock=at(second))
    assert outbox.counts().dropped > 0
    assert outbox.counts().ballast == SIZE
    outbox.close()


@pytest.mark.parametrize("size", [0, SIZE, 3 * SIZE])
def test_another_size_or_none_replaces_the_old_one(tmp_path: Path, size: int) -> None:
    Ballast(tmp_path, 2 * SIZE).build()
    made = Ballast(tmp_path, size)
    assert made.build()
    assert made.size == size
    assert (tmp_path / "ballast").exists() == (size > 0)


def test_where_blocks_cannot_be_allocated_zeros_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(fd: int, offset: int, size: int) -> None:
        raise OSError(95, "not supported")

    monkeypatch.setattr("edge.outbox.ballast.os.posix_fallocate", unknown)
    made = Ballast(tmp_path, SIZE + 1000)
    assert made.build()
    assert (tmp_path / "ballast").stat().st_blocks * 512 >= SIZE + 1000
    assert made.size == SIZE + 1000


def folder_there(path: Path) -> None:
    path.mkdir()


def pipe_there(path: Path) -> None:
    os.mkfifo(path)


def link_there(path: Path) -> None:
    (path.parent / "precious").write_text("mine")
    path.symlink_to("precious")


@pytest.mark.parametrize("what", [folder_there, pipe_there, link_there])
def test_what_lies_in_its_place_does_no_harm(tmp_path: Path, what: object) -> None:
    what(tmp_path / "ballast")  # type: ignore[operator]
    made = Ballast(tmp_path, SIZE)
    assert made.build() is (what is not folder_there)
    assert made.give_up() is (what is not folder_there)
    if what is link_there:
        assert (tmp_path / "precious").read_text() == "mine"


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
