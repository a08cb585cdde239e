"""The package: built twice it is the same, and Debian's tools find in it what was put there."""

import argparse
import gzip
import json
import os
import re
import shutil
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from deploy.package import control, deb, places, project, slot
from deploy.package.target import Target
from tests.package import small

MOMENT = 1_700_000_000
SCRIPTS = ("preinst", "postinst", "prerm", "postrm")


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two builds of one small package."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg-deb is not here; apt install dpkg")
    wheels = small.pair(tmp_path / "wheels")
    monkeypatch.setattr(slot, "collected", lambda *_: wheels)
    monkeypatch.setattr(project, "epoch", lambda: MOMENT)
    monkeypatch.setattr(project, "version", lambda: "0.1.0rc1")
    built = []
    for name, mask in (("one", 0o022), ("two", 0o077)):
        before = os.umask(mask)
        (tmp_path / name / "tree").mkdir(parents=True)
        options = argparse.Namespace(arch="arm64", out=tmp_path / name, no_bytecode=True)
        try:
            built.append(deb.build(options, tmp_path / name / "tree"))
        finally:
            os.umask(before)
    return built


def content(package: Path) -> dict[str, tarfile.TarInfo]:
    tar = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], capture_output=True, check=True)
    with tarfile.open(fileobj=BytesIO(tar.stdout)) as archive:
        return {member.name.removeprefix("./"): member for member in archive.getmembers()}


def test_the_same_inputs_make_the_same_bytes(packages: list[Path]) -> None:
    one, two = packages
    assert one.name == "kerbstone_0.1.0~rc1_arm64.deb"
    assert one.read_bytes() == two.read_bytes()


def test_units_in_it_are_those_of_systemd_and_one_preset(packages: list[Path]) -> None:
    files = content(packages[0])
    ours = re.compile("opt/|usr/bin/|usr/share/(doc|kerbstone|lintian|man|bash-completion|zsh)/")
    there = {name for name, member in files.items() if member.isfile() and not ours.match(name)}
    assert there == {*places.placed(), places.PRESET}


def test_it_has_its_manual_and_completion(packages: list[Path]) -> None:
    files = content(packages[0])
    commands = {name.rpartition("/")[2] for name in files if name.startswith("usr/bin/k")}
    for command in commands:
        assert files[f"usr/share/man/man1/{command}.1.gz"].mode == 0o644
        assert f"usr/share/bash-completion/completions/{command}" in files
        assert f"usr/share/zsh/vendor-completions/_{command}" in files
    assert "kerbstone" in commands
    assert "usr/share/man/man5/kerbstone-site.toml.5.gz" in files
    assert "usr/share/man/man1/kerbstone-status.1.gz" in files


def test_all_in_it_belongs_to_root_has_one_time_and_is_written_by_nobody_else(
    packages: list[Path],
) -> None:
    for name, member in content(packages[0]).items():
        assert (member.uid, member.gid, member.mtime) == (0, 0, MOMENT), name
        assert member.issym() or member.mode in (0o644, 0o755), name


def test_the_slot_is_the_one_in_use(packages: list[Path]) -> None:
    files = content(packages[0])
    assert files["opt/kerbstone/venv"].linkname == "slots/0.1.0rc1"
    assert files["usr/bin/kerbstone"].linkname == "/opt/kerbstone/venv/bin/kerbstone"
    assert files["opt/kerbstone/slots/0.1.0rc1/bin/kerbstone"].mode == 0o755


def test_debian_reads_what_it_is_told(packages: list[Path], tmp_path: Path) -> None:
    subprocess.run(["dpkg-deb", "--raw-extract", packages[0], tmp_path / "raw"], check=True)
    lines = (tmp_path / "raw/DEBIAN/control").read_text().splitlines()
    fields = dict(line.split(": ", 1) for line in lines if not line.startswith(" "))
    assert (fields["Version"], fields["Architecture"]) == ("0.1.0~rc1", "arm64")
    assert {"python3 (>= 3.13)", "python3 (<< 3.14)"} <= set(fields["Depends"].split(", "))
    checked = subprocess.run(
        ["md5sum", "--check", "--quiet", "DEBIAN/md5sums"],
        cwd=tmp_path / "raw",
        capture_output=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    result = json.loads((tmp_path / "raw/usr/share/kerbstone/sbom.cdx.json").read_text())
    assert [part["name"] for part in result["components"]] == ["lamp"]
    papers = (tmp_path / "raw/usr/share/doc/kerbstone/copyright").read_text()
    assert "lamp 1.0: MIT" in papers
    assert "Copyright 2023 " in papers
    news = gzip.decompress((tmp_path / "raw/usr/share/doc/kerbstone/changelog.gz").read_bytes())
    assert b"Tue, 14 Nov 2023 22:13:20 +0000" in news


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_maintainer_script_is_complete(name: str, tmp_path: Path) -> None:
    text = control.scripts("0.1.0", places.placed())[name]
    assert not re.search(r"@[A-Z]+@", text)
    (tmp_path / name).write_text(text)
    subprocess.run(["sh", "-n", tmp_path / name], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", tmp_path / name], check=True)
    assert set(control.scripts("0.1.0", places.placed())) == set(SCRIPTS)


def test_all_units_are_stopped_timers_first() -> None:
    text = control.scripts("0.1.0", places.placed())["prerm"]
    units = next(line for line in text.splitlines() if line.startswith("all="))[5:-1].split()
    kinds_of = (".service", ".timer", ".path", ".socket")
    wanted = {
        path.name.replace("@.", "@*.") for path in places.UNITS.iterdir() if path.suffix in kinds_of
    }
    assert wanted <= set(units)
    kinds = [unit.endswith(".timer") for unit in units]
    assert kinds == sorted(kinds, reverse=True)


def test_the_c_library_is_the_newest_that_a_wheel_needs() -> None:
    names = ["a-1-cp313-cp313-manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl"]
    names += ["b-1-py3-none-any.whl"]
    assert control.libc([Path(name) for name in names]) == 27
    names += ["c-1-cp311-abi3-manylinux_2_34_aarch64.whl"]
    paths = [Path(name) for name in names]
    assert control.libc(paths) == 34
    text = control.control("1", Target(), 5, paths, {"libstdc++6", "libc6"})
    depends = next(line for line in text.splitlines() if line.startswith("Depends:"))
    assert "libc6 (>= 2.34)," in depends
    assert "libc6," not in depends
    assert " libstdc++6," in depends


@pytest.mark.parametrize(
    ("ours", "debians"),
    [("0.1.0", "0.1.0"), ("1.0rc2", "1.0~rc2"), ("1.0.dev3", "1.0~dev3"), ("1.post1", "1+post1")],
)
def test_versions_keep_their_order(ours: str, debians: str) -> None:
    assert project.debian(ours) == debians
