"""Signatures hold with the key that made them, and certificates are what the operator gave."""

import base64
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edge.core import ConfigError
from edge.platform.signatures import CERTIFICATE_LIMIT, CertificateKeys, MissingLibraryError
from edge.wire import signed_bytes
from tests.kit.certificates import gateway_certificate

pytest.importorskip("cryptography")

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

DAY = datetime(2026, 1, 1, tzinfo=UTC)
PSS = padding.PSS(padding.MGF1(SHA256()), 32)
Kind = tuple[Callable[[], Any], Callable[[Any, bytes], bytes]]
KINDS: dict[str, Kind] = {
    "ed25519": (ed25519.Ed25519PrivateKey.generate, lambda key, data: key.sign(data)),
    "ecdsa-sha256": (
        lambda: ec.generate_private_key(ec.SECP256R1()),
        lambda key, data: key.sign(data, ec.ECDSA(SHA256())),
    ),
    "rsa-pss-sha256": (
        lambda: rsa.generate_private_key(65537, 2048),
        lambda key, data: key.sign(data, PSS, SHA256()),
    ),
}
BODY = {"count": 3}


def certificate(key: Any, gw: str, issuer: str = "", by: Any = None) -> x509.Certificate:
    return gateway_certificate(key, gw, DAY, DAY + timedelta(900), issuer=issuer, by=by)


def put(file: Path, made: x509.Certificate) -> str:
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(made.public_bytes(Encoding.PEM))
    return made.fingerprint(SHA256()).hex()


@pytest.mark.parametrize("alg", KINDS)
def test_each_kind_of_key_holds_its_own_signature_only(tmp_path: Path, alg: str) -> None:
    make, sign = KINDS[alg]
    key = make()
    fingerprint = put(tmp_path / "keys" / "gw.pem", certificate(key, "gw-1"))
    keys = CertificateKeys(tmp_path / "keys")
    sig = base64.b64encode(sign(key, signed_bytes(BODY))).decode()
    sent = {**BODY, "gw": "gw-1", "alg": alg, "sig": sig, "cert_sha256": fingerprint.upper()}
    assert keys.refusal("gw-1", sent) is None
    wrong = "its signature is wrong"
    assert keys.refusal("gw-1", {**sent, "count": 4}) == wrong
    assert keys.refusal("gw-1", {**sent, "sig": sig + "\n"}) == wrong, "no other base64"
    assert keys.refusal("gw-1", {**sent, "sig": "AA=="}) == wrong
    assert keys.refusal("gw-2", sent) == "it is signed with the key of gw-1"
    for other in {*KINDS, "none"} - {alg}:
        assert "of another type" in str(keys.refusal("gw-1", {**sent, "alg": other}))
    assert "not among the keys" in str(keys.refusal("gw-1", {**sent, "cert_sha256": "00"}))
    for name in ("alg", "sig", "cert_sha256"):
        assert keys.refusal("gw-1", {**sent, name: 7}) == "alg, sig or cert_sha256 is missing"


def test_with_a_ca_each_must_have_been_issued_by_it(tmp_path: Path) -> None:
    key, city, other = (ed25519.Ed25519PrivateKey.generate() for _ in range(3))
    put(tmp_path / "ca.pem", certificate(city, "city"))
    put(tmp_path / "keys" / "gw.pem", certificate(key, "gw-1", "city", city))
    keys = CertificateKeys(tmp_path / "keys", tmp_path / "ca.pem", ["gw-7"])
    assert keys.unsigned_ok == {"gw-7"}
    put(tmp_path / "keys" / "other.crt", certificate(key, "gw-1", "city", other))
    CertificateKeys(tmp_path / "keys")
    with pytest.raises(
        ConfigError, match=r"other\.crt: this certificate was not issued by --keys-ca"
    ):
        CertificateKeys(tmp_path / "keys", tmp_path / "ca.pem")
    put(tmp_path / "keys" / "other.crt", certificate(other, "gw-1"))
    with pytest.raises(ConfigError, match="not issued"):
        CertificateKeys(tmp_path / "keys", tmp_path / "ca.pem")


def test_a_folder_without_certificates_is_a_mistake(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    with pytest.raises(ConfigError, match="needs a folder"):
        CertificateKeys(folder)
    made = certificate(ed25519.Ed25519PrivateKey.generate(), "gw-1")
    put(folder / "gw.txt", made)
    with pytest.raises(ConfigError, match="no certificates"):
        CertificateKeys(folder)
    for content in (b"", b"x" * 100, b"\n" * CERTIFICATE_LIMIT + made.public_bytes(Encoding.PEM)):
        (folder / "gw.cert").write_bytes(content)
        with pytest.raises(ConfigError, match=r"gw\.cert: no certificate in PEM"):
            CertificateKeys(folder)


def test_without_the_library_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(MissingLibraryError, match="cryptography"):
        CertificateKeys(tmp_path)
