"""The city's own certificate authority: certificates of gateways and of servers, and the CRL.

A certificate begins one hour before it is issued, no earlier: brokers and this server, who verify
it, have synchronised clocks, and a box does not check its own certificate. It takes its begin as a
floor for a clock that stands at 1970; a year back would make that floor worthless.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge.core import ConfigError
from edge.identity.names import san
from edge.provision import files
from edge.provision.request import PublicKey

BACK: Final = timedelta(hours=1)  # clocks of servers differ a little
CA_DAYS: Final = 20 * 365
SERVER_DAYS: Final = 730
CRL_NUMBER_EPOCH: Final = 1_000_000  # microseconds: numbers grow with time, from any process
KEY_USAGES: Final = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
    "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


class Revoked(NamedTuple):
    """A line of the CRL."""

    serial: int
    at: datetime
    reason: x509.ReasonFlags


class Authority:
    """One CA, with its key in memory. `path length 0`: it issues no other CA."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.certificate = certificate
        self._key = key

    def gateway(self, key: PublicKey, name: str, now: datetime, days: int) -> x509.Certificate:
        """A client certificate for this name and key, and for nothing else."""
        uri = x509.UniformResourceIdentifier(san(name))
        return self._issue(key, name, [uri], ExtendedKeyUsageOID.CLIENT_AUTH, now, days)

    def server(
        self, key: PublicKey, hosts: Sequence[str], now: datetime, days: int = SERVER_DAYS
    ) -> x509.Certificate:
        names = [_host(each) for each in hosts]
        return self._issue(key, hosts[0], names, ExtendedKeyUsageOID.SERVER_AUTH, now, days)

    def crl(self, revoked: Iterable[Revoked], now: datetime, days: int) -> bytes:
        """PEM. A broker that finds it out of date refuses everybody: write it long before."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now - BACK)
            .next_update(now + timedelta(days=days))
            .add_extension(x509.CRLNumber(int(now.timestamp() * CRL_NUMBER_EPOCH)), critical=False)
            .add_extension(_issuer(self.certificate), critical=False)
        )
        for each in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(each.serial)
                .revocation_date(each.at)
                .add_extension(x509.CRLReason(each.reason), critical=False)
                .build()
            )
        made = builder.sign(self._key, hashes.SHA256())
        return made.public_bytes(serialization.Encoding.PEM)

    def _issue(
        self,
        key: PublicKey,
        name: str,
        names: Sequence[x509.GeneralName],
        usage: x509.ObjectIdentifier,
        now: datetime,
        days: int,
    ) -> x509.Certificate:
        end = min(now + timedelta(days=days), self.certificate.not_valid_after_utc)
        return (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(self.certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACK)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage("digital_signature"), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(_issuer(self.certificate), critical=False)
            .sign(self._key, hashes.SHA256())
        )


def found(name: str, now: datetime) -> Authority:
    """A new CA, P-256: what every TLS library of a small board and of a broker knows."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(name))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACK)
        .not_valid_after(now + timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage("key_cert_sign", "crl_sign"), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def load(certificate: Path, key: Path) -> Authority:
    """Raises ConfigError."""
    if key.exists() and key.stat().st_mode & 0o077:
        raise ConfigError(f"{key}: others may read this key: chmod 600 {key}")
    try:
        made = x509.load_pem_x509_certificate(files.read(certificate, "certificate of the CA"))
        secret = serialization.load_pem_private_key(files.read(key, "key of the CA"), None)
    except (ValueError, TypeError) as error:
        text = f"{certificate}, {key}: no CA in PEM: {error}; `kerbstone provision ca` makes one"
        raise ConfigError(text) from None
    if (
        not isinstance(secret, ec.EllipticCurvePrivateKey)
        or secret.public_key() != made.public_key()
    ):
        raise ConfigError(f"{key}: this is not the key (EC) of {certificate}")
    return Authority(made, secret)


def private_pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def key_of(authority: Authority) -> bytes:
    """The CA's key as PEM, to be written once."""
    return private_pem(authority._key)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    try:
        return x509.DNSName(text)
    except ValueError:
        raise ConfigError(f"{text!r:.80} is no name of a host, and no address") from None


def _usage(*which: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{each: each in which for each in KEY_USAGES})


def _issuer(certificate: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    own = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)
