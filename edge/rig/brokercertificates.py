"""Certificates of a rig's own broker: an authority, one that is right, one that has ended.

Made anew for each run, in its folder; nothing of them is worth keeping.
"""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge.acquire.clock import SystemClock
from edge.rig.layer import LayerError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

INSTALL: Final = (
    "a broker with TLS needs certificates: `pip install 'kerbstone[sign]'` (python3-cryptography)"
)
LONG: Final = datetime.timedelta(days=3650)  # either way: a scenario may set the clock
ENDED: Final = datetime.timedelta(days=1)
AUTHORITY: Final = "the rig's authority"
PRIVATE: Final = 0o600


@dataclass(frozen=True, slots=True)
class BrokerCertificate:
    """Files in PEM."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class BrokerCertificates:
    """`authority` is what a box has to trust; both others are signed by it, for `host`."""

    authority: Path
    right: BrokerCertificate
    ended: BrokerCertificate


def make_broker_certificates(folder: Path, host: str) -> BrokerCertificates:
    """Into `folder`. Raises LayerError where `cryptography` is not installed, OSError."""
    try:
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError:
        raise LayerError(INSTALL) from None
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.datetime.fromtimestamp(SystemClock().now().wall_ns // 10**9, datetime.UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
    authority = folder / "authority.crt"
    authority.write_bytes(_signed(AUTHORITY, host, keys[0], keys[0], (now - LONG, now + LONG)))
    made = []
    for name, key, span in (
        ("right", keys[1], (now - LONG, now + LONG)),
        ("ended", keys[2], (now - LONG, now - ENDED)),
    ):
        files = BrokerCertificate(folder / f"{name}.crt", folder / f"{name}.key")
        files.certificate.write_bytes(_signed("the rig's broker", host, key, keys[0], span))
        files.key.touch(PRIVATE)
        files.key.write_bytes(_pem(key))
        made.append(files)
    return BrokerCertificates(authority, *made)


def _signed(
    name: str, host: str, key: "ec.EllipticCurvePrivateKey", by: "ec.EllipticCurvePrivateKey",
    span: tuple[datetime.datetime, datetime.datetime],
) -> bytes:  # fmt: skip
    """A certificate in PEM; that of the authority is signed by its own key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding

    from edge.provision.certificateforms import certificate_builder, common_name, key_usage

    is_authority = key is by
    made = (
        certificate_builder(common_name(name), common_name(AUTHORITY), key.public_key(), *span)
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False
        )
        .add_extension(key_usage(authority=is_authority), critical=True)
    )
    if not is_authority:
        address = x509.IPAddress(ipaddress.ip_address(host))
        made = made.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    return made.sign(by, hashes.SHA256()).public_bytes(Encoding.PEM)


def _pem(key: "ec.EllipticCurvePrivateKey") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
