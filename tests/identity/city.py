"""The city's side as the device sees it: an authority, an operator, EST-shaped answers.

Independent of `edge.provision`: what both make of the agreed form shows where they meet.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge.identity.claim import Claim, parse_claim, sign_claim

NOW = datetime(2026, 11, 26, tzinfo=UTC)
LIFE = timedelta(days=60)
CODE = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
Answer = tuple[int, dict[str, str], bytes]


def spki(public: Any) -> bytes:
    data: bytes = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return data


class CityAuthority:
    """A root that signs everything itself."""

    def __init__(self, name: str = "city") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self.name, self.key.public_key(), NOW - LIFE, NOW + 60 * LIFE,
                                      x509.BasicConstraints(ca=True, path_length=0))  # fmt: skip

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def gateway(
        self, name: str, key: Any, first: datetime = NOW, last: datetime = NOW + LIFE,
        uri: str | None = None,
    ) -> x509.Certificate:  # fmt: skip
        san = x509.UniformResourceIdentifier(uri or f"urn:kerbstone:gw:{name}")
        return self._sign(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key, first, last,
            x509.SubjectAlternativeName([san]),
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]),
        )  # fmt: skip

    def server(
        self, host: str, key: Any, first: datetime = NOW - LIFE, last: datetime = NOW + LIFE,
        use: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
    ) -> x509.Certificate:  # fmt: skip
        return self._sign(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)]), key, first, last,
            x509.SubjectAlternativeName([x509.DNSName(host)]), x509.ExtendedKeyUsage([use]),
        )  # fmt: skip

    def _sign(
        self, subject: x509.Name, key: Any, first: datetime, last: datetime,
        *extensions: x509.ExtensionType,
    ) -> x509.Certificate:  # fmt: skip
        made = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(first).not_valid_after(last)
        )  # fmt: skip
        for each in extensions:
            made = made.add_extension(each, critical=isinstance(each, x509.BasicConstraints))
        return made.sign(self.key, hashes.SHA256())


@dataclass
class EnrolmentCity:
    """Which keys it has seen with which claim, and what it has issued."""

    authority: CityAuthority = field(default_factory=CityAuthority)
    operator: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    now: datetime = NOW
    approves: bool = True
    sites: tuple[str, ...] = ("s17",)
    used: dict[str, str] = field(default_factory=dict)  # claim: key that took it
    statuses: list[int] = field(default_factory=list)
    issued: list[x509.Certificate] = field(default_factory=list)

    def claim(self, number: int = 1, **changes: Any) -> bytes:
        fields: dict[str, Any] = {
            "claim": f"{number:016x}", "site": "s17", "role": "crossing",
            "gateway": f"gw-{number:04}", "code": CODE, "expires": "2026-12-24T00:00:00Z",
            "enrol": "https://localhost:8443", "ca": self.authority.pem,
            "broker": "mqtts://localhost:8883",
        }  # fmt: skip
        return sign_claim(Claim(**{**fields, **changes}), self.operator)

    def answer(
        self, name: str, headers: Mapping[str, str], body: bytes, peer: x509.Certificate | None
    ) -> Answer:
        made = self._answer(name, headers, body, peer)
        self.statuses.append(made[0])
        return made

    def _answer(
        self, name: str, headers: Mapping[str, str], body: bytes, peer: x509.Certificate | None
    ) -> Answer:
        if name == "cacerts":
            return self.certificates(self.authority.certificate)
        if name == "simpleenroll":
            return self._enrol(base64.b64decode(headers["kerbstone-claim"]), body)
        if peer is None:
            return problem(401, "no certificate")
        gateway = str(peer.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
        if name == "config":
            return 200, {"content-type": "application/json"}, self.config(gateway)
        csr = self._csr(body, gateway)
        return self.issue(gateway, csr.public_key())

    def _enrol(self, data: bytes, body: bytes) -> Answer:
        try:
            claim = parse_claim(data)
        except ValueError:
            return problem(400, "no claim")
        if (
            claim.operator
            != base64.b64encode(self.operator.public_key().public_bytes_raw()).decode()
        ):
            return problem(401, "unknown operator")
        if claim.site not in self.sites:
            return problem(403, "another city's site")
        if claim.expires_at() < self.now:
            return problem(410, "expired")
        csr = self._csr(body, claim.gateway)
        key = spki(csr.public_key()).hex()
        if self.used.setdefault(claim.claim, key) != key:
            return problem(409, "used by another key")
        self.keep()
        if not self.approves:
            return 202, {"retry-after": "30"}, b""
        return self.issue(claim.gateway, csr.public_key())

    def keep(self) -> None:
        """For a city that survives its process."""

    def issue(self, gateway: str, key: Any) -> Answer:
        made = self.authority.gateway(gateway, key, self.now, self.now + LIFE)
        self.issued.append(made)
        return self.certificates(made)

    def certificates(self, *found: x509.Certificate) -> Answer:
        data = base64.encodebytes(pkcs7.serialize_certificates(list(found), Encoding.DER))
        return 200, {"content-type": "application/pkcs7-mime; smime-type=certs-only"}, data

    more, serial = "", 1700000000  # of each configuration

    def config(
        self, gateway: str, key: Ed25519PrivateKey | None = None, site: str = "s17"
    ) -> bytes:
        text = f'[site]\nid = "{site}"\ngateway = "{gateway}"\n{self.more}'
        signed = (key or self.operator).sign(f"kerbstone config {self.serial}\n{text}".encode())
        return json.dumps(
            {"v": 1, "gateway": gateway, "serial": self.serial, "config": text,
             "signature": base64.b64encode(signed).decode()}
        ).encode()  # fmt: skip

    def _csr(self, body: bytes, gateway: str) -> x509.CertificateSigningRequest:
        csr = x509.load_der_x509_csr(base64.b64decode(body))
        assert csr.is_signature_valid
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == gateway
        assert names.get_values_for_type(x509.UniformResourceIdentifier) == [
            f"urn:kerbstone:gw:{gateway}"
        ]
        return csr


def problem(status: int, text: str) -> Answer:
    body = json.dumps({"title": text, "detail": text, "code": "x"}).encode()
    return status, {"content-type": "application/problem+json"}, body
