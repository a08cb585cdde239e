"""A run that exists to show something fails where it could run nothing, and says why."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MISSING = "qemu-system-x86_64 is not here: apt-get install qemu-system-x86"
SKIPPED = f"""\
import pytest

@pytest.mark.parametrize('n', range(3))
def test_a(n): pytest.skip({MISSING!r})
"""
OTHER = "import pytest\n\n@pytest.mark.skipif(True, reason='no broker')\ndef test_b(): pass\n"
WHOLE = "import pytest\n\npytest.skip('no library', allow_module_level=True)\n"
PASSES = "def test_c(): pass\n"
FAILS = "def test_d(): assert False\n"
BROKEN = "import pytest\n\n@pytest.fixture\ndef f(): raise OSError\n\ndef test_e(f): pass\n"
KNOWN = "import pytest\n\n@pytest.mark.xfail(reason='known')\ndef test_f(): assert False\n"


def run(folder: Path, files: list[str], *options: str) -> tuple[int, str]:
    """The plugin's code and what the run said, with these files as its tests."""
    for number, text in enumerate(files):
        (folder / f"test_{number}.py").write_text(text, encoding="utf-8")
    usual = ["-p", "tests.mustrun", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *usual, *options, str(folder)],
        cwd=ROOT, env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n", "2")], ids=["alone", "workers"])
def test_skipping_all_is_a_failure_with_each_reason_once(
    tmp_path: Path, workers: tuple[str, ...]
) -> None:
    code, said = run(tmp_path, [SKIPPED, OTHER], *workers)
    assert code == 1, said
    stated = [line for line in said.splitlines() if line.startswith("nothing was shown: ")]
    assert stated == [
        f"nothing was shown: {MISSING} (3 skipped)",
        "nothing was shown: no broker (1 skipped)",
    ]


def test_a_file_that_skips_as_a_whole_tells_its_reason(tmp_path: Path) -> None:
    code, said = run(tmp_path, [WHOLE])
    assert code != 0
    assert "nothing was shown: no library (1 skipped)" in said


def test_choosing_no_test_is_a_failure(tmp_path: Path) -> None:
    code, said = run(tmp_path, [PASSES], "-k", "nobody")
    assert code != 0
    assert "nothing was shown: no test was chosen" in said


@pytest.mark.parametrize(
    ("ran", "workers"),
    [(PASSES, ()), (PASSES, ("-p", "xdist", "-n", "2")), (KNOWN, ())],
    ids=["passed", "passed at a worker", "failed as it should"],
)
def test_one_test_that_ran_is_enough(tmp_path: Path, ran: str, workers: tuple[str, ...]) -> None:
    code, said = run(tmp_path, [SKIPPED, ran], *workers)
    assert code == 0, said
    assert "nothing was shown" not in said


@pytest.mark.parametrize("ran", [FAILS, BROKEN], ids=["failed", "could not begin"])
def test_a_failure_stays_one_and_is_no_missing_thing(tmp_path: Path, ran: str) -> None:
    code, said = run(tmp_path, [SKIPPED, ran])
    assert code == 1
    assert "nothing was shown" not in said


def test_every_target_that_shows_something_must_run() -> None:
    """Only the fast suite may skip what it likes: it always runs something."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    recipes = re.findall(r"^([\w-]+):[^\n=]*\n((?:\t[^\n]*\n)+)", text, re.MULTILINE)
    plain = {name for name, recipe in recipes if "-m pytest" in recipe}
    shown = {name for name, recipe in recipes if "$(SHOW)" in recipe}
    assert plain == {"test"}
    assert shown == {
        "long", "scenes", "outage", "crash", "late", "oracle", "kernel-test", "bench",
        "cluster-test", "city-test", "web-test", "rig-example",
    }  # fmt: skip
    assert re.search(r"^SHOW = .*-m pytest -p tests\.mustrun$", text, re.MULTILINE)
    faults = (ROOT / "tests/faults/run.py").read_text(encoding="utf-8")
    assert '"tests.mustrun"' in faults
