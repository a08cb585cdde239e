"""What lies in the run directory under the name of a stage and is none: nobody waits for it, dies
of it or deletes it, and the stage goes on beside it."""

import os
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.acquire import stage as stage_module
from edge.acquire.stage import Stage, find_foreign_segments, find_segments

NOBODY = 65534


def entries(folder: Path, number: int) -> list[object]:
    [segment] = find_segments(folder, "boot", number)
    return [entry for entry, _ in segment.read()]


def test_folders_pipes_and_links_in_the_place_of_segments_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "stage.00000001").mkdir()
    os.mkfifo(tmp_path / "stage.00000002")
    (tmp_path / "stage.00000003").symlink_to(tmp_path / "nowhere")
    (tmp_path / "stage.00000004").symlink_to(tmp_path / "stage.00000004")
    (tmp_path / "stage.strange").mkdir()
    assert find_segments(tmp_path, "boot") == []
    assert find_foreign_segments(tmp_path, "boot", "town/gw-1") == []
    stage = Stage(tmp_path, "boot")
    stage.rotate(0, 5, [], [])
    assert stage.number == 5, "the first that is free"
    stage.mark(3)
    stage.drop_others()
    stage.rotate(5, 10, [], [])
    stage.mark(7)
    stage.drop_others()
    stage.set_aside(find_segments(tmp_path, "boot"))
    stage.rotate(10, 15, [], [])
    stage.mark(12)
    stage.close()
    assert entries(tmp_path, stage.number) == [12]
    assert {path.name for path in tmp_path.iterdir()} >= {"stage.00000001", "stage.strange"}


def test_a_folder_in_the_place_of_what_was_set_aside_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "set_aside.stage.00000001").mkdir()
    stage = Stage(tmp_path, "boot")
    stage.rotate(0, 5, [], [])
    stage.close()
    stage.set_aside(find_segments(tmp_path, "boot"))
    assert find_segments(tmp_path, "boot") == [], "it is not read again and again"


def test_what_somebody_deletes_meanwhile_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Listed, and gone before it is this one's turn."""
    for name in ("stage.00000007", "set_aside.stage.00000007"):
        (tmp_path / name).touch()
    stage = Stage(tmp_path, "boot")
    stage.rotate(0, 5, [], [])
    listed = stage_module._files

    def too_late(folder: Path, prefix: str) -> list[Path]:
        found = list(listed(folder, prefix))
        for path in found:
            if path.name.endswith(".00000007"):
                path.unlink()
        return found

    monkeypatch.setattr(stage_module, "_files", too_late)
    stage.drop_others()
    stage.set_aside([])
    stage.mark(3)
    stage.close()
    assert [path.name for path in tmp_path.iterdir()] == [f"stage.{stage.number:08d}"]


def test_a_tmpfs_without_room_for_another_file_ends_no_daemon(tmp_path: Path) -> None:
    """What is measured goes to the card: only a kill would cost the open window."""
    folder = tmp_path / "run"
    folder.mkdir()
    mount = "mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=2", "run", str(folder)
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs root, to mount")
    try:
        stage = Stage(folder, "boot")
        stage.rotate(0, 5, [], [])
        stage.mark(3)
        assert stage.overflow == 0
        stage.rotate(5, 10, [], [])  # as each window does, before the one before it may go
        stage.mark(7)
        assert stage.overflow > 0
        stage.drop_others()
        stage.rotate(10, 15, [], [])
        stage.mark(12)
        stage.close()
        assert entries(folder, stage.number) == [12], "there was room again"
    finally:
        subprocess.run(("umount", "--lazy", str(folder)), check=True)


@contextmanager
def as_nobody(folder: Path) -> Iterator[None]:
    """What lies in the folder is root's, the folder itself belongs to whom we are meanwhile."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to be somebody else")
    for above in folder.parents:
        mode = above.stat().st_mode
        if mode & stat.S_ISVTX or above == above.parent:
            break
        above.chmod(mode | 0o011)
    os.chown(folder, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_stage_that_root_has_left_is_no_crash_loop_for_the_service(tmp_path: Path) -> None:
    """Somebody has run it once by hand, as root, in the folders of the service."""
    by_hand = Stage(tmp_path, "boot")
    by_hand.rotate(0, 5, [], [])
    by_hand.close()
    with as_nobody(tmp_path):
        assert find_segments(tmp_path, "boot") == []
        assert find_foreign_segments(tmp_path, "boot", "town/gw-1") == []
        stage = Stage(tmp_path, "boot")
        stage.rotate(0, 5, [], [])
        stage.mark(3)
        stage.close()
        assert entries(tmp_path, stage.number) == [3]
        stage.drop_others()


def test_a_link_in_the_place_of_the_next_segment_costs_no_file_behind_it(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("precious")
    (tmp_path / "stage.00000001").symlink_to(tmp_path / "theirs")
    stage = Stage(tmp_path, "boot")
    stage.rotate(0, 5, [], [])
    stage.mark(3)
    stage.close()
    assert (tmp_path / "theirs").read_text() == "precious"
    assert entries(tmp_path, stage.number) == [3]
