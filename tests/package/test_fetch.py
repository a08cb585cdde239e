"""Wheels that are here are not fetched, wrong ones are not taken, and failures say what to do."""

from pathlib import Path

import pytest

from deploy.package import fetch
from deploy.package.errors import BuildError
from deploy.package.fetch import here, reason, sha256
from deploy.package.lock import Pin
from deploy.package.target import Target
from tests.package import small

BOX = Target()


def tagged(folder: Path, tag: str) -> Path:
    return small.wheel(folder, "lamp", "1.0", {"lamp.py": tag}, tag=tag)


def pin(*paths: Path, version: str = "1.0") -> Pin:
    return Pin("lamp", version, frozenset(map(sha256, paths)))


def test_the_best_of_those_that_fit_is_taken(tmp_path: Path) -> None:
    plain = tagged(tmp_path, "py3-none-any")
    old = tagged(tmp_path, "cp313-cp313-manylinux_2_17_aarch64")
    new = tagged(tmp_path, "cp313-cp313-manylinux_2_34_aarch64")
    alien = tagged(tmp_path, "cp313-cp313-manylinux_2_34_x86_64")
    assert here([pin(plain, old, new, alien)], BOX, tmp_path) == {"lamp": new}
    assert here([pin(plain, old, alien)], BOX, tmp_path) == {"lamp": old}
    assert here([pin(alien)], BOX, tmp_path) == {}
    assert here([pin(new, version="1.1")], BOX, tmp_path) == {}


def test_one_with_other_bytes_is_not_taken(tmp_path: Path) -> None:
    path = tagged(tmp_path, "py3-none-any")
    wanted = pin(path)
    with path.open("ab") as file:
        file.write(b"x")
    assert here([wanted], BOX, tmp_path) == {}


def test_what_is_here_needs_no_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(fetch, "download")
    path = tagged(tmp_path, "py3-none-any")
    assert fetch.wheels([pin(path)], BOX, tmp_path) == {"lamp": path}


def test_pip_is_asked_for_the_rest_and_its_refusal_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tagged(tmp_path / "links", "cp313-cp313-manylinux_2_28_aarch64")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(source.parent))
    # for a box, whatever this machine is
    got = fetch.wheels([pin(source)], BOX, tmp_path / "wheels")
    assert got == {"lamp": tmp_path / "wheels" / source.name}
    assert got["lamp"].read_bytes() == source.read_bytes()
    with pytest.raises(BuildError, match=r"no wheel of lamp==1\.0 for CPython 3\.12 on aarch64"):
        fetch.wheels([pin(source)], Target(python=(3, 12)), tmp_path / "other")
    other = Pin("lamp", "1.0", frozenset({"0" * 64}))
    with pytest.raises(BuildError, match="other bytes than the lock names"):
        fetch.wheels([other], BOX, tmp_path / "third")


def test_a_network_that_is_away_is_told_as_that() -> None:
    output = (
        "WARNING: Retrying after connection broken by 'NewConnectionError(...)': /simple/numpy/\n"
        "ERROR: No matching distribution found for numpy==2.5.5\n"
    )
    assert reason(output, BOX).startswith("pip cannot reach its package index")
    assert "words are above" in reason("ERROR: something new", BOX)
