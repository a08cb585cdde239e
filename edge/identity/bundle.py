"""One identity in a folder of its own: key, certificate, whom to trust, where to renew."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from edge.core import ConfigError
from edge.identity import certs, files, keys
from edge.identity.claim import Claim

NAME: Final = re.compile(r"\Abundle-([1-9][0-9]{0,8})\Z")
KEY, CERT, CA, HOME = "key.pem", "cert.pem", "ca.pem", "home.json"


class Home(msgspec.Struct, frozen=True, kw_only=True):
    """What is still needed of a claim when its code is gone. No secret is in it."""

    gateway: str
    site: str
    enrol: str
    label: str
    operator: str
    proxy: str | None = None

    @classmethod
    def of(cls, claim: Claim) -> "Home":
        proxy = None if claim.network is None else claim.network.proxy
        return cls(
            gateway=claim.gateway, site=claim.site, enrol=claim.enrol, label=claim.label,
            operator=claim.operator, proxy=proxy,
        )  # fmt: skip


@dataclass(frozen=True)
class Bundle:
    """One identity: key, certificate and whom to trust, in a folder that never changes."""

    folder: Path
    home: Home
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


def fill(folder: Path, key: keys.Key, certificate: x509.Certificate, ca: bytes, home: Home) -> None:
    """Write all of it, durably, into a folder that nobody uses yet."""
    if key.kind != "credential":
        files.fill(folder / KEY, key.pem)
    files.fill(folder / CERT, certificate.public_bytes(Encoding.PEM))
    files.fill(folder / CA, ca)
    files.fill(folder / HOME, msgspec.json.encode(home))
    files.sync(folder)


def load(folder: Path) -> Bundle | None:
    """None when it is not whole: certificate and key fit, and it is from its authority."""
    if not NAME.match(folder.name):
        return None
    try:
        home = msgspec.json.decode(files.read(folder / HOME) or b"", type=Home)
        certificate = x509.load_pem_x509_certificate(files.read(folder / CERT) or b"")
        ca = files.read(folder / CA) or b""
        pem = files.read(folder / KEY)
        key = keys.credential() if pem is None else keys.parse(pem)
        certs.check(certificate, home.gateway, ca)
        if key is None or key.spki() != certs.public(certificate):
            return None
    except (OSError, ConfigError, *certs.UNREADABLE):  # a MsgspecError is a ValueError
        return None
    return Bundle(folder, home, certificate, ca)
