"""A certificate is made once, and nothing is written over one that somebody has put there."""

import errno
import stat
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from edge.core import Stamp, TimeQuality
from edge.core.pagecertificate import CERTIFICATE_NAME, KEY_NAME
from edge.core.release import RELEASED, RELEASED_NS
from edge.identity.pagefingerprint import read_page_fingerprint
from edge.web import makecertificate
from edge.web.webcertificate import PageCertificateError, ensure_certificate, tls_context

DAY_NS = 86_400_000_000_000
NOW = Stamp(0, RELEASED_NS + 30 * DAY_NS, TimeQuality.NTP)


def days_of(folder: Path) -> tuple[date, date]:
    made = x509.load_pem_x509_certificate((folder / CERTIFICATE_NAME).read_bytes())
    return made.not_valid_before_utc.date(), made.not_valid_after_utc.date()


def cut_short(folder: Path) -> int:
    """Making a pair ends after the key, as with a kill."""

    rename = Path.replace

    def killed(path: Path, target: Path) -> Path:
        if target.name == CERTIFICATE_NAME:
            raise OSError(errno.EIO, "killed", str(path))
        return rename(path, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        patch.setattr(sys, "argv", ["", str(folder), "box-7", f"{RELEASED}"])
        return makecertificate.main()


def later(days: int, tq: TimeQuality = TimeQuality.NTP) -> Stamp:
    return Stamp(0, NOW.wall_ns + days * DAY_NS, tq)


def test_a_certificate_is_made_on_first_use_and_kept(tmp_path: Path) -> None:
    assert read_page_fingerprint(tmp_path) == ""
    first = ensure_certificate(tmp_path, "box-7", NOW)
    assert ensure_certificate(tmp_path, "another name", NOW) == first
    tls_context(first)
    assert stat.S_IMODE(first.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(first.certificate.stat().st_mode) == 0o644
    assert read_page_fingerprint(tmp_path) == first.fingerprint
    assert first.fingerprint.count(":") == 31


def test_a_kill_between_key_and_certificate_makes_both_anew(tmp_path: Path) -> None:
    ensure_certificate(tmp_path, "box-7", NOW)
    (tmp_path / CERTIFICATE_NAME).unlink()
    tls_context(ensure_certificate(tmp_path, "box-7", NOW))
    (tmp_path / KEY_NAME).unlink()
    tls_context(ensure_certificate(tmp_path, "box-7", NOW))


def test_it_holds_no_longer_than_phones_accept_and_is_made_anew_before_its_end(
    tmp_path: Path,
) -> None:
    first = ensure_certificate(tmp_path, "box-7", NOW)
    begin, end = days_of(tmp_path)
    assert begin == RELEASED + timedelta(days=30)
    assert timedelta(days=700) < end - begin <= timedelta(days=825), "support.apple.com/103769"
    assert ensure_certificate(tmp_path, "box-7", later(750)) == first
    lying = later(5000, TimeQuality.NONE)
    assert ensure_certificate(tmp_path, "box-7", lying) == first, "nobody vouches for that clock"
    assert cut_short(tmp_path) == 3
    second = ensure_certificate(tmp_path, "box-7", later(770))
    assert second.fingerprint != first.fingerprint
    assert days_of(tmp_path)[0] == begin + timedelta(days=770)
    tls_context(second)


@pytest.mark.parametrize("wall_ns", [0, RELEASED_NS + 4000 * DAY_NS])
def test_a_clock_that_nobody_vouches_for_dates_nothing(tmp_path: Path, wall_ns: int) -> None:
    ensure_certificate(tmp_path, "box-7", Stamp(0, wall_ns, TimeQuality.NONE))
    assert days_of(tmp_path)[0] == RELEASED


def test_a_strangers_certificate_is_never_made_anew(tmp_path: Path) -> None:
    ensure_certificate(tmp_path, "box-7", NOW)
    certificate = tmp_path / CERTIFICATE_NAME
    certificate.write_bytes(certificate.read_bytes().partition(b"\n")[2])
    before = certificate.read_bytes()
    ensure_certificate(tmp_path, "box-7", later(5000))
    assert certificate.read_bytes() == before


def test_a_strangers_certificate_without_its_key_is_left_alone(tmp_path: Path) -> None:
    ensure_certificate(tmp_path, "box-7", NOW)
    certificate = tmp_path / CERTIFICATE_NAME
    pem = certificate.read_bytes().partition(b"\n")[2]
    certificate.write_bytes(pem)
    (tmp_path / KEY_NAME).unlink()
    with pytest.raises(PageCertificateError, match="put the key there"):
        ensure_certificate(tmp_path, "box-7", NOW)
    assert certificate.read_bytes() == pem


def test_a_damaged_certificate_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    ensure_certificate(tmp_path, "box-7", NOW)
    for data in (b"", b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----", b"\xff" * 99):
        (tmp_path / CERTIFICATE_NAME).write_bytes(data)
        with pytest.raises(PageCertificateError, match=r"cert\.pem"):
            ensure_certificate(tmp_path, "box-7", NOW)
        assert read_page_fingerprint(tmp_path) == ""


def test_a_name_of_any_length_and_script_is_taken(tmp_path: Path) -> None:
    tls_context(ensure_certificate(tmp_path, "北街" * 100, NOW))
