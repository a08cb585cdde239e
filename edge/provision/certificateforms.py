"""The forms of certificates: what each of ours has in common, and which hosts it may name."""

import datetime
import ipaddress
from collections.abc import Sequence
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID

from edge.core import ConfigError

PEM: Final = serialization.Encoding.PEM
ALL_ADDRESSES: Final = [
    x509.IPAddress(ipaddress.ip_network("0.0.0.0/0")),
    x509.IPAddress(ipaddress.ip_network("::/0")),
]


def common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def certificate_builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: CertificatePublicKeyTypes,
    start: datetime.datetime,
    end: datetime.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority, key_cert_sign=authority, crl_sign=authority,
        content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def name_constraints(hosts: Sequence[str]) -> x509.NameConstraints:
    """These names, all below them, and these addresses. With no address, none at all."""
    places = [parse_host(host) for host in hosts]
    networks = [
        x509.IPAddress(ipaddress.ip_network(place.value))
        for place in places
        if isinstance(place, x509.IPAddress)
    ]
    names = [place for place in places if isinstance(place, x509.DNSName)]
    # a kind of name that is not permitted anywhere is free: so each has an entry
    nobody = [] if names else [x509.DNSName("invalid")]
    return x509.NameConstraints([*names, *nobody, *networks], None if networks else ALL_ADDRESSES)


def parse_host(host: str) -> x509.DNSName | x509.IPAddress:
    """Raises ConfigError."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return x509.DNSName(host)
    except ValueError:
        raise ConfigError(f"{host!r:.80} is neither a host name nor an address") from None


def is_in_subtree(host: x509.DNSName | x509.IPAddress, subtree: x509.GeneralName) -> bool:
    if isinstance(host, x509.DNSName):
        name = subtree.value if isinstance(subtree, x509.DNSName) else None
        return name is not None and f".{host.value}".endswith(f".{name}")
    network = subtree.value if isinstance(subtree, x509.IPAddress) else None
    return isinstance(network, ipaddress.IPv4Network | ipaddress.IPv6Network) and (
        host.value in network
    )


def private_key_pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(PEM, form, serialization.NoEncryption())
