"""The list of parts is complete, points at itself only, and is the same each time."""

import json
from pathlib import Path

import pytest

from deploy.package import dpkg, sbom, wheel
from deploy.package.errors import BuildError
from deploy.package.fetch import sha256
from deploy.package.target import Target
from tests.package import small

STATUS = """Package: libc6
Status: install ok installed
Architecture: arm64
Source: glibc
Version: 2.41-12+deb13u4
Maintainer: GNU Libc Maintainers <a@b.example>
Description: GNU C Library
 Version: not this one

Package: gone
Status: deinstall ok config-files
Architecture: arm64
Version: 1

Package: kerbstone
Status: install ok installed
Architecture: arm64
Version: 0.1.0
"""
RELEASE = 'NAME="Debian"\nID=debian\nVERSION_ID="13"\n'


def slot_document(folder: Path) -> str:
    paths = small.pair(folder)
    return sbom.of_slot(paths, [wheel.read(path) for path in paths], Target(), 1_700_000_000)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    texts = {
        str(sbom.INSTALLED): slot_document(tmp_path / "wheels"),
        "var/lib/dpkg/status": STATUS,
        "usr/lib/os-release": RELEASE,
    }
    for name, text in texts.items():
        (tmp_path / "root" / name).parent.mkdir(parents=True)
        (tmp_path / "root" / name).write_text(text)
    return tmp_path / "root"


def references(result: sbom.Json) -> list[str]:
    return [part["bom-ref"] for part in (result["metadata"]["component"], *result["components"])]


def test_it_names_each_distribution_with_the_hash_of_its_wheel(tmp_path: Path) -> None:
    result = json.loads(slot_document(tmp_path))
    (lamp,) = result["components"]
    wheel_hash = sha256(tmp_path / "lamp-1.0-py3-none-any.whl")
    assert lamp["purl"] == "pkg:pypi/lamp@1.0"
    assert lamp["hashes"] == [{"alg": "SHA-256", "content": wheel_hash}]
    assert lamp["licenses"] == [{"expression": "MIT"}]
    assert result["metadata"]["component"]["purl"] == "pkg:generic/kerbstone@0.1.0"
    assert result["metadata"]["timestamp"] == "2023-11-14T22:13:20Z"
    assert result["dependencies"] == [
        {"ref": "pkg:generic/kerbstone@0.1.0", "dependsOn": ["pkg:pypi/lamp@1.0"]},
        {"ref": "pkg:pypi/lamp@1.0"},
    ]


def test_the_same_parts_give_the_same_bytes_and_others_another_serial(tmp_path: Path) -> None:
    one = slot_document(tmp_path / "one")
    assert one == slot_document(tmp_path / "two")
    path = small.wheel(tmp_path, "kerbstone", "0.1.0", {"x.py": ""})
    other = sbom.of_slot([path], [wheel.read(path)], Target(), 1_700_000_000)
    assert json.loads(one)["serialNumber"] != json.loads(other)["serialNumber"]


def test_a_system_is_its_packages_and_the_slot(root: Path) -> None:
    result = json.loads(sbom.of_root(root, 1))
    libc = "pkg:deb/debian/libc6@2.41-12%2Bdeb13u4?arch=arm64&distro=debian-13"
    assert references(result) == [
        "pkg:generic/kerbstone-image@0.1.0",
        libc,
        "pkg:generic/kerbstone@0.1.0",
        "pkg:pypi/lamp@1.0",
    ]
    main = next(need for need in result["dependencies"] if "kerbstone-image" in need["ref"])
    assert main["dependsOn"] == references(result)[1:]


def test_each_reference_leads_to_a_part(root: Path) -> None:
    result = json.loads(sbom.of_root(root, 1))
    known = references(result)
    assert len(set(known)) == len(known)
    for need in result["dependencies"]:
        assert {need["ref"], *need.get("dependsOn", [])} <= set(known)


def test_a_root_without_the_package_is_told_so(root: Path) -> None:
    (root / sbom.INSTALLED).unlink()
    with pytest.raises(BuildError, match="is kerbstone installed"):
        sbom.of_root(root, 1)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"metadata": 3}', '{"metadata": {"component": 1}}']
)
def test_another_file_in_its_place_is_told_so(root: Path, text: str) -> None:
    (root / sbom.INSTALLED).write_text(text)
    with pytest.raises(BuildError, match="no SBOM of ours"):
        sbom.of_root(root, 1)


def test_a_version_with_an_epoch_is_a_package_url() -> None:
    assert sbom.purl("deb/debian", "g++", "4:1.0~rc1+b2") == "pkg:deb/debian/g%2B%2B@4:1.0~rc1%2Bb2"


def test_what_dpkg_says_is_read_without_what_is_gone() -> None:
    assert [p.name for p in dpkg.installed(STATUS)] == ["kerbstone", "libc6"]
    with pytest.raises(BuildError, match="without 'Version'"):
        dpkg.installed("Package: x\nStatus: install ok installed\nArchitecture: all\n")
    assert dpkg.distribution(RELEASE) == "debian-13"
    with pytest.raises(BuildError, match="has no ID"):
        dpkg.distribution("VERSION_ID=13\n")
