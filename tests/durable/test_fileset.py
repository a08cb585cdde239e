"""Files that belong together change together, and each is for whom it is meant."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from edge.durable.filelock import FolderLock
from edge.durable.fileset import PendingFile, replace_files, replace_set
from tests.durable.broken import refusing
from tests.kit.memory import in_memory
from tests.kit.power import ProcessKilled
from tests.kit.syncedcard import MODES, Mode, SyncedCard, failing

NAMES: Final = ("server.key", "server.crt")
OLD, NEW = {name: f"old {name}".encode() for name in NAMES}, dict.fromkeys(NAMES, b"new" * 99)


def parts(folder: Path) -> list[PendingFile]:
    key, crt = NAMES
    return [PendingFile(folder / key, NEW[key], 0o600), PendingFile(folder / crt, NEW[crt])]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with in_memory(tmp_path) as where:
        yield where / "out"


def fresh(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, data in OLD.items():
        (folder / name).write_bytes(data)


def there(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in NAMES}


def killed(folder: Path, at: int, mode: Mode, act: Callable[[], None]) -> int:
    card = SyncedCard((folder,))
    with suppress(ProcessKilled), failing(card, at, mode):
        act()
    return card.count


@pytest.mark.parametrize("mode", MODES)
def test_a_set_is_the_old_one_or_the_new_one_at_any_moment(folder: Path, mode: Mode) -> None:
    fresh(folder)
    count = killed(folder, 0, mode, lambda: replace_set(folder, parts(folder)))
    assert there(folder) == NEW
    seen = []
    for at in range(1, count + 1):
        fresh(folder)
        killed(folder, at, mode, lambda: replace_set(folder, parts(folder)))
        seen.append(there(folder))
        assert seen[-1] in (OLD, NEW), f"killed before operation {at}"
        replace_set(folder, parts(folder))
        assert there(folder) == NEW
        assert len(list(folder.iterdir())) == 4, "two names, `current`, and what they lead to"
    assert OLD in seen
    if mode in ("kill", "torn"):
        assert NEW in seen


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_refuses_leaves_one_of_the_two_sets(folder: Path, code: int) -> None:
    fresh(folder)
    with refusing(folder, 0, 0) as asked:
        replace_set(folder, parts(folder))
    for at in range(1, len(asked) + 1):
        fresh(folder)
        with suppress(OSError), refusing(folder, at, code):
            replace_set(folder, parts(folder))
        assert there(folder) in (OLD, NEW)
        lock = FolderLock(folder)
        assert lock.take(), "the lock is given back"
        lock.release()


def test_what_else_is_in_a_set_stays(folder: Path) -> None:
    fresh(folder)
    replace_set(folder, [*parts(folder), PendingFile(folder / "ca.crt", b"ca")])
    replace_set(folder, [PendingFile(folder / "server.crt", b"newer")])
    assert (folder / "ca.crt").read_bytes() == b"ca"
    assert (folder / "server.key").read_bytes() == NEW["server.key"]
    assert (folder / "server.crt").read_bytes() == b"newer"


def test_several_files_are_put_in_place_in_order_after_all_are_on_the_disk(folder: Path) -> None:
    fresh(folder)
    with refusing(folder, 0, 0) as asked:
        replace_files(parts(folder))
    kinds = [each.split()[0] for each in asked]
    assert kinds == [
        *("open", "fchmod", "write", "fsync") * 2, "replace", "replace", "unlink", "unlink",
        "open", "fsync",
    ]  # fmt: skip
    placed = [each.split()[1] for each in asked if each.startswith("replace")]
    assert [each.rpartition(".")[0] for each in placed] == [f".{name}" for name in NAMES]
    assert there(folder) == NEW


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_what_fails_before_the_first_is_in_place_changes_nothing(folder: Path, code: int) -> None:
    for at in range(1, 10):  # the ninth puts the first one in place
        fresh(folder)
        with refusing(folder, at, code), pytest.raises(OSError):
            replace_files(parts(folder))
        assert there(folder) == OLD
        assert sorted(each.name for each in folder.iterdir()) == sorted(NAMES)


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_modes_and_groups_are_as_asked_whatever_the_umask(folder: Path, umask: int) -> None:
    folder.mkdir()
    group = os.getgid() if os.geteuid() else 12345
    wanted = {"a": (0o600, None), "b": (0o640, group), "c": (0o644, None)}
    for place in ("one by one", "as a set"):
        made = [PendingFile(folder / name, b"x", *each) for name, each in wanted.items()]
        old = os.umask(umask)
        try:
            replace_files(made) if place == "one by one" else replace_set(folder, made)
        finally:
            os.umask(old)
        for name, (mode, gid) in wanted.items():
            found = (folder / name).stat()
            assert found.st_mode & 0o777 == mode
            assert found.st_gid == (os.getgid() if gid is None else gid)


def test_a_folder_made_for_a_set_is_for_the_same_readers(folder: Path) -> None:
    fresh(folder)
    for mode in (0o750, 0o700):
        folder.chmod(mode)
        replace_set(folder, parts(folder))
        assert (folder / "current").stat().st_mode & 0o777 == mode
