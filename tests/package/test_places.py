"""All of systemd/ is in the package, at the places that the files themselves say."""

import re
from pathlib import Path

import pytest

from deploy.package import places
from deploy.package.errors import BuildError

FILES = sorted(path for path in places.UNITS.rglob("*") if path.is_file())
RESULT = re.compile(r"Install to\s+(/usr/[\w./-]+?)\.?(?:\s|$)")


def test_nothing_in_systemd_is_left_out_or_changed() -> None:
    assert sorted(places.placed().values()) == sorted(path.read_bytes() for path in FILES)


def test_a_file_goes_where_its_head_says() -> None:
    said = 0
    for path in FILES:
        goal = Path("/" + places.place(path.relative_to(places.UNITS).as_posix()))
        head = re.sub(r"\n(#|//) ?", " ", path.read_text().partition("[")[0])
        for result in RESULT.findall(head):
            assert result in (str(goal), str(goal.parent)), path
            said += 1
    assert said >= 5


@pytest.mark.parametrize("name", ["notes.txt", "kerbstone.conf", "70-x.rules", "a/b.txt"])
def test_a_file_without_a_place_stops_the_build(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("")
    with pytest.raises(BuildError, match=r"add a row to deploy/package/places\.py"):
        places.placed(tmp_path)


def test_drop_ins_and_new_units_have_a_place(tmp_path: Path) -> None:
    (tmp_path / "kerbstone.service.d").mkdir()
    for name in ("kerbstone.service.d/50-x.conf", "new.path"):
        (tmp_path / name).write_text("")
    assert list(places.placed(tmp_path)) == [
        "usr/lib/systemd/system/kerbstone.service.d/50-x.conf",
        "usr/lib/systemd/system/new.path",
    ]


def test_what_has_an_install_section_is_enabled_and_told_to_systemd() -> None:
    files = places.placed()
    wanted = {path.name for path in FILES if "\n[Install]\n" in path.read_text()}
    assert set(places.enabled(files)) == wanted
    assert {"kerbstone.service", "kerbstone-enrol.service", "kerbstone-link.service"} <= wanted
    lines = places.preset(files).decode().splitlines()
    assert lines[1:] == [f"enable {unit}" for unit in places.enabled(files)]


def test_units_of_the_early_boot_wait_for_it() -> None:
    files = places.placed()
    assert "kerbstone-network.service" in places.enabled(files)
    assert "kerbstone-network.service" not in places.started(files)
    assert "kerbstone.service" in places.started(files)
