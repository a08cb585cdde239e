"""The device's key, which signs manifests and acceptance sheets."""

import base64
import hashlib
import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from edge.core import ConfigError
from edge.uplink.manifests import Sign, Signature
from edge.wire import signed_bytes
from edge.wire.contract.terms import Algorithm

LOG: Final = logging.getLogger("kerbstone")
TPM_KEY_MARKER: Final = b"TSS2 PRIVATE KEY"  # what OpenSSL's provider writes in place of a key


SignBytes = Callable[[bytes], Signature]
"""Signs bytes with the device's key."""


def make_signer(key: Path | None, cert: Path | None) -> Sign | None:
    """Signs manifests with the device's key; None without one. Raises ConfigError for a key of no
    use.
    """
    return sign_manifests(make_byte_signer(key, cert))


def sign_manifests(sign: SignBytes | None) -> Sign | None:
    """The same key for the bodies of manifests."""
    return None if sign is None else lambda body: sign(signed_bytes(body))


def make_byte_signer(key: Path | None, cert: Path | None) -> SignBytes | None:
    """Signs with the device's key; None without one. Raises ConfigError for a key of no use.

    The library is loaded only here, and takes 10 MB: a box without a key does without it.
    """
    if key is None or cert is None:
        return None
    try:
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError:
        LOG.warning("nothing is signed: the library for it is missing (kerbstone[sign])")
        return None
    try:
        pem = key.read_bytes()
        if TPM_KEY_MARKER in pem:
            LOG.warning("nothing is signed: the key does not leave its TPM")
            return None
        private: Any = load_pem_private_key(pem, None)
        der = ssl.PEM_cert_to_DER_cert(first_certificate(cert.read_text(encoding="ascii")))
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"uplink.key: {key}, {cert}: {error}") from None
    alg, how = _algorithm(private, SHA256())
    cert_sha256 = hashlib.sha256(der).hexdigest()

    def sign(data: bytes) -> Signature:
        signature = private.sign(data, *how)
        return Signature(alg, cert_sha256, base64.b64encode(signature).decode())

    return sign


def _algorithm(private: Any, digest: Any) -> tuple[Algorithm, tuple[Any, ...]]:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

    match private:
        case ed25519.Ed25519PrivateKey():
            return "ed25519", ()
        case ec.EllipticCurvePrivateKey():
            return "ecdsa-sha256", (ec.ECDSA(digest),)
        case rsa.RSAPrivateKey():
            salt = padding.PSS.DIGEST_LENGTH
            return "rsa-pss-sha256", (padding.PSS(padding.MGF1(digest), salt), digest)
    raise ConfigError(f"uplink.key: a key of type {type(private).__name__} cannot sign manifests")


def first_certificate(pem: str) -> str:
    """The first certificate of a file: the device's own, its authorities follow."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    start = pem.find(begin)
    stop = pem.find(end)
    if start < 0 or stop < start:
        raise ValueError("no certificate is in it")
    return pem[start : stop + len(end)] + "\n"
