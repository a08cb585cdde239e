"""What the authority signs, what it refuses, and its list of revoked certificates."""

import datetime
import shutil
import ssl
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge.provision import pki
from edge.provision.authority import PkiError
from edge.provision.pki import LIST_DAYS, SmallAuthority
from tests.kit.forged import CLIENT, SERVER, forge

NOW = datetime.datetime(2026, 11, 26, 12, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
HOSTS = ("broker.example.org", "192.0.2.10")
DANGEROUS = [
    "gw/+",
    "gw#",
    "+",
    "#",
    "..",
    "",
    "gw",
    "a" * 65,
    "GW-0001",
    "gw 1",
    "gw-0001\n",
    "gé1",
]


@pytest.fixture
def authority(tmp_path: Path) -> SmallAuthority:
    return SmallAuthority.create(tmp_path / "pki", HOSTS, NOW)


def key() -> ec.EllipticCurvePublicKey:
    return ec.generate_private_key(ec.SECP256R1()).public_key()


def test_a_gateway_is_named_twice_and_may_only_be_a_client(authority: SmallAuthority) -> None:
    made = authority.who.gateway("gw-0001", key(), NOW)
    (name,) = made.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    also = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert name.value == "gw-0001"
    assert also.get_values_for_type(x509.UniformResourceIdentifier) == ["urn:kerbstone:gw:gw-0001"]
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert made.not_valid_after_utc - NOW == 90 * DAY


@pytest.mark.parametrize("name", [*DANGEROUS, "platform", "platform-2"])
def test_a_dangerous_name_is_refused(authority: SmallAuthority, name: str) -> None:
    with pytest.raises(PkiError):
        authority.who.gateway(name, key(), NOW)


@pytest.mark.parametrize("name", [*DANGEROUS, "gw-0001"])
def test_a_platform_is_called_platform(authority: SmallAuthority, name: str) -> None:
    with pytest.raises(PkiError, match="called platform"):
        authority.who.platform(name, key(), NOW)
    assert authority.who.platform("platform-2", key(), NOW)


@pytest.mark.parametrize("host", ["other.example.org", "xbroker.example.org", "192.0.2.11", "::1"])
def test_a_server_elsewhere_is_refused(authority: SmallAuthority, host: str) -> None:
    assert authority.who.server([*HOSTS, "a.broker.example.org"], key(), NOW)
    with pytest.raises(PkiError, match="that this CA may certify"):
        authority.who.server([host], key(), NOW)


@pytest.mark.parametrize(("host", "fine"), [
    ("broker.example.org", True), ("192.0.2.10", True), ("other.example.org", False),
    ("192.0.2.11", False),
])  # fmt: skip
def test_a_stolen_authority_is_good_for_its_own_hosts_only(
    tmp_path: Path, host: str, fine: bool
) -> None:
    now = datetime.datetime.now(datetime.UTC)
    authority = SmallAuthority.create(tmp_path / "pki", HOSTS, now)
    cert, _ = forge(authority, tmp_path, "server", purpose=SERVER, hosts=(host,))
    assert verify(tmp_path / "pki/ca.crt", cert, "sslserver") is fine


def test_an_authority_with_no_address_is_good_for_none(tmp_path: Path) -> None:
    now = datetime.datetime.now(datetime.UTC)
    authority = SmallAuthority.create(tmp_path / "pki", ["broker.example.org"], now)
    cert, _ = forge(authority, tmp_path, "server", purpose=SERVER, hosts=("192.0.2.10",))
    assert not verify(tmp_path / "pki/ca.crt", cert, "sslserver")
    cert, _ = forge(authority, tmp_path, "gw-0001", purpose=CLIENT)
    assert verify(tmp_path / "pki/ca.crt", cert, "sslclient")


def verify(ca: Path, cert: Path, purpose: str) -> bool:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    words = ["openssl", "verify", "-CAfile", str(ca), "-purpose", purpose, str(cert)]
    return subprocess.run(words, capture_output=True, timeout=60).returncode == 0


def test_the_list_keeps_who_was_revoked_and_grows(authority: SmallAuthority) -> None:
    authority.renew_list(NOW, [7])
    authority.renew_list(NOW + DAY, [8, 7])
    held = SmallAuthority.open(authority.folder).revoked
    assert held is not None
    assert {entry.serial_number: entry.revocation_date_utc for entry in held} == {
        7: NOW, 8: NOW + DAY,
    }  # fmt: skip
    assert held.next_update_utc == NOW + (1 + LIST_DAYS) * DAY
    assert held.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 3
    assert held.is_signature_valid(authority.who.key.public_key())


@pytest.mark.parametrize(("days", "word"), [
    (0, None), (14, None), (16, "expires on 2026-12-26"), (30, "has expired"),
])  # fmt: skip
def test_a_list_that_ends_is_said_at_half_its_life(
    authority: SmallAuthority, days: int, word: str | None
) -> None:
    said = authority.warning(NOW + days * DAY)
    assert (said is None) == (word is None)
    assert (word or "") in (said or "")


def test_no_certificate_outlives_the_authority(authority: SmallAuthority) -> None:
    late = NOW + 3640 * DAY
    end = authority.who.certificate.not_valid_after_utc
    assert authority.who.gateway("gw-0001", key(), late).not_valid_after_utc == end


def test_keys_are_the_owners_alone(tmp_path: Path) -> None:
    pki.make_pki(tmp_path / "pki", NOW)
    keys = sorted(tmp_path.rglob("*.key"))
    assert [path.name for path in keys] == ["ca.key", "gw-0001.key", "platform.key", "server.key"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}
    assert stat.S_IMODE((tmp_path / "pki").stat().st_mode) == 0o700
    assert "key=" not in repr(SmallAuthority.open(tmp_path / "pki"))


def test_a_second_authority_does_not_replace_the_first(authority: SmallAuthority) -> None:
    with pytest.raises(PkiError, match="exists"):
        SmallAuthority.create(authority.folder, HOSTS, NOW)
    (authority.folder / "ca.key").write_text("torn")
    with pytest.raises(PkiError, match="holds no authority"):
        SmallAuthority.open(authority.folder)


def test_the_command_makes_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(tmp_path / "pki"), "--gateway", "gw-0001"]
    assert pki.main(words) == 0
    before = (tmp_path / "pki/ca.crt").read_bytes()
    assert pki.main([*words, "--gateway", "gw-0002", "--revoke", "gw-0001"]) == 0
    assert (tmp_path / "pki/ca.crt").read_bytes() == before
    assert (tmp_path / "pki/gateways/gw-0002.crt").exists()
    assert "1 revoked" in capsys.readouterr().out
    assert pki.main([words[0], "--check"]) == 0
    assert "is valid" in capsys.readouterr().out
    for wrong in (["--gateway", "gw/+"], ["--revoke", "../ca"], ["--revoke", "gw-0003"]):
        assert pki.main([words[0], *wrong]) == 2
    assert "gw/+" in capsys.readouterr().err
    context = ssl.create_default_context(cafile=tmp_path / "pki/ca.crt")
    context.load_cert_chain(
        tmp_path / "pki/gateways/gw-0001.crt", tmp_path / "pki/gateways/gw-0001.key"
    )


def test_the_command_says_when_the_list_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now = datetime.datetime.now(datetime.UTC)
    pki.make_pki(tmp_path / "pki", now - 20 * DAY)
    assert pki.main([str(tmp_path / "pki"), "--check"]) == 1
    assert "expires on" in capsys.readouterr().out
