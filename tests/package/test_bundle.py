"""The bundle makes a slot without a network, or says why not and leaves nothing behind."""

import ensurepip
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from deploy.package import bundle, lock, sums, tar
from deploy.package.fetch import sha256
from tests.package import small

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
NAME = "kerbstone-0.1.0-wheels-here"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With two small wheels, and the pip that comes with Python."""
    folder = tmp_path_factory.mktemp("bundle")
    wheels = small.pair(folder)
    places = (Path(ensurepip.__file__).parent / "_bundled", Path("/usr/share/python-wheels"))
    pips = sorted(path for place in places for path in place.glob("pip-*.whl"))
    if not pips:
        pytest.skip("this Python comes without pip; apt install python3-venv")
    versions = {"lamp": "1.0", "kerbstone": "0.1.0"}
    pins = [
        lock.Pin(n, v, frozenset({sha256(p)}))
        for (n, v), p in zip(versions.items(), wheels, strict=True)
    ]
    files: dict[str, bytes | Path] = {f"wheels/{path.name}": path for path in (*wheels, pips[-1])}
    files[f"locks/{PYTHON}.txt"] = lock.written(pins).encode()
    files["install.sh"] = bundle.script("0.1.0", os.uname().machine, [PYTHON]).encode()
    files[sums.NAME] = sums.of(files).encode()
    for out in ("one.tar", "two.tar"):
        tar.write(folder / out, NAME, files, 1_700_000_000)
    return folder / "one.tar"


def unpacked(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    return folder / NAME


def install(place: Path, base: Path, **more: str) -> subprocess.CompletedProcess[str]:
    # no proxy, no index, no cache: nothing of this machine's pip
    env = {"PATH": "/usr/bin:/bin", "BASE": str(base), "PYTHON": sys.executable, **more}
    return subprocess.run(
        [place / "install.sh"], env=env, capture_output=True, text=True, check=False, timeout=120
    )


def test_the_same_files_make_the_same_archive(archive: Path) -> None:
    assert archive.read_bytes() == (archive.parent / "two.tar").read_bytes()
    with tarfile.open(archive) as opened:
        members = opened.getmembers()
    assert [member.name for member in members] == sorted(member.name for member in members)
    assert {(m.uid, m.gid, m.mtime) for m in members} == {(0, 0, 1_700_000_000)}


@pytest.mark.long
def test_it_makes_a_slot_and_uses_it(archive: Path, tmp_path: Path) -> None:
    place, base = unpacked(archive, tmp_path), tmp_path / "base"
    (base / "venv").mkdir(parents=True)  # made by hand
    done = install(place, base)
    assert done.returncode == 0, done.stderr
    assert (base / "venv").readlink() == Path("slots/0.1.0")
    assert (base / "venv.by-hand").is_dir()
    ran = subprocess.run([base / "venv/bin/kerbstone"], capture_output=True, text=True, check=True)
    assert ran.stdout == "kerbstone lit\n"
    assert not (base / "slots/0.1.0/unfinished").exists()

    # again: the slot stays as it is; one that a power cut left is made anew
    before = (base / "slots/0.1.0/pyvenv.cfg").stat().st_mtime_ns
    again = install(place, base)
    assert (again.returncode, "never changed" in again.stdout) == (0, True)
    assert (base / "slots/0.1.0/pyvenv.cfg").stat().st_mtime_ns == before
    (base / "slots/0.1.0/unfinished").touch()
    assert install(place, base).returncode == 0
    assert (base / "slots/0.1.0/pyvenv.cfg").stat().st_mtime_ns > before


def test_a_damaged_wheel_is_refused_before_anything_is_made(archive: Path, tmp_path: Path) -> None:
    place = unpacked(archive, tmp_path)
    with next(place.glob("wheels/lamp-*")).open("ab") as file:
        file.write(b"x")
    done = install(place, tmp_path / "base")
    assert (done.returncode, "the bundle is damaged" in done.stderr) == (1, True)
    assert not (tmp_path / "base/slots").exists()


def test_a_wheel_that_the_lock_does_not_name_is_refused(archive: Path, tmp_path: Path) -> None:
    place, base = unpacked(archive, tmp_path), tmp_path / "base"
    locked = place / f"locks/{PYTHON}.txt"
    locked.write_text(locked.read_text().replace("sha256:", "sha256:0000", 1)[:-5] + "\n")
    names = {p.relative_to(place).as_posix(): p for p in place.rglob("*") if p.is_file()}
    del names[sums.NAME]
    (place / sums.NAME).write_text(sums.of(names))
    done = install(place, base)
    assert (done.returncode, "pip failed" in done.stderr) == (1, True)
    assert not (base / "slots/0.1.0").exists()
    assert not (base / "venv").exists()


def test_another_machine_or_python_is_told_what_is_here(archive: Path, tmp_path: Path) -> None:
    place = unpacked(archive, tmp_path)
    (place / f"locks/{PYTHON}.txt").rename(place / "locks/3.9.txt")
    assert f"here are wheels for {PYTHON}" in install(place, tmp_path / "base").stderr
    script = place / "install.sh"
    script.write_text(bundle.script("0.1.0", "pdp11", [PYTHON]))
    assert "this is for pdp11" in install(place, tmp_path / "base").stderr
    assert (
        "apt install python3"
        in install(unpacked(archive, tmp_path / "x"), tmp_path / "base", PYTHON="/bin/false").stderr
    )


def test_the_script_is_clean(tmp_path: Path) -> None:
    text = bundle.script("1", "aarch64", ["3.11", "3.13"])
    assert "@" not in text
    (tmp_path / "x.sh").write_text(text)
    subprocess.run(["sh", "-n", tmp_path / "x.sh"], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", tmp_path / "x.sh"], check=True)
