"""Certificates of a rig's broker: an authority, one that is valid, and one that has ended.

Made anew for each run, with `cryptography`, which not every installation has.
"""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.rig.layer import LayerError

NEEDED: Final = (
    "a broker with TLS needs certificates: pip install 'kerbstone[sign]' (it brings cryptography)"
)
DAY: Final = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class BrokerCertificates:
    """Files. `ended` is from the same authority as `valid`, for the same address and key."""

    ca: Path
    key: Path
    valid: Path
    ended: Path


def make_broker_certificates(
    folder: Path, address: str, now: datetime.datetime
) -> BrokerCertificates:
    """For a broker that its box knows by this address. Raises LayerError."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        from edge.provision.certificateforms import (
            certificate_builder,
            common_name,
            key_usage,
        )
    except ImportError as error:
        raise LayerError(NEEDED) from error
    authority, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer, subject = common_name("the rig's authority"), common_name("the rig's broker")
    made = BrokerCertificates(
        folder / "ca.crt", folder / "broker.key", folder / "valid.crt", folder / "ended.crt"
    )
    begin = now - 40 * DAY
    root = (
        certificate_builder(issuer, issuer, authority.public_key(), begin, now + DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(authority=True), critical=True)
        .sign(authority, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    made.ca.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    issued_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key())
    for file, end in ((made.valid, now + DAY), (made.ended, now - DAY)):
        one = (
            certificate_builder(subject, issuer, key.public_key(), begin, end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(names, critical=False)
            .add_extension(issued_by, critical=False)
            .sign(authority, hashes.SHA256())
        )
        file.write_bytes(one.public_bytes(serialization.Encoding.PEM))
    made.key.touch(mode=0o600)
    made.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )  # fmt: skip
    return made
