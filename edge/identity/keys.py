"""The key of a gateway: made here, and never given to anybody.

Elliptic curve P-256, which TLS 1.3 and every TPM 2 knows. Where OpenSSL's configuration activates
the provider `tpm2`, the key is made in the TPM, and the file holds what only that TPM can read
("TSS2 PRIVATE KEY"). Else it is a file. Where systemd hands us a credential `identity.key`, that
key is used and never written.
Source: RFC 2986 (PKCS#10); tpm2-openssl, docs/keys.md.
"""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from edge.core import ConfigError
from edge.durable.readfile import read_file
from edge.identity import pkcs10
from edge.identity.names import san

OPENSSL: Final = "openssl"
OPENSSL_S: Final = 60.0  # a slow TPM makes a key in some seconds
TPM_HEADER: Final = b"-----BEGIN TSS2 PRIVATE KEY-----"
CREDENTIAL: Final = "identity.key"
KEY_LIMIT: Final = 16 << 10

KeyKind = Literal["file", "tpm", "credential"]


class NoKeyError(ConfigError):
    """This key cannot be used."""


class IdentityKey(Protocol):
    """What can be done with a key. `pem` is what a file of it holds."""

    @property
    def kind(self) -> KeyKind: ...
    @property
    def pem(self) -> bytes: ...

    def spki(self) -> bytes: ...
    def csr(self, gateway: str) -> bytes: ...


@dataclass(frozen=True)
class FileKey:
    """A key in the memory of this process."""

    private: ec.EllipticCurvePrivateKey
    kind: KeyKind = "file"

    def __repr__(self) -> str:
        return f"FileKey({self.kind})"

    @property
    def pem(self) -> bytes:
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def spki(self) -> bytes:
        public = self.private.public_key()
        return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def csr(self, gateway: str) -> bytes:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, gateway)])
        uri = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(san(gateway))])
        request = x509.CertificateSigningRequestBuilder().subject_name(name)
        signed = request.add_extension(uri, critical=False).sign(self.private, hashes.SHA256())
        return signed.public_bytes(Encoding.DER)


@dataclass(frozen=True)
class TpmKey:
    """A key in the TPM: `pem` is its wrapped form, of use to that TPM only."""

    pem: bytes
    kind: KeyKind = "tpm"

    def spki(self) -> bytes:
        return run_openssl("pkey", "-in", "/dev/stdin", "-pubout", "-outform", "DER", data=self.pem)

    def csr(self, gateway: str) -> bytes:
        made = run_openssl(
            "req", "-new", "-key", "/dev/stdin", "-subj", f"/CN={gateway}",
            "-addext", f"subjectAltName=URI:{san(gateway)}", "-outform", "DER", data=self.pem,
        )  # fmt: skip
        return pkcs10.without_null_parameters(made)


def make_key(has_tpm: bool | None = None) -> IdentityKey:
    """A key of its own for this box."""
    given = read_credential()
    if given is not None:
        return given
    if has_tpm_provider() if has_tpm is None else has_tpm:
        return TpmKey(
            run_openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "group:P-256", "-propquery",
                    "provider=tpm2")
        )  # fmt: skip
    return FileKey(ec.generate_private_key(ec.SECP256R1()))


def parse_key(pem: bytes, kind: KeyKind = "file") -> IdentityKey:
    """The key that was kept. Raises NoKeyError."""
    if TPM_HEADER in pem:
        return TpmKey(pem)
    try:
        private = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise NoKeyError("this is no private key in PEM") from error
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise NoKeyError("this is no key on an elliptic curve")
    return FileKey(private, kind)


def key_kind(path: Path) -> KeyKind:
    """Where the key of a bundle is, by its file."""
    data = read_file(path, KEY_LIMIT)
    return "credential" if data is None else "tpm" if TPM_HEADER in data else "file"


def read_credential() -> IdentityKey | None:
    """The key that systemd hands to this unit, if it does."""
    path = credential_path()
    data = None if path is None else read_file(path, KEY_LIMIT)
    return None if data is None else parse_key(data, "credential")


def credential_path() -> Path | None:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(folder, CREDENTIAL) if folder else None
    return path if path is not None and path.is_file() else None


def has_tpm_provider() -> bool:
    """Whether OpenSSL is configured to use one. Then Python's `ssl` uses it, too.

    One that is configured and does not answer counts: a key in a file is not what was wanted.
    """
    conf = os.environ.get("OPENSSL_CONF")
    try:
        if conf and b"tpm2" in (read_file(Path(conf)) or b""):
            return True
    except OSError:
        pass  # OpenSSL cannot read it either
    try:
        return b"tpm2" in run_openssl("list", "-providers")
    except NoKeyError:
        return False


def run_openssl(*arguments: str, data: bytes = b"") -> bytes:
    """What it prints. Raises NoKeyError."""
    try:
        done = subprocess.run(
            [OPENSSL, *arguments], input=data, capture_output=True, timeout=OPENSSL_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoKeyError(
            f"`openssl {arguments[0]}` does not run: {type(error).__name__}"
        ) from error
    if done.returncode:
        error_lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise NoKeyError(
            f"`openssl {arguments[0]}` failed: {error_lines[-1] if error_lines else 'silently'}"
        )
    return done.stdout
