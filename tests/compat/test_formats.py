"""No format changes without a folder that shows the new one, and a reader of the old one."""

import pytest

from tests.compat.formats import FORMATS, NO_FORMATS, OLDER, code_versions, constants
from tests.compat.versions import HERE, VERSIONS, manifest

HOW = "see `Change a format` in CONTRIBUTING.md"


def test_every_constant_that_is_named_like_a_version_is_known_here() -> None:
    found = set(constants())
    assert found == {*FORMATS.values(), *NO_FORMATS}, HOW


def test_the_code_writes_what_the_newest_folder_shows() -> None:
    assert code_versions() == manifest(VERSIONS[-1])["formats"], f"make a new folder; {HOW}"


@pytest.mark.parametrize("version", VERSIONS)
def test_the_code_reads_what_each_folder_holds(version: str) -> None:
    now = code_versions()
    for name, kept in manifest(version)["formats"].items():
        assert name in now, f"{name}: its folder is still kept"
        assert kept == now[name] or kept in OLDER.get(name, ()), f"{name} {kept}: {HOW}"


def test_what_is_read_beside_the_present_version_is_in_some_folder() -> None:
    for name, kept in OLDER.items():
        assert kept <= {manifest(version)["formats"][name] for version in VERSIONS}, name


@pytest.mark.parametrize("version", VERSIONS)
def test_a_folder_stays_small(version: str) -> None:
    files = [path for path in (HERE / version).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 400 << 10
