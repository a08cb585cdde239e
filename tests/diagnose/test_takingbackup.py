"""What a backup takes, what it leaves on the old box, and whose it is."""

import contextlib
import gzip
import io
from pathlib import Path
from typing import Any

import pytest

import edge.diagnose.boxplaces as boxplaces
from edge.control.handover import read_hand_over
from edge.diagnose.boxplaces import backup_places, whose_box
from edge.diagnose.takingbackup import (
    BackupError,
    BackupWish,
    take_backup,
    undo_hand_over,
)
from edge.gateway.boxchange import BoxChange
from edge.gateway.boxswap import HandedOverError, refuse_handed_over, take_over
from tests.crash.swaps import (
    WALL_NS,
    places,
)
from tests.diagnose.backupcases import backed_up, past_of_next_start


def test_no_private_key_is_in_it(old: Path) -> None:
    secret = b"-----BEGIN PRIVATE KEY-----"
    for place in ("etc/kerbstone/gw.key", "store/key.pem", "etc/kerbstone/meters/x.key"):
        (old / place).write_bytes(secret)
    folder = old / "var/lib/kerbstone-identity/current"
    folder.mkdir(parents=True)
    (folder / "key.pem").write_bytes(secret)
    assert secret not in gzip.decompress(backed_up(old)[0])


def test_the_last_act_of_a_box_ends_it_and_can_be_taken_back_in_doubt(old: Path) -> None:
    backed_up(old)
    with pytest.raises(HandedOverError, match="outbox rescue"):
        take_over(old / "store", old / "run")
    assert undo_hand_over(places(old))
    assert past_of_next_start(old) == "older", "nobody knows what another box has counted"
    assert not undo_hand_over(places(old))


def test_a_last_act_that_is_killed_on_the_way_leaves_the_box_as_it_was(old: Path) -> None:
    seen: list[bool] = []

    def shown(name: str, done: int) -> None:
        seen.append(read_hand_over(old / "store") is not None)

    wish, out = BackupWish(True, "anna", WALL_NS), io.BytesIO()
    take_backup(places(old), wish, lambda: contextlib.nullcontext(out), shown)
    assert len(seen) > 3
    assert not any(seen), "with a kill here nobody would have a backup, and the box stand still"
    assert read_hand_over(old / "store") is not None


def test_a_last_act_that_failed_leaves_the_box_as_it_was(old: Path) -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(28, "No space left on device")

    wish = BackupWish(True, "anna", WALL_NS)
    with pytest.raises(OSError, match="No space left"):
        take_backup(
            places(old), wish, lambda: contextlib.nullcontext(Full()), lambda name, done: None
        )
    refuse_handed_over(old / "store")
    assert past_of_next_start(old) == "known"


def test_rows_of_a_copy_merge_no_more_where_they_came_from(old: Path) -> None:
    """Else both boxes send one number with two contents."""
    backed_up(old, last=False)
    change = BoxChange(old / "store", None)
    assert change.copied
    change.committed(on_disk=False)
    assert BoxChange(old / "store", None).copied, "the card does not know it yet"
    change.committed(on_disk=True)
    assert not BoxChange(old / "store", None).copied


def test_a_card_that_cannot_be_marked_is_said_of_a_copy_too(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("edge.diagnose.takingbackup.replace_file", read_only)
    _, taken = backed_up(old, last=False)
    assert any("may merge records" in note for note in taken.notes)


def test_a_box_that_has_handed_over_makes_no_copies_that_count_on(old: Path) -> None:
    backed_up(old)
    assert backed_up(old, last=False)[1].head.last


def test_a_card_that_cannot_be_marked_is_said(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("edge.diagnose.takingbackup.write_hand_over", read_only)
    _, taken = backed_up(old)
    assert taken.head.last
    assert not taken.head.marked
    assert any("do not start a box with it again" in note for note in taken.notes)


def test_a_mounted_card_names_its_own_folders(tmp_path: Path) -> None:
    (tmp_path / "etc/kerbstone").mkdir(parents=True)
    file = tmp_path / "etc/kerbstone/site.toml"
    found = backup_places(tmp_path)
    assert (found.store, found.run) == (tmp_path / "var/lib/kerbstone", None)
    file.write_text('[site]\nid = "t"\ngateway = "gw-1"\n[store]\ndir = "/data/outbox"\n')
    found = backup_places(tmp_path)
    assert found.store == tmp_path / "data/outbox"
    named = whose_box(found)
    assert named is not None
    assert named.owner == "t/gw-1"


def test_an_enrolled_card_knows_its_name_without_a_site_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / boxplaces.HOME
    home.parent.mkdir(parents=True)
    home.write_text('{"site": "t", "gateway": "gw-9", "role": "crossing"}')
    named = whose_box(backup_places(tmp_path))
    assert named is not None
    assert (named.owner, named.role) == ("t/gw-9", "crossing")
    home.write_text("[1]")
    assert whose_box(backup_places(tmp_path)) is None


def test_a_folder_without_an_outbox_is_named(new: Path) -> None:
    (new / "store").mkdir()
    with pytest.raises(BackupError, match="there is no outbox"):
        backed_up(new)
