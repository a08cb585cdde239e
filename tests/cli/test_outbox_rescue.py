"""`kerbstone outbox rescue`: what a file still holds goes under its own name, or nowhere."""

import json
import random
import shutil
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgpack
import pytest

from edge.acquire.stage import FRAME, Stage
from edge.core import Contact, Draft, Stream, Sweep, all_good
from edge.store import Mark, Outbox
from edge.store.files import quarantine
from edge.store.salvage import Salvage
from tests.cli.conftest import Command
from tests.store.test_look import picture
from tests.uplink.broker import BINARY, Mosquitto

S = 1_000_000_000
LIMIT = 8 << 20
OWNER = "stadtmitte/gw-0001"
SITE = """
[site]
id = "stadtmitte"
gateway = "{gw}"
[store]
dir = "{folder}/store"
run_dir = "{folder}/run"
[uplink]
url = "{url}"
confirm = "{confirm}"
receipt_s = 5
"""


def drafts(count: int, first: int = 0, size: int = 120) -> list[Draft]:
    rng = random.Random(first)
    return [
        Draft(Stream.AIR, "hut", n * S, (n + 1) * S,
              {"covered_s": 1.0, "n": n, "text": rng.randbytes(size // 2).hex()})
        for n in range(first, first + count)
    ]  # fmt: skip


def named(path: Path, owner: str = OWNER) -> None:
    """As a store that knows whose it is."""
    import sqlite3

    with sqlite3.connect(path) as db:
        word = f"{zlib.crc32(owner.encode()):08x} {owner}"
        db.execute("INSERT OR REPLACE INTO meta VALUES ('owner', ?)", (word,))
    db.close()


def filled(folder: Path, count: int = 300) -> Path:
    """An outbox that was closed, with an opening as a daemon makes it."""
    outbox = Outbox.open(folder / "store", limit_bytes=LIMIT, boot_id="b", ballast_bytes=0)
    outbox.begin()
    mark = Mark(400 * S, 1_790_000_400 * S, "ntp")
    body = {"event": "gap", "reason": "start", "sources": ["*"], "gap": [None, 0],
            "boot_before": None, "text": "first"}  # fmt: skip
    outbox.commit([Draft(Stream.EVENT, "gateway", 0, 0, body)], clock=mark)
    for first in range(0, count, 50):
        outbox.commit(drafts(50, first), clock=mark)
    outbox.close()
    named(folder / "store/outbox.db")
    return folder / "store/outbox.db"


def site(folder: Path, url: str = "mqtt://127.0.0.1:1", gw: str = "gw-0001",
         confirm: str = "broker") -> Path:  # fmt: skip
    file = folder / "site.toml"
    file.write_text(SITE.format(folder=folder, url=url, gw=gw, confirm=confirm))
    return file


def keys(store: Path) -> list[tuple[str, int]]:
    lines = [json.loads(line) for line in store.read_text().splitlines()]
    return [(each["stream"], each["seq"]) for each in lines if each.get("kind") == "record"]


def damaged(path: Path, rng: random.Random, words: int) -> None:
    """Random words, anywhere behind the first page."""
    data = bytearray(path.read_bytes())
    for _ in range(words):
        place = rng.randrange(1024, len(data) - 4)
        data[place : place + 4] = rng.randbytes(4)
    path.write_bytes(data)


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


@pytest.mark.parametrize("seed", range(12))
def test_of_a_damaged_database_all_but_the_damaged_rows_come_out(
    tmp_path: Path, kerbstone: Command, seed: int
) -> None:
    path = filled(tmp_path)
    damaged(path, random.Random(seed), 12)
    before = picture(path.parent)
    out = tmp_path / "out.jsonl"
    said = kerbstone("outbox", "rescue", path, "--out", out, "--owner", OWNER, "--json")
    told = json.loads(said.out)
    found = keys(out)
    assert len(set(found)) == len(found) == told["written"]
    # a word hits one row, or the head of a page that holds a handful of them
    assert len(found) >= 301 - 12 * 6
    assert said.code == (0 if len(found) == 301 and not told["trouble"] else 1)
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
    told = json.loads(said.out)
    assert said.code == 1
    assert 20 < told["written"] < 301


def test_rows_that_are_in_the_log_alone_and_behind_a_torn_frame(
    tmp_path: Path, kerbstone: Command
) -> None:
    outbox = Outbox.open(tmp_path / "o", limit_bytes=LIMIT, boot_id="b", ballast_bytes=0)
    outbox.begin()
    for first in range(0, 200, 50):
        outbox.commit(drafts(50, first), clock=Mark(5, 5, "none"))
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


def test_what_lay_in_memory_and_a_stage_with_an_open_window(
    tmp_path: Path, kerbstone: Command
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    outbox = Outbox.open(
        tmp_path / "o", limit_bytes=LIMIT, boot_id="b", run_dir=run, ballast_bytes=0
    )
    outbox.begin()
    outbox._medium.fall(OSError(5, "Input/output error"))
    outbox.commit(drafts(20), clock=Mark(400 * S, 1_790_000_400 * S, "ntp"))
    said = kerbstone("outbox", "rescue", run / "memory.log", "--out", tmp_path / "m.jsonl")
    assert said.code == 0
    assert len([key for key in keys(tmp_path / "m.jsonl") if key[0] == "air"]) == 20
    outbox.close()

    stage = Stage(run, "boot")
    stage.rotate(0, 60 * S, [], [])
    stage.add_contacts([Contact("north", True, 5, 0, False)])
    stage.add_sweeps([Sweep("hut", 7, (1.5, 2.5), all_good(2))])
    stage.close()
    said = kerbstone("outbox", "rescue", run / "stage.00000001")
    assert said.code == 2
    assert "--out" in said.err
    said = kerbstone("outbox", "rescue", run / "stage.00000001", "--out", tmp_path / "s.jsonl")
    assert said.code == 0
    lines = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["window", "contact", "sweep"]
    assert lines[2]["values"] == [1.5, 2.5]


def in_memory(folder: Path) -> Path:
    """The log of an outbox that has never seen its disk work: six commits of twenty records."""
    run = folder / "run"
    run.mkdir()
    outbox = Outbox.open(folder / "o", limit_bytes=LIMIT, boot_id="b", run_dir=run, ballast_bytes=0)
    outbox.begin()
    outbox._medium.fall(OSError(5, "Input/output error"))
    for first in range(0, 120, 20):
        outbox.commit(drafts(20, first), clock=Mark(400 * S, 1_790_000_400 * S, "ntp"))
    shutil.copy(run / "memory.log", folder / "kept.log")
    outbox.close()
    return folder / "kept.log"


def test_a_log_of_memory_with_a_damaged_commit_is_not_called_whole(
    tmp_path: Path, kerbstone: Command
) -> None:
    log = in_memory(tmp_path)
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 1
    log.write_bytes(data)
    said = kerbstone("outbox", "rescue", log, "--out", tmp_path / "a.jsonl", "--json")
    told = json.loads(said.out)
    assert (said.code, told["written"]) == (1, 101)
    assert "cannot be read" in told["trouble"]


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


def staged_file(folder: Path, *entries: object) -> Path:
    """A stage with these entries, whose checksums are right."""
    head = {"v": 2, "boot": "b", "owner": "", "window": [0, 5], "carried": 0, "staged": [{}, False]}
    path = folder / "stage.00000001"
    bodies = [msgpack.packb(each) for each in (head, *entries)]
    path.write_bytes(b"".join(FRAME.pack(len(b), zlib.crc32(b)) + b for b in bodies))
    return path


@pytest.mark.parametrize(
    "entry",
    [7, None, [], ["m", "x"], ["g", 1], ["c", [[1, 2]]], ["c", 5], ["r", 1], ["s", [["a", 1, 2]]],
     ["s", [["a", 1, [b"x"], None]]], ["s", [["a", 1, [1.0], ["awful"]]]], {"c": 1}],
)  # fmt: skip
def test_a_stage_with_anything_in_it_is_said_to_be_damaged(
    tmp_path: Path, kerbstone: Command, entry: object
) -> None:
    path = staged_file(tmp_path, ["m", 5], entry, ["m", 9])
    said = kerbstone("outbox", "rescue", path, "--out", tmp_path / "a.jsonl", "--json")
    assert (said.code, said.err) == (1, "")
    assert json.loads(said.out)["trouble"]
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) >= 2, "what came before it"


def test_a_stage_that_cannot_be_read_to_its_end_is_not_called_whole(
    tmp_path: Path, kerbstone: Command
) -> None:
    path = staged_file(tmp_path, ["m", 5], ["m", 7], ["m", 9])
    data = bytearray(path.read_bytes())
    data[-16] ^= 1  # in the last but one
    path.write_bytes(data)
    said = kerbstone("outbox", "rescue", path, "--out", tmp_path / "a.jsonl", "--json")
    told = json.loads(said.out)
    assert (said.code, told["entries"]) == (1, 2)
    assert "bytes" in told["trouble"]


@pytest.mark.parametrize("name", ["outbox.db-wal", "outbox.db"])
def test_a_log_whose_database_is_gone_is_read(
    tmp_path: Path, kerbstone: Command, name: str
) -> None:
    """As a start puts it aside: a log without a database is none that SQLite would read."""
    outbox = Outbox.open(tmp_path / "o", limit_bytes=LIMIT, boot_id="b", ballast_bytes=0)
    outbox.begin()
    for first in range(0, 200, 50):
        outbox.commit(drafts(50, first), clock=Mark(5, 5, "none"))
    (tmp_path / "alone").mkdir()
    shutil.copy(tmp_path / "o/outbox.db-wal", tmp_path / "alone")
    outbox.close()
    before = picture(tmp_path / "alone")
    out = tmp_path / "a.jsonl"
    said = kerbstone("outbox", "rescue", tmp_path / "alone" / name, "--out", out, "--json")
    told = json.loads(said.out)
    assert (said.code, told["found_on_pages"]) == (1, 200)
    assert "gone" in told["trouble"]
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
        "import sys; from pathlib import Path; from edge.store import Outbox\n"
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


# -- to the broker --------------------------------------------------------------------------------


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    if not Path(BINARY).exists():
        pytest.skip("needs mosquitto")
    made = Mosquitto(tmp_path / "broker").start()
    yield made
    made.kill()


@contextmanager
def receipts(broker: Mosquitto, store: Path) -> "Iterator[subprocess.Popen[str]]":
    """The city's side, as a process of its own."""
    words = ["receipts", "--broker", broker.url, "--store", str(store), "--idle", "4"]
    with subprocess.Popen(
        [sys.executable, "-m", "edge.cli.main", *words], stderr=subprocess.PIPE, text=True
    ) as city:
        assert city.stderr is not None
        assert "listening" in city.stderr.readline()
        yield city
        assert city.wait(60) == 0


@pytest.mark.parametrize("harm", [False, True])
def test_what_is_sent_is_receipted_and_audited(
    tmp_path: Path, kerbstone: Command, broker: Mosquitto, harm: bool
) -> None:
    path = filled(tmp_path)
    if harm:
        damaged(path, random.Random(3), 6)
    config, store = site(tmp_path, broker.url, confirm="platform"), tmp_path / "city.db"
    with receipts(broker, store):
        said = kerbstone("outbox", "rescue", path, "--config", config, "--owner", OWNER, "--json")
        twice = kerbstone("outbox", "rescue", path, "--config", config, "--owner", OWNER, "--json")
    told = json.loads(said.out)
    assert told["confirmed"] == told["sent"] == told["read"] + told["found_on_pages"]
    assert said.code == twice.code == int(harm)
    assert (told["sent"] == 301) is not harm
    audit = kerbstone("audit", "--store", store, "--json")
    lines = [json.loads(line) for line in audit.out.splitlines()]
    verdict = lines[-1]
    assert verdict["records"] == told["sent"], "what came twice is stored once"
    kinds = {line["finding"] for line in lines if "finding" in line}
    assert ("missing" in kinds) is harm, "what was damaged is found missing"
    # no manifest was made; a record that cannot be read leaves its time, too
    assert kinds - ({"missing", "hole"} if harm else set()) == {"nothing"}, "and nothing else is"


def test_a_broker_that_is_not_there_and_one_that_stores_nothing(
    tmp_path: Path, kerbstone: Command, broker: Mosquitto
) -> None:
    path = filled(tmp_path, 50)
    said = kerbstone("outbox", "rescue", path, "--config", site(tmp_path))
    assert said.code == 3
    assert "run it again" in said.err
    config = site(tmp_path, broker.url, confirm="platform")
    begun = time.monotonic()
    said = kerbstone("outbox", "rescue", path, "--config", config)
    assert said.code == 1
    assert "51 not confirmed: run it again" in said.out
    assert time.monotonic() - begun < 60
    assert kerbstone("outbox", "rescue", path, "--config", site(tmp_path, broker.url)).code == 0
