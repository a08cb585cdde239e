"""A certificate is made once, and nothing is written over one that somebody has put there."""

import stat
from pathlib import Path

import pytest

from edge.core.pagecertificate import CERTIFICATE_NAME, KEY_NAME
from edge.identity.pagefingerprint import read_page_fingerprint
from edge.web.webcertificate import CertificateError, ensure_certificate, tls_context


def test_a_certificate_is_made_on_first_use_and_kept(tmp_path: Path) -> None:
    assert read_page_fingerprint(tmp_path) == ""
    first = ensure_certificate(tmp_path, "box-7")
    assert ensure_certificate(tmp_path, "another name") == first
    tls_context(first)
    assert stat.S_IMODE(first.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(first.certificate.stat().st_mode) == 0o644
    assert read_page_fingerprint(tmp_path) == first.fingerprint
    assert first.fingerprint.count(":") == 31


def test_a_kill_between_key_and_certificate_makes_both_anew(tmp_path: Path) -> None:
    ensure_certificate(tmp_path, "box-7")
    (tmp_path / CERTIFICATE_NAME).unlink()
    tls_context(ensure_certificate(tmp_path, "box-7"))
    (tmp_path / KEY_NAME).unlink()
    tls_context(ensure_certificate(tmp_path, "box-7"))


def test_a_strangers_certificate_without_its_key_is_left_alone(tmp_path: Path) -> None:
    ensure_certificate(tmp_path, "box-7")
    certificate = tmp_path / CERTIFICATE_NAME
    pem = certificate.read_bytes().partition(b"\n")[2]
    certificate.write_bytes(pem)
    (tmp_path / KEY_NAME).unlink()
    with pytest.raises(CertificateError, match="put the key there"):
        ensure_certificate(tmp_path, "box-7")
    assert certificate.read_bytes() == pem


def test_a_damaged_certificate_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    ensure_certificate(tmp_path, "box-7")
    for data in (b"", b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----", b"\xff" * 99):
        (tmp_path / CERTIFICATE_NAME).write_bytes(data)
        with pytest.raises(CertificateError, match=r"cert\.pem"):
            ensure_certificate(tmp_path, "box-7")
        assert read_page_fingerprint(tmp_path) == ""


def test_a_name_of_any_length_and_script_is_taken(tmp_path: Path) -> None:
    tls_context(ensure_certificate(tmp_path, "北街" * 100))
