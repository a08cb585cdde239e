"""Folders of runs: one that a killed run has left goes, all others stay."""

import subprocess
import sys
from pathlib import Path

from edge.rig.boxprocess import ends_with_us
from edge.rig.runfolder import hold_folder, remove_leftovers

PREFIX = "rig-"


def test_only_what_nobody_holds_is_removed(tmp_path: Path) -> None:
    for name in ("rig-dead", "rig-alive", "rig-plain", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "rig-link").symlink_to(tmp_path / "other")
    hold_folder(tmp_path / "other").release()
    hold_folder(tmp_path / "rig-dead").release()
    (tmp_path / "rig-dead" / "store").mkdir()
    held = hold_folder(tmp_path / "rig-alive")
    try:
        assert remove_leftovers(tmp_path, PREFIX) == [tmp_path / "rig-dead"]
    finally:
        held.release()
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "other", "rig-alive", "rig-link", "rig-plain",
    ]  # fmt: skip
    assert remove_leftovers(tmp_path, PREFIX) == [tmp_path / "rig-alive"]


def test_a_process_of_a_rig_that_is_killed_ends(tmp_path: Path) -> None:
    command = ends_with_us([sys.executable, "-c", "import time; time.sleep(600)"])
    text = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen({command!r}, start_new_session=True, stdout=sys.stdout)\n"
        "print('up', flush=True); time.sleep(600)\n"
    )
    rig = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE)
    assert rig.stdout is not None
    with rig.stdout:
        assert rig.stdout.readline() == b"up\n"
        # setpriv has to have said so: it is not there at once
        while not _children_of(rig.pid):
            pass
        rig.kill()
        rig.wait()
        assert rig.stdout.read() == b"", "it had the pipe open, and has ended"


def _children_of(pid: int) -> list[int]:
    """Those that are Python by now."""
    found = []
    for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if "time.sleep" in Path(f"/proc/{each}/cmdline").read_text().split("setpriv")[0]:
            found.append(int(each))
    return found
