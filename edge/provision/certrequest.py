"""A certificate request (PKCS#10) from somebody unknown. Only its key and its names are looked at.

Whatever else it asks for (to be a CA, other usages, other names) the certificate does not get: it
is built from the approved claim and from this key.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from edge.identity.names import san

CSR_LIMIT: Final = 16 << 10  # bytes of DER
RSA_BITS: Final = range(2048, 4097)
PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey


class CsrError(Exception):
    """It is no request that a gateway of ours would send."""


class NameRefusedError(Exception):
    """It asks for a name that is not this gateway's."""


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """Signed with its own key, which is of a kind that we take. Its names are not checked."""

    der: bytes
    spki: bytes  # the public key, as DER
    key: PublicKey
    csr: x509.CertificateSigningRequest


def decode_csr(body: bytes) -> CertificateRequest:
    """The request in the body of an enrolment: base64 of DER. Raises CsrError."""
    try:
        der = base64.b64decode(b"".join(body.split()), validate=True)
    except (binascii.Error, ValueError):
        raise CsrError("the body is not base64") from None
    return read_csr(der)


def read_csr_file(data: bytes) -> CertificateRequest:
    """A request from a stick: PEM or DER. Raises CsrError."""
    if b"-----BEGIN" not in data:
        return read_csr(data)
    try:
        csr = x509.load_pem_x509_csr(data)
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise CsrError("this is not a certificate request in PEM") from None
    return read_csr(csr.public_bytes(serialization.Encoding.DER))


def read_csr(der: bytes) -> CertificateRequest:
    """Raises CsrError: also when it is not signed with its own key."""
    if len(der) > CSR_LIMIT:
        raise CsrError(f"more than {CSR_LIMIT} bytes")
    try:
        csr = x509.load_der_x509_csr(der)
        key = csr.public_key()
        valid = csr.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature, x509.InvalidVersion):
        raise CsrError("this is not a certificate request (PKCS#10)") from None
    if not valid:
        raise CsrError("it is not signed with its own key")
    match key:
        case ec.EllipticCurvePublicKey() if isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1):
            pass
        case ed25519.Ed25519PublicKey():
            pass
        case rsa.RSAPublicKey() if key.key_size in RSA_BITS and key.public_numbers().e == 65537:
            pass
        case _:
            raise CsrError("its key must be P-256, P-384, Ed25519, or RSA of 2048 to 4096 bits")
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return CertificateRequest(der, key.public_bytes(serialization.Encoding.DER, form), key, csr)


def check_common_name(request: CertificateRequest, name: str) -> None:
    """For a request that an operator brings: whose it is. Raises NameRefusedError, CsrError."""
    try:
        subject = request.csr.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        names = [str(each.value) for each in subject]
    except (ValueError, TypeError):
        raise CsrError("its names cannot be read") from None
    if names != [name]:
        names_text = ", ".join(names) or "none"
        raise NameRefusedError(f"its common name is {names_text!r:.100}, not {name}")


def check_names(request: CertificateRequest, gateway: str) -> None:
    """Only the gateway's own name may be in it. Raises NameRefusedError, CsrError."""
    check_common_name(request, gateway)
    try:
        extensions = request.csr.extensions
        try:
            wanted = list(extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
        except x509.ExtensionNotFound:
            wanted = []
    except (ValueError, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        raise CsrError("its names or extensions cannot be read") from None
    if any(each != x509.UniformResourceIdentifier(san(gateway)) for each in wanted):
        raise NameRefusedError(f"it has alternative names other than {san(gateway)}")
