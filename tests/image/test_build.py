"""How an image is put together: what is asked of the host, and that the same comes out twice."""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.image import disk, host, outputs, root, rootfs, scan
from edge.gateway.boxversions import read_versions
from edge.health.board import Board
from tests.image.card import ImageCard

TARGETS = """\
http://mirror.example/debian-security|trixie-security|Debian|/usr/share/keyrings/d.pgp
http://mirror.example/debian/|trixie|Debian|/usr/share/keyrings/d.pgp
http://mirror.example/debian/|trixie|Debian|/usr/share/keyrings/d.pgp
http://mirror.example/debian/|trixie-backports|Debian Backports|/usr/share/keyrings/d.pgp
file:/srv/mine/|./|mine|$(SIGNED_BY)
"""
STATUS = """\
Package: b
Status: install ok installed
Architecture: arm64
Version: 1:2-3

Package: a
Status: deinstall ok config-files
Version: 1

Package: aa
Status: install ok installed
Architecture: all
Version: 7
Description: text
 Version: 8
"""
EPOCH = 1_790_000_000
BOOT_MIB = 40  # FAT32 needs some 33
TOOLS = ("mke2fs", "sfdisk", "mkfs.vfat", "mcopy", "mtype", "debugfs")
needs_tools = pytest.mark.skipif(
    any(shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None for tool in TOOLS),
    reason="e2fsprogs, fdisk, dosfstools and mtools are not all here",
)


def test_the_sources_are_the_hosts_own_debian_ones() -> None:
    found = host.parse_sources(TARGETS)
    assert [source.suite for source in found] == ["trixie", "trixie-security"]
    assert found[0].line() == (
        "deb [signed-by=/usr/share/keyrings/d.pgp] http://mirror.example/debian"
        " trixie main non-free-firmware"
    )


def test_the_date_of_a_release_file_is_read() -> None:
    assert host.parse_release_date("Date: Thu, 26 Nov 2026 12:00:00 UTC\n") == 1_795_694_400
    assert host.parse_release_date("Suite: stable\n") == 0


def test_only_how_to_fetch_is_taken_from_the_hosts_apt() -> None:
    dump = 'Acquire::http::Proxy "http://p:3128";\nDir "/";\nAcquire::https "";\n'
    assert root.acquire_options(dump) == ['Acquire::http::Proxy "http://p:3128";']


def test_the_list_of_packages_has_names_only() -> None:
    names = root.packages((root.HERE / "packages.txt").read_text("utf-8"))
    assert {"linux-image-arm64", "chrony", "network-manager", "openssh-server"} <= set(names)
    assert all(name == name.strip() and " " not in name for name in names)
    assert len(names) == len(set(names))


def test_another_list_or_mirror_gives_another_root() -> None:
    one = [host.Source("http://a", "trixie", "")]
    other = [host.Source("http://b", "trixie", "")]
    assert len({root.key(one, 1), root.key(one, 2), root.key(other, 1)}) == 3
    assert root.key(one, 1) == root.key(one, 1)


def test_scripts_of_the_image_can_be_run_and_parsed() -> None:
    found = [*(root.HERE / "tree/usr/lib/kerbstone-image").iterdir()]
    found += [path for path in (root.HERE / "initramfs").rglob("kerbstone*") if path.is_file()]
    scripts = [path for path in found if path.parent.name != "conf.d"]
    assert len(scripts) >= 5
    for path in scripts:
        assert os.access(path, os.X_OK), path
        subprocess.run(["sh", "-n", str(path)], check=True)


def test_units_of_the_image_run_scripts_that_are_there() -> None:
    units = [path for path in (root.HERE / "tree").rglob("*.service")]
    named = [
        line.split("=", 1)[1].split()[0]
        for path in [*units, *(root.HERE / "tree").rglob("*.conf")]
        if path.is_file()
        for line in path.read_text("utf-8").splitlines()
        if line.startswith("Exec") and "kerbstone-image" in line
    ]
    assert len(named) >= 2
    assert all((root.HERE / "tree" / name.lstrip("/")).is_file() for name in named)


def test_partitions_follow_each_other_from_the_first_mebibyte() -> None:
    rows = disk.table([(256, "c"), (700, "83"), (128, "83")]).splitlines()
    assert rows[2:] == [
        "start=1MiB,size=256MiB,type=c,bootable",
        "start=257MiB,size=700MiB,type=83",
        "start=957MiB,size=128MiB,type=83",
    ]


def test_the_manifest_has_what_is_installed() -> None:
    assert outputs.manifest(STATUS) == "aa 7 all\nb 1:2-3 arm64\n"


def test_imagers_entry_tells_both_hashes_and_changes_nothing(tmp_path: Path) -> None:
    raw, packed = outputs.Weight(10, "a" * 64), outputs.Weight(4, "b" * 64)
    made = outputs.entry("Kerbstone 1", "x.img.xz", "", raw, packed, EPOCH)
    path = outputs.os_list(tmp_path, made)
    (entry,) = json.loads(path.read_text())["os_list"]
    assert entry["extract_size"] == 10
    assert entry["extract_sha256"] == "a" * 64
    assert entry["image_download_size"] == 4
    assert entry["image_download_sha256"] == "b" * 64
    assert entry["init_format"] == "none"
    assert entry["release_date"] == "2026-09-21"
    # what the schema of Imager wants of each
    assert {"name", "description", "icon", "url", "devices"} <= entry.keys()


def built(folder: Path) -> Path:
    """A small image with all three partitions, from files with times of now."""
    tree, boot = folder / "tree", folder / "boot"
    for path in (tree / "etc/hosts", tree / "usr/lib/ä", boot / "cmdline.txt", boot / "o/x.dtbo"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    for name in ("vmlinuz", "initrd.img"):
        (boot / name).write_bytes(name.encode() * 1000)
    disk.fat(boot, folder / "boot.fat", EPOCH, BOOT_MIB)
    disk.pack(tree, folder / "root.tar", EPOCH)
    disk.ext4(folder / "root.tar", folder / "root.ext4", "ROOT", disk.ROOT_UUID, 8, EPOCH, 0)
    disk.ext4(folder / "root.tar", folder / "data.ext4", "DATA", disk.DATA_UUID, 16, EPOCH, 4)
    names = (("boot.fat", "c"), ("root.ext4", "83"), ("data.ext4", "83"))
    disk.join([disk.Part(folder / name, kind) for name, kind in names], folder / "x.img")
    return folder / "x.img"


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@needs_tools
def test_the_same_files_give_the_same_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/usr/sbin:/sbin")
    one, two = tmp_path / "one", tmp_path / "two"
    first = digest(built(one))
    for path in (tmp_path / "one/tree").rglob("*"):
        os.utime(path, (2_000_000_000, 2_000_000_000))
    assert digest(built(two)) == first
    (two / "tree/etc/hosts").write_text("other")
    assert digest(built_again(two)) != first


def built_again(folder: Path) -> Path:
    disk.pack(folder / "tree", folder / "root.tar", EPOCH)
    disk.ext4(folder / "root.tar", folder / "root.ext4", "ROOT", disk.ROOT_UUID, 8, EPOCH, 0)
    parts = [disk.Part(folder / "boot.fat", "c"), disk.Part(folder / "root.ext4", "83")]
    disk.join(parts, folder / "x.img")
    return folder / "x.img"


@needs_tools
def test_the_scan_of_an_image_sees_the_modes_of_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/usr/sbin:/sbin")
    program = tmp_path / "tree/usr/bin/doas"
    program.parent.mkdir(parents=True)
    program.touch()
    program.chmod(0o4755)
    (tmp_path / "tree/tmp").mkdir()
    (tmp_path / "tree/tmp").chmod(0o1777)
    assert scan.main([str(built(tmp_path))]) == 1
    said = capsys.readouterr().out
    assert "usr/bin/doas runs with another user's rights" in said
    assert "tmp: everybody" not in said


@needs_tools
def test_a_card_is_larger_than_its_image_and_its_boot_partition_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/usr/sbin:/sbin")
    image = built(tmp_path)
    before = digest(image)
    (tmp_path / "card").mkdir()
    card = ImageCard(image, tmp_path / "card")
    card.put("kerbstone-claim.toml", b"v = 1\n")
    assert card.get("kerbstone-claim.toml") == b"v = 1\n"
    assert "kerbstone-claim.toml" in card.names()
    assert b"v = 1\n" in card.raw_boot()
    assert card.cmdline == "cmdline.txt"
    assert card.path.stat().st_size > image.stat().st_size
    assert digest(image) == before
    said = subprocess.run(
        ["debugfs", "-R", "cat /etc/hosts", f"{card.path}?offset={(1 + BOOT_MIB) * disk.MIB}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout == "hosts"


def test_the_image_has_a_name_and_the_file_of_the_distribution_stays(tmp_path: Path) -> None:
    there = tmp_path / "usr/lib/os-release"
    there.parent.mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    there.write_text('ID=debian\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n')
    (tmp_path / "etc/os-release").symlink_to("../usr/lib/os-release")
    before = there.read_bytes()
    rootfs.name_image(tmp_path, "0.3.0~rc1")
    assert there.read_bytes() == before
    found = read_versions(Board(), tmp_path)
    assert found.image == "kerbstone 0.3.0~rc1"
    assert found.system == "Debian GNU/Linux 13 (trixie)"
