"""`kerbstone-enrol propose`: how long it stays, what it leaves for systemd, whose the folder is."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.durable.filelock import FolderLock
from edge.identity import main as module
from edge.identity.main import main
from edge.identity.proposal import PROPOSAL_NAME, Proposal, encode_proposal
from edge.identity.statefolder import PROPOSAL, StateFolder
from edge.kernelclock import KernelClock
from edge.provision import operatordocs
from tests.identity import traced_process
from tests.identity.real_server import ApprovingServer

SITE = '[site]\nid = "s17"\ngateway = "gw-0001"\n[uplink]\nurl = "mqtts://localhost:8883"\n'
LANES = f"{SITE}# lanes\n"


class Box:
    def __init__(self, town: ApprovingServer, root: Path) -> None:
        self.town = town
        self.root = town.card(root, "gw-0001")
        self.state, self.spool, self.shown = root / "state", root / "spool", root / "shown"
        for each in (self.spool, self.shown):
            each.mkdir()

    def run(self, verb: str) -> int:
        return main([verb, *traced_process.plain(self.root), "--spool", str(self.spool),
                     "--marker", str(self.root / "marker")])  # fmt: skip

    def propose(self) -> None:
        message = encode_proposal(Proposal(id="0123456789abcdef", text=LANES))
        (self.spool / PROPOSAL_NAME).write_bytes(message)

    def sign(self, text: str) -> None:
        file = self.town.folder / "signed.toml"
        file.write_text(text)
        place = self.town.home.configs
        operatordocs.sign_config(file, "gw-0001", self.town.operator, place, self.town.now)

    @property
    def words(self) -> set[str]:
        return {path.name for path in self.shown.iterdir()}


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    town = ApprovingServer(tmp_path)
    town.now = KernelClock().now().utc()
    town.start()
    made = Box(town, tmp_path / "box")
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(made.shown))
    monkeypatch.setattr("edge.kernelclock.KernelClock.wait_until", lambda self, mono_ns: None)
    assert made.run("run") == 0
    (made.shown / "restart").unlink()
    yield made
    town.close()


def test_it_stays_until_the_operator_has_signed_and_asks_for_a_restart(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def wait(self: object, seconds: float) -> None:
        lock = FolderLock(box.state)
        assert lock.take(), "a renewal may work while it waits"
        lock.release()
        waits.append(seconds)
        assert not (box.shown / "restart").exists()
        if len(waits) == 3:
            box.sign(LANES)

    monkeypatch.setattr("edge.identity.proposing.ProposalCourier.wait", wait)
    box.propose()
    assert box.run("propose") == 0
    assert waits == [20.0, 20.0, 20.0]
    assert (box.state / "site.toml").read_text() == LANES
    assert "restart" in box.words, "the unit starts the daemon anew"
    assert json.loads((box.shown / "proposal.json").read_bytes())["state"] == "signed"
    assert not (box.state / PROPOSAL).exists()


def test_without_anybody_at_the_box_it_looks_once(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the timer starts it, an hour and more after the proposal came."""
    monkeypatch.setattr(
        "edge.identity.proposing.ProposalCourier.wait", lambda self, seconds: pytest.fail("waits")
    )
    monkeypatch.setattr("edge.identity.proposing.ASKING", ((1.0, 1.0), (1.0, 1.0), (9e9, 600.0)))
    path = box.state / PROPOSAL
    path.write_bytes(
        b'{"proposal": {"id": "0123456789abcdef", "text": "[site]\\nid = \\"s17\\"\\ngateway ='
        b' \\"gw-0001\\"\\n"}, "sent": false, "waited_s": 7200}'
    )
    for count in (1, 2):
        assert box.run("propose") == 0
        held = json.loads(path.read_bytes())
        assert held["sent"]
        assert held["waited_s"] >= 7200 + module.UNCOUNTED_S * count
    assert "restart" not in box.words


def test_a_folder_that_is_in_use_is_for_later(box: Box) -> None:
    box.propose()
    lock = FolderLock(box.state)
    assert lock.take()
    assert box.run("propose") == 3
    lock.release()
    assert (box.spool / PROPOSAL_NAME).exists()


def test_a_box_without_an_identity_has_nothing_to_send(box: Box) -> None:
    StateFolder(box.state).forget()
    box.propose()
    assert box.run("propose") == 1
    assert (box.spool / PROPOSAL_NAME).exists(), "it is sent when there is one"


def test_a_reset_takes_away_what_is_shown(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERBSTONE_RUN", str(box.root / "run"))
    shown = box.root / "run/kerbstone-identity"
    shown.mkdir(parents=True)
    for name in ("status.txt", "box.json", "proposal.json", "enrolled"):
        (shown / name).touch()
    assert main(["forget", "--yes", *traced_process.plain(box.root)]) == 0
    assert list(shown.iterdir()) == []


def test_the_daemon_reads_that_a_configuration_cannot_be_used_here_until_another_is_taken(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> str:
        return str(json.loads((box.shown / "box.json").read_bytes())["refused"])

    monkeypatch.setattr("edge.identity.proposing.ProposalCourier.attended", lambda self: False)
    box.propose()
    assert box.run("propose") == 0
    box.sign("[device.air]\n" + SITE)
    for verb in ("propose", "renew", "run"):
        assert refused() == "" if verb == "propose" else refused()
        assert box.run(verb) == 0
    assert ": line " in refused()
    box.sign(LANES)
    assert box.run("propose") == 0
    assert refused() == ""
