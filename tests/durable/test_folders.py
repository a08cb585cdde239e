"""Names that were made, moved or removed stay so after a power cut; what was shredded is gone."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from edge.durable.folders import (
    fsync_folder,
    make_private_folder,
    remove_file,
    remove_tree,
    rename,
)
from edge.durable.shred import overwrite, shred
from tests.durable.broken import refusing
from tests.kit.memory import in_memory
from tests.kit.power import ProcessKilled
from tests.kit.syncedcard import SyncedCard, failing

SECRET = b"a code of twenty letters"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with in_memory(tmp_path) as where:
        yield where / "card"


def fresh(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "bundle" / "deep").mkdir(parents=True)
    (folder / "bundle" / "deep" / "file").write_bytes(b"x")
    (folder / "bundle" / "link").symlink_to("/etc")
    (folder / "file").write_bytes(SECRET)


ACTS: dict[str, Callable[[Path], None]] = {
    "rename": lambda folder: rename(folder / "file", folder / "moved"),
    "rename a folder": lambda folder: rename(folder / "bundle", folder / "moved"),
    "remove_file": lambda folder: remove_file(folder / "file"),
    "remove_tree": lambda folder: remove_tree(folder / "bundle"),
    "shred": lambda folder: shred(folder / "file"),
}


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_what_has_returned_is_so_after_a_power_cut(
    folder: Path, act: Callable[[Path], None]
) -> None:
    fresh(folder)
    card = SyncedCard((folder,))
    with failing(card, 0, "cut"):
        act(folder)
    after = tree(folder)
    card.cut(folder)
    assert tree(folder) == after
    fresh(folder)
    assert tree(folder) != after, "it did something"


def test_a_file_is_moved_over_another_one_and_a_removed_one_may_be_gone(folder: Path) -> None:
    fresh(folder)
    (folder / "other").write_bytes(b"y")
    rename(folder / "other", folder / "file")
    assert (folder / "file").read_bytes() == b"y"
    for _ in range(2):
        remove_file(folder / "file")
    assert tree(folder) == ["bundle", "bundle/deep", "bundle/deep/file", "bundle/link"]


def test_a_tree_is_removed_and_what_it_links_to_is_not(folder: Path, tmp_path: Path) -> None:
    fresh(folder)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "file").touch()
    (folder / "bundle" / "there").symlink_to(tmp_path / "theirs")
    remove_tree(folder / "bundle")
    assert (tree(folder), tree(tmp_path / "theirs")) == (["file"], ["file"])


def test_a_private_folder_is_empty_and_its_owners(folder: Path) -> None:
    fresh(folder)
    make_private_folder(folder / "bundle")
    assert tree(folder) == ["bundle", "file"]
    assert (folder / "bundle").stat().st_mode & 0o777 == 0o700
    with pytest.raises(FileExistsError):
        make_private_folder(folder / "file")


def test_a_link_in_the_place_of_a_private_folder_costs_nobody_a_file(
    folder: Path, tmp_path: Path
) -> None:
    fresh(folder)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "file").touch()
    (folder / "private").symlink_to(tmp_path / "theirs")
    with pytest.raises(FileExistsError):
        make_private_folder(folder / "private")
    assert tree(tmp_path / "theirs") == ["file"]


def test_what_is_overwritten_lies_in_the_same_place_and_keeps_its_mode(folder: Path) -> None:
    fresh(folder)
    path = folder / "file"
    path.chmod(0o640)
    before = path.stat()
    for data in (b"short", b"as long as nothing before it was" * 9):
        overwrite(path, data)
        assert path.read_bytes() == data
        assert (path.stat().st_ino, path.stat().st_mode) == (before.st_ino, before.st_mode)
    (folder / "link").symlink_to("file")
    with pytest.raises(OSError):
        overwrite(folder / "link", b"through a link")
    with pytest.raises(FileNotFoundError):
        overwrite(folder / "none", b"")


def test_a_secret_is_overwritten_on_the_disk_before_its_name_goes(folder: Path) -> None:
    fresh(folder)
    with refusing(folder, 0, 0) as asked:
        shred(folder / "file")
    assert asked == [
        "open file", "write file", "fsync file", "unlink file", "open .", "fsync .",
    ]  # fmt: skip
    fresh(folder)
    card = SyncedCard((folder,))
    with suppress(ProcessKilled), failing(card, 5, "kill"):  # at the unlink
        shred(folder / "file")
    assert (folder / "file").read_bytes() == bytes(len(SECRET))


def test_what_cannot_be_overwritten_is_removed_nevertheless(folder: Path) -> None:
    fresh(folder)
    with refusing(folder, 2, 5):
        shred(folder / "file")
    assert not (folder / "file").exists()
    shred(folder / "file")


def test_a_folder_that_is_none_cannot_be_synced(folder: Path) -> None:
    fresh(folder)
    fsync_folder(folder)
    for name in ("file", "none"):
        with pytest.raises(OSError):
            fsync_folder(folder / name)
