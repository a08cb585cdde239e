"""Pages of a library's code are given back, and only such as are the file's own."""

import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from edge.infer import codepages
from edge.infer.codepages import SMAPS, mappings, release_code

SAID = """\
7f0000000000-7f0000100000 r--p 00000000 fe:00 12 /usr/lib/a library.so
Size:               1024 kB
Rss:                 512 kB
Private_Dirty:         0 kB
Anonymous:             0 kB
VmFlags: rd mr mw me
7f0000100000-7f0000200000 r-xp 00100000 fe:00 12 /usr/lib/a library.so
Rss:                 600 kB
Private_Dirty:         8 kB
Anonymous:             4 kB
7f0000200000-7f0000201000 rw-p 00000000 00:00 0
Rss:                   4 kB
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0 [stack]
Rss:                  12 kB
"""
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what is mapped")


def test_what_is_mapped_of_files_is_read_with_what_was_written_there() -> None:
    found = list(mappings(SAID))
    assert [(each.access, each.resident_kib, each.written_kib) for each in found] == [
        ("r--p", 512, 0),
        ("r-xp", 600, 12),
    ]
    assert {each.path for each in found} == {"/usr/lib/a library.so"}
    assert (found[1].start, found[1].end) == (0x7F00_0010_0000, 0x7F00_0020_0000)


def code_of_sqlite() -> str:
    """The file that has the code of SQLite: this process has executed it."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("select hex(zeroblob(2))").fetchall()
    return next(
        Path(each.path).name
        for each in mappings(SMAPS.read_text())
        if each.access == "r-xp" and "sqlite3" in each.path
    )


@LINUX
def test_code_that_was_given_back_is_there_again_when_it_is_executed() -> None:
    assert release_code(code_of_sqlite()) > 0
    with closing(sqlite3.connect(":memory:")) as db:
        assert db.execute("select hex(zeroblob(2))").fetchall() == [("0000",)]


@LINUX
def test_a_page_that_was_written_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    library, written = code_of_sqlite(), tmp_path / "smaps"
    written.write_text(re.sub(r"(Anonymous: +)0 kB", r"\g<1>4 kB", SMAPS.read_text()))
    monkeypatch.setattr(codepages, "SMAPS", written)
    assert release_code(library) == 0


@LINUX
def test_a_library_that_nobody_has_loaded_gives_nothing() -> None:
    assert release_code("no_such_library") == 0


def test_a_system_that_does_not_say_what_is_mapped_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(codepages, "SMAPS", tmp_path / "none")
    assert release_code("") == 0
