"""The mark of a box that has handed over, and what each command says in place of "start it"."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge.cli.commission_asked import CommissionAsker, NotReachedError
from edge.cli.run import HANDED_OVER_CODE
from edge.control.handover import (
    UNREADABLE,
    HandOver,
    read_hand_over,
    remove_hand_over,
    why_stopped,
    write_hand_over,
)
from edge.diagnose.livesource import LiveSource
from edge.gateway.boxswap import HandedOverError, refuse_handed_over
from edge.gateway.lastgood import file_digest
from edge.identity.configspool import ConfigRequest, config_spool, leave_request, read_answer
from edge.identity.runfiles import RUN
from tests.config.test_sitechanges import SITE
from tests.kit.command import Command
from tests.kit.gateway import KERBSTONE, ROOT
from tests.kit.webpage import WebPage

MARK = HandOver(backup="0123456789abcdef", at="2026-12-01T08:00:00.000Z", by="anna")
GROUP = 4242


class OldBox:
    """Its site file, and the folder that it has handed over; no daemon runs."""

    def __init__(self, folder: Path) -> None:
        self.file, self.store, self.run = folder / "site.toml", folder / "store", folder / "run"
        self.store.mkdir()
        self.text = SITE + f'[store]\nrun_dir = "{self.run}"\ndir = "{self.store}"\n'
        self.file.write_text(self.text)
        write_hand_over(self.store, MARK)


@pytest.fixture
def box(tmp_path: Path) -> OldBox:
    return OldBox(tmp_path)


def test_the_mark_is_read_back_and_a_damaged_one_still_is_one(box: OldBox) -> None:
    assert read_hand_over(box.store) == MARK
    (box.store / "handed_over.json").write_bytes(b"{")
    assert read_hand_over(box.store) == UNREADABLE
    remove_hand_over(box.store)
    assert read_hand_over(box.store) is None
    assert why_stopped(box.store, "start it") == "start it"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes for another group")
@pytest.mark.parametrize("mode", [0o640, 0o600])
def test_the_daemon_sees_a_mark_that_root_has_left(tmp_path: Path, mode: int) -> None:
    """It is another user, of the group of its folder. One that it cannot read is one, too."""
    store = tmp_path / "store"
    store.mkdir()
    os.chown(store, -1, GROUP)
    write_hand_over(store, MARK)
    path = store / "handed_over.json"
    assert (path.stat().st_mode & 0o777, path.stat().st_gid) == (0o640, GROUP)
    path.chmod(mode)
    store.chmod(0o750)
    for each in store.parents:
        each.chmod(each.stat().st_mode | 0o001)
    code = (
        "import os, sys; from pathlib import Path\n"
        "from edge.gateway.boxswap import HandedOverError, refuse_handed_over\n"
        f"os.setgroups([]); os.setgid({GROUP}); os.setuid({GROUP})\n"
        "try: refuse_handed_over(Path(sys.argv[1]))\n"
        "except HandedOverError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(store)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "was handed over to another box" in done.stdout
    assert ("by anna" in done.stdout) == (mode == 0o640)


def test_a_daemon_ends_with_a_code_of_its_own(box: OldBox) -> None:
    """By it systemd knows that no start helps."""
    with pytest.raises(HandedOverError):
        refuse_handed_over(box.store)
    done = subprocess.run(
        [*KERBSTONE, "run", str(box.file), "--state", str(box.store)], cwd=ROOT,
        capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == HANDED_OVER_CODE, done.stderr
    assert "was handed over to another box" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("config", "status"), ("config", "confirm"), ("config", "rollback"), ("status",),
        ("commission", "state"),
    ],
)  # fmt: skip
def test_no_command_says_that_it_has_to_be_started(
    box: OldBox, kerbstone: Command, words: tuple[str, ...]
) -> None:
    said = kerbstone(*words, "--config", box.file)
    assert said.code == 3
    assert "another box has gone on in its place" in said.out + said.err
    assert "systemctl start" not in said.out + said.err


def test_apply_says_that_nothing_starts_here(box: OldBox, kerbstone: Command) -> None:
    new = box.file.with_name("new.toml")
    new.write_text(box.text.replace("0x44", "0x45"))
    said = kerbstone("config", "apply", new, "--config", box.file, "--confirm-within", "10m")
    assert (said.code, "another box has gone on" in said.err) == (3, True)
    said = kerbstone("config", "apply", new, "--config", box.file)
    assert "another box has gone on" in said.out
    assert "next start" not in said.out


def test_the_page_that_leaves_a_site_file_is_told(
    box: OldBox, kerbstone: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RUN, str(tmp_path))
    config_spool().mkdir()
    text = box.text.replace("0x44", "0x45")
    leave_request(
        config_spool(), ConfigRequest(id="0" * 16, text=text, base=file_digest(box.text.encode()))
    )
    for more in ((), ("--take",)):
        kerbstone("config", "spool", "--config", box.file, "--outcome", tmp_path / "none", *more)
    answer = read_answer(config_spool())
    assert answer is not None
    assert "another box has gone on" in answer.text


def test_who_waits_for_it_is_told(box: OldBox) -> None:
    found, why = LiveSource(box.run, None, box.store).look()
    assert found is None
    assert "another box has gone on" in why
    asker = CommissionAsker.of(box.file)
    assert asker is not None
    with pytest.raises(NotReachedError, match="another box has gone on"):
        asker.state()


def test_the_page_says_so(box: OldBox, tmp_path: Path) -> None:
    folder = tmp_path / "page"
    folder.mkdir()
    with WebPage(folder, box.run, f'dir = "{box.store}"') as page:
        browser = page.browser()
        browser.log_in()
        answer = browser.get("/api/ask/status")
        assert (answer.status, answer.json["error"]) == (503, "daemon_handed_over")
        assert "another box has gone on" in answer.json["text"]


def test_who_has_not_logged_in_is_not_told_who_made_the_backup(box: OldBox, tmp_path: Path) -> None:
    folder = tmp_path / "page"
    folder.mkdir()
    settings = f'dir = "{box.store}"\n[web]\nwithout_login = "read"'
    with WebPage(folder, box.run, settings) as page:
        stranger, known = page.browser(), page.browser()
        known.log_in()
        for browser, told in ((stranger, False), (known, True)):
            said = browser.get("/api/ask/status").json
            assert said["error"] == "daemon_handed_over"
            assert (MARK.by in said["text"]) is told
            with browser.stream("/api/events?parts=box") as events:
                text = ""
                while '"handed_over"' not in text:
                    text += events.readline().decode()
            assert (MARK.by in text) is told
