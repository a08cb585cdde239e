"""The one site file: replaced by root, compared before, and the former one kept."""

import errno
import os
import threading
from pathlib import Path

import pytest

from edge.gateway.lastgood import file_digest
from edge.gateway.sitefile import SiteFile, SiteFileChangedError
from edge.identity.configoutcome import ConfigOutcome

OLD, NEW, THIRD = b"# old\n", b"# new\n", b"# third\n"


@pytest.fixture
def file(tmp_path: Path) -> SiteFile:
    made = SiteFile(tmp_path / "site.toml")
    made.path.write_bytes(OLD)
    made.path.chmod(0o640)
    return made


def outcome(data: bytes, state: str = "rolled_back") -> ConfigOutcome:
    return ConfigOutcome(digest=file_digest(data), state=state, reason="deaf", text="deaf")


def test_the_former_one_is_kept_and_comes_back(file: SiteFile) -> None:
    file.replace(NEW, file.digest[:12])
    assert (file.read(), file.before.read_bytes()) == (NEW, OLD)
    assert not file.settle(outcome(THIRD)), "of another file"
    assert file.settle(outcome(NEW))
    assert file.read() == OLD
    assert not file.settle(outcome(NEW)), "once"


def test_a_confirmed_one_forgets_the_former(file: SiteFile) -> None:
    file.replace(NEW, file.digest)
    assert not file.settle(outcome(NEW, "confirmed"))
    assert file.read() == NEW
    assert not file.before.exists()


def test_who_has_seen_another_file_is_refused(file: SiteFile) -> None:
    seen = file.digest
    file.replace(NEW, seen)
    with pytest.raises(SiteFileChangedError, match="somebody has changed it meanwhile"):
        file.replace(THIRD, seen)
    with pytest.raises(SiteFileChangedError):
        file.replace(THIRD, "")
    assert file.read() == NEW


def test_a_file_that_failed_is_not_what_comes_back(file: SiteFile) -> None:
    file.replace(NEW, file.digest)
    file.replace(THIRD, file.digest, keep=False)
    assert file.before.read_bytes() == OLD


def test_of_two_at_once_one_is_refused(file: SiteFile) -> None:
    seen, refused = file.digest, []
    start = threading.Barrier(2)

    def change(data: bytes) -> None:
        start.wait(30)
        try:
            SiteFile(file.path).replace(data, seen)
        except SiteFileChangedError:
            refused.append(data)

    both = [threading.Thread(target=change, args=(each,)) for each in (NEW, THIRD)]
    for each in both:
        each.start()
    for each in both:
        each.join(30)
    assert len(refused) == 1
    assert file.read() == (NEW if refused == [THIRD] else THIRD)
    assert file.before.read_bytes() == OLD


def test_mode_and_group_stay_and_a_first_file_gets_those_of_a_secret(
    file: SiteFile, tmp_path: Path
) -> None:
    if os.getuid() == 0:
        os.chown(file.path, 0, 4242)
    group = file.path.stat().st_gid
    file.path.chmod(0o644)
    file.replace(NEW, file.digest)
    assert (file.path.stat().st_mode & 0o777, file.path.stat().st_gid) == (0o644, group)
    first = SiteFile(tmp_path / "none" / "site.toml")
    first.path.parent.mkdir()
    first.replace(NEW, first.digest)
    assert first.path.stat().st_mode & 0o777 == 0o640
    assert not first.before.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to other groups")
def test_who_may_give_it_to_nobody_writes_it_for_his_own_group(
    file: SiteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kerbstone-config.service has no right to chown: the technician's file is root's, all read
    it, and none from the page was ever put in place."""

    def refused(fd: int, owner: int, group: int) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    os.chown(file.path, -1, os.getgid() + 1)
    file.path.chmod(0o644)
    monkeypatch.setattr(os, "fchown", refused)
    file.replace(b"new", file.digest)
    assert file.path.read_bytes() == b"new"
    found = file.path.stat()
    assert (found.st_gid, found.st_mode & 0o777) == (os.getgid(), 0o644)
