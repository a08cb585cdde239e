"""docs/card.md: two people follow it as it stands, with the city as processes on this machine.

Enrolment server, mosquitto with mutual TLS, the box's enrolment, its daemon and the city's store
are real programs. What systemd does between them (credentials, the daemon's start) is done here as
the units say. `ssh` is a login, and nothing here: what is on the box runs beside it.
"""

import lzma
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from drivers.sim.i2c import I2cKernel
from drivers.sim.i2c_server import I2cServer
from drivers.sim.sht4x import Sht4x
from edge.identity.claim import CLAIM_NAME
from edge.identity.statefolder import StateFolder
from edge.platform.openstore import open_store
from tests.kit.broker import BINARY
from tests.kit.cardpage import BOX, CABINET, CITY, DESK, OPERATOR, PLACES, SERVER, CardPage
from tests.kit.command import Command, kerbstone
from tests.kit.waiting import wait_until
from tests.provision.test_claim_to_broker import ROOT, OperatorRun

__all__ = ["kerbstone"]  # the fixture

pytestmark = pytest.mark.skipif(
    not Path(BINARY).exists() or shutil.which("scp") is None, reason="needs mosquitto and scp"
)


class TwoPeople:
    """With the page, a card, and a box whose enrolment runs."""

    def __init__(self, city: OperatorRun, folder: Path) -> None:
        self.page = CardPage()
        self.city, self.wall, self.run_folder = city, folder / "wall", folder / "run"
        self.folders = {
            place: folder / place.replace(", ", "-").replace(" ", "-") for place in PLACES
        }
        spool, shown = (self.run_folder / f"kerbstone-{each}" for each in ("proposal", "identity"))
        home = folder / "home-of-technician"
        for each in (*self.folders.values(), self.wall, city.card, folder / "bin", spool, shown,
                     home / ".ssh", self.wall / "run"):  # fmt: skip
            each.mkdir(parents=True, exist_ok=True)
        program = folder / "bin/kerbstone"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m edge.cli.main "$@"\n')
        program.chmod(0o755)
        (home / ".ssh/id_ed25519.pub").write_text("ssh-ed25519 AAAA technician\n")
        found = re.search(r"listening, port (\d+)", city.log("server"))
        assert found
        self.environment = {
            **os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "CARD": str(folder / "card.img"), "BOOT": str(city.card), "HOME": str(home),
            "ENROL": f"https://localhost:{found[1]}", "SERVER": str(city.home),
            "BROKER": f"mqtts://localhost:{city.port}",
            "CITY": f"mqtts://localhost:{city.port + 1}",
            "PLACES": f"sim:{self.wall}/i2c",
        }  # fmt: skip
        self.own = {
            SERVER: {"KERBSTONE_PROVISION": str(city.home)},
            BOX: {"KERBSTONE_RUN": str(self.run_folder),
                  "CREDENTIALS_DIRECTORY": str(self.wall / "credentials")},
        }  # fmt: skip
        self.unit = {"RUNTIME_DIRECTORY": str(shown), "KERBSTONE_RUN": str(self.run_folder)}

    def start(self, place: str, word: str) -> subprocess.Popen[str]:
        environment = {**self.environment, **self.own.get(place, {})}
        return subprocess.Popen(
            ["sh", "-eu", "-c", self.page.block(place, word)], env=environment,
            cwd=self.folders[place], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip

    def do(self, place: str, word: str, code: int = 0) -> str:
        with self.start(place, word) as running:
            said, _ = running.communicate(timeout=120)
        assert running.returncode == code, f"{word}: {running.returncode}\n{said}"
        return said

    def get_ready(self) -> None:
        """What each has before: the operator two files, the technician the image."""
        image = self.folders[DESK] / "kerbstone-0.1.0-arm64.img.xz"
        image.write_bytes(lzma.compress(os.urandom(100_000)))
        sums = subprocess.run(["sha256sum", image.name], cwd=image.parent, stdout=subprocess.PIPE)
        (image.parent / "SHA256SUMS").write_bytes(sums.stdout + b"0" * 64 + b"  not-here.deb\n")
        for name in ("ca.pem", "operator.key"):
            shutil.copy(self.city.home / name, self.folders[OPERATOR])
        (self.city.home / "operator.key").unlink()
        (self.city.home / "configs").mkdir()
        (self.folders[CITY] / "keys").mkdir()
        self.city.act("issue", "platform", "platform", "--out", self.folders[CITY] / "keys")

    def power(self) -> None:
        """kerbstone-claim.service, then kerbstone-enrol.service."""
        words = ("--state", self.city.state, "--boot", self.city.card)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.unit.items():
                patch.setenv(name, value)
            assert self.city.start("claim", "-m", "edge.identity", "take", *words).wait(60) == 0
            assert not (self.city.state / "network.json").exists(), "Ethernet and DHCP need none"
            self.enrolment = self.city.start("enrol", "-m", "edge.identity", "run", *words)

    def complete(self) -> None:
        """The technician's `editor`: where this test's daemon may write."""
        file = self.folders[BOX] / "site.toml"
        store = f'[store]\ndir = "{self.wall}/store"\nrun_dir = "{self.wall}/run"\n'
        file.write_text(file.read_text().replace("device.sht4x", "device.hut_air") + store)

    def correct(self) -> None:
        """The operator's editor."""
        file = self.folders[OPERATOR] / "gw-17.toml"
        file.write_text(file.read_text().replace("[site]\n", "[site]\nperiod_s = 1\n"))

    def hand_over(self) -> None:
        """As LoadCredential= of kerbstone.service does, and its ExecStart=."""
        folder, state = self.wall / "credentials", self.city.state
        folder.mkdir()
        (folder / "site.toml").write_bytes((state / "site.toml").read_bytes())
        for name in ("key.pem", "cert.pem", "ca.pem"):
            (folder / name).write_bytes((state / "current" / name).read_bytes())
            (folder / name).chmod(0o400)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CREDENTIALS_DIRECTORY", str(folder))
            self.city.start("daemon", "-m", "edge.cli.main", "run")

    def stored(self) -> int:
        """Records of the air sensor in the city's store."""
        store = self.folders[CITY] / "city.db"
        if not store.exists():
            return 0
        found = open_store(store, write=False)
        try:
            return sum(each.source == "hut_air" for each in found.records("gw-17"))
        finally:
            found.close()


@pytest.fixture
def people(tmp_path: Path, kerbstone: Command) -> Iterator[TwoPeople]:
    with ExitStack() as stack:
        city = OperatorRun(tmp_path, kerbstone, stack)
        city.start_broker()
        air = I2cKernel({0x44: Sht4x({"temperature": 20.0}, powered_s=9.0)})
        made = TwoPeople(city, tmp_path)
        stack.enter_context(I2cServer(air, made.wall / "i2c"))
        yield made


def test_each_command_says_who_runs_it_and_where() -> None:
    blocks = CardPage().blocks
    assert [block for block in blocks if block.partition("\n")[0][2:] not in PLACES] == []


@pytest.mark.skipif(Path("/etc/kerbstone/site.toml").exists(), reason="this is a gateway itself")
def test_two_people_follow_the_page(people: TwoPeople) -> None:
    people.get_ready()
    people.do(OPERATOR, "provision new")
    shutil.copy(people.folders[OPERATOR] / "claim-gw-17" / CLAIM_NAME, people.folders[DESK])
    people.do(DESK, "dd of=")
    written = Path(people.environment["CARD"]).read_bytes()
    assert written == lzma.decompress(next(people.folders[DESK].glob("*.xz")).read_bytes())
    people.do(DESK, "kerbstone-ssh.pub")
    people.power()
    people.page.block(CABINET, "ssh")
    status = people.city.card / "kerbstone-status.txt"
    shown_at = people.run_folder / "kerbstone-identity/status.txt"  # written after the other one
    wait_until(lambda: shown_at.exists() and "approval" in shown_at.read_text(), "it asks nothing")
    people.enrolment.kill()  # a power cut, while it waits
    shown = re.search(r"\b[A-Z2-7]{4}-[A-Z2-7]{4}\b", people.do(BOX, "kerbstone status", 3))
    assert shown
    people.environment["CODE"] = shown[0]
    assert shown[0] in people.do(SERVER, "provision approve"), "the operator sees the same code"
    people.power()
    wait_until(lambda: "its configuration" in status.read_text(), "it does not wait for one")

    people.do(BOX, "kerbstone scan")
    people.complete()
    with people.start(BOX, "kerbstone propose") as proposing:
        assert proposing.stdout is not None
        first = proposing.stdout.readline()
        while "waits for the operator" not in first:
            assert first, "it ended"
            first = proposing.stdout.readline()
        seen = people.do(SERVER, "provision proposals")
        assert "[device.hut_air]" in seen
        assert "kerbstone check: in order" in seen
        people.do(OPERATOR, 'scp "$SERVER/proposals')
        people.correct()
        people.do(OPERATOR, "provision config")
        said = proposing.stdout.read()
        assert "signed: configuration number" in said
        assert "changed by the operator" in said
    assert proposing.wait(60) == 0
    assert people.enrolment.wait(60) == 0, people.city.log("enrol")
    card, state = people.city.card, people.city.state
    assert not (card / CLAIM_NAME).exists()
    assert (card / "kerbstone-claim.used").exists()

    people.hand_over()
    receipts = people.start(CITY, "kerbstone receipts")
    try:
        marker = people.wall / "run/identity"
        wait_until(
            lambda: marker.exists() and marker.read_text().startswith("connected "),
            "the daemon does not connect",
        )
        assert StateFolder(state).current() is not None
        wait_until(lambda: people.stored() > 0, people.city.log("daemon"))
        said = people.do(CITY, "kerbstone audit", 1)
        assert re.search(r"gw-17 unknown: [1-9][0-9]* records, .* air/hut_air", said), said
        assert "audit again in half an hour" in said, "as the page says"
    finally:
        os.killpg(receipts.pid, signal.SIGINT)
        receipts.communicate(timeout=60)
    assert set(people.page.blocks) == set(people.page.followed), "each command of the page was run"
    key = (state / "current/key.pem").read_bytes()
    assert not [each for each in card.iterdir() if key in each.read_bytes()]
