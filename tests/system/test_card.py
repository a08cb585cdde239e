"""docs/card.md: a technician follows it as it stands, with the city as processes on this machine.

Enrolment server, mosquitto with mutual TLS, the box's enrolment and its daemon are real programs.
What systemd does between them (credentials, the daemon's start) is done here as the units say.
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
from tests.kit.broker import BINARY
from tests.kit.command import Command, kerbstone
from tests.kit.waiting import wait_until
from tests.provision.test_claim_to_broker import ROOT, OperatorRun

__all__ = ["kerbstone"]  # the fixture

PAGE = (ROOT / "docs/card.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
SITE = """
[site]
id = "s17"
gateway = "gw-17"
period_s = 1
[store]
dir = "{0}/store"
run_dir = "{0}/run"
[uplink]
url = "{1}"
[bus.hut]
kind = "i2c"
path = "sim:{0}/i2c"
[device.hut_air]
driver = "sht4x"
bus = "hut"
every_s = 0.2
"""
pytestmark = pytest.mark.skipif(not Path(BINARY).exists(), reason="needs mosquitto")


class Technician:
    """At the desk, with the page, a card, and a box whose enrolment runs."""

    def __init__(self, city: OperatorRun, folder: Path) -> None:
        self.city, self.desk, self.box = city, folder / "desk", folder / "wall"
        for each in (
            self.desk,
            self.desk / "keys",
            self.box,
            self.box / "run",
            city.card,
            folder / "bin",
        ):
            each.mkdir(exist_ok=True)
        program = folder / "bin/kerbstone"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m edge.cli.main "$@"\n')
        program.chmod(0o755)
        found = re.search(r"listening, port (\d+)", city.log("server"))
        assert found
        self.environment = {
            **os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "KERBSTONE_PROVISION": str(city.home), "CARD": str(folder / "card.img"),
            "BOOT": str(city.card), "ENROL": f"https://localhost:{found[1]}",
            "BROKER": f"mqtts://localhost:{city.port}",
            "CITY": f"mqtts://localhost:{city.port + 1}",
        }  # fmt: skip

    def block(self, word: str) -> str:
        """The one block of the page that says this."""
        block: str
        (block,) = [each for each in BLOCKS if word in each]
        BLOCKS_RUN.add(block)
        return block

    def run(self, word: str) -> str:
        block = self.block(word)
        done = subprocess.run(
            ["sh", "-eu", "-c", block], capture_output=True, text=True, timeout=120,
            env=self.environment, cwd=self.desk, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
        return done.stdout

    def watch(self, word: str, awaited: str) -> bool:
        """The one command that does not end by itself, wait_until it shows this."""
        command = ["sh", "-eu", "-c", f"exec {self.block(word)}"]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=self.environment, cwd=self.desk
        ) as shown:
            assert shown.stdout is not None
            found = any(awaited in line for line in shown.stdout)
            shown.send_signal(signal.SIGINT)
        return found

    def get_ready(self) -> None:
        """What the operator has given: the image, two files, and a signed configuration."""
        image = self.desk / "kerbstone-0.1.0-arm64.img.xz"
        image.write_bytes(lzma.compress(os.urandom(100_000)))
        sums = subprocess.run(["sha256sum", image.name], cwd=self.desk, stdout=subprocess.PIPE)
        (self.desk / "SHA256SUMS").write_bytes(sums.stdout + b"0" * 64 + b"  not-here.deb\n")
        for name in ("ca.pem", "operator.key"):
            shutil.copy(self.city.home / name, self.desk)
        site, key = self.desk / "site.toml", self.desk / "operator.key"
        site.write_text(SITE.format(self.box, self.environment["BROKER"]))
        out = ("--out", self.city.home / "configs")
        self.city.act("config", site, "--gateway", "gw-17", "--key", key, *out, home=False)
        self.city.act("issue", "platform", "platform", "--out", self.desk / "keys")

    def power(self) -> None:
        """kerbstone-claim.service, then kerbstone-enrol.service."""
        words = ("--state", self.city.state, "--boot", self.city.card)
        assert self.city.start("claim", "-m", "edge.identity", "take", *words).wait(60) == 0
        assert not (self.city.state / "network.json").exists(), "Ethernet and DHCP need none"
        self.enrolment = self.city.start("enrol", "-m", "edge.identity", "run", *words)

    def hand_over(self) -> None:
        """As LoadCredential= of kerbstone.service does, and its ExecStart=."""
        folder, state = self.box / "credentials", self.city.state
        folder.mkdir()
        (folder / "site.toml").write_bytes((state / "site.toml").read_bytes())
        for name in ("key.pem", "cert.pem", "ca.pem"):
            (folder / name).write_bytes((state / "current" / name).read_bytes())
            (folder / name).chmod(0o400)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CREDENTIALS_DIRECTORY", str(folder))
            self.city.start("daemon", "-m", "edge.cli.main", "run")


BLOCKS_RUN: set[str] = set()


@pytest.fixture
def technician(tmp_path: Path, kerbstone: Command) -> Iterator[Technician]:
    with ExitStack() as stack:
        city = OperatorRun(tmp_path, kerbstone, stack)
        city.start_broker()
        air = I2cKernel({0x44: Sht4x({"temperature": 20.0}, powered_s=9.0)})
        made = Technician(city, tmp_path)
        stack.enter_context(I2cServer(air, made.box / "i2c"))
        yield made


@pytest.mark.skipif(Path("/etc/kerbstone/site.toml").exists(), reason="this is a gateway itself")
def test_a_technician_follows_the_page(technician: Technician) -> None:
    technician.get_ready()
    technician.run("dd of=")
    written = Path(technician.environment["CARD"]).read_bytes()
    assert written == lzma.decompress(next(technician.desk.glob("*.xz")).read_bytes())
    technician.run("provision new")
    technician.power()
    status = technician.city.card / "kerbstone-status.txt"
    wait_until(lambda: status.exists() and "approval" in status.read_text(), "it asks nothing")
    technician.enrolment.kill()  # a power cut, while it waits
    shown = re.search(r"\b[A-Z2-7]{4}-[A-Z2-7]{4}\b", technician.run("kerbstone-status.txt"))
    assert shown
    technician.environment["CODE"] = shown[0]
    assert shown[0] in technician.run("provision approve"), "the operator sees the same code"
    technician.power()
    assert technician.enrolment.wait(60) == 0, technician.city.log("enrol")
    card, state = technician.city.card, technician.city.state
    assert not (card / CLAIM_NAME).exists()
    assert (card / "kerbstone-claim.used").exists()
    technician.hand_over()
    marker = technician.box / "run/identity"
    wait_until(
        lambda: marker.exists() and marker.read_text().startswith("connected "),
        "the daemon does not connect",
    )
    assert StateFolder(state).current() is not None
    assert technician.watch("subscribe", "hut_air"), technician.city.log("daemon")
    assert set(BLOCKS) == BLOCKS_RUN, "each command of the page was run"
    key = (state / "current/key.pem").read_bytes()
    assert not [each for each in card.iterdir() if key in each.read_bytes()]
