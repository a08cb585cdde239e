"""`kerbstone propose` and `scan --propose`: what is sent, what is refused before, what is told."""

import json
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from edge.cli import propose as module
from edge.identity import runfiles
from edge.identity.proposal import PROPOSAL_NAME, Proposal, parse_proposal
from edge.identity.runfiles import (
    BOX_NAME,
    PROGRESS_NAME,
    STATUS_NAME,
    BoxNames,
    ProposalProgress,
    read_progress,
    write_run_file,
)
from tests.drivers.scan import played
from tests.kit.command import Command
from tests.kit.waiting import wait_until

TABLES = (
    '[bus.i2c]\nkind = "i2c"\npath = "/dev/i2c-1"\n[device.air]\ndriver = "sht4x"\nbus = "i2c"\n'
)
NAMES = BoxNames("s17", "gw-17", "mqtts://broker.city.example:8883")


class Box:
    """The folders in /run, and what kerbstone-enrol would write there."""

    def __init__(self, root: Path) -> None:
        self.seen: list[str] = []
        self.shown, self.spool = root / "kerbstone-identity", root / "kerbstone-proposal"
        for each in (self.shown, self.spool):
            each.mkdir()

    def name(self, names: BoxNames = NAMES) -> None:
        write_run_file(self.shown, BOX_NAME, msgspec.json.encode(names))

    def taken(self) -> Proposal | None:
        path = self.spool / PROPOSAL_NAME
        if not path.exists():
            return None
        assert path.stat().st_mode & 0o777 == 0o640, "the group reads it"
        found = parse_proposal(path.read_bytes())
        path.unlink()
        return found

    @contextmanager
    def answers(self, *steps: tuple[str, str]) -> Iterator[list[Proposal]]:
        """Takes one proposal, and shows these states of it."""
        came: list[Proposal] = []

        def play() -> None:
            def there() -> bool:
                came.extend(filter(None, [self.taken()]))
                return bool(came)

            wait_until(there, "nothing came")
            for state, text in steps:
                progress = ProposalProgress(came[0].id, state, text)
                write_run_file(self.shown, PROGRESS_NAME, msgspec.json.encode(progress))
                wait_until(lambda text=text: text in self.seen, f"nobody saw {text}")  # type: ignore[misc]

        thread = threading.Thread(target=play)
        thread.start()
        yield came
        thread.join(60)


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    monkeypatch.setenv("KERBSTONE_RUN", str(tmp_path))
    monkeypatch.setattr(module, "LOOK_S", 0.02)
    made = Box(tmp_path)

    def read() -> ProposalProgress | None:
        found = read_progress()
        if found is not None:
            made.seen.append(found.text)
        return found

    monkeypatch.setattr(runfiles, "read_progress", read)
    return made


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    file = tmp_path / "found.toml"
    file.write_text(TABLES)
    return file


def test_tables_of_a_scan_become_a_whole_site_file_of_this_box(
    kerbstone: Command, box: Box, tables: Path
) -> None:
    box.name()
    with box.answers(("taken", "not sent yet"), ("sent", "sent, waits for \x1b[2J")) as came:
        said = kerbstone("propose", tables)
    assert said.code == 0, said.err
    assert said.lines == [
        f"proposal {came[0].id}: not sent yet",
        f"proposal {came[0].id}: sent, waits for \\x1b[2J",
    ]
    found = tomllib.loads(came[0].text)
    assert found["site"] == {"id": "s17", "gateway": "gw-17"}
    assert found["uplink"] == {"url": "mqtts://broker.city.example:8883"}
    assert came[0].text.startswith(TABLES.rstrip())


@pytest.mark.parametrize(
    ("state", "code"), [("signed", 0), ("refused", 1), ("late", 1)]
)  # fmt: skip
def test_with_wait_the_answer_is_the_exit_code(
    kerbstone: Command, box: Box, tables: Path, state: str, code: int
) -> None:
    box.name()
    with box.answers(("sent", "sent"), (state, "the answer")) as came:
        said = kerbstone("propose", tables, "--wait", "--json")
    assert said.code == code
    assert json.loads(said.out) == {"id": came[0].id, "state": state, "text": "the answer"}


def test_who_cannot_reach_the_server_is_told_that_the_box_goes_on(
    kerbstone: Command, box: Box, tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SENT_WITHIN_S", 0.5)
    box.name()
    with box.answers(("taken", "not sent yet (no route)")):
        said = kerbstone("propose", tables)
    assert said.code == 3
    assert "no route" in said.out
    assert "goes on trying" in said.err


def test_when_nobody_takes_it_the_unit_s_log_is_named(
    kerbstone: Command, box: Box, tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SENT_WITHIN_S", 0.1)
    box.name()
    said = kerbstone("propose", tables)
    assert said.code == 3
    assert "journalctl -u kerbstone-proposal" in said.err
    assert parse_proposal((box.spool / PROPOSAL_NAME).read_bytes()).text.startswith("[bus.i2c]")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (TABLES.replace("sht4x", "sht44x"), "did you mean"),
        (TABLES.replace('"i2c"', '"i2c'), "no TOML"),
        (f'{TABLES}[site]\nid = "s17"\n', "gateway"),
        (f"{TABLES}# \u202e\n", "cannot be seen"),
        (TABLES + "#" * (60 << 10), "more than"),
    ],
)
def test_what_cannot_be_used_is_not_sent(
    kerbstone: Command, box: Box, tables: Path, text: str, word: str
) -> None:
    box.name()
    tables.write_text(text)
    said = kerbstone("propose", tables)
    assert said.code == 2, said
    assert word in said.err
    assert "\x1b" not in said.err
    assert box.taken() is None


def test_mistakes_are_told_at_the_lines_of_the_file(
    kerbstone: Command, box: Box, tables: Path
) -> None:
    box.name()
    tables.write_text(TABLES.replace("sht4x", "nothing"))
    said = kerbstone("propose", tables)
    assert f"{tables}:5: device.air.driver" in said.err


def test_a_box_without_an_identity_is_told_to_wait_for_it(
    kerbstone: Command, box: Box, tables: Path
) -> None:
    said = kerbstone("propose", tables)
    assert said.code == 3
    assert "no certificate yet" in said.err


def test_a_machine_that_is_no_box_says_so(kerbstone: Command, box: Box, tables: Path) -> None:
    box.name()
    box.spool.rmdir()
    said = kerbstone("propose", tables)
    assert said.code == 3
    assert "is this a box?" in said.err


def test_tables_are_added_to_the_present_site_file_by_who_may_read_it(
    kerbstone: Command, box: Box, tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.name(BoxNames("s17", "gw-17", None, configured=True))
    present = tmp_path / "site.toml"
    monkeypatch.setattr(module, "find_site_file", lambda: present)
    said = kerbstone("propose", tables, "--show")
    assert said.code == 2
    assert "do this as root" in said.err
    head = 'version = 1\n[site]\nid = "s17"\ngateway = "gw-17"\n[uplink]\nurl = "mqtts://b:8883"\n'
    present.write_text(head)
    said = kerbstone("propose", tables, "--show")
    assert said.code == 0, said.err
    assert said.out == f"{head}\n{TABLES}"


def test_what_scan_finds_is_sent(kerbstone: Command, box: Box, tmp_path: Path) -> None:
    box.name()
    with played.air(tmp_path) as (_, place), box.answers(("sent", "sent, waits")) as came:
        said = kerbstone("scan", place, "--propose")
    assert "sent, waits" in said.out
    assert {each["driver"] for each in tomllib.loads(came[0].text)["device"].values()} >= {
        "sht4x", "bme280",
    }  # fmt: skip


def test_status_of_a_box_without_a_site_file_is_that_of_its_enrolment(
    kerbstone: Command, box: Box, tmp_path: Path
) -> None:
    box.name()
    rows = "state:       enrolled\ngateway:     gw-17\nproposal:    sent, \x1b[31mwaits\n"
    write_run_file(box.shown, STATUS_NAME, rows.encode())
    said = kerbstone("status", "--config", tmp_path / "none.toml")
    assert said.code == 3
    assert said.lines[0] == "NOT CONFIGURED: gw-17 has no site file yet"
    assert "proposal:    sent, \\x1b[31mwaits" in said.out
    said = kerbstone("status", "--config", tmp_path / "none.toml", "--json")
    assert json.loads(said.out)["enrolment"]["state"] == "enrolled"
