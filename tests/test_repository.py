"""What every clone must hold: locks that name no host, a licence, scripts that can be run."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
SCRIPTS = [*sorted((ROOT / ".ci").iterdir()), ROOT / "requirements/lock.sh"]
PIN = re.compile(r"^[a-z0-9][a-z0-9._-]*==[\w.!+]+( ; [^\\]+)? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")
APACHE_2 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"  # of the text as is


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_a_lock_is_pins_with_hashes_and_nothing_else(lock: Path) -> None:
    lines = lock.read_text(encoding="utf-8").splitlines()
    assert all(PIN.match(line) or HASH.match(line) for line in lines)
    for here, after in zip(lines, [*lines[1:], ""], strict=True):
        assert here.endswith("\\") == bool(HASH.match(after)), here


def test_there_is_a_lock_for_each_purpose() -> None:
    purposes = [
        "air",
        "box",
        "browser",
        "city",
        "demo",
        "dev",
        "dlms",
        "fuzz",
        "ml",
        "runtime",
        "site",
        "train",
        "web",
    ]
    assert [path.stem for path in LOCKS] == purposes


def test_one_package_has_one_version_in_all_locks() -> None:
    versions: dict[str, set[str]] = {}
    for lock in LOCKS:
        for line in lock.read_text(encoding="utf-8").splitlines():
            if PIN.match(line):
                name, _, version = line.partition("==")
                versions.setdefault(name, set()).add(version)
    # a marker splits a package into two lines, which are then the same two everywhere
    for name, found in versions.items():
        plain = {version for version in found if ";" not in version}
        assert len(plain) <= 1, (name, found)


def test_what_the_project_needs_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = {
        "runtime": project["project"]["dependencies"],
        "ml": project["project"]["optional-dependencies"]["ml"],
        "web": project["project"]["optional-dependencies"]["web"],
        "demo": project["project"]["optional-dependencies"]["demo"],
        "dlms": project["project"]["optional-dependencies"]["dlms"],
        "air": project["project"]["optional-dependencies"]["air"],
        "dev": project["dependency-groups"]["dev"],
        "fuzz": project["dependency-groups"]["fuzz"],
        "site": project["dependency-groups"]["site"],
        "train": project["dependency-groups"]["train"],
    }
    for name, needs in wanted.items():
        text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
        for need in needs:
            package = re.split(r"[<>=!~\[ ]", need)[0]
            assert re.search(rf"^{re.escape(package)}==", text, re.MULTILINE), (name, package)


def test_the_licence_is_the_apache_licence_as_it_is() -> None:
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == APACHE_2


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_can_be_run(script: Path) -> None:
    assert os.access(script, os.X_OK)
    shell = "bash" if "bash" in script.read_text(encoding="utf-8").splitlines()[0] else "sh"
    subprocess.run([shell, "-n", script], check=True, timeout=60)


@pytest.mark.parametrize("name", ["CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "README.md"])
def test_what_a_project_has(name: str) -> None:
    assert (ROOT / name).stat().st_size > 200


@pytest.mark.parametrize(
    "target", ["demo", "test", "check", "bench", "docs", "site", "lock", "wheel", "release"]
)
def test_make_knows_what_the_documents_name(target: str) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not here; apt install make")
    done = subprocess.run(
        ["make", "--dry-run", target, "SECONDS=7"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},  # not that of a make around us
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if target == "demo":
        assert "-m edge.cli.main demo --seconds 7" in done.stdout


def test_the_environment_script_leaves_a_folder_of_others_alone(tmp_path: Path) -> None:
    precious = tmp_path / "home/precious"
    precious.parent.mkdir()
    precious.write_text("mine")
    done = subprocess.run(
        [ROOT / ".ci/venv", precious.parent, "demo"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "is no Python environment; it is left alone" in done.stderr
    assert precious.read_text() == "mine"


def test_a_python_that_is_none_is_refused_with_a_hint(tmp_path: Path) -> None:
    done = subprocess.run(
        [ROOT / ".ci/venv", tmp_path / "venv", "demo"],
        env={**os.environ, "PYTHON": "/nonexistent/python"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "Python 3.11, 3.12 or 3.13 is needed" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_of_two_targets_at_once_one_waits_for_the_other_to_make_the_environment(
    tmp_path: Path,
) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/venv", tmp_path / ".ci/venv")
    (tmp_path / "requirements").mkdir()
    held = os.open(tmp_path / "requirements", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    with subprocess.Popen(
        [tmp_path / ".ci/venv", tmp_path / "venv", "demo"],
        env={**os.environ, "PYTHON": "/nonexistent/python"},
        stderr=subprocess.PIPE,
        text=True,
    ) as second:
        assert second.stderr is not None
        assert "waiting for it" in second.stderr.readline()
        assert second.poll() is None
        os.close(held)
        assert "is needed" in second.stderr.read()
