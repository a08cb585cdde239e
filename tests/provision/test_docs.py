"""docs/provision.md: its commands are run as they stand, in their order, by a shell.

What the page leaves to people is done between them: a key is carried to the desk, a box asks, a
technician reads its code aloud. Where folders are is told by the environment, as the page says.
"""

import base64
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from edge.identity.claim import CLAIM_NAME
from edge.identity.names import comparison_code
from edge.identity.proposal import Proposal
from edge.provision import approvals
from edge.provision.serverdir import ServerDirectory
from tests.kit.broker import free_port
from tests.kit.enrolment import DeviceKey, spki

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/provision.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
SITE = '[site]\nid = "s17"\ngateway = "gw-17"\n[uplink]\nurl = "mqtts://localhost:8883"\n'
pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None or shutil.which("curl") is None,
    reason="needs openssl and curl",
)


class PageFollower:
    """Who follows the page: at a desk, with the server's machine beside it."""

    def __init__(self, folder: Path) -> None:
        self.home, self.desk, self.boot = folder / "home", folder / "desk", folder / "boot"
        self.stick, self.broker = folder / "stick", folder / "broker"
        for each in (self.home, self.desk, self.boot, self.stick, self.broker, folder / "bin"):
            each.mkdir()
        self.port = free_port()
        self.box, self.other = DeviceKey("gw-17"), DeviceKey("gw-17")
        self.server: subprocess.Popen[bytes] | None = None
        program = folder / "bin/kerbstone"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m edge.cli.main "$@"\n')
        program.chmod(0o755)
        self._environment = {
            **os.environ,
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "KERBSTONE_PROVISION": str(self.home),
            "BOOT": str(self.boot),
            "STICK": str(self.stick),
            "BROKER": str(self.broker),
        }

    def run(self, block: str, typed: str = "") -> str:
        done = subprocess.run(
            ["sh", "-eu", "-c", block], input=typed, capture_output=True, text=True, timeout=120,
            env=self._environment, cwd=self.desk, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
        return done.stdout

    def serve(self, block: str) -> None:
        """The one command that does not end."""
        self.server = subprocess.Popen(
            ["sh", "-eu", "-c", f"exec {block}"], stderr=subprocess.PIPE, env=self._environment
        )
        assert self.server.stderr
        assert b"listening, port" in self.server.stderr.readline()

    # -- what the page leaves to people ------------------------------------------------------------

    def settle(self) -> None:
        """After `ca`: the operator's key leaves the server, and this test has a port of its own."""
        (self.home / "operator.key").rename(self.desk / "operator.key")
        shutil.copy(self.home / "ca.pem", self.desk)
        policy = self.home / "provision.toml"
        policy.write_text(policy.read_text().replace("0.0.0.0:8443", f"127.0.0.1:{self.port}"))

    def write_site(self) -> None:
        (self.desk / "site.toml").write_text(SITE)

    def propose(self) -> None:
        """As the server keeps what the box has sent."""
        new = Proposal(id="0123456789abcdef", text=f"{SITE}# lane north_1\n")
        folder = ServerDirectory(self.home).proposals
        folder.keep("gw-17", "s17", new, datetime.now(UTC), "192.0.2.7", 0)

    def carry_config(self) -> None:
        shutil.copytree(self.desk / "configs", self.home / "configs")

    def ask(self) -> str:
        """The box, which reads the claim on its card; its server's name leads to this machine."""
        claim = self.boot / CLAIM_NAME
        body, header = self.boot / "body", self.boot / "header"
        body.write_bytes(base64.b64encode(self.box.csr()))
        header.write_text(f"Kerbstone-Claim: {base64.b64encode(claim.read_bytes()).decode()}\n")
        url = re.search(r'enrol = "(https://([^/"]+))"', claim.read_text())
        assert url
        words = ["curl", "-sS", "--noproxy", "*", "--cacert", str(self.home / "ca.pem"),
                 "--connect-to", f"{url[2]}:127.0.0.1:{self.port}", "-H", f"@{header}",
                 "-H", "Content-Type: application/pkcs10", "--data-binary", f"@{body}",
                 "-w", "\n%{http_code}",
                 f"{url[1]}/.well-known/est/kerbstone/simpleenroll"]  # fmt: skip
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.rpartition("\n")[2]

    def fill_stick(self) -> None:
        """A box with no network, that has the role now: a claim of its own, and its request."""
        (claim,) = [each for each in BLOCKS if "provision new" in each]
        self.run(claim.replace("$BOOT", "$STICK"))
        (self.stick / approvals.REQUEST).write_bytes(self.other.csr())


def test_the_page_is_followed_from_the_first_command_to_the_last(reader: PageFollower) -> None:
    code, other = (
        comparison_code(spki(each.key.public_key())) for each in (reader.box, reader.other)
    )
    before: dict[str, Callable[[], object]] = {
        "provision config": reader.write_site,
        "provision pending": lambda: _same(reader.ask(), "202"),
        "provision offline": reader.fill_stick,
        "provision proposals": reader.propose,
    }
    after: dict[str, Callable[[], object]] = {
        "provision ca ": reader.settle,
        "provision config": reader.carry_config,
        "provision approve": lambda: _same(reader.ask(), "200"),
        "provision revoke": lambda: _same(reader.ask(), "410"),
    }
    typed = {"provision approve": code, "provision offline": other}
    said = {}
    for block in BLOCKS:
        _each(before, block)
        if "provision serve" in block:
            reader.serve(block)
            continue
        said[block] = reader.run(
            block, "".join(f"{t}\n" for word, t in typed.items() if word in block)
        )
        _each(after, block)
    assert (before, after) == ({}, {}), "each has had its command on the page"
    assert len(said) == len(BLOCKS) - 1

    assert any(code in out for out in said.values()), "the box is among those that wait"
    assert {path.name for path in (reader.desk / "keys").iterdir()} == {
        "ca.crt", "broker-1.crt", "broker-1.key", "platform.crt", "platform.key",
        "platform-store.crt",
    }  # fmt: skip
    assert {path.name for path in reader.broker.iterdir() if path.is_file()} == {
        "ca.crt", "crl.pem", "server.crt", "server.key",
    }  # fmt: skip
    made = x509.load_pem_x509_certificate((reader.stick / approvals.CERTIFICATE).read_bytes())
    assert made.public_key() == reader.other.key.public_key()
    assert (reader.stick / approvals.CONFIG).exists()
    crl = x509.load_pem_x509_crl((reader.home / "crl.pem").read_bytes())
    assert len(crl) == 1, "the first box; the one that came by stick has the role"


def test_the_page_names_every_act() -> None:
    from edge.cli import provision

    said = re.findall(r"(?:^| {2,})([a-z]+) {2,}(?=[a-z])", provision.__doc__ or "", re.MULTILINE)
    assert len(said) == 14
    assert set(said) <= set(re.findall(r"provision ([a-z]+)", "".join(BLOCKS)))


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[PageFollower]:
    made = PageFollower(tmp_path)
    yield made
    if made.server is not None:
        made.server.terminate()
        _, text = made.server.communicate(timeout=60)
        assert b"Traceback" not in text


def _each(steps: dict[str, Callable[[], object]], block: str) -> None:
    for word in [word for word in steps if word in block]:
        steps.pop(word)()


def _same(found: str, wanted: str) -> None:
    assert found == wanted
