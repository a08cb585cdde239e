"""Enrolment without a network: a request goes out on a USB stick, an identity comes back on it.

Out: the claim and `kerbstone-request.pem` (PKCS#10). Back, by `kerbstone provision offline`:
`kerbstone-certificate.pem`, `kerbstone-config.json`. The certificate is of use to this box only.
"""

from pathlib import Path
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from edge.core import ConfigError
from edge.identity import certs, files, keys, siteconfig, store
from edge.identity.boot import Boot
from edge.identity.bundle import Bundle, Home
from edge.identity.claim import LARGEST, NAME, Claim, parse
from edge.identity.enrol import Enrolment
from edge.identity.names import comparison
from edge.identity.status import Said

REQUEST: Final = "kerbstone-request.pem"
CERTIFICATE: Final = "kerbstone-certificate.pem"
CONFIG: Final = "kerbstone-config.json"
Outcome = Literal["enrolled", "asked", "no claim"]


class OfflineError(ConfigError):
    """What lies on the stick cannot be used."""


def offline(box: Enrolment, stick: Path) -> Outcome:
    """Take what is for us; else leave a request. Raises ConfigError, OSError."""
    box.store.tidy()
    bundle = box.store.current() or box.store.adopt()
    data = _claim(box, stick, bundle is None)
    if bundle is None:
        if data is None:
            return "no claim"
        claim = parse(data)
        key = box.store.next_key(box.has_tpm)
        sent = files.read(stick / CERTIFICATE)
        if sent is None:
            _ask(box, stick, claim, data, key)
            return "asked"
        bundle = _take(box, claim, key, sent)
    box.store.used_key(bundle)
    config = files.read(stick / CONFIG)
    if config is not None:  # also a newer one, for a box that is enrolled
        siteconfig.keep(box.store, config, bundle.home)
    elif not siteconfig.kept(box.store, bundle.home):
        raise OfflineError(f"{CONFIG} is not on the stick: sign one for this box, and again")
    if data is not None:
        Boot(stick).blank(data)
    box.done(bundle)
    return "enrolled"


def _claim(box: Enrolment, stick: Path, wanted: bool) -> bytes | None:
    """That of the card; on a box without one that of the stick."""
    data = box.claim_file() if wanted else box.store.get(store.CLAIM)
    if data is None and wanted:
        data = files.read(stick / NAME, LARGEST)
        if data is not None:
            parse(data)
            box.store.put(store.CLAIM, data)
    return data


def _ask(box: Enrolment, stick: Path, claim: Claim, data: bytes, key: keys.Key) -> None:
    request = x509.load_der_x509_csr(key.csr(claim.gateway))
    if files.read(stick / NAME, LARGEST + 1) != data:
        files.write(stick / NAME, data)
    files.write(stick / REQUEST, request.public_bytes(Encoding.PEM), 0o644)
    box.teller.tell(
        Said(
            "not enrolled", claim.gateway, comparison(key.spki()), key.kind,
            waits_for=f"{CERTIFICATE} on the stick",
            do="`kerbstone provision offline` with this stick, then bring it back",
        )
    )  # fmt: skip


def _take(box: Enrolment, claim: Claim, key: keys.Key, pem: bytes) -> Bundle:
    try:
        found = x509.load_pem_x509_certificates(pem)
    except certs.UNREADABLE as error:
        raise OfflineError(f"{CERTIFICATE} on the stick holds no certificate in PEM") from error
    ca = claim.ca.encode()
    try:
        ours = certs.ours(found, key.spki(), claim.gateway, ca, box.watch)
    except certs.CertificateError as error:
        text = f"{CERTIFICATE} on the stick: {error}; is it another box's? Take an empty stick"
        raise OfflineError(text) from error
    bundle = box.store.install(key, ours, ca, Home.of(claim))
    box.watch.passed(ours.not_valid_before_utc)
    return bundle
