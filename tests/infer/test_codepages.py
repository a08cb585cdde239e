"""Pages of code are unmapped, and only such as are the file's own."""

import re
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from edge.infer import codepages, judge
from edge.infer.codepages import SMAPS, code_of_files, release_code
from edge.infer.judge import Judge, JudgeSetup, LaneSite

SAID = """\
7f0000000000-7f0000100000 r--p 00000000 fe:00 12 /usr/lib/a library.so
Size:               1024 kB
Rss:                 512 kB
VmFlags: rd mr mw me
7f0000100000-7f0000200000 r-xp 00100000 fe:00 12 /usr/lib/a library.so
Rss:                 600 kB
Private_Dirty:        16 kB
Anonymous:             4 kB
Private_Hugetlb:       0 kB
Swap:                  8 kB
7f0000200000-7f0000201000 r-xp 00000000 00:00 0
Rss:                   4 kB
7ffc00000000-7ffc00021000 r-xp 00000000 00:00 0                          [vdso]
Rss:                  12 kB
7f0000300000-7f0000301000 r-xp 00100000 fe:00 12 /tmp/x\x0b600000000000-600000001000 r-xp 0 0:0 1 /y
Rss:                   0 kB
"""
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what is mapped")


def test_code_of_files_is_read_with_what_would_be_lost_of_it() -> None:
    first, second = code_of_files(SAID)
    assert (first.path, first.resident_kib, first.own_kib) == ("/usr/lib/a library.so", 600, 12)
    assert (first.start, first.end) == (0x7F00_0010_0000, 0x7F00_0020_0000)
    assert second.start == 0x7F00_0030_0000, "a name makes no other place"


def resident_of_sqlite() -> int:
    return sum(
        each.resident_kib for each in code_of_files(SMAPS.read_text()) if "sqlite3" in each.path
    )


def asked_of_sqlite() -> object:
    with closing(sqlite3.connect(":memory:")) as db:
        return db.execute("select hex(zeroblob(2))").fetchall()


@LINUX
def test_code_that_was_unmapped_is_there_again_when_it_is_executed() -> None:
    expected, before = asked_of_sqlite(), resident_of_sqlite()
    assert release_code() >= before > resident_of_sqlite()
    assert asked_of_sqlite() == expected
    assert resident_of_sqlite() > 0


@LINUX
def test_a_page_that_was_written_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked_of_sqlite()
    before, written = resident_of_sqlite(), tmp_path / "smaps"
    written.write_text(re.sub(r"(Anonymous: +)0 kB", r"\g<1>4 kB", SMAPS.read_text()))
    monkeypatch.setattr(codepages, "SMAPS", written)
    assert release_code() == 0
    monkeypatch.undo()
    assert resident_of_sqlite() == before > 0


@LINUX
def test_what_the_loader_does_not_know_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whatever lies at its place now: here it is SQLite, under another name."""
    asked_of_sqlite()
    before, other = resident_of_sqlite(), tmp_path / "smaps"
    other.write_text(re.sub(r"/\S+$", "/usr/lib/gone.so", SMAPS.read_text(), flags=re.MULTILINE))
    monkeypatch.setattr(codepages, "SMAPS", other)
    assert release_code() == 0
    monkeypatch.undo()
    assert resident_of_sqlite() == before > 0


@pytest.mark.parametrize("without", ["smaps", "ctypes"])
def test_a_system_that_cannot_do_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, without: str
) -> None:
    if without == "smaps":
        monkeypatch.setattr(codepages, "SMAPS", tmp_path / "none")
    else:
        monkeypatch.setitem(sys.modules, "ctypes", None)
    assert release_code() == 0


@pytest.mark.parametrize("models", [True, False])
def test_it_is_done_once_models_are_loaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, models: bool
) -> None:
    pytest.importorskip("onnxruntime")
    released: list[Callable[[], int]] = []
    monkeypatch.setattr(judge, "release_code", lambda: released.append(release_code))
    Judge(JudgeSetup((LaneSite("a", "a", "mid"),)), None if models else tmp_path).load()
    assert len(released) == models
