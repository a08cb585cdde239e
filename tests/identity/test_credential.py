"""A key that systemd keeps encrypted and hands over: enrolment and renewal never write it."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from edge.identity import certs, keys
from edge.identity.statefolder import StateFolder
from tests.identity import traced_process
from tests.identity.card import copied, everything, wrong
from tests.identity.real_server import ApprovingServer, claim_of
from tests.identity.secret import forms
from tests.kit.enrolment import START

CREDS = shutil.which("systemd-creds")
MADE = re.compile(r"```sh\n(openssl genpkey .*?systemd-creds encrypt .*?)```", re.DOTALL)
PLACE = "/etc/kerbstone/identity.key.cred"


@pytest.fixture
def town(tmp_path: Path) -> Iterator[ApprovingServer]:
    if not Path(traced_process.STRACE).exists():
        pytest.skip("strace is not installed: apt-get install strace")
    made = ApprovingServer(tmp_path)
    made.start()
    yield made
    made.close()


class CredentialManager:
    """What systemd does with a credential; `secret` is the key of one installation."""

    def __init__(self, folder: Path) -> None:
        if CREDS is None:
            pytest.skip("systemd-creds is not here: systemd 250 or newer")
        self.folder = folder
        folder.mkdir()
        self._env = {**os.environ, "SYSTEMD_CREDENTIAL_SECRET": str(folder / "secret")}
        done = self._run(CREDS, "setup")
        if done.returncode:
            pytest.skip(f"systemd-creds makes no key of a host here: {done.stderr.decode()[-120:]}")

    def encrypt(self, file: Path) -> None:
        """As the documents say it."""
        found = MADE.search((traced_process.ROOT / "docs/enrolment.md").read_text())
        assert found, "docs/enrolment.md does not say how"
        assert PLACE in found[1]
        done = self._run("sh", "-ec", found[1].replace(PLACE, str(file)))
        assert done.returncode == 0, done.stderr

    def load(self, file: Path) -> dict[str, str]:
        """LoadCredentialEncrypted=: the environment of the unit. {}: it does not start."""
        there = self.folder / "credentials"
        there.mkdir(mode=0o700, exist_ok=True)
        key = there / keys.CREDENTIAL
        done = self._run(str(CREDS), "decrypt", f"--name={keys.CREDENTIAL}", str(file), str(key))
        return {"CREDENTIALS_DIRECTORY": str(there)} if done.returncode == 0 else {}

    def _run(self, *words: str) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(words, env=self._env, capture_output=True, timeout=60, check=False)


def test_a_credential_enrols_and_renews_and_is_never_written(
    tmp_path: Path, town: ApprovingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, other = CredentialManager(tmp_path / "own"), CredentialManager(tmp_path / "other")
    root, file = town.card(tmp_path / "box", "gw-0001"), tmp_path / "box/identity.key.cred"
    code = claim_of(root).code
    own.encrypt(file)
    env = own.load(file)
    assert env
    assert other.load(file) == {}, "another installation reads it"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", env["CREDENTIALS_DIRECTORY"])
    key = keys.read_credential()
    assert key is not None

    for when, verb, word in (
        (START, "run", "enrolled"),
        (START + timedelta(61), "renew", "renewed"),
    ):
        town.now = when
        done = traced_process.awake(root, verb)
        assert done.said.endswith(f"{word}\n"), done
        bundle = StateFolder(root / "state").current()
        assert bundle is not None
        assert certs.certificate_key(bundle.certificate) == key.spki()
        assert bundle.key == Path(env["CREDENTIALS_DIRECTORY"], keys.CREDENTIAL)
        assert wrong(root, code, older=True) == []
        assert bundle.certificate.not_valid_before_utc >= when - timedelta(hours=1)
        for form in forms(bundle.key.read_bytes()):
            assert form not in everything(root)
    assert "given by systemd" in (root / "boot/kerbstone-status.txt").read_text()

    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    stolen = copied(root, tmp_path / "stolen")
    assert traced_process.awake(stolen, "run").code == 4
    assert (
        "its key is in another TPM or credential"
        in (stolen / "boot/kerbstone-status.txt").read_text()
    )
