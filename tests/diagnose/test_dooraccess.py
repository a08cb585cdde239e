"""The label inside the door stays true when the box is exchanged, or is said to be void."""

import contextlib
import gzip
import io
import os
from pathlib import Path
from typing import Any

import pytest

from edge.core.secrethash import hash_secret, is_secret
from edge.diagnose.backupfile import BackupFileError
from edge.diagnose.dooraccess import KEPT_TEXT, SECRET_KEPT_TEXT, VOID_TEXT, check_access
from edge.diagnose.restoring import Restored, RestoreWish, restore_backup
from edge.diagnose.takingbackup import BackupWish, TakenBackup, take_backup
from edge.identity import accesskeeping
from edge.identity.bootpartition import BootPartition
from edge.identity.pageaccess import PageAccess, make_access, read_access_point
from edge.identity.statefolder import ACCESS_POINT, LABEL_KEPT, LOGIN, StateFolder
from tests.crash.swaps import SITE, WALL_NS, numbered, places

IDENTITY = "var/lib/kerbstone-identity"
PAGE = "var/lib/kerbstone-web"


class LabelledBox:
    """A box whose claim brought what its label says; `secret` and `access` stand on that label."""

    def __init__(self, root: Path, claim: str = "0123456789abcdef") -> None:
        self.root, self.claim = root, claim
        (root / IDENTITY).mkdir(parents=True)
        (root / "boot/firmware").mkdir(parents=True)
        (root / "etc/kerbstone").mkdir(parents=True)
        (root / "run").mkdir()
        (root / "boot/firmware/kerbstone-claim.toml").write_text(f'claim = "{claim}"\n')
        self.access, self.secret = make_access()
        self.take_claim()

    @property
    def store(self) -> StateFolder:
        return StateFolder(self.root / IDENTITY)

    def take_claim(self, access: PageAccess | None = None, claim: str = "") -> None:
        """As enrolment does, each time it asks."""
        boot = BootPartition(self.root / "boot/firmware")
        accesskeeping.keep_access(
            self.store, boot, access or self.access, "gw-1", claim or self.claim
        )

    def opens(self, secret: str, access: PageAccess) -> bool:
        """Whether a label with these lets somebody in, and shows him the right network."""
        key = read_access_point(self.store.get(ACCESS_POINT))
        line = (self.store.get(LOGIN) or b"").decode().strip()
        return key is not None and key.psk == access.wifi_psk and is_secret(secret, line)


@pytest.fixture
def old(tmp_path: Path) -> LabelledBox:
    box = LabelledBox(tmp_path / "old")
    numbered(box.root, "boot-old", 1, 100)
    places(box.root).site_file.write_bytes(SITE)
    return box


@pytest.fixture
def new(tmp_path: Path) -> LabelledBox:
    return LabelledBox(tmp_path / "new", "fedcba9876543210")


def backed_up(root: Path, **how: Any) -> tuple[bytes, TakenBackup]:
    out = io.BytesIO()
    taken = take_backup(
        places(root), BackupWish(True, "anna", WALL_NS, **how),
        lambda: contextlib.nullcontext(out), lambda name, done: None,
    )  # fmt: skip
    return out.getvalue(), taken


def restored(data: bytes, root: Path, **how: Any) -> Restored:
    wish = RestoreWish(False, "ben", WALL_NS, **how)
    return restore_backup(io.BytesIO(data), places(root), wish, lambda name, done: None)


def test_the_label_of_the_old_box_opens_the_new_one(old: LabelledBox, new: LabelledBox) -> None:
    assert new.opens(new.secret, new.access)
    done = restored(backed_up(old.root)[0], new.root)
    assert KEPT_TEXT in done.notes
    for _ in range(2):
        assert new.opens(old.secret, old.access)
        new.take_claim()  # it is asked for again until the operator has approved it
    for name in (LOGIN, ACCESS_POINT):
        assert (new.root / IDENTITY / name).stat().st_mode & 0o777 == 0o600


def test_a_claim_that_comes_after_the_restore_does_not_count_and_a_later_one_does(
    old: LabelledBox, tmp_path: Path
) -> None:
    """A new card that was made ready in a reader: nobody has taken its claim yet."""
    root = tmp_path / "card"
    (root / "etc").mkdir(parents=True)
    (root / "run").mkdir()
    assert KEPT_TEXT in restored(backed_up(old.root)[0], root).notes
    assert (root / IDENTITY).stat().st_mode & 0o777 == 0o700
    store, boot = StateFolder(root / IDENTITY), BootPartition(root / "boot")
    other, secret = make_access()
    accesskeeping.keep_access(store, boot, other, "gw-1", "a" * 16)
    assert not is_secret(secret, (store.get(LOGIN) or b"").decode().strip())
    assert store.get(LABEL_KEPT) == b"a" * 16
    accesskeeping.keep_access(store, boot, other, "gw-1", "b" * 16)  # with a label of its own
    assert is_secret(secret, (store.get(LOGIN) or b"").decode().strip())
    assert store.get(LABEL_KEPT) is None


def test_of_two_claims_the_one_on_the_boot_partition_is_that_of_the_swap(
    old: LabelledBox, new: LabelledBox
) -> None:
    """The first one had ended; it was copied at an earlier start, and enrolment takes the newer."""
    (new.root / IDENTITY / "claim.toml").write_text(f'claim = "{"c" * 16}"\n')
    assert KEPT_TEXT in restored(backed_up(old.root)[0], new.root).notes
    new.take_claim()
    assert new.opens(old.secret, old.access)


def test_new_ones_that_somebody_makes_at_the_box_count(old: LabelledBox, new: LabelledBox) -> None:
    data, _ = backed_up(old.root)
    restored(data, new.root)
    access, secret = make_access()
    accesskeeping.keep_access(new.store, BootPartition(new.root / "boot"), access, "gw-1")
    assert new.opens(secret, access)
    assert restored(data, new.root).already, "and the same file takes nothing back"
    assert new.opens(secret, access)


def test_a_box_that_is_enrolled_takes_them_and_its_next_claim_counts(
    old: LabelledBox, new: LabelledBox
) -> None:
    home = new.root / IDENTITY / "current/home.json"
    home.parent.mkdir()
    home.write_text('{"site": "town", "gateway": "gw-1", "role": "crossing"}')
    restored(backed_up(old.root)[0], new.root)
    assert new.opens(old.secret, old.access)
    assert new.store.get(LABEL_KEPT) is None


@pytest.mark.parametrize("side", ["backup", "restore"])
def test_left_out_the_label_is_said_to_be_void(
    old: LabelledBox, new: LabelledBox, side: str
) -> None:
    data, taken = backed_up(old.root, access=side != "backup")
    names = {part.name for part in taken.head.parts}
    assert ("access/login.secret" in names) is (side == "restore")
    done = restored(data, new.root, access=side != "restore")
    assert VOID_TEXT in done.notes
    assert new.opens(new.secret, new.access)


def test_the_secret_itself_is_never_in_a_backup(old: LabelledBox) -> None:
    data = gzip.decompress(backed_up(old.root)[0])
    assert old.secret.encode() not in data
    assert b"scrypt$" in data


def test_a_box_that_was_set_up_by_hand_keeps_its_secret(old: LabelledBox, tmp_path: Path) -> None:
    for name in (LOGIN, ACCESS_POINT):
        old.store.remove(name)
    (old.root / PAGE).mkdir()
    (old.root / PAGE / LOGIN).write_text(hash_secret("of the label"))
    data, _ = backed_up(old.root)
    by_hand = tmp_path / "by-hand"
    (by_hand / "etc").mkdir(parents=True)
    (by_hand / "run").mkdir()
    assert SECRET_KEPT_TEXT in restored(data, by_hand).notes
    file = by_hand / PAGE / LOGIN
    assert is_secret("of the label", file.read_text())
    assert file.stat().st_mode & 0o777 == 0o600
    claimed = LabelledBox(tmp_path / "claimed")
    assert VOID_TEXT in restored(data, claimed.root).notes, "its claim has a secret, which counts"


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone gives a file away")
def test_what_is_brought_belongs_to_whoever_owns_the_folder(
    old: LabelledBox, new: LabelledBox
) -> None:
    os.chown(new.root / IDENTITY, 977, 978)
    restored(backed_up(old.root)[0], new.root)
    for name in (LOGIN, ACCESS_POINT, LABEL_KEPT):
        found = (new.root / IDENTITY / name).stat()
        assert (found.st_uid, found.st_gid) == (977, 978)


@pytest.mark.parametrize(
    "parts",
    [
        {"access/login.secret": b"nonsense"},
        {"access/login.secret": b"\xff"},
        {"access/access-point.json": b'{"network": "x", "psk": "short"}'},
    ],
)
def test_what_opens_nothing_is_damage(parts: dict[str, bytes]) -> None:
    with pytest.raises(BackupFileError, match="it is damaged: access/"):
        check_access(parts)
