"""Enrolment without a network: a request goes out on a USB stick, an identity comes back on it.

Out: the claim and `kerbstone-request.pem` (PKCS#10). Back, by `kerbstone provision offline`:
`kerbstone-certificate.pem`, `kerbstone-config.json`. The certificate is of use to this box only.
"""

from pathlib import Path
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from edge.core import ConfigError
from edge.durable import atomicwrite
from edge.durable.readfile import read_file
from edge.identity import certs, keys, siteconfig, statefolder
from edge.identity.accesskeeping import keep_access
from edge.identity.bootpartition import BootPartition
from edge.identity.claim import CLAIM_LIMIT, CLAIM_NAME, Claim, parse_claim
from edge.identity.enrol import Enrolment
from edge.identity.enrolstatus import EnrolmentStatus
from edge.identity.identitybundle import EnrolmentTarget, IdentityBundle
from edge.identity.names import comparison_code

REQUEST: Final = "kerbstone-request.pem"
CERTIFICATE: Final = "kerbstone-certificate.pem"
CONFIG: Final = "kerbstone-config.json"
Outcome = Literal["enrolled", "asked", "no claim"]


class OfflineError(ConfigError):
    """What lies on the stick cannot be used."""


def enrol_offline(enrolment: Enrolment, stick: Path) -> Outcome:
    """Take what is for us; else leave a request. Raises ConfigError, OSError."""
    enrolment.store.remove_leftovers()
    bundle = enrolment.store.current() or enrolment.store.use_pending()
    data = _claim(enrolment, stick, bundle is None)
    if bundle is None:
        if data is None:
            return "no claim"
        claim = parse_claim(data)
        if claim.access is not None:
            keep_access(enrolment.store, enrolment.boot, claim.access, claim.gateway, claim.claim)
        key = enrolment.store.next_key(enrolment.has_tpm)
        sent = read_file(stick / CERTIFICATE)
        if sent is None:
            _leave_request(enrolment, stick, claim, data, key)
            return "asked"
        bundle = _take_certificate(enrolment, claim, key, sent)
    enrolment.store.used_key(bundle)
    config = read_file(stick / CONFIG)
    if config is not None:  # also a newer one, for a box that is enrolled
        courier = enrolment.courier

        def trial(found: siteconfig.SignedConfig) -> str:
            return "" if courier is None else courier.why_unusable(found.config)

        siteconfig.store_signed_config(enrolment.store, config, bundle.target, trial=trial)
    elif not siteconfig.has_stored_config(enrolment.store, bundle.target):
        raise OfflineError(f"{CONFIG} is not on the stick: sign one for this box, then try again")
    if data is not None:
        BootPartition(stick).retire_claim(data)
    enrolment.done(bundle)
    return "enrolled"


def _claim(enrolment: Enrolment, stick: Path, wanted: bool) -> bytes | None:
    """That of the card; on a box without one that of the stick."""
    data = enrolment.claim_file() if wanted else enrolment.store.get(statefolder.CLAIM)
    if data is None and wanted:
        data = read_file(stick / CLAIM_NAME, CLAIM_LIMIT)
        if data is not None:
            parse_claim(data)
            enrolment.store.put(statefolder.CLAIM, data)
    return data


def _leave_request(
    enrolment: Enrolment, stick: Path, claim: Claim, data: bytes, key: keys.IdentityKey
) -> None:
    request = x509.load_der_x509_csr(key.csr(claim.gateway))
    if read_file(stick / CLAIM_NAME, CLAIM_LIMIT + 1) != data:
        atomicwrite.replace_file(stick / CLAIM_NAME, data)
    atomicwrite.replace_file(stick / REQUEST, request.public_bytes(Encoding.PEM), 0o644)
    enrolment.status_writer.write(
        EnrolmentStatus(
            "not enrolled", claim.gateway, comparison_code(key.spki()), key.kind,
            waits_for=f"{CERTIFICATE} on the stick",
            action="`kerbstone provision offline` with this stick, then bring it back",
        )
    )  # fmt: skip


def _take_certificate(
    enrolment: Enrolment, claim: Claim, key: keys.IdentityKey, pem: bytes
) -> IdentityBundle:
    try:
        found = x509.load_pem_x509_certificates(pem)
    except certs.UNREADABLE as error:
        raise OfflineError(f"{CERTIFICATE} on the stick holds no certificate in PEM") from error
    ca = claim.ca.encode()
    try:
        ours = certs.own_certificate(found, key.spki(), claim.gateway, ca, enrolment.watch)
    except certs.CertificateError as error:
        text = f"{CERTIFICATE} on the stick: {error}; it may be of another box: use an empty stick"
        raise OfflineError(text) from error
    bundle = enrolment.store.install(key, ours, ca, EnrolmentTarget.of(claim))
    enrolment.watch.raise_floor(ours.not_valid_before_utc)
    return bundle
