"""`kerbstone live` where it cannot be shown: it says so, and what shows the same."""

from pathlib import Path

import pytest

from edge.cli import live
from edge.control.handover import HandOver, write_hand_over
from tests.kit.command import Command, MakeSite


def test_in_a_pipe_it_names_what_works_there(kerbstone: Command, site: MakeSite) -> None:
    said = kerbstone("live", "--config", site())
    assert said.code == 2
    assert said.out == ""
    assert "`kerbstone read --all --watch`" in said.err
    assert "TERM" not in said.err, "that is not why"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "is_terminal", lambda: True)
    monkeypatch.setattr(live, "has_cursor", lambda: True)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)


@pytest.mark.usefixtures("terminal")
def test_without_the_library_it_says_what_to_install(
    kerbstone: Command, site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "find_spec", lambda name: None)
    said = kerbstone("live", "--config", site())
    assert said.code == 2
    assert "kerbstone[live]" in said.err


@pytest.mark.usefixtures("terminal")
def test_without_a_daemon_it_says_how_to_start_it(
    kerbstone: Command, site: MakeSite, tmp_path: Path
) -> None:
    file = site(more=f'[store]\nrun_dir = "{tmp_path}/run"\ndir = "{tmp_path}/store"')
    said = kerbstone("live", "--config", file)
    assert said.code == 3
    assert "systemctl start kerbstone" in said.err
    (tmp_path / "store").mkdir()
    mark = HandOver(backup="0" * 16, at="2026-12-01T08:00:00.000Z", by="anna")
    write_hand_over(tmp_path / "store", mark)
    said = kerbstone("live", "--config", file)
    assert (said.code, "another box has gone on" in said.err) == (3, True)
    assert "systemctl start" not in said.err


@pytest.mark.parametrize("every", ["0", "nan", "-1", "1e9", "0.1"])
def test_a_pace_that_cannot_be_is_refused(kerbstone: Command, site: MakeSite, every: str) -> None:
    said = kerbstone("live", "--every", every, "--config", site())
    assert said.code == 2
    assert "--every" in said.err
