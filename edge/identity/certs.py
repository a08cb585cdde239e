"""Whether a certificate is ours: our key, our name, and the pinned authority behind it.

Source: RFC 7030 section 4.2.3 (the answer is PKCS#7, certificates only), RFC 5280.
"""

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge.core import ConfigError
from edge.identity.floorclock import FloorClock
from edge.identity.names import san

CERTIFICATES_LIMIT: Final = 8  # certificates in one answer
# what cryptography raises for bytes of any kind, some of it only when a field is looked at
UNREADABLE: Final = (
    ValueError, TypeError, OverflowError, UnsupportedAlgorithm, x509.InvalidVersion,
    x509.DuplicateExtension, x509.UnsupportedGeneralNameType,
)  # fmt: skip
RENEW_JITTER: Final = 0.05  # of the life: boxes that were enrolled together do not renew together


class CertificateError(ConfigError):
    """This certificate is not for us, or not from whom it should be."""


def parse_certificates(body: bytes) -> list[x509.Certificate]:
    """What an answer holds. Raises CertificateError."""
    try:
        found = pkcs7.load_der_pkcs7_certificates(base64.b64decode(b"".join(body.split())))
    except UNREADABLE as error:  # binascii's is a ValueError
        raise CertificateError("the answer holds no certificates (PKCS#7, base64)") from error
    return found


def own_certificate(
    found: Sequence[x509.Certificate], spki: bytes, gateway: str, ca: bytes, clock: FloorClock
) -> x509.Certificate:
    """The one among them that is for our key, once it is known to be good. CertificateError."""
    try:
        return _find_own(found, spki, gateway, ca, clock)
    except UNREADABLE as error:
        raise CertificateError("the certificate in the answer is damaged") from error


def _find_own(
    found: Sequence[x509.Certificate], spki: bytes, gateway: str, ca: bytes, clock: FloorClock
) -> x509.Certificate:
    if len(found) > CERTIFICATES_LIMIT:
        raise CertificateError(
            f"the answer holds {len(found)} certificates, more than {CERTIFICATES_LIMIT}"
        )
    mine = [each for each in found if certificate_key(each) == spki]
    if not mine:
        raise CertificateError("the certificate in the answer is for somebody else's key")
    newest = max(mine, key=lambda each: each.not_valid_before_utc)
    check_certificate(newest, gateway, ca)
    wrong = clock.validity_problem(newest.not_valid_before_utc, newest.not_valid_after_utc)
    if wrong is not None:
        raise CertificateError(f"the certificate in the answer {wrong}")
    return newest


def check_certificate(certificate: x509.Certificate, gateway: str, ca: bytes) -> None:
    """All but the dates. Raises CertificateError."""
    try:
        _check(certificate, gateway, ca)
    except UNREADABLE as error:
        raise CertificateError("the certificate, or its authority's, cannot be read") from error


def _check(certificate: x509.Certificate, gateway: str, ca: bytes) -> None:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if [each.value for each in names] != [gateway]:
        raise CertificateError(f"the certificate is for another name than {gateway}")
    extensions = certificate.extensions
    uris = _uris(extensions)
    if uris != [san(gateway)]:
        raise CertificateError(f"the certificate's URI is not {san(gateway)}")
    if _is_authority(extensions) or not _for_clients(extensions):
        raise CertificateError("the certificate is not one for a client")
    if not any(_signed(certificate, each) for each in x509.load_pem_x509_certificates(ca)):
        raise CertificateError("the certificate is from another authority than the claim's")


def certificate_key(certificate: x509.Certificate) -> bytes:
    key = certificate.public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def fingerprint(certificate: x509.Certificate) -> str:
    """How the daemon says which certificate it has connected with."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def renewal_due(certificate: x509.Certificate) -> datetime:
    """When to renew it: at two thirds of its life, give or take, always the same for one."""
    first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    share = int(fingerprint(certificate)[:8], 16) / 0xFFFFFFFF
    return first + timedelta(
        seconds=(last - first).total_seconds() * (2 / 3 - RENEW_JITTER * share)
    )


def _uris(extensions: x509.Extensions) -> list[str]:
    try:
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    uris: list[str] = names.get_values_for_type(x509.UniformResourceIdentifier)
    return uris if len(uris) == len(list(names)) else []  # no other kind of name beside it


def _is_authority(extensions: x509.Extensions) -> bool:
    try:
        return extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _for_clients(extensions: x509.Extensions) -> bool:
    try:
        uses = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return ExtendedKeyUsageOID.CLIENT_AUTH in uses


def _signed(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
        return _is_authority(authority.extensions)
    except (ValueError, TypeError, InvalidSignature):
        return False
