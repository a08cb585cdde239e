"""A wheel is what its own list says, or it is refused."""

import stat
import zipfile
from pathlib import Path

import pytest

from deploy.package import wheel
from deploy.package.errors import BuildError
from tests.package import small

INFO = "lamp-1.0.dist-info"


def altered(path: Path, name: str, body: str, mode: int = 0) -> Path:
    """The same wheel with one more or another file."""
    with zipfile.ZipFile(path) as archive:
        content = {n: archive.read(n) for n in archive.namelist() if n != name}
    with zipfile.ZipFile(path, "w") as archive:
        for old, data in content.items():
            archive.writestr(old, data)
        member = zipfile.ZipInfo(name)
        member.external_attr = mode << 16
        archive.writestr(member, body)
    return path


@pytest.fixture
def lamp(tmp_path: Path) -> Path:
    return small.pair(tmp_path)[0]


def test_programs_of_others_are_left_out_and_said(lamp: Path) -> None:
    found = wheel.read(lamp)
    assert sorted(found.files) == [f"{INFO}/METADATA", f"{INFO}/WHEEL", "lamp.py"]
    assert found.left_out == ("lamp-1.0.data/scripts/x",)


def test_what_is_installed_lists_itself(lamp: Path) -> None:
    found = wheel.read(lamp)
    result = wheel.listed(wheel.record(found, {"../bin/lamp": b"x"}).decode())
    assert result == {
        **{name: wheel.digest(body) for name, body in found.files.items()},
        "../bin/lamp": wheel.digest(b"x"),
        f"{INFO}/RECORD": "",
    }


@pytest.mark.parametrize("name", ["lamp.py", "other.py", f"{INFO}/METADATA"])
def test_a_file_that_the_list_does_not_know_is_refused(lamp: Path, name: str) -> None:
    with pytest.raises(BuildError, match="not as its list says"):
        wheel.read(altered(lamp, name, "Name: other\n"))


@pytest.mark.parametrize("name", ["../up.py", "/etc/passwd", "a/../../b", "a\\b", "./c", "a\nb"])
def test_a_file_that_would_leave_the_slot_is_refused(lamp: Path, name: str) -> None:
    with pytest.raises(BuildError, match="no plain file"):
        wheel.read(altered(lamp, name, ""))


def test_a_link_is_refused(lamp: Path) -> None:
    with pytest.raises(BuildError, match="no plain file"):
        wheel.read(altered(lamp, "link", "/etc/passwd", stat.S_IFLNK | 0o777))


def test_one_that_unpacks_to_too_much_is_refused(
    lamp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheel, "LARGEST", 100)
    with pytest.raises(BuildError, match="more than 100 bytes"):
        wheel.read(lamp)


def test_one_that_is_cut_is_refused(lamp: Path) -> None:
    whole = lamp.read_bytes()
    for length in range(0, len(whole), 97):
        lamp.write_bytes(whole[:length])
        with pytest.raises(BuildError):
            wheel.read(lamp)


def test_one_with_a_flipped_bit_is_refused_or_the_same(lamp: Path) -> None:
    whole = lamp.read_bytes()
    files = wheel.read(lamp).files
    for place in range(0, len(whole), 7):
        lamp.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        try:
            found = wheel.read(lamp)
        except BuildError:
            continue
        # RECORD itself is written anew; no other byte may differ
        assert found.files == files
