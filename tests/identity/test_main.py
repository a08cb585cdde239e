"""`python -m edge.identity`: what each verb says, and its exit codes."""

import os
import re
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge.identity.claim import CLAIM_NAME
from edge.identity.main import NO_CLAIM, main
from edge.identity.statefolder import StateFolder
from tests.identity import traced_process
from tests.identity.real_server import ApprovingServer
from tests.kit.waiting import wait_until

# its certificates are old enough to be renewed, also by the clock of this machine
LONG_AGO = datetime.now(UTC).replace(microsecond=0) - timedelta(days=61)


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApprovingServer]:
    monkeypatch.setattr("edge.kernelclock.KernelClock.wait_until", lambda self, mono_ns: None)
    mask = os.umask(0o022)
    made = ApprovingServer(tmp_path, start=LONG_AGO)
    made.start()
    yield made
    made.close()
    os.umask(mask)


@pytest.fixture
def root(tmp_path: Path, town: ApprovingServer) -> Path:
    return town.card(tmp_path / "box", "gw-0001")


class EnrolCommand:
    """What one call has said, on both streams."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, root: Path, verb: str, *more: str) -> tuple[int, str]:
        self._capsys.readouterr()
        code = main([verb, *traced_process.plain(root), *more])
        out, error = self._capsys.readouterr()
        return code, out + error


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> EnrolCommand:
    return EnrolCommand(capsys)


def renews(root: Path, said: EnrolCommand) -> tuple[int, str]:
    return said(root, "renew", "--marker", str(root / "marker"))


def test_the_whole_life_of_an_identity(
    root: Path, town: ApprovingServer, said: EnrolCommand
) -> None:
    assert said(root, "status") == (1, "no identity\n")
    assert renews(root, said)[0] == 1
    code, text = said(root, "run")
    assert code == 0
    assert text.endswith("kerbstone-enrol run: enrolled\n")
    assert "kerbstone: not enrolled, gw-0001, " in text, "the console"
    code, text = said(root, "status")
    assert code == 0
    ends = f"{LONG_AGO + timedelta(days=90):%Y-%m-%d}"
    assert re.fullmatch(rf"gw-0001 at s17, key [A-Z2-7-]{{9}}, bundle-1, until {ends}\n", text)
    town.now += timedelta(days=61)
    code, text = renews(root, said)
    assert code == 0
    assert text.endswith("kerbstone-enrol renew: renewed\n")
    assert renews(root, said) == (0, "kerbstone-enrol renew: fine\n")
    assert "bundle-2" in said(root, "status")[1]
    code, text = said(root, "forget")
    assert code == 2
    assert "--yes" in text
    assert StateFolder(root / "state").current() is not None
    assert said(root, "forget", "--yes") == (0, "")
    assert list((root / "state").iterdir()) == []
    code, text = said(root, "run")
    assert code == NO_CLAIM
    assert text.endswith("kerbstone-enrol run: no claim\n")


def test_a_server_that_is_away_or_refuses_is_trouble_and_tried_another_day(
    root: Path, town: ApprovingServer, said: EnrolCommand
) -> None:
    assert said(root, "run")[0] == 0
    town.now += timedelta(days=61)
    town.close()
    code, text = renews(root, said)
    assert code == 3
    assert text.endswith("kerbstone-enrol renew: trouble\n")
    page = (root / "boot/kerbstone-status.txt").read_text()
    assert "waits for:   a new certificate" in page
    assert "Connection refused" in page
    assert StateFolder(root / "state").current() is not None
    assert said(root, "status")[0] == 0


@pytest.mark.parametrize(
    ("data", "word"),
    [(b"rubbish", "incomplete"), (b"", "incomplete"), (b"x" * 16_385, "more than")],
)
def test_a_claim_of_no_use_is_wrong_use(
    root: Path, said: EnrolCommand, data: bytes, word: str
) -> None:
    (root / "boot" / CLAIM_NAME).write_bytes(data)
    code, text = said(root, "run")
    assert code == 2
    assert word in text
    assert "kerbstone provision new" in text, "what to do"


def test_a_stick_that_is_not_there_is_wrong_use(root: Path, said: EnrolCommand) -> None:
    code, text = said(root, "offline", str(root / "nowhere"))
    assert code == 2
    assert "nowhere" in text


def test_a_stick_asks_and_without_a_claim_says_so(root: Path, said: EnrolCommand) -> None:
    code, text = said(root, "offline", str(root))
    assert code == 0
    assert text.endswith("kerbstone-enrol offline: asked\n")
    said(root, "forget", "--yes")
    (root / "boot" / CLAIM_NAME).unlink()
    (root / CLAIM_NAME).unlink()
    code, text = said(root, "offline", str(root))
    assert code == 1
    assert text.endswith("kerbstone-enrol offline: no claim\n")


def test_a_state_that_cannot_be_made_is_wrong_use(tmp_path: Path, said: EnrolCommand) -> None:
    (tmp_path / "state").write_text("a file")
    code, text = said(tmp_path, "status")
    assert code == 2
    assert "state" in text


def test_what_it_makes_belongs_to_its_owner_only(
    tmp_path: Path, said: EnrolCommand, town: ApprovingServer
) -> None:
    assert said(tmp_path / "new", "status")[0] == 1
    assert (tmp_path / "new/state").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("words", [[], ["nonsense"], ["offline"], ["run", "--nonsense"]])
def test_wrong_words_are_wrong_use(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2


def test_there_is_one_at_a_time_and_a_signal_ends_it(
    root: Path, town: ApprovingServer, said: EnrolCommand
) -> None:
    town.patient = frozenset({"gw-0001"})
    with traced_process.begin(["run", *traced_process.plain(root)]) as process:
        try:
            page = root / "boot/kerbstone-status.txt"
            wait_until(lambda: page.exists() and "approval" in page.read_text())
            code, text = said(root, "renew")
            assert code == 3
            assert "another kerbstone-enrol is running" in text
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130
        finally:
            process.kill()
    assert said(root, "status") == (1, "no identity\n")
