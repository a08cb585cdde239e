"""What lies here and is somebody else's is as its package has it, and may be given on."""

import shutil
from pathlib import Path

from deploy.package import lock
from deploy.package.licences import LIST, policy, vendored_problems

RULES = policy(LIST.read_text(encoding="utf-8"))


def test_the_files_are_those_of_the_package_and_their_licence_is_on_the_list() -> None:
    assert RULES.vendored
    assert vendored_problems(RULES) == []


def test_a_file_that_was_changed_added_or_lost_is_named(tmp_path: Path) -> None:
    folder = RULES.vendored["uplot"].folder
    shutil.copytree(lock.ROOT / folder, tmp_path / folder)
    (tmp_path / folder / "uPlot.min.css").write_text("/* mine */")
    (tmp_path / folder / "more.js").write_text("")
    (tmp_path / folder / "LICENSE.uPlot").unlink()
    wrong = " ".join(vendored_problems(RULES, tmp_path))
    for name in ("uPlot.min.css is not as", "more.js is not on", "LICENSE.uPlot is not there"):
        assert name in wrong
