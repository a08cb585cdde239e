"""Signatures of manifests and acceptance sheets, by the key of the gateway's certificate.

`cryptography` is not among this program's dependencies: who checks signatures installs it.
"""

import base64
import binascii
from collections.abc import Collection, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edge.core import ConfigError
from edge.wire import signed_bytes
from edge.wire.records import HEADER_KEYS

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

SUFFIXES: Final = frozenset({".pem", ".crt", ".cert"})
CERTIFICATE_LIMIT: Final = 64 << 10  # bytes of a certificate's file


class MissingLibraryError(Exception):
    """`cryptography` is not installed."""


class CertificateKeys:
    """The certificates of a folder, by their SHA-256. Raises ConfigError, MissingLibraryError.

    With `ca` each must have been issued by it. `unsigned_ok` are gateways of which the operator
    says that they do not sign, because their keys lie in a TPM: nothing in the data can say so, or
    who changes the data would. How long they are valid is not looked at: a manifest
    of last year was signed by last year's certificate.
    """

    def __init__(
        self, folder: Path, ca: Path | None = None, unsigned_ok: Collection[str] = ()
    ) -> None:
        if find_spec("cryptography") is None:
            raise MissingLibraryError("signatures need the package `cryptography`")
        self.unsigned_ok = frozenset(unsigned_ok)
        authority = None if ca is None else _certificate(ca)
        self._keys: dict[str, tuple[frozenset[str], Any]] = {}
        if not folder.is_dir():
            raise ConfigError(f"{folder}: --keys needs a folder with the gateways' certificates")
        for file in sorted(folder.iterdir()):
            if file.suffix in SUFFIXES:
                certificate = _certificate(file)
                if authority is not None:
                    _issued(certificate, authority, file)
                fingerprint, names, key = _holder(certificate, file)
                self._keys[fingerprint] = names, key
        if not self._keys:
            raise ConfigError(f"{folder}: no certificates (*.pem, *.crt) in it")

    def refusal(self, gw: str, sent: Mapping[str, Any]) -> str | None:
        """Why the signature of this manifest does not hold; None when it does."""
        body = {field: value for field, value in sent.items() if field not in HEADER_KEYS}
        return self.signature_refusal(gw, sent, signed_bytes(body))

    def signature_refusal(self, gw: str, sent: Mapping[str, Any], data: bytes) -> str | None:
        """Why the signature in `sent` is none of this gateway over `data`; None when it is."""
        from cryptography.exceptions import InvalidSignature

        match sent:
            case {"alg": str(alg), "sig": str(sig), "cert_sha256": str(fingerprint)}:
                pass
            case _:
                return "alg, sig or cert_sha256 is missing"
        known = self._keys.get(fingerprint.lower())
        if known is None:
            return f"the certificate {fingerprint:.16} that signed it is not among the keys"
        names, key = known
        if gw not in names:
            return f"it is signed with the key of {', '.join(sorted(names))}"
        how = _verify_arguments(alg, key)
        if how is None:
            return f"alg is {alg!r:.40}, but the key in its certificate is of another type"
        try:
            key.verify(base64.b64decode(sig, validate=True), data, *how)
        except (InvalidSignature, binascii.Error, ValueError):
            return "its signature is wrong"
        return None


def _certificate(file: Path) -> "Certificate":
    from cryptography import x509

    try:
        with file.open("rb") as handle:
            return x509.load_pem_x509_certificate(handle.read(CERTIFICATE_LIMIT))
    except (OSError, ValueError, x509.InvalidVersion) as error:
        raise ConfigError(f"{file}: no certificate in PEM: {error}") from None


def _issued(certificate: "Certificate", authority: "Certificate", file: Path) -> None:
    from cryptography.exceptions import InvalidSignature

    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, TypeError, ValueError):
        raise ConfigError(f"{file}: this certificate was not issued by --keys-ca") from None


def _holder(certificate: "Certificate", file: Path) -> tuple[str, frozenset[str], Any]:
    """Its SHA-256, its common names and its key. All but the first is read only when asked for."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        key = certificate.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{file}: its name or its key cannot be read: {error}") from None
    return certificate.fingerprint(SHA256()).hex(), frozenset(str(n.value) for n in names), key


def _verify_arguments(alg: str, key: Any) -> tuple[Any, ...] | None:
    """What `verify` needs beside signature and bytes; None when the key cannot have signed so."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
    from cryptography.hazmat.primitives.hashes import SHA256

    match alg, key:
        case "ed25519", ed25519.Ed25519PublicKey():
            return ()
        case "ecdsa-sha256", ec.EllipticCurvePublicKey():
            return (ec.ECDSA(SHA256()),)
        case "rsa-pss-sha256", rsa.RSAPublicKey():
            salt = padding.PSS.DIGEST_LENGTH
            return padding.PSS(padding.MGF1(SHA256()), salt), SHA256()
    return None
