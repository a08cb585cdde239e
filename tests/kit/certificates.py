"""Certificates for one test: an authority, a server and a client, made in a moment.

An example:

    authority = CertificateAuthority(tmp_path)
    cert, key = authority.issue("server", days=(-1, 2))  # files, valid for 127.0.0.1
"""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import NameOID


class CertificateAuthority:
    def __init__(
        self, folder: Path, name: str = "authority", days: tuple[float, float] = (-1.0, 2.0)
    ) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(
            digital_signature=False, content_commitment=False, key_encipherment=False,
            data_encipherment=False, key_agreement=False, key_cert_sign=True, crl_sign=True,
            encipher_only=False, decipher_only=False,
        )  # fmt: skip
        certificate = (
            self._builder(self._name, self._key, days)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.path = folder / f"{name}.crt"
        self.path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(
        self,
        name: str,
        *,
        host: str = "127.0.0.1",
        days: tuple[float, float] = (-1.0, 2.0),
    ) -> tuple[Path, Path]:
        """Certificate and key, for an address or a name; valid from and to, in days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        here = x509.SubjectAlternativeName([_place(host)])
        certificate = (
            self._builder(subject, key, days)
            .add_extension(here, critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )
        paths = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return paths

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, days: tuple[float, float]
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(days=days[0]))
            .not_valid_after(now + datetime.timedelta(days=days[1]))
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
        )


def gateway_certificate(
    key: CertificateIssuerPrivateKeyTypes,
    gw: str,
    begins: datetime.datetime,
    ends: datetime.datetime,
    *,
    issuer: str = "",
    by: CertificateIssuerPrivateKeyTypes | None = None,
) -> x509.Certificate:
    """A gateway's, signed by itself, or in the name of `issuer` with the key `by`."""
    authority, name = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (issuer or gw, gw)
    )
    made = x509.CertificateBuilder(authority, name, key.public_key(), 7, begins, ends)
    signer = by or key
    own = isinstance(signer, ed25519.Ed25519PrivateKey)  # it knows its digest
    return made.sign(signer, None if own else hashes.SHA256())


def _place(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
