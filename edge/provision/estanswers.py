"""What the enrolment service answers: EST's forms, and problems that say what to do (RFC 9457)."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7

CERTS: Final = "application/pkcs7-mime; smime-type=certs-only"
PROBLEM: Final = "application/problem+json"
RETRY_S: Final = 30
PROBLEMS: Final = {  # code: (status, title)
    "malformed": (400, "The request cannot be read"),
    "unknown": (401, "The claim or the certificate is not trusted here"),
    "forbidden": (403, "Not for this site or this name"),
    "missing": (404, "Not found"),
    "used": (409, "The claim was used by another key"),
    "expired": (410, "Expired"),
    "busy": (429, "Asked too often"),
    "revoked": (410, "Revoked, refused or replaced"),
}


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """Of HTTP, without the parts that are always the same."""

    status: int
    body: bytes
    kind: str
    headers: Mapping[str, str] = field(default_factory=dict)
    log_text: str = ""  # for the log


class EnrolRefusedError(Exception):
    """`code` is for programs and a key of `PROBLEMS`; the text is for people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def problem_answer(status: int, code: str, title: str, detail: str) -> HttpAnswer:
    body = msgspec.json.encode(
        {"title": title, "detail": detail, "code": code, "status": status, "type": "about:blank"}
    )
    return HttpAnswer(status, body, PROBLEM, log_text=f"{code}: {detail}")


def json_answer(
    status: int, body: object, log_text: str, headers: Mapping[str, str] | None = None
) -> HttpAnswer:
    return HttpAnswer(
        status, msgspec.json.encode(body), "application/json", headers or {}, log_text
    )


def certificate_answer(certificate: x509.Certificate, log_text: str) -> HttpAnswer:
    """PKCS#7 with this certificate and nothing else, in base64."""
    der = pkcs7.serialize_certificates([certificate], serialization.Encoding.DER)
    headers = {"Content-Transfer-Encoding": "base64"}
    return HttpAnswer(200, base64.encodebytes(der), CERTS, headers, log_text)
