"""Which libraries a native module needs."""

import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from deploy.package import elf
from deploy.package.errors import BuildError

MODULE = next(Path(msgspec.__file__).parent.glob("_core*.so"))


def test_it_reads_what_readelf_reads() -> None:
    if shutil.which("readelf") is None:
        pytest.skip("readelf is not here; apt install binutils")
    for path in (MODULE, Path("/bin/sh").resolve()):
        command = ["readelf", "--dynamic", "--wide", str(path)]
        result = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        wanted = [x.split("[")[1].rstrip("]") for x in result.splitlines() if "(NEEDED)" in x]
        assert list(elf.needed(path.read_bytes())) == wanted


def test_a_tree_needs_packages_of_debian(tmp_path: Path) -> None:
    shutil.copy(MODULE, tmp_path)
    (tmp_path / "text.so").write_text("/* GNU ld script */")
    kind = elf.machine(MODULE.read_bytes())
    assert kind is not None
    assert elf.packages(tmp_path, kind) == {"libc6"}
    with pytest.raises(BuildError, match="not for pdp11"):
        elf.packages(tmp_path, "pdp11")


def test_a_library_that_nobody_has_named_stops_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(MODULE, tmp_path)
    monkeypatch.setattr(elf, "PACKAGES", {})
    with pytest.raises(BuildError, match=r"deploy/package/elf\.py"):
        elf.packages(tmp_path, str(elf.machine(MODULE.read_bytes())))


def test_damage_is_told_and_nothing_else(tmp_path: Path) -> None:
    whole = MODULE.read_bytes()
    path = tmp_path / "x.so"
    for length in (64, 65, 128, 512, 4096, len(whole) // 2):
        path.write_bytes(whole[:length])
        with pytest.raises(BuildError, match="damaged"):
            elf.packages(tmp_path, str(elf.machine(whole)))
    assert elf.machine(whole[:63]) is None
