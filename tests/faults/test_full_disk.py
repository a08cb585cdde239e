"""A disk that is really full, while something is changed, commissioned, backed up or restored.

What root writes and what the daemon writes need not fail together: ext4 keeps room for root alone.
"""

import io
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from edge.cli.backup import _opened
from edge.control.protocol import VerbError
from edge.diagnose.restoring import Restored, RestoreWish, restore_backup
from edge.diagnose.takingbackup import BackupWish, TakenBackup, take_backup
from edge.gateway.applymark import apply_mark_file, pack_apply_mark
from edge.gateway.boxswap import refuse_handed_over
from edge.gateway.lastgood import GOOD_NAME, LastGood, file_digest
from edge.gateway.sitefile import SiteFile
from edge.gateway.trialstate import TrialNotKeptError
from edge.identity.configoutcome import ConfigOutcome
from edge.identity.configspool import ConfigRequest, config_spool, leave_request, read_answer
from edge.rig.smalldisk import SmallDisk
from edge.web.webcertificate import PageCertificateError, ensure_certificate, tls_context
from tests.cli.test_config import Desk
from tests.crash.swaps import SITE, WALL_NS, numbered, places, what_is_there
from tests.gateway.commissionparts import CommissionedBox
from tests.gateway.test_trialwatch import PlayedBox, played
from tests.kit.command import Command, kerbstone
from tests.web.test_certificate import NOW, later

__all__ = ["kerbstone"]
SIZE = 16 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """At `state`, where a played daemon keeps what it knows."""
    folder = tmp_path / "state"
    folder.mkdir()
    made = SmallDisk(folder, SIZE)
    if not made.small:
        pytest.skip("no disk of a few MB may be mounted here")
    yield made
    made.close()


# -- a configuration is applied --------------------------------------------------------------------


def test_a_site_file_that_does_not_fit_is_not_applied_and_that_is_said(
    disk: SmallDisk, kerbstone: Command
) -> None:
    desk = Desk(disk.folder)
    new = desk.change("0x44", "0x45")
    with desk.daemon():
        disk.fill()
        said = kerbstone("config", "apply", new, "--config", desk.file)
        assert (said.code, "No space left on device" in said.err) == (3, True), said.err
        assert desk.file.read_text() == desk.text
        assert [path.name for path in disk.folder.glob("*.new")] == []
        disk.free()
        assert kerbstone("config", "apply", new, "--config", desk.file).code == 0
    assert "0x45" in desk.file.read_text()


def test_a_former_file_that_does_not_fit_comes_back_later_and_the_page_is_answered(
    disk: SmallDisk, tmp_path: Path, kerbstone: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERBSTONE_RUN", str(tmp_path))
    config_spool().mkdir()
    desk, outcome = Desk(disk.folder), tmp_path / "config-outcome"
    wrong = desk.text.replace("0x44", "0x45")
    SiteFile(desk.file).replace(wrong.encode(), file_digest(desk.text.encode()))
    rolled_back = ConfigOutcome(digest=file_digest(wrong.encode()), state="rolled_back")
    outcome.write_bytes(msgspec.json.encode(rolled_back))
    leave_request(config_spool(), ConfigRequest(id="a" * 16, text=desk.text, base="b" * 64))
    disk.fill()
    said = kerbstone("config", "spool", "--config", desk.file, "--outcome", outcome)
    assert (said.code, "cannot be put back yet" in said.err) == (0, True), said.err
    answer = read_answer(config_spool())
    assert answer is not None
    assert answer.state == "refused"
    assert desk.file.read_text() == wrong
    disk.free()
    kerbstone("config", "spool", "--config", desk.file, "--outcome", outcome)
    assert desk.file.read_text() == desk.text


async def test_a_trial_that_cannot_be_kept_is_not_begun(disk: SmallDisk, tmp_path: Path) -> None:
    """Else a restart would forget it, and nothing would come back for who has relied on that."""

    async def scene(box: PlayedBox) -> None:
        new = box.text.replace("0x44", "0x45")
        disk.fill()
        with pytest.raises(TrialNotKeptError, match="No space left on device"):
            box.control.announce(file_digest(new.encode()), 600)
        assert box.state == ("confirmed", "")
        disk.free()
        await box.take(new, 600)
        assert box.control.status()["trial"]["confirm_s"] == 600
        disk.fill()
        with pytest.raises(TrialNotKeptError, match="No space left on device"):
            box.control.announce(file_digest(new.encode()), 60)
        assert box.control.status()["trial"]["confirm_s"] == 600, "as it will be after a restart"
        disk.free()

    await played(tmp_path, scene)


async def test_a_trial_whose_end_cannot_be_kept_stays_open_until_it_can(
    disk: SmallDisk, tmp_path: Path
) -> None:
    """Else the city would hear that it is confirmed, and the next start would roll it back."""

    async def scene(box: PlayedBox) -> None:
        new = box.text.replace("0x44", "0x45")
        await box.take(new)
        disk.fill()
        await box.run(600)
        assert box.state == ("trial", "")
        assert "No space left on device" in box.control.status()["trial"]["held"]
        assert box.daemon.gateway.events == [("trial", None)]
        assert box.outcome is None
        disk.free()
        await box.run(20)
        assert box.state == ("confirmed", "")
        assert box.daemon.gateway.events == [("trial", None), ("confirmed", None)]
        assert (disk.folder / GOOD_NAME).read_text() == new

    box = await played(tmp_path, scene)
    box.begin()  # it was killed
    assert box.state == ("confirmed", "")


@pytest.mark.parametrize("signed", [True, False])
async def test_a_start_whose_trial_cannot_be_kept_runs_the_last_good_one(
    disk: SmallDisk, tmp_path: Path, signed: bool
) -> None:
    """A signed file that comes while the disk is full, or one that was applied while no daemon ran:
    if it crashed, nobody would know it."""
    box = PlayedBox(tmp_path)
    new = box.text.replace("spacing_m = 4.0", "spacing_m = 4.2")
    box.file.write_text(new)
    if not signed:
        apply_mark_file(box.file).write_bytes(pack_apply_mark(file_digest(new.encode())))
    disk.fill()
    last = LastGood(disk.folder, box.file, handed=signed, boot="b")
    assert last.choose(0).lanes["north_1"].spacing_m == 4.0
    assert "No space left on device" in last.fallback
    disk.free()
    last = LastGood(disk.folder, box.file, handed=signed, boot="b")
    assert last.choose(0).lanes["north_1"].spacing_m == 4.2, "it has not failed"
    assert last.trials.on_trial(file_digest(new.encode())) is not None


async def test_an_edited_file_that_ran_well_is_kept_as_soon_as_there_is_room(
    disk: SmallDisk, tmp_path: Path
) -> None:
    box = PlayedBox(tmp_path)
    new = box.text.replace("0x44", "0x45")
    box.file.write_text(new)
    box.begin()

    async def scene(box: PlayedBox) -> None:
        disk.fill()
        await box.run(400)
        assert (disk.folder / GOOD_NAME).read_text() == box.text
        disk.free()
        await box.run(20)
        assert (disk.folder / GOOD_NAME).read_text() == new

    await played(tmp_path, scene, box)


# -- a box is commissioned -------------------------------------------------------------------------


async def test_a_step_that_cannot_be_kept_did_not_happen(disk: SmallDisk) -> None:
    box = CommissionedBox(disk.folder)
    await box.step("begin", by="Anna")
    await box.step("test", step="device:hut")
    before = await box.state()
    disk.fill()
    for act, words in (
        ("test", {"step": "device:hut"}),
        ("begin", {"by": "Ben"}),
        ("sign", {"by": "Anna", "reservations": True}),
    ):
        with pytest.raises(VerbError, match=r"could not be kept .*No space left on device"):
            await box.step(act, **words)
        assert await box.state() == before
    assert box.drafts == [], "the city hears of no sheet"
    assert CommissionedBox(disk.folder).owner.session == box.owner.session
    disk.free()
    await box.step("sign", by="Anna", reservations=True)
    assert (await box.state())["last_sheet"] == 1
    assert len(box.drafts) == 1


# -- a box is swapped ------------------------------------------------------------------------------


def old_box(folder: Path) -> Path:
    """Three starts with four records each, and a site file."""
    numbered(folder, "boot-old", 3, 100)
    places(folder).site_file.parent.mkdir(parents=True)
    places(folder).site_file.write_bytes(SITE)
    return folder


def _shown(name: str, done: int) -> None:
    """Nobody looks on."""


def back_up(box: Path, file: Path, *, last: bool) -> TakenBackup:
    wish = BackupWish(last, "anna", WALL_NS)
    return take_backup(places(box), wish, lambda: _opened(str(file), _shown), _shown)


def bring(file: Path, box: Path, fill: SmallDisk | None = None) -> Restored:
    """`fill`: somebody else takes all of the room when the first piece has been written."""

    def shown(name: str, done: int) -> None:
        if fill is not None and not (fill.folder / "ballast").exists():
            fill.fill()

    wish = RestoreWish(False, "ben", WALL_NS)
    return restore_backup(io.BytesIO(file.read_bytes()), places(box), wish, shown)


def new_box(folder: Path) -> Path:
    (folder / "run").mkdir(parents=True)
    places(folder).site_file.parent.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("last", [True, False])
def test_a_backup_that_does_not_fit_on_its_stick_leaves_box_and_stick_as_they_were(
    disk: SmallDisk, tmp_path: Path, last: bool
) -> None:
    box = old_box(tmp_path / "old")
    disk.fill()
    with pytest.raises(OSError, match="No space left on device"):
        back_up(box, disk.folder / "b", last=last)
    assert [path.name for path in disk.folder.iterdir()] == ["ballast"]
    refuse_handed_over(box / "store")
    disk.free()
    assert back_up(box, disk.folder / "b", last=last).head.records == 12


def test_a_box_whose_card_is_full_is_backed_up_and_it_is_said_that_it_has_no_mark(
    disk: SmallDisk, tmp_path: Path
) -> None:
    box = old_box(disk.folder)
    disk.fill()
    taken = back_up(box, tmp_path / "b", last=True)
    assert (taken.head.records, taken.head.marked) == (12, False)
    assert any("cannot be marked (No space left on device)" in note for note in taken.notes)
    new = new_box(tmp_path / "new")
    bring(tmp_path / "b", new)
    assert what_is_there(new).waiting == tuple(range(100, 112))


def test_a_card_that_is_full_in_the_middle_of_a_restore_has_nothing_of_it(
    disk: SmallDisk, tmp_path: Path
) -> None:
    back_up(old_box(tmp_path / "old"), tmp_path / "b", last=True)
    new = new_box(disk.folder)
    with pytest.raises(OSError, match="No space left on device"):
        bring(tmp_path / "b", new, disk)
    assert list((new / "store").iterdir()) == []
    assert not places(new).site_file.exists()
    disk.free()
    assert not bring(tmp_path / "b", new).already
    assert what_is_there(new).waiting == tuple(range(100, 112))
    assert places(new).site_file.read_bytes() == SITE


def test_a_site_file_that_finds_no_room_comes_with_the_second_restore(
    disk: SmallDisk, tmp_path: Path
) -> None:
    """Here it lies on another disk than the outbox: without it no gateway starts."""
    back_up(old_box(tmp_path / "old"), tmp_path / "b", last=True)
    new = new_box(tmp_path / "new")
    places(new).site_file.parent.rmdir()
    places(new).site_file.parent.symlink_to(disk.folder)
    disk.fill()
    with pytest.raises(OSError, match="No space left on device"):
        bring(tmp_path / "b", new)
    assert not places(new).site_file.exists()
    disk.free()
    assert bring(tmp_path / "b", new).already
    assert places(new).site_file.read_bytes() == SITE
    assert what_is_there(new).waiting == tuple(range(100, 112))


# -- the page --------------------------------------------------------------------------------------


def test_a_certificate_that_cannot_be_made_anew_goes_on_and_without_any_it_is_said(
    disk: SmallDisk,
) -> None:
    """It is made anew two months before its end: until then the page is there."""
    disk.fill()
    with pytest.raises(PageCertificateError, match="No space left on device"):
        ensure_certificate(disk.folder, "box-7", NOW)
    assert [path.name for path in disk.folder.iterdir()] == ["ballast"]
    disk.free()
    first = ensure_certificate(disk.folder, "box-7", NOW)
    disk.fill()
    assert ensure_certificate(disk.folder, "box-7", later(770)) == first
    disk.free()
    disk.protect(on=True)
    assert ensure_certificate(disk.folder, "box-7", later(770)) == first
    tls_context(first)
    disk.protect(on=False)
    assert ensure_certificate(disk.folder, "box-7", later(770)) != first
    assert sorted(path.name for path in disk.folder.iterdir()) == ["cert.pem", "key.pem"]
