"""What a restore refuses, what it brings, and what the start behind it makes of it."""

import contextlib
import io
import os
import sqlite3
from pathlib import Path

import pytest

from edge.control.handover import remove_hand_over
from edge.core import Stamp
from edge.diagnose.backupfile import BackupFileError
from edge.diagnose.boxplaces import BackupPlaces, backup_places
from edge.diagnose.restoring import RestoreError, RestoreWish, restore_backup
from edge.diagnose.takingbackup import (
    BackupError,
    BackupWish,
    take_backup,
)
from edge.durable.filelock import FolderLock
from edge.gateway.boxswap import (
    read_swap_note,
    refuse_handed_over,
    take_over,
)
from edge.gateway.lastgood import file_digest
from edge.gateway.trialstate import ConfigTrials, TrialMoment
from tests.crash.swaps import (
    SITE,
    WALL_NS,
    S,
    drafts,
    kept_aside,
    numbered,
    opened,
    places,
    what_is_there,
)
from tests.diagnose.backupcases import backed_up, past_of_next_start, restored
from tests.kit.clock import NONE
from tests.kit.promises import everything


def test_all_that_goes_along_is_there(old: Path, new: Path) -> None:
    (old / "store" / "last_good.toml").write_bytes(b"of this box")
    (old / "store" / "strange").write_bytes(b"nobody has named it")
    data, taken = backed_up(old)
    assert (taken.head.owner, taken.head.records, taken.head.last) == ("town/gw-1", 12, True)
    assert taken.head.left_out == ["strange"]
    done = restored(data, new)
    found = what_is_there(new)
    assert found.waiting == tuple(range(100, 112))
    assert (found.told, found.succeeds, found.kept_aside) == (True, 3, None)
    assert (new / "store" / "commissioning.json").read_bytes() == b'{"lane": "north_1"}'
    assert places(new).own_site_file.read_bytes() == SITE
    assert (places(new).etc / "meters" / "odd.toml").read_bytes() == b"# a table\n"
    assert not (new / "store" / "last_good.toml").exists()
    assert not (new / "store" / "handed_over.json").exists()
    assert any("is restored" in note for note in done.notes)


def test_a_copy_does_not_count_on(old: Path, new: Path) -> None:
    data, taken = backed_up(old, last=False)
    assert not taken.head.last
    refuse_handed_over(old / "store")
    restored(data, new)
    assert past_of_next_start(new) == "older"


def test_what_the_old_box_had_only_in_memory_goes_along(old: Path, new: Path) -> None:
    """Its card fails; its gateway was stopped, and tmpfs is still there."""
    outbox = opened(old, "boot-old")
    epoch = outbox.begin()
    outbox.commit(drafts(200, 2), {"engine": (1, b"e" * 200)}, clock=Stamp(201 * S, 201 * S, NONE))
    outbox._storage.switch_to_memory(OSError(5, "Input/output error"))
    outbox.commit(drafts(300, 3), {"engine": (1, b"e" * 200)}, clock=Stamp(301 * S, 301 * S, NONE))
    outbox._storage.readonly_disk.end()
    outbox.journal.close()  # the process ends; its disk answers nothing
    data, taken = backed_up(old)
    assert "state/carried.commit.log" in taken.head.names()
    restored(data, new)
    take_over(new / "store", new / "run")
    again = opened(new, "boot-new")
    found = again.begin()
    bodies = [stored.record.body["n"] for stored in everything(again) if "n" in stored.record.body]
    assert bodies == [*range(100, 112), 200, 201, 300, 301, 302]
    assert found.former is not None
    assert found.former.epoch == epoch.epoch
    assert found.former.last["air"] == 5
    assert found.past == "known"
    again.close()


@pytest.mark.parametrize(("site", "said"), [
    (SITE.replace(b"gw-1", b"gw-2"), "is of gateway town/gw-1, and this box is town/gw-2"),
    (SITE.replace(b"town", b"village"), "this box is village/gw-1"),
])  # fmt: skip
def test_the_backup_of_another_gateway_is_refused(
    old: Path, new: Path, site: bytes, said: str
) -> None:
    data, _ = backed_up(old)
    places(new).site_file.write_bytes(site)
    with pytest.raises(RestoreError, match=said):
        restored(data, new)
    assert not (new / "store").exists()


def test_the_backup_of_another_role_is_refused(old: Path, new: Path) -> None:
    claim = 'site = "town"\nrole = "{}"\ngateway = "gw-1"\n'
    for box, role in ((old, "crossing"), (new, "car_park")):
        folder = box / "boot/firmware"
        folder.mkdir(parents=True)
        (folder / "kerbstone-claim.toml").write_text(claim.format(role))
    data, taken = backed_up(old)
    assert taken.head.role == "crossing"
    with pytest.raises(RestoreError, match="of role crossing, and this box is car_park"):
        restored(data, new)


def test_a_damaged_one_changes_nothing(old: Path, new: Path) -> None:
    data, _ = backed_up(old)
    for cut in (len(data) // 3, len(data) - 60):
        with pytest.raises(BackupFileError):
            restored(data[:cut], new)
        assert list((new / "store").iterdir()) == []
    assert not places(new).own_site_file.exists()


def test_a_gateway_that_runs_is_not_touched(old: Path, new: Path) -> None:
    data, _ = backed_up(old)
    (new / "store").mkdir()
    lock = FolderLock(new / "store")
    assert lock.take()
    with pytest.raises(RestoreError, match="stop the gateway first"):
        restored(data, new)
    lock.release()
    remove_hand_over(old / "store")
    lock = FolderLock(old / "store")
    assert lock.take()
    with pytest.raises(BackupError, match="in use"):
        backed_up(old, last=False)
    lock.release()


def test_a_box_that_has_recorded_itself_is_asked_first(old: Path, new: Path) -> None:
    numbered(new, "boot-new", 1, 900)
    data, _ = backed_up(old)
    with pytest.raises(RestoreError, match=r"4 records that wait.*--set-aside"):
        restored(data, new)
    restored(data, new, set_aside=True)
    assert kept_aside(new) == 4
    assert what_is_there(new).waiting == tuple(range(100, 112))


def test_sheets_that_this_box_has_signed_are_kept_beside(old: Path, new: Path) -> None:
    """The numbers that come with the backup begin before theirs, so they were written over."""
    data, _ = backed_up(old)
    for count in (1, 2):
        numbered(new, "boot-new", 1, 500)
        sheet = new / "store/acceptance/sheet-0001.json"
        sheet.parent.mkdir()
        sheet.write_bytes(b"signed %d" % count)
        restored(data, new, set_aside=True)
        assert not sheet.exists()
        (new / "store/box_swap.json").unlink()
        data = backed_up(old)[0]
    beside = sorted((new / "store").glob("acceptance.before.restore*/sheet-0001.json"))
    assert [each.read_bytes() for each in beside] == [b"signed 1", b"signed 2"]
    assert not any("acceptance" in name for name in backed_up(new)[1].head.left_out)


def test_a_second_restore_of_the_same_backup_takes_nothing_back(old: Path, new: Path) -> None:
    data, _ = backed_up(old)
    restored(data, new)
    outbox = opened(new, "boot-new")
    outbox.begin()
    outbox.commit(drafts(500, 4), {"engine": (1, b"e" * 200)})
    outbox.close()
    assert restored(data, new).already
    assert what_is_there(new).waiting[-4:] == tuple(range(500, 504))


def test_a_newer_backup_takes_the_place_of_one_that_was_only_restored(old: Path, new: Path) -> None:
    """What lies there no box has numbered but the old one: the audit would find two ends of it."""
    numbered(new, "boot-new", 1, 900)
    copy, _ = backed_up(old, last=False)
    restored(copy, new, set_aside=True)
    first = read_swap_note(new / "store")
    last, taken = backed_up(old)
    with pytest.raises(RestoreError, match=r"was restored here before.*--set-aside"):
        restored(last, new)
    restored(last, new, set_aside=True)
    note = read_swap_note(new / "store")
    assert first is not None
    assert note is not None
    assert first.set_aside is not None, "what this box had numbered by itself"
    assert (note.backup, note.set_aside) == (taken.head.backup, first.set_aside)
    assert what_is_there(new).succeeds == 3


def test_what_lies_in_memory_of_a_failing_new_card_is_sent_first(old: Path, new: Path) -> None:
    data, _ = backed_up(old)
    (new / "run" / "commit.log").write_bytes(b"x")
    with pytest.raises(RestoreError, match="replace the card"):
        restored(data, new)


def test_a_card_without_room_is_named_before_anything_is_written(
    old: Path, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, _ = backed_up(old)
    real = os.statvfs(new)

    class Full:
        f_bavail, f_frsize = 100, real.f_frsize

    monkeypatch.setattr("edge.diagnose.restoring.os.statvfs", lambda _: Full)
    with pytest.raises(OSError, match="MB are free"):
        restored(data, new)
    assert list((new / "store").iterdir()) == []


def test_an_outbox_of_another_version_is_refused(old: Path, new: Path) -> None:
    """Its gateway would set it aside, and totals would begin anew."""
    with contextlib.closing(sqlite3.connect(old / "store" / "outbox.db")) as base:
        base.execute("PRAGMA user_version = 999")
    data, _ = backed_up(old)
    with pytest.raises(RestoreError, match=r"has version 999 .* does not read"):
        restored(data, new)
    assert not (new / "store" / "outbox.db").exists()


def test_a_card_that_is_not_mounted_is_named(old: Path, tmp_path: Path) -> None:
    data, _ = backed_up(old)
    root = tmp_path / "mnt"
    root.mkdir()
    wish = RestoreWish(False, "ben", WALL_NS)
    with pytest.raises(RestoreError, match="second partition mounted"):
        restore_backup(io.BytesIO(data), backup_places(root), wish, lambda name, done: None)
    assert list(root.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone gives a file to a group")
def test_a_card_that_has_never_started_gives_the_site_file_to_its_daemon(
    old: Path, tmp_path: Path
) -> None:
    data, _ = backed_up(old)
    root = tmp_path / "mnt"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "group").write_text("root:x:0:\nkerbstone:x:991:anna\n")
    wish = RestoreWish(False, "ben", WALL_NS)
    restore_backup(io.BytesIO(data), backup_places(root), wish, lambda name, done: None)
    found = (root / "etc/kerbstone/site.toml").stat()
    assert (found.st_gid, found.st_mode & 0o777) == (991, 0o640)


@pytest.mark.parametrize("rejected", [True, False])
def test_a_site_file_that_has_not_run_well_stays_behind(
    old: Path, new: Path, *, rejected: bool
) -> None:
    """The box died in the trial, or root could not put the former file back: on the new box there
    is no trial, and nothing that could come back."""
    wrong = SITE + b"# deaf\n"
    places(old).site_file.write_bytes(wrong)
    (old / "store" / "last_good.toml").write_bytes(SITE)
    trials = ConfigTrials(old / "store")
    trials.open(file_digest(wrong))
    trials.begin(file_digest(wrong), TrialMoment("boot-old", 1))
    if rejected:
        trials.reject(file_digest(wrong), "deaf", "deaf", 0)
    data, taken = backed_up(old)
    assert any("the last good configuration" in note for note in taken.notes)
    restored(data, new)
    assert places(new).site_file.read_bytes() == SITE


def test_an_own_site_file_is_kept(old: Path, new: Path) -> None:
    data, _ = backed_up(old)
    mine = SITE + b"# for the new box\n"
    places(new).site_file.write_bytes(mine)
    done = restored(data, new)
    assert places(new).site_file.read_bytes() == mine
    assert any("is kept as it is" in note for note in done.notes)


def test_a_signed_site_file_is_left_to_enrolment(old: Path, new: Path) -> None:
    signed = old / "var/lib/kerbstone-identity/site.toml"
    signed.parent.mkdir(parents=True)
    signed.write_bytes(SITE)
    out = io.BytesIO()
    where = BackupPlaces(old, old / "store", old / "run", signed)
    taken = take_backup(
        where, BackupWish(True, "anna", WALL_NS), lambda: contextlib.nullcontext(out),
        lambda name, done: None,
    )  # fmt: skip
    assert "config/signed.site.toml" in taken.head.names()
    restored(out.getvalue(), new)
    assert not places(new).own_site_file.exists()


def test_a_damaged_outbox_goes_along_and_is_said(old: Path, new: Path) -> None:
    path = old / "store" / "outbox.db"
    data = bytearray(path.read_bytes())
    data[1024 : len(data) // 2] = bytes(len(data) // 2 - 1024)
    path.write_bytes(data)
    backup, taken = backed_up(old)
    assert any("is damaged" in note for note in taken.notes)
    assert any("is damaged" in note for note in restored(backup, new).notes)


def test_a_card_that_is_mounted_is_backed_up_as_it_lies_there(old: Path, new: Path) -> None:
    outbox = opened(old, "boot-old")
    outbox.begin()
    outbox.commit(drafts(200, 5), {"engine": (1, b"e" * 200)})
    disk, outbox._storage.disk = outbox._storage.disk, None  # killed: its log is in no database
    data, taken = backed_up(old, run=False)
    assert disk is not None
    disk.close()  # brings its log in
    assert "state/outbox.db-wal" in taken.head.names()
    assert taken.head.records == 17
    restored(data, new)
    assert what_is_there(new).waiting == (*range(100, 112), *range(200, 205))
