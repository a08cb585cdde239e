"""The lock of a box."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.package import bundle, lock
from deploy.package.errors import BuildError
from deploy.package.lock import ROOT, Pin, parsed, pins, written
from deploy.package.target import GLIBC, Target

DIGEST = "a" * 64
TARGETS = [Target(machine, python) for machine in ("aarch64", "x86_64") for python in GLIBC]


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_the_lock_has_what_a_box_needs(target: Target) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"]]
    for extra in ("ml", "sign", "link", "live"):
        wanted += extras[extra]
    locked = {pin.name: pin.version for pin in pins(lock.BOX, target)}
    for line in wanted:
        need = Requirement(line)
        assert need.specifier.contains(locked[str(canonicalize_name(need.name))], prereleases=True)


def test_a_box_runs_the_versions_that_were_tested() -> None:
    tested = set(re.findall(r"^(\S+==\S+)", (ROOT / "requirements/dev.txt").read_text(), re.M))
    assert {str(pin) for pin in parsed(lock.BOX.read_text(), "box")} <= tested


def test_pip_is_locked_for_machines_without_it() -> None:
    assert [pin.name for pin in pins(bundle.PIP, Target())] == ["pip"]


def test_what_pip_is_given_has_no_marker_and_all_hashes() -> None:
    text = f"a==1 ; python_version < '3.12' \\\n    --hash=sha256:{DIGEST}\n"
    (pin,) = parsed(text, "here")
    assert pin == Pin("a", "1", frozenset({DIGEST}), "python_version < '3.12'")
    assert written([pin]) == f"a==1 \\\n    --hash=sha256:{DIGEST}\n"


@pytest.mark.parametrize(
    "text",
    [
        "a==1\n",
        "a>=1 \\\n    --hash=sha256:" + DIGEST,
        "    --hash=sha256:" + DIGEST,
        "a==1 \\\nb==1 \\\n    --hash=sha256:" + DIGEST,
        "--index-url https://elsewhere.example\n",
        "a==1 \\\n    --hash=sha256:abc\n",
    ],
)
def test_anything_else_than_pins_with_hashes_is_refused(text: str) -> None:
    with pytest.raises(BuildError, match="make lock"):
        parsed(text, "here")
