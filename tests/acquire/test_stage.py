"""The stage keeps what came in, whatever happens to the process."""

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.acquire import stage as staging
from edge.acquire.stage import (
    STAGE_FRAMES,
    Entry,
    Stage,
    StageHeader,
    StageSegment,
    find_segments,
    open_segment,
)
from edge.core import Bad, Contact, Reason, UncertainValue, failed_sweep, sweep
from tests.long import examples

CONTACTS = [Contact("a.lead", True, 5, 0, True), Contact("a.lead", False, 9, 3)]
SWEEPS = [
    sweep("m", 7, (1.5, 2, Bad(Reason.CRC), UncertainValue(4.0, Reason.WARMUP))),
    sweep("m", 8, (1.5, 2, 3.0, 4.0)),
    failed_sweep("n", 9, 2, Reason.SILENT),
]


def read(folder: Path, boot: str, since: int = 0) -> list[list[Entry]]:
    """Entries of each segment, repetitions left out."""
    return [
        [entry for entry, repeated in segment.read() if not (repeated and i)]
        for i, segment in enumerate(find_segments(folder, boot, since))
    ]


def test_what_was_staged_comes_back(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "boot")
    stage.rotate(0, 60, [], [])
    stage.add_contacts(CONTACTS)
    stage.add_sweeps(SWEEPS)
    stage.gap(3, 4)
    stage.unwatched("a.lead", 10)
    stage.mark(11)
    assert read(tmp_path, "boot") == [[CONTACTS, SWEEPS, (3, 4), ("a.lead", 10), 11]]


def test_what_was_early_is_read_once(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "boot")
    first = stage.rotate(0, 60, [], [])
    stage.add_contacts(CONTACTS)
    second = stage.rotate(8, 60, CONTACTS[1:], SWEEPS[1:])
    assert stage.sweeps == 2
    stage.mark(12)
    assert read(tmp_path, "boot", first) == [[CONTACTS], [12]]
    # the window before is in the outbox: now the repetition is the only copy
    assert read(tmp_path, "boot", second) == [[CONTACTS[1:], SWEEPS[1:], 12]]
    stage.drop_others()
    [only] = find_segments(tmp_path, "boot", first)
    assert (only.number, only.start_ns, only.end_ns) == (second, 8, 60)


def test_a_segment_can_be_gone_on_with_behind_its_last_whole_entry(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "boot")
    stage.rotate(0, 60, [], [])
    stage.gap(1, 2)
    stage.add_sweeps(SWEEPS)
    stage.mark(5)
    [path] = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole + bytes(64))  # zeros are no entry, though their checksum is right
    assert read(tmp_path, "boot") == [[(1, 2), SWEEPS, 5]]
    path.write_bytes(whole[:-2])  # the mark was torn by the kill
    [segment] = find_segments(tmp_path, "boot")
    assert [entry for entry, _ in segment.read()] == [(1, 2), SWEEPS]
    after = Stage(tmp_path, "boot")
    after.resume(segment, sweeps=3)
    after.add_contacts(CONTACTS)
    assert (after.number, after.sweeps) == (1, 3)
    assert read(tmp_path, "boot") == [[(1, 2), SWEEPS, CONTACTS]]


def test_a_stage_of_another_version_is_not_guessed_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "VERSION", 9)
    Stage(tmp_path, "boot").rotate(0, 60, [], [])
    monkeypatch.undo()
    assert find_segments(tmp_path, "boot") == []


def test_another_boot_speaks_in_another_time(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "boot 1")
    stage.rotate(0, 60, CONTACTS, [])
    stage.rotate(60, 120, CONTACTS, [])
    assert find_segments(tmp_path, "boot 2") == []
    newer = Stage(tmp_path, "boot 2")
    newer.rotate(0, 60, [], [])
    assert read(tmp_path, "boot 2") == [[]], "nothing of what lay there under this number"
    newer.drop_others()
    assert [path.name for path in tmp_path.iterdir()] == ["stage.00000001"]


@given(cut=st.integers(0, 400), flip=st.integers(0, 400))
@settings(max_examples=examples(60))
def test_damage_ends_the_reading_and_is_no_error(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flip: int
) -> None:
    folder = tmp_path_factory.mktemp("stage")
    stage = Stage(folder, "boot")
    stage.rotate(0, 60, [], [])
    for i in range(8):
        stage.add_contacts([Contact("a", bool(i % 2), i)])
    [path] = folder.iterdir()
    data = bytearray(path.read_bytes())
    whole = [entry for entries in read(folder, "boot") for entry in entries]
    if flip < len(data):
        data[flip] ^= 0x20
    path.write_bytes(bytes(data[: max(0, len(data) - cut)]))
    found = [entry for entries in read(folder, "boot") for entry in entries]
    assert found == whole[: len(found)]
    if cut or flip < len(data):
        assert len(found) < len(whole) or (not cut and flip >= len(data))


def test_what_cannot_be_read_back_is_kept_for_people(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "boot")
    for start in (0, 60):
        stage.rotate(start, start + 60, CONTACTS, [])
        stage.set_aside(find_segments(tmp_path, "boot"))
        assert find_segments(tmp_path, "boot") == []
    assert [path.name for path in tmp_path.iterdir()] == ["set_aside.stage.00000002"]


@pytest.mark.parametrize("written", [0, 5])
def test_after_a_write_that_failed_nothing_claims_to_have_listened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    stage = Stage(tmp_path, "boot")
    stage.rotate(0, 60, [], [])
    stage.add_contacts(CONTACTS[:1])
    stage.mark(10)
    write = os.write

    def full(fd: int, data: bytes) -> int:
        """A tmpfs with room for a few bytes more, or none."""
        if not written:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, data[:written])

    monkeypatch.setattr(os, "write", full)
    stage.add_contacts(CONTACTS[1:])
    monkeypatch.undo()  # there is room again
    stage.mark(50)
    assert stage.overflow == 2
    assert read(tmp_path, "boot") == [[CONTACTS[:1], 10]]
    stage.rotate(60, 120, [], [])
    stage.mark(70)
    assert read(tmp_path, "boot", 2) == [[70]]


def test_a_large_batch_is_cut_into_entries(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "boot")
    many = [Contact("line", bool(i % 2), i) for i in range(staging.BATCH_ITEMS * 2 + 1)]
    stage.rotate(0, 60, many, [])
    stage.mark(1)
    stage.rotate(1, 60, many, [])
    first, second = read(tmp_path, "boot")
    assert [c for e in first if isinstance(e, list) for c in e] == many
    assert second == []


def test_a_full_stage_is_counted_and_harms_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "SEGMENT_LIMIT", 100)
    stage = Stage(tmp_path, "boot")
    stage.rotate(0, 60, [], [])
    for i in range(20):
        stage.mark(i)
    assert stage.overflow > 10


def test_who_goes_on_in_a_segment_says_what_its_own_sources_mean(tmp_path: Path) -> None:
    before = StageHeader({"m": ("device", "a", "b", "c", "d")}, raw=True)
    stage = Stage(tmp_path, "boot", staged=before)
    stage.rotate(0, 60, CONTACTS, [])
    [segment] = find_segments(tmp_path, "boot")
    assert segment.staged == before
    assert list(segment.read()) == [(CONTACTS, True)]
    after = StageHeader({"m": ("pulses", "1000")})
    for _ in range(2):  # the second one has nothing new to say
        other = Stage(tmp_path, "boot", staged=after)
        other.resume(segment, 0)
        other.add_sweeps(SWEEPS)
        other.close()
        size = segment.path.stat().st_size
        [segment] = find_segments(tmp_path, "boot")
        assert segment.staged == before
        entries = [(entry, segment.staged) for entry, _ in segment.read()]
        assert entries[0] == (CONTACTS, before)
        assert all(staged == after for _, staged in entries[1:])
        assert segment.begun
        assert segment.at == size
    assert len(entries) == 3


def test_a_segment_that_somebody_else_left_hides_none_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, "boot")
    stage.rotate(0, 60, CONTACTS, [])
    stage.rotate(60, 120, CONTACTS, [])
    theirs = tmp_path / "stage.00000001"
    opened = staging._opened

    def refused(path: Path) -> Any:
        if path == theirs:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return opened(path)

    monkeypatch.setattr(staging, "_opened", refused)
    assert [segment.number for segment in find_segments(tmp_path, "boot")] == [2]
    stage.close()


def test_a_file_of_another_name_is_no_segment(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "boot")
    stage.rotate(0, 60, CONTACTS, [])
    shutil.copy(tmp_path / "stage.00000001", tmp_path / "stage.00000001.bak")
    assert [segment.path.name for segment in find_segments(tmp_path, "boot", 1)] == [
        "stage.00000001"
    ]


def test_one_file_is_open_at_a_time_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    def opened() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = opened()
    stage = Stage(tmp_path, "boot")
    for number in range(3):
        stage.rotate(number, number + 1, [], [])
        assert opened() == before + 1
    stage.resume(find_segments(tmp_path, "boot", 3)[0], 0)
    assert opened() == before + 1
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    for _ in range(2):
        stage.close()
        assert opened() == before
    stage.mark(1)
    assert stage.overflow == 1, "who is closed says that nothing was kept"


HEADER: dict[str, Any] = {
    "v": staging.VERSION, "boot": "boot", "owner": "", "window": [0, 60], "carried": 0,
    "staged": [{"m": ["device"]}, True],
}  # fmt: skip
MALFORMED: tuple[Any, ...] = (
    None, True, -1, 2**64 - 1, float("inf"), float("nan"), "x", b"\xff", [], [1], [1, 2, 3],
    ["a", "b"], [[1], [2]], [{"m": 1}, 0], [{"m": [1]}, 0], [{"m": None}, 0], [{}, 0], {}, {"v": 2},
)  # fmt: skip


def segment_of(path: Path, body: bytes) -> list[StageSegment]:
    """What a stage with this as its header, and the right checksum, is taken for."""
    path.write_bytes(STAGE_FRAMES.pack(body))
    found = find_segments(path.parent, "boot")
    assert found in ([], [open_segment(path)])
    return found


def test_a_header_that_says_something_else_ends_no_start(tmp_path: Path) -> None:
    path = tmp_path / "stage.00000001"
    (known,) = segment_of(path, msgpack.packb(HEADER))
    staged = StageHeader({"m": ("device",)}, raw=True)
    assert (known.start_ns, known.end_ns, known.number, known.staged) == (0, 60, 1, staged)
    for key in HEADER:
        assert segment_of(path, msgpack.packb({k: v for k, v in HEADER.items() if k != key})) == []
        for value in MALFORMED:
            for segment in segment_of(path, msgpack.packb({**HEADER, key: value})):
                assert list(segment.read()) == []
    for value in MALFORMED:
        assert segment_of(path, msgpack.packb(value)) == []
    for body in (b"", b"\xc1", b"\x92", b"\x81\xa1v\x02\xff"):  # no msgpack, or not all of it
        assert segment_of(path, body) == []
