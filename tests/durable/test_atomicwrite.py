"""Whoever reads a file that is replaced finds the old one or the new one, at any moment, after a
kill, after a power cut and on a disk that refuses; and nobody else may read it meanwhile."""

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from edge.durable.atomicwrite import (
    hidden_name,
    new_name,
    own_name,
    replace_file,
    replace_link,
    replacing,
    write_file,
)
from tests.durable.broken import refusing
from tests.kit.memory import in_memory
from tests.kit.power import ProcessKilled
from tests.kit.syncedcard import MODES, Mode, SyncedCard, failing

OLD, NEW = b"old\n" * 300, b"new\n" * 700
NAME: Final = "state"
REFUSALS: Final = (errno.ENOSPC, errno.EROFS, errno.EIO)

Writer = Callable[[Path], None]
WRITERS: Final[dict[str, Writer]] = {
    "ordinary": lambda path: replace_file(path, NEW),
    "as the umask says": lambda path: replace_file(path, NEW, 0o666),
    "exact mode": lambda path: replace_file(path, NEW, 0o640, exact_mode=True),
    "hidden": lambda path: replace_file(path, NEW, new=hidden_name(path)),
    "two writers": lambda path: replace_file(path, NEW, 0o644, new=own_name(path), exact_mode=True),
}
writers = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with in_memory(tmp_path) as where:
        yield where / "card"


def fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = folder / NAME
    path.write_bytes(OLD)
    path.chmod(0o600)
    return path


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def killed(folder: Path, at: int, mode: Mode, act: Callable[[], None]) -> int:
    """How many operations there were."""
    card = SyncedCard((folder,))
    with suppress(ProcessKilled), failing(card, at, mode):
        act()
    return card.count


@writers
@pytest.mark.parametrize("mode", MODES)
def test_a_kill_or_a_power_cut_leaves_the_old_one_or_the_new_one(
    folder: Path, write: Writer, mode: Mode
) -> None:
    path = fresh(folder)
    count = killed(folder, 0, mode, lambda: write(path))
    assert path.read_bytes() == NEW
    assert count >= 5, "open, write, sync, rename, sync of the folder"
    seen = set()
    for at in range(1, count + 1):
        path = fresh(folder)
        killed(folder, at, mode, lambda path=path: write(path))  # type: ignore[misc]
        seen.add(path.read_bytes())
        assert len(names(folder)) <= 2
        for left in set(names(folder)) - {NAME}:
            assert left.startswith((f".{NAME}.", f"{NAME}.")), "it is known by its name"
        write(path)  # the next process
        assert path.read_bytes() == NEW
        if write is not WRITERS["two writers"]:
            assert names(folder) == [NAME]
    assert seen <= {OLD, NEW}
    assert OLD in seen


@writers
def test_what_has_returned_outlives_a_power_cut(folder: Path, write: Writer) -> None:
    path = fresh(folder)
    card = SyncedCard((folder,))
    with failing(card, 0, "cut"):
        write(path)
    card.cut(folder)
    assert (path.read_bytes(), names(folder)) == (NEW, [NAME])


def test_what_is_not_synced_is_still_replaced_whole_for_whoever_reads(folder: Path) -> None:
    path = fresh(folder)
    with refusing(folder, 0, 0) as asked:
        replace_file(path, NEW, 0o640, exact_mode=True, sync=False)
    assert path.read_bytes() == NEW
    assert asked == [f"{name} {NAME}.new" for name in ("open", "fchmod", "write", "replace")]


def test_the_calls_come_in_this_order(folder: Path) -> None:
    path = fresh(folder)
    with refusing(folder, 0, 0) as asked:
        replace_file(path, NEW)
    new = f"{NAME}.new"
    assert asked == [
        f"open {new}", f"write {new}", f"fsync {new}", f"replace {new}", "open .", "fsync .",
    ]  # fmt: skip


@writers
@pytest.mark.parametrize("code", REFUSALS, ids=map(errno.errorcode.get, REFUSALS))
def test_a_disk_that_refuses_keeps_the_old_one_and_gets_no_rubbish(
    folder: Path, write: Writer, code: int
) -> None:
    path = fresh(folder)
    with refusing(folder, 0, 0) as asked:
        write(path)
    placed = next(at for at, each in enumerate(asked) if each.startswith("replace"))
    opened = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for at in range(1, len(asked) + 1):
        path = fresh(folder)
        with refusing(folder, at, code), pytest.raises(OSError) as raised:
            write(path)
        assert raised.value.errno == code
        assert path.read_bytes() == (OLD if at <= placed + 1 else NEW)
        assert names(folder) == [NAME]
    assert len(os.listdir("/proc/self/fd")) == opened  # noqa: PTH208


def test_what_ends_it_otherwise_leaves_no_rubbish_either(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody presses ^C: a name that is drawn by chance is never written again."""
    path = fresh(folder)

    def pressed(fd: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", pressed)
    with pytest.raises(KeyboardInterrupt):
        replace_file(path, NEW, new=own_name(path))
    assert (path.read_bytes(), names(folder)) == (OLD, [NAME])


def test_what_is_taken_in_parts_is_written_whole(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, write = fresh(folder), os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data)[:7]))
    replace_file(path, NEW)
    assert path.read_bytes() == NEW


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    old = os.umask(request.param)
    yield request.param
    os.umask(old)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o666])
def test_the_umask_takes_from_a_mode_unless_it_is_exact(
    folder: Path, umask: int, mode: int
) -> None:
    path = fresh(folder)
    replace_file(path, NEW, mode)
    assert mode_of(path) == mode & ~umask
    replace_file(path, NEW, mode, exact_mode=True)
    assert mode_of(path) == mode


def test_a_key_is_never_anybody_elses_not_even_for_a_moment(
    folder: Path, umask: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also under its other name: with its first byte nobody but those of its mode may read it."""
    seen, write = [], os.write

    def looked(fd: int, data: bytes) -> int:
        seen.append(stat.S_IMODE(os.fstat(fd).st_mode))
        return write(fd, data)

    path = fresh(folder)
    monkeypatch.setattr(os, "write", looked)
    replace_file(path, NEW)
    replace_file(path, NEW, 0o640, exact_mode=True)
    assert seen == [0o600, 0o640]


def test_without_an_exact_mode_a_file_system_that_knows_none_takes_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The boot partition and a stick are FAT: chmod is refused there."""
    path = fresh(folder)

    def refused(fd: int, mode: int) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "fchmod", refused)
    replace_file(path, NEW, 0o644)
    assert path.read_bytes() == NEW


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to other groups")
def test_a_group_gets_it_before_it_holds_anything(folder: Path) -> None:
    folder.mkdir()
    other = os.getgid() + 1
    with refusing(folder, 0, 0) as asked:
        write_file(folder / "key", NEW, 0o640, group=other, exact_mode=True)
    assert [each.split()[0] for each in asked] == ["open", "fchown", "fchmod", "write", "fsync"]
    assert (folder / "key").stat().st_gid == other


def test_one_s_own_group_needs_no_right(folder: Path) -> None:
    """A unit of root's without capabilities and without @privileged calls writes the site file."""
    folder.mkdir()
    with refusing(folder, 0, 0) as asked:
        write_file(folder / "key", NEW, 0o640, group=os.getgid(), exact_mode=True)
    assert [each.split()[0] for each in asked] == ["open", "fchmod", "write", "fsync"]
    assert (folder / "key").stat().st_gid == os.getgid()


@pytest.mark.parametrize("name", [new_name, hidden_name])
def test_what_a_kill_has_left_is_nobodys_any_more(
    folder: Path, name: Callable[[Path], Path]
) -> None:
    """It may be a link to a file of somebody else, a pipe whose reader never comes, or readable by
    all: it is removed, not written."""
    path = fresh(folder)
    victim = folder / "victim"
    victim.write_bytes(b"theirs")
    left = name(path)
    ways: tuple[Callable[[], None], ...] = (
        lambda: left.symlink_to(victim),
        lambda: left.symlink_to(left),
        lambda: os.mkfifo(left),
        lambda: os.close(os.open(left, os.O_CREAT, 0o666)),
    )
    for make in ways:
        make()
        replace_file(path, NEW, new=left)
        assert (path.read_bytes(), mode_of(path)) == (NEW, 0o600)
        assert path.is_file()
        assert not path.is_symlink()
        assert victim.read_bytes() == b"theirs"
        assert names(folder) == [NAME, "victim"]


def test_a_folder_in_its_way_is_an_error_and_stays(folder: Path) -> None:
    path = fresh(folder)
    new_name(path).mkdir()
    with pytest.raises(OSError):
        replace_file(path, NEW)
    assert (path.read_bytes(), names(folder)) == (OLD, [NAME, f"{NAME}.new"])


def test_names_on_the_way_are_those_that_others_know(tmp_path: Path) -> None:
    path = tmp_path / "wifi.nmconnection"
    assert new_name(path).name == "wifi.nmconnection.new"
    assert hidden_name(path).name == ".wifi.nmconnection.new"
    drawn = {own_name(path) for _ in range(100)}
    assert len(drawn) == 100
    assert all(each.parent == tmp_path for each in drawn)
    assert all(each.name.startswith(".wifi.nmconnection.") for each in drawn)


@pytest.mark.parametrize("mode", MODES)
def test_a_link_leads_to_the_old_or_to_the_new_place(folder: Path, mode: Mode) -> None:
    def made() -> Path:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        link = folder / "current"
        link.symlink_to("bundle-1")
        return link

    link = made()
    count = killed(folder, 0, mode, lambda: replace_link(link, "bundle-2"))
    assert str(link.readlink()) == "bundle-2"
    for at in range(1, count + 1):
        link = made()
        killed(folder, at, mode, lambda link=link: replace_link(link, "bundle-2"))  # type: ignore[misc]
        assert str(link.readlink()) in ("bundle-1", "bundle-2")
        replace_link(link, "bundle-2")
        assert names(folder) == ["current"]


def test_a_link_that_was_changed_leads_to_the_new_place_after_a_power_cut(folder: Path) -> None:
    folder.mkdir()
    link = folder / "current"
    link.symlink_to("bundle-1")
    card = SyncedCard((folder,))
    with failing(card, 0, "cut"):
        replace_link(link, "bundle-2")
    card.cut(folder)
    assert (str(link.readlink()), names(folder)) == ("bundle-2", ["current"])


def test_what_is_too_large_for_memory_gets_its_name_at_the_end(tmp_path: Path) -> None:
    file, left = tmp_path / "file", tmp_path / "file.new"
    file.write_text("old")
    left.write_text("of a process that was killed")

    def killed(new: Path) -> None:
        new.write_text("a part")
        raise ProcessKilled

    with pytest.raises(ProcessKilled), replacing(file) as new:
        killed(new)
    assert (file.read_text(), sorted(tmp_path.iterdir())) == ("old", [file])
    with replacing(file) as new:
        new.write_text("all of it")
        assert file.read_text() == "old"
    assert (file.read_text(), sorted(tmp_path.iterdir())) == ("all of it", [file])
    file.unlink()
    file.mkdir()
    with pytest.raises(OSError), replacing(file) as new:
        new.write_text("nowhere to go")
    assert not left.exists()
