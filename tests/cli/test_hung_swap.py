"""`backup` and `restore` on a disk that hangs: they say what hangs and what to do, and end."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.cli import backup, restore
from edge.diagnose import steadywork
from edge.diagnose.backupfile import Shown
from edge.diagnose.steadywork import StalledError, steady
from tests.crash.swaps import prepared_swap
from tests.kit.command import Command

WITHIN_S = 0.5


class HungDisk:
    """Whoever asks `call` of os for a path that begins with `begin` waits until the test ends;
    without `begin` everybody does."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch, self.released = patch, threading.Event()

    def hang(self, name: str, begin: Path | None = None) -> None:
        call: Callable[..., Any] = getattr(os, name)

        def asked(path: object, *more: Any, **named: Any) -> Any:
            if begin is None or (isinstance(path, str | Path) and str(path).startswith(str(begin))):
                self.released.wait(60)
                raise OSError(5, "Input/output error")
            return call(path, *more, **named)

        self._patch.setattr(os, name, asked)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[HungDisk]:
    for place in (steadywork, backup, restore):
        monkeypatch.setattr(place, "GLANCE_S", WITHIN_S)
    for place in (backup, restore):
        monkeypatch.setattr(place, "STALL_S", WITHIN_S)
    found = HungDisk(monkeypatch)
    yield found
    found.released.set()
    ours = [each for each in threading.enumerate() if each.name in ("steady-work", "time-limit")]
    for each in ours:
        each.join(30)  # what it still does belongs to this test


class Swap:
    """An old box with records, its backup, and a new one; each has a site file that names it."""

    def __init__(self, folder: Path) -> None:
        prepared_swap(folder)
        self.folder, self.file = folder, folder / "swap.kerbstone"

    def site(self, box: str) -> Path:
        file, home = self.folder / f"{box}.toml", self.folder / box
        file.write_text(
            '[site]\nid = "town"\ngateway = "gw-1"\n'
            f'[store]\ndir = "{home}/store"\nrun_dir = "{home}/run"\n'
        )
        return file


@pytest.fixture
def swap(tmp_path: Path) -> Swap:
    return Swap(tmp_path)


def test_a_card_that_hangs_is_named_before_anything_begins(
    kerbstone: Command, swap: Swap, disk: HungDisk
) -> None:
    site, target = swap.site("old"), swap.folder / "new.kerbstone"
    disk.hang("listdir", swap.folder / "old")
    began_s = time.monotonic()
    said = kerbstone("backup", "--last", target, "--config", site)
    assert time.monotonic() - began_s < 10
    assert said.code == 3
    assert f"{swap.folder}/old/store does not answer within 0.5 s" in said.err
    assert "--root" in said.err
    assert not target.exists()


def test_a_stick_that_hangs_while_it_is_written_is_named(
    kerbstone: Command, swap: Swap, disk: HungDisk
) -> None:
    site, target = swap.site("old"), swap.folder / "stick" / "new.kerbstone"
    target.parent.mkdir()
    disk.hang("fsync")
    began_s = time.monotonic()
    said = kerbstone("backup", target, "--config", site)
    assert time.monotonic() - began_s < 10
    assert said.code == 3
    assert "it has not got on for 0.5 s: a disk is slow or hangs" in said.err
    assert not target.exists()


def test_a_restore_onto_a_card_that_hangs_ends_too(
    kerbstone: Command, swap: Swap, disk: HungDisk
) -> None:
    site = swap.site("new")
    disk.hang("fsync")
    said = kerbstone("restore", swap.file, "--set-aside", "--config", site)
    assert said.code == 3
    assert "has not got on" in said.err
    assert "nothing has changed" in said.err


def test_a_stick_that_hangs_when_it_is_read_is_named(
    kerbstone: Command, swap: Swap, disk: HungDisk
) -> None:
    site = swap.site("new")
    disk.hang("open", swap.file)
    said = kerbstone("restore", swap.file, "--set-aside", "--config", site)
    assert (said.code, f"{swap.file} does not answer within 0.5 s" in said.err) == (3, True)


def test_on_disks_that_answer_both_work(kerbstone: Command, swap: Swap) -> None:
    target = swap.folder / "second.kerbstone"
    said = kerbstone("backup", "--last", target, "--config", swap.site("old"))
    assert said.code == 0, said.err
    said = kerbstone("restore", target, "--set-aside", "--config", swap.site("new"))
    assert said.code == 0, said.err


def test_work_that_gets_on_may_take_as_long_as_it_likes() -> None:
    def work(shown: Shown) -> int:
        for number in range(8):
            time.sleep(0.25)
            shown("part", number)
        return 7

    told: list[tuple[str, int]] = []
    assert steady(work, "first", lambda *words: told.append(words), 1.0) == 7
    assert len(told) == 8
    with pytest.raises(ZeroDivisionError):
        steady(lambda shown: 1 // 0, "first", print, 1.0)


def test_work_that_tells_nothing_is_left_and_its_step_is_named() -> None:
    go = threading.Event()

    def work(shown: Shown) -> None:
        shown("state/outbox.db", 1)
        go.wait(60)

    with pytest.raises(StalledError, match=r"state/outbox.db: it has not got on for 0.6 s"):
        steady(work, "first", lambda name, done: None, 0.6)
    go.set()
