"""The stage keeps what came in, whatever happens to the process."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.acquire import stage as staging
from edge.acquire.stage import Stage, read_back
from edge.core import Bad, Contact, Doubt, Reason, failed, sweep

CONTACTS = [Contact("a.lead", True, 5, 0, True), Contact("a.lead", False, 9, 3)]
SWEEPS = [
    sweep("m", 7, (1.5, 2, Bad(Reason.CRC), Doubt(4.0, Reason.WARMUP))),
    sweep("m", 8, (1.5, 2, 3.0, 4.0)),
    failed("n", 9, 2, Reason.SILENT),
]


def test_what_was_staged_comes_back(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "boot")
    stage.rotate(0, 60, [], [])
    stage.add_contacts(CONTACTS)
    stage.add_sweeps(SWEEPS)
    stage.gap(3, 4)
    stage.unwatched("a.lead", 10)
    stage.mark(11)
    [segment] = read_back(tmp_path, "boot")
    assert segment.entries == [CONTACTS, SWEEPS, (3, 4), ("a.lead", 10), 11]
    assert not segment.torn


def test_what_was_early_is_read_once(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "boot")
    first = stage.rotate(0, 60, [], [])
    stage.add_contacts(CONTACTS)
    second = stage.rotate(8, 60, CONTACTS[1:], SWEEPS[1:])
    stage.mark(12)
    both = read_back(tmp_path, "boot", since=first)
    assert [entry for s in both for entry in s.entries] == [CONTACTS, 12]
    # the window before is in the outbox: now the repetition is the only copy
    [only] = read_back(tmp_path, "boot", since=second)
    assert only.entries == [CONTACTS[1:], SWEEPS[1:], 12]
    stage.drop_others()
    assert read_back(tmp_path, "boot", since=first) == [only]


def test_another_boot_speaks_in_another_time(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "boot 1")
    stage.rotate(0, 60, CONTACTS, [])
    stage.rotate(60, 120, CONTACTS, [])
    assert read_back(tmp_path, "boot 2") == []
    newer = Stage(tmp_path, "boot 2")
    newer.rotate(0, 60, [], [])
    newer.drop_others()
    assert [path.name for path in tmp_path.iterdir()] == ["stage.00000001"]


@given(cut=st.integers(0, 400), flip=st.integers(0, 400))
@settings(max_examples=60)
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
    whole = [entry for s in read_back(folder, "boot") for entry in s.entries]
    if flip < len(data):
        data[flip] ^= 0x20
    path.write_bytes(bytes(data[: max(0, len(data) - cut)]))
    found = [entry for s in read_back(folder, "boot") for entry in s.entries]
    assert found == whole[: len(found)]
    if cut or flip < len(data):
        assert len(found) < len(whole) or (not cut and flip >= len(data))


def test_a_large_batch_is_cut_into_entries(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "boot")
    many = [Contact("line", bool(i % 2), i) for i in range(staging.BATCH * 2 + 1)]
    stage.rotate(0, 60, many, [])
    stage.mark(1)
    stage.rotate(1, 60, many, [])
    first, second = read_back(tmp_path, "boot")
    assert [c for e in first.entries if isinstance(e, list) for c in e] == many
    assert second.entries == []


def test_a_full_stage_is_counted_and_harms_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "SEGMENT_LIMIT", 100)
    stage = Stage(tmp_path, "boot")
    stage.rotate(0, 60, [], [])
    for i in range(20):
        stage.mark(i)
    assert stage.overflow > 10
