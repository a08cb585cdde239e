"""The city's own certificate authority: certificates of gateways and of servers, and the CRL.

A certificate begins one hour before it is issued, no earlier: brokers and this server, who verify
it, have synchronised clocks, and a box does not check its own certificate. It takes its begin as a
floor for a clock that stands at 1970; a year back would make that floor worthless.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID

from edge.core import ConfigError
from edge.identity.names import PLATFORM, is_platform, san
from edge.provision import certificateforms as forms
from edge.provision import operatorfiles

BACKDATE: Final = timedelta(hours=1)  # clocks of servers differ a little
CA_DAYS: Final = 20 * 365
SERVER_DAYS: Final = 730
GATEWAY_DAYS: Final = 90  # a stolen identity that nobody misses ends by itself
CRL_NUMBER_EPOCH: Final = 1_000_000  # microseconds: numbers grow with time, from any process


class PkiError(ConfigError):
    """What this authority does not do, and what would be right."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """A line of the CRL."""

    serial: int
    at: datetime
    reason: x509.ReasonFlags | None = None  # None: nobody said


class Authority:
    """One CA, with its key in memory. `path length 0`: it issues no other CA.

    One signs servers, gateways and platforms: the extended usage keeps them apart. All raise
    PkiError.
    """

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.certificate = certificate
        self.key = key

    def gateway(
        self, name: str, key: CertificatePublicKeyTypes, now: datetime, days: int = GATEWAY_DAYS
    ) -> x509.Certificate:
        """A client certificate for this name and key, and for nothing else."""
        try:
            names = [x509.UniformResourceIdentifier(san(name))]
        except ValueError as error:
            raise PkiError(str(error)) from None
        return self._issue(name, key, names, ExtendedKeyUsageOID.CLIENT_AUTH, now, days)

    def platform(
        self, name: str, key: CertificatePublicKeyTypes, now: datetime, days: int = SERVER_DAYS
    ) -> x509.Certificate:
        """For what the city connects. Its names begin with `platform`, a gateway's must not."""
        if not is_platform(name):
            raise PkiError(f"{name!r:.80}: a program is called {PLATFORM}, or {PLATFORM}-MORE")
        return self._issue(name, key, [], ExtendedKeyUsageOID.CLIENT_AUTH, now, days)

    def server(
        self, hosts: Sequence[str], key: CertificatePublicKeyTypes, now: datetime,
        days: int = SERVER_DAYS, name: str | None = None,
    ) -> x509.Certificate:  # fmt: skip
        """For a broker or the enrolment server; `name` is for people, clients look at the hosts."""
        names = [forms.parse_host(each) for each in hosts]
        for host in names:
            if not self._may(host):
                raise PkiError(f"{host.value} is not a name or an address that this CA may certify")
        return self._issue(name or hosts[0], key, names, ExtendedKeyUsageOID.SERVER_AUTH, now, days)

    def crl(
        self, revoked: Iterable[Revoked], now: datetime, days: int, number: int | None = None
    ) -> bytes:
        """PEM. A broker that finds it out of date refuses everybody: write it long before."""
        if number is None:
            number = int(now.timestamp() * CRL_NUMBER_EPOCH)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now - BACKDATE)
            .next_update(now + timedelta(days=days))
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(_issuer(self.certificate), critical=False)
        )
        for each in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(each.serial)
            entry = entry.revocation_date(each.at)
            if each.reason is not None:
                entry = entry.add_extension(x509.CRLReason(each.reason), critical=False)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(forms.PEM)

    def _may(self, host: x509.DNSName | x509.IPAddress) -> bool:
        try:
            own = self.certificate.extensions.get_extension_for_class(x509.NameConstraints).value
        except x509.ExtensionNotFound:
            return True
        return any(forms.is_in_subtree(host, subtree) for subtree in own.permitted_subtrees or ())

    def _issue(
        self,
        name: str,
        key: CertificatePublicKeyTypes,
        names: Sequence[x509.GeneralName],
        usage: x509.ObjectIdentifier,
        now: datetime,
        days: int,
    ) -> x509.Certificate:
        end = min(now + timedelta(days=days), self.certificate.not_valid_after_utc)
        made = (
            forms.certificate_builder(
                forms.common_name(name), self.certificate.subject, key, now - BACKDATE, end
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(forms.key_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(_issuer(self.certificate), critical=False)
        )
        if names:
            made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return made.sign(self.key, hashes.SHA256())


def create_authority(
    name: str, now: datetime, hosts: Sequence[str] | None = None, days: int = CA_DAYS
) -> Authority:
    """A new CA, P-256: what every TLS library of a small board and of a broker knows.

    With `hosts` it is good for servers with these names, or names below them, and addresses only.
    """
    key, own = ec.generate_private_key(ec.SECP256R1()), forms.common_name(name)
    made = (
        forms.certificate_builder(
            own, own, key.public_key(), now - BACKDATE, now + timedelta(days=days)
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(forms.key_usage(authority=True), critical=True)
    )
    if hosts is not None:
        made = made.add_extension(forms.name_constraints(hosts), critical=True)
    return Authority(made.sign(key, hashes.SHA256()), key)


def load_authority(certificate: Path, key: Path) -> Authority:
    """Raises ConfigError."""
    if key.exists() and key.stat().st_mode & 0o077:
        raise ConfigError(f"{key}: others may read this key: chmod 600 {key}")
    try:
        made = x509.load_pem_x509_certificate(
            operatorfiles.read_file(certificate, "certificate of the CA")
        )
        secret = serialization.load_pem_private_key(
            operatorfiles.read_file(key, "key of the CA"), None
        )
    except (ValueError, TypeError) as error:
        text = f"{certificate}, {key}: no CA in PEM: {error}; `kerbstone provision ca` makes one"
        raise ConfigError(text) from None
    if (
        not isinstance(secret, ec.EllipticCurvePrivateKey)
        or secret.public_key() != made.public_key()
    ):
        raise ConfigError(f"{key}: this is not the key (EC) of {certificate}")
    return Authority(made, secret)


def _issuer(certificate: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    own = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)
