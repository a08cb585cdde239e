"""One identity in a folder of its own: key, certificate, whom to trust, where to renew."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from edge.core import ConfigError
from edge.durable import atomicwrite, folders
from edge.durable.readfile import read_file
from edge.identity import certs, keys
from edge.identity.claim import Claim

NAME: Final = re.compile(r"\Abundle-([1-9][0-9]{0,8})\Z")
KEY, CERT, CA, HOME = "key.pem", "cert.pem", "ca.pem", "home.json"


class EnrolmentTarget(msgspec.Struct, frozen=True, kw_only=True):
    """What is still needed of a claim when its code is gone. No secret is in it."""

    gateway: str
    site: str
    enrol: str
    label: str
    operator: str
    proxy: str | None = None
    broker: str | None = None  # None: written by a version that did not keep it
    role: str | None = None  # likewise

    @classmethod
    def of(cls, claim: Claim) -> "EnrolmentTarget":
        proxy = None if claim.network is None else claim.network.proxy
        return cls(
            gateway=claim.gateway, site=claim.site, enrol=claim.enrol, label=claim.label,
            operator=claim.operator, proxy=proxy, broker=claim.broker, role=claim.role,
        )  # fmt: skip


@dataclass(frozen=True)
class IdentityBundle:
    """One identity: key, certificate and whom to trust, in a folder that never changes."""

    folder: Path
    target: EnrolmentTarget
    certificate: x509.Certificate
    ca: bytes

    @property
    def number(self) -> int:
        return int(self.folder.name.rpartition("-")[2])

    @property
    def cert(self) -> Path:
        return self.folder / CERT

    @property
    def key(self) -> Path:
        return (self.folder / KEY) if (self.folder / KEY).exists() else _credential()


def _credential() -> Path:
    path = keys.credential_path()
    if path is None:
        raise ConfigError(f"{KEY} is missing, and systemd hands over no {keys.CREDENTIAL}")
    return path


def write_bundle(
    folder: Path,
    key: keys.IdentityKey,
    certificate: x509.Certificate,
    ca: bytes,
    target: EnrolmentTarget,
) -> None:
    """Write all of it, durably, into a folder that nobody uses yet."""
    if key.kind != "credential":
        atomicwrite.write_file(folder / KEY, key.pem)
    atomicwrite.write_file(folder / CERT, certificate.public_bytes(Encoding.PEM))
    atomicwrite.write_file(folder / CA, ca)
    atomicwrite.write_file(folder / HOME, msgspec.json.encode(target))
    folders.fsync_folder(folder)


def load_bundle(folder: Path) -> IdentityBundle | None:
    """None when it is not whole: certificate and key fit, and it is from its authority."""
    if not NAME.match(folder.name):
        return None
    try:
        target = msgspec.json.decode(read_file(folder / HOME) or b"", type=EnrolmentTarget)
        certificate = x509.load_pem_x509_certificate(read_file(folder / CERT) or b"")
        ca = read_file(folder / CA) or b""
        pem = read_file(folder / KEY)
        key = keys.read_credential() if pem is None else keys.parse_key(pem)
        certs.check_certificate(certificate, target.gateway, ca)
        if key is None or key.spki() != certs.certificate_key(certificate):
            return None
    except (OSError, ConfigError, *certs.UNREADABLE):  # a MsgspecError is a ValueError
        return None
    return IdentityBundle(folder, target, certificate, ca)
