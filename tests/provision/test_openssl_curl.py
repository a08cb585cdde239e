"""What other programs make of our files and of our server: openssl and curl."""

import base64
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.kit.enrolment import DeviceKey, EnrolmentServer

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None or shutil.which("curl") is None,
    reason="needs openssl and curl",
)


@pytest.fixture
def today(tmp_path: Path) -> Iterator[EnrolmentServer]:
    """Its clock is the machine's, for curl looks at that one."""
    made = EnrolmentServer(tmp_path, start=datetime.now(UTC))
    made.start()
    yield made
    made.close()


def call(*words: object, data: bytes = b"") -> str:
    done = subprocess.run(
        [str(word) for word in words], input=data, capture_output=True, timeout=60, check=False
    )
    text = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode == 0, text
    return text


def curl(world: EnrolmentServer, verb: str, *words: object) -> str:
    url = f"https://localhost:{world.port}/.well-known/est/kerbstone/{verb}"
    return call("curl", "-sS", "--noproxy", "*", "--cacert", world.home.ca, *words, url)


def test_curl_and_openssl_enrol_and_renew(today: EnrolmentServer, tmp_path: Path) -> None:
    world = today
    key, pem, der = (tmp_path / name for name in ("box.key", "box.csr", "box.der"))
    call("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
    call("openssl", "req", "-new", "-key", key, "-subj", "/CN=gw-17", "-out", pem)
    call("openssl", "req", "-in", pem, "-outform", "DER", "-out", der)
    body = tmp_path / "body"
    body.write_bytes(base64.encodebytes(der.read_bytes()))
    claim = tmp_path / "header"
    claim.write_text("Kerbstone-Claim: " + base64.b64encode(world.claim()).decode() + "\n")
    words = ("-H", f"@{claim}", "-H", "Content-Type: application/pkcs10", "--data-binary",
             f"@{body}", "-w", "\n%{http_code}")  # fmt: skip
    waits = curl(world, "simpleenroll", *words)
    assert waits.endswith("\n202")
    world.approve("gw-17")
    given = curl(world, "simpleenroll", *words)
    assert given.endswith("\n200")

    p7 = tmp_path / "answer.p7"
    p7.write_bytes(base64.b64decode(given.removesuffix("\n200")))
    printed = call("openssl", "pkcs7", "-inform", "DER", "-in", p7, "-print_certs")
    assert printed.count("BEGIN CERTIFICATE") == 1
    own = tmp_path / "box.pem"
    own.write_text(printed[printed.index("-----BEGIN") :])
    text = call("openssl", "x509", "-in", own, "-noout", "-text")
    for word in ("CN=gw-17", "URI:urn:kerbstone:gw:gw-17", "TLS Web Client Authentication",
                 "CA:FALSE", "Digital Signature"):  # fmt: skip
        assert word in text, word
    assert "TLS Web Server" not in text
    trust = ("-CAfile", world.home.ca)
    now = ("-attime", str(int(world.now.timestamp()) + 5))
    call("openssl", "verify", *now, *trust, "-purpose", "sslclient", own)

    again = curl(world, "simplereenroll", *words[2:], "--cert", own, "--key", key)
    assert again.endswith("\n200")

    world.revoke("gw-17")
    crl = call("openssl", "crl", "-in", world.home.crl, *trust, "-noout", "-text")
    assert "verify OK" in crl
    assert "Key Compromise" in crl
    refused = subprocess.run(
        ["openssl", "verify", *now, *map(str, trust), "-crl_check", "-CRLfile",
         str(world.home.crl), str(own)],
        capture_output=True, check=False,
    )  # fmt: skip
    assert b"certificate revoked" in refused.stderr
    assert curl(world, "simplereenroll", *words[2:], "--cert", own, "--key", key).endswith("\n410")


def test_openssl_verifies_the_server_and_gets_tls_1_3_only(world: EnrolmentServer) -> None:
    at = ("-attime", str(int(world.now.timestamp()) + 5))
    where = ("-connect", f"localhost:{world.port}", "-CAfile", world.home.ca)
    text = call("openssl", "s_client", *where, *at, "-verify_hostname", "localhost",
                "-verify_return_error", data=b"Q")  # fmt: skip
    assert "TLSv1.3" in text
    assert "Verify return code: 0 (ok)" in text
    call("openssl", "verify", *at, "-CAfile", world.home.ca, "-purpose", "sslserver",
         world.home.server)  # fmt: skip
    old = subprocess.run(
        ["openssl", "s_client", *map(str, where), "-tls1_2"],
        input=b"", capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert old.returncode != 0


def test_openssl_verifies_the_signature_of_a_claim(world: EnrolmentServer, tmp_path: Path) -> None:
    claim = world.claim()
    cut = claim.rindex(b"signature = ")
    (tmp_path / "body").write_bytes(claim[:cut])
    (tmp_path / "sig").write_bytes(base64.b64decode(claim[cut:].split(b'"')[1]))
    key = world.home.folder / "operator.key"
    call("openssl", "pkey", "-in", key, "-pubout", "-out", tmp_path / "operator.pub")
    said = call("openssl", "pkeyutl", "-verify", "-pubin", "-inkey", tmp_path / "operator.pub",
                "-rawin", "-in", tmp_path / "body", "-sigfile", tmp_path / "sig")  # fmt: skip
    assert "Verified Successfully" in said


def test_openssl_reads_a_request_of_these_tests(tmp_path: Path) -> None:
    path = tmp_path / "csr"
    path.write_bytes(DeviceKey().csr())
    assert "CN=gw-17" in call("openssl", "req", "-inform", "DER", "-in", path, "-noout", "-text",
                              "-verify")  # fmt: skip
