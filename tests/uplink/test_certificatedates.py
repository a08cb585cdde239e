"""The end of a certificate is what the library says that it is; damage is told as such."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.uplink.certificatedates import certificate_ends_s
from tests.kit.certificates import gateway_certificate

KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def made(ends: datetime, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = KEY) -> bytes:
    begins = ends - timedelta(days=365)
    return gateway_certificate(key, "gw-1", begins, ends).public_bytes(Encoding.PEM)


@pytest.mark.parametrize("key", [KEY, RSA_KEY], ids=["ec", "rsa"])
@pytest.mark.parametrize(
    "ends",
    [
        datetime(2027, 1, 1, tzinfo=UTC),
        datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC),  # the last with two digits
        datetime(2050, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),  # RFC 5280, 4.1.2.5: it has no end
    ],
)
def test_it_is_what_the_library_reads(
    ends: datetime, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, tmp_path: Path
) -> None:
    pem = b"# own, then its authority\n" + made(ends, key) + made(ends + timedelta(-1))
    (tmp_path / "a.pem").write_bytes(pem)
    library = x509.load_pem_x509_certificates(pem)[0].not_valid_after_utc
    assert certificate_ends_s(tmp_path / "a.pem") == int(library.timestamp())


SOUND = made(datetime(2027, 1, 1, tzinfo=UTC), RSA_KEY)  # as long each time


@settings(max_examples=60)
@given(st.data())
def test_damage_is_no_number_of_another_kind(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    pem = bytearray(SOUND)
    for _ in range(data.draw(st.integers(1, 4))):
        pem[data.draw(st.integers(0, len(pem) - 1))] = data.draw(st.integers(0, 255))
    file = tmp_path_factory.mktemp("damage") / "a.pem"
    file.write_bytes(bytes(pem[: data.draw(st.integers(0, len(pem)))]))
    try:
        told: object = certificate_ends_s(file)
    except ValueError as error:
        told = str(error)
    assert isinstance(told, int) or str(file) in str(told)


def test_a_file_that_is_not_there_is_that(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        certificate_ends_s(tmp_path / "none.pem")
    (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\n")
    with pytest.raises(ValueError, match="no certificate in it"):
        certificate_ends_s(tmp_path / "key.pem")
