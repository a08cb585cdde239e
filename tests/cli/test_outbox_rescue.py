"""`kerbstone outbox rescue`: what a file still holds goes under its own name, or nowhere."""

import json
import random
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from edge.core import Stamp
from edge.outbox import Outbox
from edge.outbox.quarantine import quarantine
from edge.outbox.salvage import Salvage
from tests.kit.clock import NONE
from tests.kit.command import Command
from tests.kit.rescued import LIMIT, OWNER, damaged, drafts, filled, keys, named, site
from tests.long import more, size
from tests.outbox.test_outboxinspector import picture

# -- export ---------------------------------------------------------------------------------------


def test_what_is_exported_is_a_store_that_audit_reads(tmp_path: Path, kerbstone: Command) -> None:
    path = filled(tmp_path)
    before = picture(path.parent)
    out = tmp_path / "out.jsonl"
    said = kerbstone("outbox", "rescue", path, "--out", out)
    assert (said.code, said.err) == (0, "")
    assert "301 records read" in said.out
    assert picture(path.parent) == before, "nothing is changed in the file or beside it"
    assert len(set(keys(out))) == 301
    line = next(json.loads(each) for each in out.read_text().splitlines() if '"seq":5,' in each)
    assert (line["gw"], line["tq"]) == ("gw-0001", "ntp")
    audit = kerbstone("audit", "--store", out, "--json")
    lines = [json.loads(each) for each in audit.out.splitlines()]
    kinds = {each["finding"] for each in lines if "finding" in each}
    assert kinds == {"nothing"}, "complete, in numbers and in time; no manifest was made"
    assert lines[-1]["records"] == 301
    again = kerbstone("outbox", "rescue", path, "--out", out)
    assert again.code == 2
    assert "is there already" in again.err


@more
@pytest.mark.parametrize("seed", range(size(4, 12)))
def test_of_a_damaged_database_all_but_the_damaged_rows_come_out(
    tmp_path: Path, kerbstone: Command, seed: int
) -> None:
    path = filled(tmp_path)
    damaged(path, random.Random(seed), 12)
    before = picture(path.parent)
    out = tmp_path / "out.jsonl"
    said = kerbstone("outbox", "rescue", path, "--out", out, "--owner", OWNER, "--json")
    reported = json.loads(said.out)
    found = keys(out)
    assert len(set(found)) == len(found) == reported["written"]
    # a word hits one row, or the head of a page that holds a handful of them
    assert len(found) >= 301 - 12 * 6
    assert said.code == (0 if len(found) == 301 and not reported["trouble"] else 1)
    assert picture(path.parent) == before


def test_a_database_without_its_first_page_and_one_that_was_cut(
    tmp_path: Path, kerbstone: Command
) -> None:
    path = filled(tmp_path)
    data = path.read_bytes()
    path.write_bytes(bytes(1024) + data[1024:])
    said = kerbstone("outbox", "rescue", path, "--out", tmp_path / "a.jsonl", "--json")
    assert said.code == 1
    assert json.loads(said.out)["found_on_pages"] == 301
    assert json.loads(said.out)["owner"] == "unknown/unknown", "nobody guesses a name"
    place = quarantine(path.parent, "outbox.db", len(data) // 2)
    out = tmp_path / "b.jsonl"
    said = kerbstone("outbox", "rescue", place / "outbox.db", "--out", out, "--json")
    reported = json.loads(said.out)
    assert said.code == 1
    assert 20 < reported["written"] < 301


def test_rows_that_are_in_the_log_alone_and_behind_a_torn_frame(
    tmp_path: Path, kerbstone: Command
) -> None:
    outbox = Outbox.open(tmp_path / "o", limit_bytes=LIMIT, boot_id="b", ballast_bytes=0)
    outbox.begin()
    for first in range(0, 200, 50):
        outbox.commit(drafts(50, first), clock=Stamp(5, 5, NONE))
    (tmp_path / "cut").mkdir()
    for name in ("outbox.db", "outbox.db-wal"):
        shutil.copy(tmp_path / "o" / name, tmp_path / "cut")
    outbox.close()
    log = tmp_path / "cut/outbox.db-wal"
    before = picture(tmp_path / "cut")
    said = kerbstone("outbox", "rescue", tmp_path / "cut/outbox.db", "--out", tmp_path / "a.jsonl")
    assert said.code == 0
    assert len(keys(tmp_path / "a.jsonl")) == 200
    assert picture(tmp_path / "cut") == before
    data = bytearray(log.read_bytes())
    middle = 32 + (len(data) // 1048 // 2) * 1048 + 8
    data[middle : middle + 8] = b"\xff" * 8
    log.write_bytes(data)
    with closing(Salvage(tmp_path / "cut/outbox.db")) as salvage:
        assert salvage.expected is None or salvage.expected < 200, "SQLite ends at the torn frame"
        assert len(list(salvage.rows())) == 200
        assert salvage.found > 40


def test_a_newer_version_is_read_where_its_tables_can_be(
    tmp_path: Path, kerbstone: Command
) -> None:
    import sqlite3

    path = filled(tmp_path)
    with sqlite3.connect(path) as db:
        db.execute("ALTER TABLE record ADD COLUMN mood TEXT")
        db.execute("DROP TABLE dropped")
        db.execute("PRAGMA user_version = 7")
    db.close()
    said = kerbstone("outbox", "rescue", path, "--out", tmp_path / "a.jsonl", "--json")
    assert (said.code, json.loads(said.out)["version"]) == (0, 7)
    assert len(keys(tmp_path / "a.jsonl")) == 301
    with sqlite3.connect(path) as db:
        db.execute("ALTER TABLE record RENAME COLUMN body TO content")
    db.close()
    said = kerbstone("outbox", "rescue", path, "--out", tmp_path / "b.jsonl", "--json")
    assert said.code == 1
    assert "body" in json.loads(said.out)["trouble"]


def test_nothing_is_copied_to_look_at_a_file_that_is_none_of_ours(
    tmp_path: Path, kerbstone: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The image of a card has more bytes than the folder for temporary files."""
    spare = tmp_path / "tmp"
    spare.mkdir()
    monkeypatch.setenv("TMPDIR", str(spare))
    monkeypatch.setattr(shutil, "copyfile", lambda *_: pytest.fail("it is copied"))
    with (tmp_path / "card.img").open("wb") as file:
        file.truncate(1 << 40)
    said = kerbstone("outbox", "rescue", tmp_path / "card.img", "--out", tmp_path / "a.jsonl")
    assert said.code == 3
    assert "card.img" in said.err
    assert list(spare.iterdir()) == []


@pytest.mark.parametrize("name", ["outbox.db-wal", "outbox.db"])
def test_a_log_whose_database_is_gone_is_read(
    tmp_path: Path, kerbstone: Command, name: str
) -> None:
    """As a start puts it aside: a log without a database is none that SQLite would read."""
    outbox = Outbox.open(tmp_path / "o", limit_bytes=LIMIT, boot_id="b", ballast_bytes=0)
    outbox.begin()
    for first in range(0, 200, 50):
        outbox.commit(drafts(50, first), clock=Stamp(5, 5, NONE))
    (tmp_path / "alone").mkdir()
    shutil.copy(tmp_path / "o/outbox.db-wal", tmp_path / "alone")
    outbox.close()
    before = picture(tmp_path / "alone")
    out = tmp_path / "a.jsonl"
    said = kerbstone("outbox", "rescue", tmp_path / "alone" / name, "--out", out, "--json")
    reported = json.loads(said.out)
    assert (said.code, reported["found_on_pages"]) == (1, 200)
    assert "gone" in reported["trouble"]
    assert len(set(keys(out))) == 200
    assert picture(tmp_path / "alone") == before


# -- whose they are -------------------------------------------------------------------------------


def test_nothing_is_sent_as_anothers(tmp_path: Path, kerbstone: Command) -> None:
    path = filled(tmp_path)
    other = site(tmp_path, gw="gw-0002")
    said = kerbstone("outbox", "rescue", path, "--config", other)
    assert said.code == 2
    assert "holds records of stadtmitte/gw-0001" in said.err
    assert "--out" in said.err
    said = kerbstone("outbox", "--config", other, "rescue", path, "--owner", "stadtmitte/gw-0002")
    assert said.code == 2
    assert "not of stadtmitte/gw-0002" in said.err
    named(path, "")
    said = kerbstone("outbox", "rescue", path, "--config", other)
    assert said.code == 2
    assert "does not say whose records" in said.err
    said = kerbstone("outbox", "rescue", path, "--config", other, "--owner", "stadt+/gw-0002")
    assert said.code == 2


def test_what_is_in_use_or_nothing_of_ours_is_said(tmp_path: Path, kerbstone: Command) -> None:
    (tmp_path / "text").write_text("no database at all" * 100)
    assert kerbstone("outbox", "rescue", tmp_path / "text", "--out", tmp_path / "a.jsonl").code == 3
    assert kerbstone("outbox", "rescue", tmp_path / "none", "--out", tmp_path / "a.jsonl").code == 3
    assert not (tmp_path / "a.jsonl").exists()
    holder = (
        "import sys; from pathlib import Path; from edge.outbox import Outbox\n"
        "o = Outbox.open(Path(sys.argv[1]), limit_bytes=1 << 22, boot_id='b', ballast_bytes=0)\n"
        "o.begin(); print(1, flush=True); sys.stdin.read()"
    )
    path = filled(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(path.parent)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as daemon:  # fmt: skip
        assert daemon.stdout is not None
        daemon.stdout.readline()
        said = kerbstone("outbox", "rescue", path, "--out", tmp_path / "a.jsonl")
        daemon.kill()
    assert said.code == 3
    assert "stop the daemon" in said.err
