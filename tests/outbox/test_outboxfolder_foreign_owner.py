"""A store belongs to its gateway: what another one left is put aside whole, and never goes out."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from edge.core import Stamp
from edge.outbox import Epoch, Outbox, PreviousStart
from edge.outbox.database import DATABASE_NAME, OWNER_KEY, decode_owner, encode_owner
from edge.outbox.epochs import EpochFile, read_epoch_file, write_epoch_file
from edge.outbox.failover import PROBE_NS
from edge.outbox.foreignoutbox import foreign_bytes, foreign_name, owner_label, set_aside_commit_log
from edge.outbox.outboxinspector import inspect_outbox
from edge.wire.contract.boxevent import PreviousEpoch
from tests.kit.clock import NONE
from tests.kit.outbox import LIMIT, MARK, S, drafts, everything, kill

OURS, THEIRS = "town/gw-1", "town/gw-2"


def opened(folder: Path, owner: str | None = OURS, boot: str = "b1") -> Outbox:
    run = folder / "run"
    run.mkdir(exist_ok=True)
    return Outbox.open(
        folder / "outbox", limit_bytes=LIMIT, boot_id=boot, run_dir=run, ballast_bytes=0,
        owner=owner,
    )  # fmt: skip


def left_by(folder: Path, owner: str, count: int = 7) -> Epoch:
    """A daemon of that gateway was killed here."""
    outbox = opened(folder, owner)
    epoch = outbox.begin()
    outbox.commit(drafts(count), {"engine": (1, b"totals")}, clock=MARK)
    kill(outbox)
    return epoch


def rows_of(database: Path) -> int:
    """Of a store that is kept: as a rescue finds it, alone in its folder."""
    place = database.parent / "rescued"
    place.mkdir()
    for path in database.parent.glob(f"{database.name}*"):
        shutil.copy(path, place / path.name.replace(database.name, DATABASE_NAME))
    return inspect_outbox(place, LIMIT).rows


def test_what_others_had_in_memory_never_replaces_what_is_kept(tmp_path: Path) -> None:
    kept = []
    for number in range(3):
        log = tmp_path / "commit.log"
        log.write_text(f"of start {number}")
        kept.append(set_aside_commit_log(log, tmp_path, owner_label(THEIRS)))
        assert not log.exists()
    assert [path.read_text() for path in kept] == [f"of start {number}" for number in range(3)]
    assert foreign_bytes(tmp_path) == sum(path.stat().st_size for path in kept)


@pytest.mark.parametrize("other", [THEIRS, "village/gw-1"])
def test_what_another_owner_left_is_put_aside_with_all_its_rows(tmp_path: Path, other: str) -> None:
    before = left_by(tmp_path, other)
    outbox = opened(tmp_path)
    assert (outbox.opened.damage, outbox.opened.in_memory) == (None, None)
    site, gateway = other.split("/")
    kept = tmp_path / "outbox" / f"outbox.foreign.{site}.{gateway}.db"
    for words in (f"gateway {gateway} of site {site}", "7 records", f"rescue {kept}"):
        assert words in str(outbox.opened.foreign)
    epoch = outbox.begin()
    assert epoch.epoch > before.epoch, "no number comes twice on a box"
    assert (epoch.former, epoch.succeeds) == (None, None), "those epochs are not ours"
    assert outbox.state("engine") is None
    assert outbox.commit(drafts(1), clock=MARK)[-1].record.body["event"] == "storage"
    confirmed = [stored.row for stored in everything(outbox)]
    assert {row >> 32 for row in confirmed} == {epoch.epoch >> 32}
    assert outbox.commit([], {}, confirmed, MARK) == [], "nothing of ours is lost"
    outbox.close()
    assert rows_of(kept) == 7


def test_a_name_that_is_changed_back_finds_its_own_again(tmp_path: Path) -> None:
    first = left_by(tmp_path, OURS)
    left_by(tmp_path, THEIRS, 3)
    outbox = opened(tmp_path)
    assert "3 records" in str(outbox.opened.foreign) or "4 records" in str(outbox.opened.foreign)
    epoch = outbox.begin()
    assert (outbox.opened.damage, epoch.unclean) == (None, True)
    assert epoch.past == "known", "what the other one has numbered says nothing of ours"
    assert epoch.former is not None
    assert (epoch.former.epoch, epoch.former.last["air"]) == (first.epoch, 7)
    assert outbox.state("engine") == (1, b"totals")
    rows = everything(outbox)
    assert len([stored for stored in rows if stored.record.key.epoch == first.epoch]) == 7
    made = outbox.commit(drafts(1), {}, [stored.row for stored in rows], MARK)
    assert not [s for s in made if s.record.body.get("event") == "drop"], "nothing is lost"
    outbox.close()
    theirs = opened(tmp_path, THEIRS)
    theirs.begin()
    assert len([s for s in everything(theirs) if s.record.key.stream == "air"]) == 3
    theirs.close()


def test_what_another_owner_left_counts_and_leaves_room(tmp_path: Path) -> None:
    outbox = opened(tmp_path, THEIRS)
    outbox.begin()
    while outbox.counts().size < LIMIT * 3 // 4:
        outbox.commit(drafts(100, size=700), clock=MARK)
    kill(outbox)
    outbox = opened(tmp_path)
    outbox.begin()
    while not outbox.counts().dropped:
        outbox.commit(drafts(100, size=700), clock=MARK)
    ours = outbox.counts().size - foreign_bytes(tmp_path / "outbox")
    assert LIMIT // 5 < ours < LIMIT // 2
    outbox.close()


@pytest.mark.parametrize(
    "whose", ["../../etc/x", "a", "", "\x1b[2J/..", "x" * 400 + "/" + "y" * 400]
)
def test_what_a_strange_card_calls_itself_names_no_other_place(tmp_path: Path, whose: str) -> None:
    name = foreign_name(owner_label(whose))
    assert (tmp_path / name).parent == tmp_path
    assert len(name) < 200
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-.")


def test_its_own_store_is_taken_up_again(tmp_path: Path) -> None:
    before = left_by(tmp_path, OURS)
    outbox = opened(tmp_path)
    assert (outbox.opened.foreign, outbox.opened.quarantined) == (None, None)
    former = outbox.begin().former
    assert former is not None
    assert former.epoch == before.epoch
    assert len(everything(outbox)) == 7
    outbox.close()
    nobody = opened(tmp_path, None)  # a tool asks nobody
    assert nobody.opened.foreign is None
    nobody.close()


@pytest.mark.parametrize("damage", ["x", "00000000 town/gw-2", "", None, 5, b"\xff\xff"])
def test_a_damaged_name_puts_no_store_of_ours_aside(tmp_path: Path, damage: object) -> None:
    """The table of words has no checksums: the name brings its own."""
    left_by(tmp_path, OURS)
    database = sqlite3.connect(tmp_path / "outbox" / DATABASE_NAME)
    database.execute("UPDATE meta SET value = ? WHERE key = ?", (damage, OWNER_KEY))
    database.commit()
    database.close()
    outbox = opened(tmp_path)
    assert outbox.opened.foreign is None
    outbox.begin()
    assert len(everything(outbox)) == 7
    outbox.close()
    database = sqlite3.connect(tmp_path / "outbox" / DATABASE_NAME)
    (word,) = database.execute("SELECT value FROM meta WHERE key = ?", (OWNER_KEY,)).fetchone()
    database.close()
    assert word == encode_owner(OURS), "and it is written anew"
    assert (decode_owner(word), decode_owner(f"{word}x")) == (OURS, "")


def test_where_its_name_is_damaged_the_epoch_file_knows_whose_it_is(tmp_path: Path) -> None:
    left_by(tmp_path, THEIRS)
    database = sqlite3.connect(tmp_path / "outbox" / DATABASE_NAME)
    database.execute("UPDATE meta SET value = 'x' WHERE key = ?", (OWNER_KEY,))
    database.commit()
    database.close()
    outbox = opened(tmp_path)
    assert "gw-2" in str(outbox.opened.foreign)
    outbox.close()


def test_a_store_that_is_gone_and_was_another_ones_is_no_loss(tmp_path: Path) -> None:
    left_by(tmp_path, THEIRS)
    for path in (tmp_path / "outbox").glob(f"{DATABASE_NAME}*"):
        path.unlink()
    outbox = opened(tmp_path)
    assert outbox.opened.damage is None
    outbox.begin()
    (made,) = outbox.commit(drafts(1), clock=MARK)
    assert outbox.commit([], {}, [made.row], MARK) == []
    assert read_epoch_file(tmp_path / "outbox").owner == OURS
    outbox.close()


def left_in_memory(folder: Path) -> None:
    """Three records and an event of a gateway whose disk had failed."""
    outbox = opened(folder, THEIRS)
    outbox.begin()
    outbox.commit(drafts(2), clock=MARK)
    outbox._storage.switch_to_memory(OSError(5, "Input/output error"))
    outbox.commit(drafts(3), clock=MARK)
    outbox.journal.close()


def test_what_another_owner_had_in_memory_and_cannot_be_kept_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_in_memory(tmp_path)

    def refuse(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("edge.outbox.startplan.set_aside_commit_log", refuse)
    outbox = opened(tmp_path)
    outbox.begin()
    said = [stored.record.body for stored in outbox.commit(drafts(1), clock=MARK)[1:]]
    (trouble,) = [each for each in said if "it cannot be kept" in each["text"]]
    assert "town/gw-2's, with 4 records; it cannot be kept: No space left" in trouble["text"]
    assert trouble["state"] == "on"
    outbox.close()


def test_what_another_owner_had_in_memory_is_put_beside_its_store(tmp_path: Path) -> None:
    left_in_memory(tmp_path)
    outbox = opened(tmp_path)
    outbox.begin()
    assert everything(outbox) == []
    made = outbox.commit(drafts(1), clock=MARK)
    texts = [stored.record.body["text"] for stored in made[1:]]
    assert any("town/gw-2's, with 4 records" in text for text in texts), texts
    kept = {path.name for path in (tmp_path / "outbox").glob("outbox.foreign.*")}
    name = "outbox.foreign.town.gw-2.db"
    assert kept == {name, f"{name}-commit.log", f"{name}-highwater"}
    assert not (tmp_path / "run" / "commit.log").exists()
    outbox.close()


def test_a_card_of_another_gateway_that_comes_while_it_runs_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    left_by(tmp_path / "far", THEIRS)
    (tmp_path / "outbox").write_text("no disk")
    outbox = opened(tmp_path)
    assert outbox.opened.in_memory is not None
    outbox.begin()
    outbox.commit(drafts(3), clock=Stamp(S, S, NONE))
    (tmp_path / "outbox").unlink()
    (tmp_path / "far" / "outbox").rename(tmp_path / "outbox")
    texts: list[str] = []
    for n in range(1, 6):
        made = outbox.commit([], clock=Stamp(S + n * PROBE_NS, S, NONE))
        texts += [stored.record.body.get("text", "") for stored in made]
    assert outbox.counts().in_memory is None
    assert any("belongs to gateway gw-2 of site town" in text for text in texts), texts
    assert {stored.record.body["n"] for stored in everything(outbox) if "n" in stored.record.body}
    outbox.close()
    assert rows_of(tmp_path / "outbox" / "outbox.foreign.town.gw-2.db") == 7


def test_a_foreign_store_that_cannot_be_put_aside_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_by(tmp_path, THEIRS)

    def refuse(*_: object) -> Path:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("edge.outbox.outboxfolder.set_aside", refuse)
    outbox = opened(tmp_path)
    outbox.begin()
    assert "cannot be kept beside a new one: Read-only file system" in str(
        outbox.counts().in_memory
    )
    for n in range(1, 6):
        outbox.commit(drafts(1), clock=Stamp(n * PROBE_NS, S, NONE))
    assert outbox.counts().in_memory is not None
    outbox.close()
    assert inspect_outbox(tmp_path / "outbox", LIMIT).rows == 7


def test_an_epoch_tells_of_the_one_before_what_is_known() -> None:
    known = Epoch(9, 1, True, PreviousStart(8, 1, {"air": 5}), False)
    assert known.succeeds == PreviousEpoch(epoch=8, last={"air": 5})
    lost = Epoch(9, 1, True, None, False, previous_epoch=8)
    assert lost.succeeds == PreviousEpoch(epoch=8, last={})
    assert Epoch(9, 1, True, None, False).succeeds is None


def test_a_lost_outbox_leaves_the_name_of_its_epoch(tmp_path: Path) -> None:
    before = left_by(tmp_path, OURS)
    for path in (tmp_path / "outbox").glob(f"{DATABASE_NAME}*"):
        path.unlink()
    outbox = opened(tmp_path)
    assert outbox.begin().succeeds == PreviousEpoch(epoch=before.epoch, last={})
    outbox.close()


def test_an_owner_in_the_epoch_file_survives_and_damage_to_it_is_known(tmp_path: Path) -> None:
    write_epoch_file(tmp_path, EpochFile(7, 3, "b2", 700, OURS))
    assert read_epoch_file(tmp_path) == EpochFile(7, 3, "b2", 700, OURS)
    data = bytearray((tmp_path / "epochs").read_bytes())
    for place in range(len(data) - 1):
        bad = bytearray(data)
        bad[place] ^= 1
        (tmp_path / "epochs").write_bytes(bad)
        assert read_epoch_file(tmp_path) in (EpochFile(), EpochFile(7, 3, "b2", 700, OURS)), place


def test_a_damage_that_nobody_could_tell_of_is_told_when_its_owner_comes_back(
    tmp_path: Path,
) -> None:
    """Another gateway's start has opened the log, and put all that was left of it aside."""
    outbox = opened(tmp_path, OURS)
    outbox.begin()
    for n in range(4):
        outbox.commit(drafts(3, size=300), {"engine": (1, b"%d" % n)}, clock=MARK)
    outbox._water.write_at_end(outbox._reached)  # as each quarter of an hour
    shutil.copytree(tmp_path / "outbox", tmp_path / "copy")  # who closes it empties its log
    kill(outbox)
    shutil.rmtree(tmp_path / "outbox")
    log = (tmp_path / "copy").rename(tmp_path / "outbox") / f"{DATABASE_NAME}-wal"
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 1
    log.write_bytes(data)
    left_by(tmp_path, THEIRS, 3)
    outbox = opened(tmp_path)
    assert outbox.begin().past == "older"
    assert outbox.state("engine") not in (None, (1, b"3"))
    reported = [row.record.body["event"] for row in outbox.commit([], {}, [1], MARK)]
    assert sorted(reported) == ["drop", "storage", "storage"], "what is beside it, and the damage"
    outbox.close()
