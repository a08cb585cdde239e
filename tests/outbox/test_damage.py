"""Whatever is found in the folder: opening succeeds, the damage is kept, counted and said."""

import os
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.core import Stamp, Stream
from edge.outbox import Outbox
from edge.outbox.diskoutbox import DiskOutbox
from edge.outbox.epochs import read_epoch_file
from edge.outbox.outboxfolder import OutboxFolder
from tests.kit.asread import as_read
from tests.kit.clock import NONE
from tests.kit.outbox import LIMIT, MARK, S, drafts, everything, kill, opened


def used(folder: Path) -> Path:
    """An outbox with rows in it, closed; the path of its database."""
    outbox = opened(folder)
    outbox.begin()
    outbox.commit([*drafts(200, size=400), *drafts(20, Stream.EVENT)], {"x": (1, b"1")}, clock=MARK)
    outbox.close()
    return folder / "outbox" / "outbox.db"


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def cut_to_a_stub(path: Path) -> None:
    os.truncate(path, 50)


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def zero_the_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096 : len(data) // 2] = bytes(len(data) // 2 - 4096)
    path.write_bytes(data)


def text(path: Path) -> None:
    path.write_text("this is not a database\n" * 1000)


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "something").write_text("?")


def foreign(path: Path) -> None:
    path.unlink()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE letters (text)")
    other.commit()
    other.close()


def no_counters(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("DROP TABLE counter")
    other.close()


DAMAGES = [
    truncate, cut_to_a_stub, zero, zero_the_middle, text, folder_instead, foreign,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_goes_to_quarantine(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = used(tmp_path)
    before = Outbox.open(tmp_path / "outbox", limit_bytes=LIMIT, boot_id="b1")
    former = before.begin()
    before.close()
    damage(path)

    outbox = opened(tmp_path)
    assert outbox.opened.damage is not None
    assert outbox.opened.in_memory is None
    assert outbox.opened.quarantined is not None
    assert (outbox.opened.quarantined / "outbox.db").exists()
    epoch = outbox.begin()
    assert epoch.epoch > former.epoch, "the file of epochs outlives the database"
    assert (epoch.boot, epoch.former) == (former.boot, None)
    made = outbox.commit(drafts(1), clock=MARK)
    assert [s.record.key.seq for s in made] == [1, 1]
    assert made[1].record.body["event"] == "storage"
    assert outbox.counts().quarantined == 1
    declared = outbox.commit([], confirmed=[made[0].row], clock=MARK)[0].record.body
    assert (declared["event"], declared["reason"]) == ("drop", "damage")
    assert (declared["epoch_of"], declared["stream_of"], declared["count"]) == (
        former.epoch, "*", None,
    )  # fmt: skip
    outbox.close()


def empty(path: Path) -> None:
    os.truncate(path, 0)


@pytest.mark.parametrize("loss", [Path.unlink, empty])
def test_a_file_that_is_gone_is_declared_as_lost(
    tmp_path: Path, loss: Callable[[Path], None]
) -> None:
    """A new outbox with another epoch; the epoch file knows that it is not the first one."""
    loss(used(tmp_path))
    former = read_epoch_file(tmp_path / "outbox").epoch
    outbox = opened(tmp_path)
    assert (outbox.opened.in_memory, outbox.opened.quarantined) == (None, None)
    assert outbox.begin().epoch >> 32 == 2
    made = outbox.commit(drafts(1), clock=MARK)
    storage = made[1].record.body
    assert (storage["event"], storage["state"]) == ("storage", "on")
    assert "missing" in storage["text"]
    kill(outbox)  # before any broker has heard of it

    outbox = opened(tmp_path)
    assert outbox.opened.damage is None, "said once"
    outbox.begin()
    (declared,) = outbox.commit([], confirmed=[made[0].row], clock=MARK)
    reported = declared.record.body
    assert (reported["event"], reported["reason"], reported["count"]) == ("drop", "damage", None)
    assert (reported["epoch_of"], reported["stream_of"]) == (former, "*")
    outbox.close()
    outbox = opened(tmp_path)
    outbox.begin()
    assert outbox.commit([], confirmed=[declared.row], clock=MARK) == [], "declared once"
    outbox.close()


def test_a_new_file_that_no_start_has_seen_is_not_the_old_one(tmp_path: Path) -> None:
    """Somebody looked into the empty file, or the start was killed at once."""
    empty(used(tmp_path))
    OutboxFolder(tmp_path / "outbox", LIMIT).open()[0].close()  # type: ignore[union-attr]
    outbox = opened(tmp_path)
    assert outbox.opened.damage is not None
    outbox.close()


def test_the_first_start_of_all_is_silent(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    assert outbox.opened == type(outbox.opened)()
    outbox.begin()
    (made,) = outbox.commit(drafts(1), clock=MARK)
    assert outbox.commit([], confirmed=[made.row], clock=MARK) == []
    outbox.close()


def test_a_missing_table_is_damage_too(tmp_path: Path) -> None:
    no_counters(used(tmp_path))
    outbox = opened(tmp_path)
    outbox.begin()
    # whether found at opening or at the start: records are taken
    assert len(outbox.commit(drafts(2), clock=MARK)) >= 2
    outbox.close()


def test_flipped_bits_never_stop_it_and_never_change_a_record(tmp_path: Path) -> None:
    """Each byte that is flipped is either harmless, or known as damage."""
    path = used(tmp_path)
    good = path.read_bytes()
    truth = {as_read(draft)["n"]: as_read(draft) for draft in drafts(200, size=400)}
    rng = random.Random(4)
    lost = 0
    for _ in range(40):
        data = bytearray(good)
        for _ in range(3):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        for old in (tmp_path / "outbox").glob("outbox.db*"):
            old.unlink()
        path.write_bytes(data)
        outbox = opened(tmp_path)
        outbox.begin()
        for stored in everything(outbox):
            body = stored.record.body
            if stored.record.key.stream is Stream.AIR:
                assert body == truth[body["n"]]
        lost += outbox.counts().damaged + (outbox.opened.damage is not None)
        assert outbox.commit(drafts(1), clock=MARK)
        outbox.close()
    assert lost > 0, "the test has done no damage"


def test_a_damaged_row_is_declared_and_the_others_stay(tmp_path: Path) -> None:
    path = used(tmp_path)
    other = sqlite3.connect(path)
    other.execute("UPDATE record SET body = x'80' WHERE stream = 'air' AND seq = 7")
    other.execute("UPDATE state SET data = x'00'")
    other.commit()
    other.close()
    outbox = opened(tmp_path)
    outbox.begin()
    keys = [s.record.key for s in everything(outbox)]
    assert {key.seq for key in keys if key.stream == "air"} == {*range(1, 201)} - {7}
    assert outbox.state("x") is None
    counts = outbox.counts()
    assert (counts.rows, counts.damaged, counts.dead_letters) == (219, 2, 1)
    (declared,) = outbox.commit([], confirmed=[1], clock=MARK)
    assert as_read(declared.record)["range"] == [7, 7]
    assert declared.record.body["reason"] == "damage"
    outbox.close()


def test_quarantine_keeps_two_and_stays_within_the_limit(tmp_path: Path) -> None:
    limit = 2 << 20
    for _ in range(4):
        outbox = opened(tmp_path, limit=limit)
        outbox.begin()
        for _ in range(20):
            outbox.commit(drafts(100, size=1000), clock=MARK)
        outbox.close()
        zero(tmp_path / "outbox" / "outbox.db")
    outbox = opened(tmp_path, limit=limit)
    outbox.begin()
    for _ in range(20):
        outbox.commit(drafts(100, size=1000), clock=MARK)
    counts = outbox.counts()
    assert 1 <= counts.quarantined <= 2
    assert counts.size <= limit
    assert counts.rows > 100
    outbox.close()


def test_no_disk_at_all_means_memory_and_back(tmp_path: Path) -> None:
    """A file is where the folder should be; later somebody mends that."""
    blocker = tmp_path / "outbox"
    blocker.write_text("")
    outbox = opened(tmp_path)
    assert outbox.opened.in_memory is not None
    epoch = outbox.begin()
    made = outbox.commit(drafts(3), {"x": (1, b"a")}, clock=Stamp(10 * S, 0, NONE))
    assert [s.record.key.seq for s in made] == [1, 2, 3, 1, 2]
    assert "memory" in str([s.record.body for s in made[3:]])
    assert everything(outbox) == made
    assert outbox.counts().in_memory is not None
    reported = outbox.commit([], confirmed=[made[0].row], clock=Stamp(20 * S, 0, NONE))
    assert ["not even" in s.record.body["text"] for s in reported] == [True]

    blocker.unlink()
    blocker.mkdir()
    outbox.commit([], clock=Stamp(30 * S, 0, NONE))
    assert outbox.counts().in_memory is not None, "the disk is looked at twice a minute, not always"
    back = outbox.commit(drafts(1), clock=Stamp(60 * S, 0, NONE))
    assert outbox.counts().in_memory is None
    assert [s.record.body.get("state") for s in back] == [None, "off"]
    kill(outbox)

    outbox = opened(tmp_path)
    again = outbox.begin()
    assert again.former is not None
    assert (again.former.epoch, again.former.last) == (epoch.epoch, {"air": 4, "event": 4})
    assert [s.record.key.seq for s in everything(outbox) if s.record.key.stream == "air"] == [
        2, 3, 4,
    ]  # fmt: skip
    assert outbox.state("x") == (1, b"a")
    outbox.close()


class FailingDisk(DiskOutbox):
    """A disk whose commits end in an I/O error from some moment on."""

    broken = False

    def insert(self, rows: object) -> None:
        if FailingDisk.broken:
            raise sqlite3.OperationalError("disk I/O error")
        super().insert(rows)  # type: ignore[arg-type]


def test_an_io_error_never_deletes_and_numbers_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.outbox.outboxfolder.DiskOutbox", FailingDisk)
    FailingDisk.broken = False
    outbox = opened(tmp_path)
    outbox.begin()
    outbox.commit(drafts(3), clock=Stamp(1 * S, 0, NONE))
    FailingDisk.broken = True
    second = outbox.commit(drafts(2), clock=Stamp(2 * S, 0, NONE))
    assert [s.record.key.seq for s in second] == [4, 5]
    assert outbox.counts().in_memory is not None
    third = outbox.commit(drafts(1), clock=Stamp(3 * S, 0, NONE))
    assert [s.record.key.seq for s in third] == [6, 1]
    assert third[1].record.body["state"] == "on"
    FailingDisk.broken = False
    outbox.commit(drafts(1), clock=Stamp(100 * S, 0, NONE))
    assert outbox.counts().in_memory is None
    air = [s.record.key.seq for s in everything(outbox) if s.record.key.stream == "air"]
    assert sorted(air) == [1, 2, 3, 4, 5, 6, 7]
    assert not (tmp_path / "outbox" / "quarantine").exists()
    outbox.close()


def test_memory_is_bounded_and_its_losses_are_declared(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("")
    outbox = opened(tmp_path, limit=4 << 20)
    outbox.begin()
    events = outbox.commit(drafts(3, Stream.EVENT), clock=MARK)
    for _ in range(40):
        outbox.commit(drafts(100, size=1000), clock=MARK)
    left = everything(outbox)
    assert sum(len(str(s.record.body)) for s in left) < 2 << 20
    assert {s.row for s in events} <= {s.row for s in left}
    declared = outbox.commit([], confirmed=[events[0].row], clock=MARK)[-1].record.body
    kept = sum(s.record.key.stream == "air" for s in left)
    assert (declared["reason"], declared["count"]) == ("memory", 4000 - kept)
    outbox.close()


COMMITTER = """
import sys
from pathlib import Path
from edge.core import Draft, Stamp, Stream, TimeQuality
from edge.outbox import Outbox
folder, run = map(Path, sys.argv[1:])
outbox = Outbox.open(folder, limit_bytes=256 << 20, boot_id="b1", run_dir=run)
outbox.begin()
n = 0
while True:
    made = [Draft(Stream.AIR, "a", n, n + 1, {"n": n, "x": "y" * 300}) for n in range(n, n + 7)]
    n += 7
    mark = Stamp(n, n, TimeQuality.NONE)
    rows = outbox.commit(made, {"total": (1, str(n).encode())}, clock=mark)
    print(rows[-1].record.key.seq, flush=True)
"""


def test_kill_9_during_commits_keeps_every_committed_row(tmp_path: Path) -> None:
    folder, run = tmp_path / "outbox", tmp_path / "run"
    run.mkdir()
    root = Path(__file__).parents[2]
    expected: list[int] = []
    for round_ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", COMMITTER, folder, run], stdout=subprocess.PIPE, cwd=root
        )
        assert process.stdout is not None
        first = process.stdout.readline()  # a slow card may commit no second time
        time.sleep(0.05 + 0.03 * round_)
        process.kill()
        said = [int(line) for line in (first + process.stdout.read()).split()]
        process.stdout.close()
        process.wait()
        outbox = opened(tmp_path, limit=256 << 20, run=run)
        assert outbox.opened.damage is None  # a torn last commit is not: nobody was told of it
        former = outbox.begin().former
        assert former is not None
        seqs = [s.record.key.seq for s in everything(outbox) if s.record.key.epoch == former.epoch]
        # all that was said to be committed, and at most the one commit that was not yet said
        assert seqs == list(range(1, len(seqs) + 1))
        assert len(seqs) == former.last["air"] in {said[-1], said[-1] + 7}
        assert outbox.state("total") == (1, str(len(seqs)).encode())
        expected.append(len(seqs))
        outbox.close()
    outbox = opened(tmp_path, limit=256 << 20, run=run)
    outbox.begin()
    assert len(everything(outbox)) == sum(expected)
    outbox.close()


def test_a_folder_that_may_not_be_written_means_memory(tmp_path: Path) -> None:
    """As an ordinary user: root may write everywhere."""
    used(tmp_path)
    script = (
        "import os,sys; from pathlib import Path; from edge.core import Draft, Stamp, Stream\n"
        "from edge.outbox import Outbox\n"
        "import codecs; codecs.lookup('ascii')  # its module may lie where only root may look\n"
        "os.geteuid() or os.setuid(65534)\n"
        "o = Outbox.open(Path(sys.argv[1]), limit_bytes=8 << 20, boot_id='b1')\n"
        "o.begin(); o.commit([Draft(Stream.AIR, 'a', 0, 1, {})], clock=Stamp(1, 1, 'none'))\n"
        "print(o.counts().in_memory, o.counts().rows)\n"
    )
    (tmp_path / "outbox").chmod(0o555)
    for path in (tmp_path / "outbox").iterdir():
        path.chmod(0o444)
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "outbox")],
        capture_output=True, text=True, cwd=root, check=False, timeout=60,
    )  # fmt: skip
    (tmp_path / "outbox").chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert "memory" in done.stdout
