"""The example project of a supplier, from an empty environment: the wheel, and nothing of ours.

`make rig-example` runs it: a minute and a half, and a network for pip.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from deploy.package import project

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "rig"
MOMENT = 1_700_000_000
NO_NETWORK = re.compile("NewConnectionError|ProxyError|name resolution|Read timed out|Max retries")
BOX = ("--box", "{python} device.py {site} {broker}", "--adapter", "unit_messages:box")
pytestmark = [
    pytest.mark.scene,
    pytest.mark.skipif(
        not (shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")),
        reason="mosquitto is not installed: apt-get install mosquitto",
    ),
]


class Supplier:
    """Somebody's folder with the example, and an environment into which only the wheel came."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._bin = folder / "project", folder / "venv" / "bin"
        shutil.copytree(EXAMPLE, self.folder)

    def do(self, name: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """A command of the environment; nothing of this checkout is on any path."""
        return subprocess.run(
            [self._bin / name, *words], cwd=self.folder, capture_output=True, text=True,
            check=False, timeout=180,
            env={"PATH": "/usr/bin:/bin:/usr/sbin", "HOME": str(self.folder), "LC_ALL": "C.UTF-8"},
        )  # fmt: skip

    def pytest(self, *words: str) -> tuple[int, str, int]:
        """Its code, what it said, and how many tests there were."""
        done = self.do("pytest", "-q", "--rig-must-run", "--junitxml", "junit.xml", *words)
        cases = list(ElementTree.parse(self.folder / "junit.xml").iter("testcase"))
        return done.returncode, done.stdout + done.stderr, len(cases)

    def change(self, old: str, new: str) -> None:
        """A defect of the box."""
        file = self.folder / "device.py"
        text = file.read_text(encoding="utf-8")
        assert text.count(old) == 1
        file.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and its extra `rig`."""
    folder = tmp_path_factory.mktemp("bare")
    wheel = project.wheel(folder, MOMENT)
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    done = subprocess.run(
        [folder / "venv/bin/pip", "install", "-q", f"kerbstone[rig] @ {wheel.as_uri()}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode and NO_NETWORK.search(done.stdout + done.stderr):
        pytest.skip("pip reaches no package index")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "venv"


@pytest.fixture
def supplier(bare: Path, tmp_path: Path) -> Supplier:
    (tmp_path / "venv").symlink_to(bare)
    made = Supplier(tmp_path)
    found = made.do("python", "-c", "import edge; print(edge.__file__)").stdout
    assert str(ROOT) not in found
    assert "site-packages" in found
    return made


def test_the_readme_of_the_example_is_what_we_run(supplier: Supplier) -> None:
    words = (supplier.folder / "README.md").read_text(encoding="utf-8")
    assert f"rig run acceptance.rig.toml --box '{BOX[1]}' {' '.join(BOX[2:])} --out run" in words
    assert "kerbstone[rig]" in words
    checked = supplier.do("kerbstone", "rig", "check", "acceptance.rig.toml")
    assert (checked.returncode, checked.stderr) == (0, "")
    ran = supplier.do("kerbstone", "rig", "run", "acceptance.rig.toml", *BOX, "--out", "run", "-q")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "0 failed, 0 not evaluated" in ran.stdout
    judged = supplier.do("kerbstone", "rig", "report", "run/run.json")
    assert judged.stdout == ran.stdout.rsplit("\n", 2)[0] + "\n"
    assert (supplier.folder / "run" / "report.html").exists()


def test_its_tests_pass_and_leave_a_page_each(supplier: Supplier) -> None:
    code, text, count = supplier.pytest("--rig-report", "out")
    assert code == 0, text
    assert count == 4
    assert "4 passed" in text
    assert len(list((supplier.folder / "out").glob("*.html"))) == count


def test_where_nothing_can_be_shown_it_fails(supplier: Supplier) -> None:
    code, text, _ = supplier.pytest("--rig-layer", "sim")
    assert code == 1
    assert "4 skipped" in text
    assert "no test of a box has run: the layer sim runs the daemon of this installation" in text


def test_a_box_that_loses_a_vehicle_fails_and_the_moment_is_shown(supplier: Supplier) -> None:
    # who is over the loop for less than 0.4 s is taken for noise: at 80 km/h a car is
    whole = "if rising and self.closed_s and stamp_ns / 1e9 - self.closed_s > 0.4:"
    supplier.change("if not rising and self.closed_s is None:", whole)
    code, text, _ = supplier.pytest("-k", "each_vehicle")
    assert code == 1, text
    assert re.search(r"Wanted [\d to]+ vehicles.*\. Seen: [012] on north_1", text), text
    assert re.search(r"^E +[\d.]+ s +drove +north_1: ", text, re.MULTILINE), text


def test_a_box_that_loses_what_the_link_has_not_taken_fails(supplier: Supplier) -> None:
    supplier.change("qos=1", "qos=0")
    code, text, _ = supplier.pytest("-k", "is_down")
    assert code == 1, text
    assert "1 failed" in text


def test_a_box_that_tells_of_no_stuck_loop_fails(supplier: Supplier) -> None:
    supplier.change("STUCK_S = 5.0", "STUCK_S = 500.0")
    code, text, _ = supplier.pytest("-k", "sticks")
    assert code == 1, text
    assert "It was not seen." in text
