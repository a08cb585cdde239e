"""When manifests are due, what of them is kept over a restart, and the key that signs them."""

import base64
import hashlib
import logging
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from edge.core import ConfigError, Draft, Stamp, StoredBody, StoredState
from edge.outbox import Epoch, StoredRecord
from edge.uplink.manifests import VERSION, Manifests, Sign, Signature
from edge.uplink.timestamps import UsedMoments
from edge.wire import signed_bytes
from edge.wire.contract.manifest import Algorithm
from edge.wire.keptstate import unpack_state

LOG: Final = logging.getLogger("kerbstone")
TPM_KEY_MARKER: Final = b"TSS2 PRIVATE KEY"  # what OpenSSL's provider writes in place of a key


class ManifestSchedule:
    """The manifests of one start. `every_s` is how long a segment stays open."""

    def __init__(self, every_s: float, sign: Sign | None, now: Stamp) -> None:
        self.manifests = Manifests(sign)
        self._every_ns = int(every_s * 1e9)
        self._ended_ns = now.mono_ns

    def begin(
        self,
        epoch: Epoch,
        state: StoredState | None,
        handed: Sequence[StoredRecord],
        used: UsedMoments,
        now: Stamp,
    ) -> list[Draft]:
        """What the former process had sealed, and what it had handed over and not sealed: dated by
        one of the moments that were `used` for its boot.

        The opening manifest names the former epoch.
        """
        try:
            if (kept := unpack_state(state, VERSION)) is not None:
                self.manifests.restore(kept)
        except ValueError as error:
            LOG.warning("the state of the manifests cannot be read: %s", error)
        for stored in handed:
            self.manifests.handed(stored.record, *used.former(stored.record.boot))
        former = epoch.succeeds
        if former is None:
            return []
        return [self.manifests.opening(epoch.epoch, former, now.mono_ns)]

    def due(self, now: Stamp, *, last: bool) -> list[Draft]:
        """At a window's end: the manifests whose time has come. They are to be committed."""
        all_ = last or now.mono_ns - self._ended_ns >= self._every_ns
        if all_:
            self._ended_ns = now.mono_ns
        return self.manifests.due(now.mono_ns, all_=all_)


def make_signer(key: Path | None, cert: Path | None) -> Sign | None:
    """Signs with the device's key; None without one. Raises ConfigError for a key of no use.

    The library is loaded only here, and takes 10 MB: a box without a key does without it.
    """
    if key is None or cert is None:
        return None
    try:
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError:
        LOG.warning("manifests are not signed: the library for it is missing (kerbstone[sign])")
        return None
    try:
        pem = key.read_bytes()
        if TPM_KEY_MARKER in pem:
            LOG.warning("manifests are not signed: the key does not leave its TPM")
            return None
        private: Any = load_pem_private_key(pem, None)
        der = ssl.PEM_cert_to_DER_cert(first_certificate(cert.read_text(encoding="ascii")))
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"uplink.key: {key}, {cert}: {error}") from None
    alg, how = _algorithm(private, SHA256())
    cert_sha256 = hashlib.sha256(der).hexdigest()

    def sign(body: StoredBody) -> Signature:
        signature = private.sign(signed_bytes(body), *how)
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
