"""A slot is made of wheels, runs, is the same each time, and consists of known parts only."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.package import compiled, slot
from deploy.package.errors import BuildError
from deploy.package.target import Target
from tests.package import small
from tests.package.known import strangers

HERE = Target(os.uname().machine, sys.version_info[:2])
VERSION = "0.1.0"


def made(place: Path, wheels: list[Path], bytecode: bool = True) -> Path:
    built = slot.build(place, VERSION, HERE, wheels, bytecode)
    slot.settled(place, 1_700_000_000)
    return built


def result(tree: Path) -> dict[str, tuple[str, int, int]]:
    """All that an archive of the tree would hold."""
    found = {}
    for path in sorted(tree.rglob("*")):
        state = path.lstat()
        body = str(path.readlink()).encode() if path.is_symlink() else b""
        if path.is_file() and not path.is_symlink():
            body = path.read_bytes()
        name = str(path.relative_to(tree))
        found[name] = (hashlib.sha256(body).hexdigest(), state.st_mode, int(state.st_mtime))
    return found


def test_the_same_wheels_make_the_same_slot(tmp_path: Path) -> None:
    wheels = small.pair(tmp_path)
    made(tmp_path / "one", wheels)
    old = os.umask(0o077)
    try:
        made(tmp_path / "two/deeper", wheels)
    finally:
        os.umask(old)
    first = result(tmp_path / "one")
    assert first == result(tmp_path / "two/deeper")
    assert any(name.endswith(".pyc") for name in first)
    # no byte tells where it was built
    for path in (tmp_path / "one").rglob("*.pyc"):
        assert str(tmp_path).encode() not in path.read_bytes()


def test_each_file_of_a_slot_belongs_to_a_component(tmp_path: Path) -> None:
    place = made(tmp_path / "stage", small.pair(tmp_path))
    assert strangers(place) == set()
    (site,) = place.glob("lib/python*/site-packages")
    listed = {path.parent.name for path in site.glob("*.dist-info/RECORD")}
    assert listed == {"lamp-1.0.dist-info", "kerbstone-0.1.0.dist-info"}
    (site / "stray.py").touch()
    (site / "lamp.py").write_text("LIT = 'other'\n")
    folder = site.relative_to(place)
    pyc = f"{folder}/__pycache__/lamp.{sys.implementation.cache_tag}.pyc"
    assert strangers(place) == {f"{folder}/stray.py", f"{folder}/lamp.py", pyc}


def test_the_command_runs_from_where_its_first_line_says(tmp_path: Path) -> None:
    place = made(tmp_path / "stage", small.pair(tmp_path))
    command = place / "bin/kerbstone"
    first = command.read_text().splitlines()[0]
    assert first == "#!/opt/kerbstone/slots/0.1.0/bin/python"
    # that folder is not here; the same environment by the Python of this test
    (place / "bin/python3").unlink()
    (place / "bin/python3").symlink_to(sys.executable)
    ours = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [place / "bin/python", command], capture_output=True, text=True, check=False, env=ours
    )
    assert (done.stdout, done.stderr) == ("kerbstone lit\n", "")
    assert (tmp_path / "stage/opt/kerbstone/venv").resolve() == place.resolve()


def test_a_slot_is_never_changed(tmp_path: Path) -> None:
    wheels = small.pair(tmp_path)
    made(tmp_path / "stage", wheels, bytecode=False)
    with pytest.raises(BuildError, match="never changed"):
        made(tmp_path / "stage", wheels)


def test_two_distributions_do_not_bring_the_same_file(tmp_path: Path) -> None:
    wheels = small.pair(tmp_path)
    other = small.wheel(tmp_path, "torch", "1", {"lamp.py": ""})
    with pytest.raises(BuildError, match=r"torch 1 brings lamp\.py"):
        made(tmp_path / "stage", [*wheels, other], bytecode=False)


def test_a_module_that_cannot_be_compiled_stops_the_build(tmp_path: Path) -> None:
    bad = small.wheel(tmp_path, "bad", "1", {"bad.py": "def"})
    with pytest.raises(BuildError, match="cannot compile"):
        made(tmp_path / "stage", [bad])


def test_without_the_right_python_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(BuildError, match="apt install python3"):
        compiled.interpreter(HERE)


@pytest.mark.parametrize("value", ["edge.cli", "edge.cli:main()", "edge cli:main", "os:system;x"])
def test_a_command_that_is_no_function_is_refused(value: str) -> None:
    with pytest.raises(BuildError, match="not module:function"):
        slot.scripts(f"[console_scripts]\nx = {value}\n", "/python")
