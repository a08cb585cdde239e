"""What is asked of the enrolment server, and what its answers mean. Shaped like EST (RFC 7030).

The header `Kerbstone-Claim` carries the claim to `simpleenroll`; `config` is ours, all else is EST.
"""

import base64
from dataclasses import dataclass
from typing import Final

import msgspec

from edge.core.printable import printable
from edge.identity.bundle import Bundle, Home
from edge.identity.moment import Watch
from edge.identity.tls import Ask, Question, Reply, ServerError

CSR: Final = "application/pkcs10"
CERTS: Final = "application/pkcs7-mime"
TEXT: Final = 200  # characters of what a server says, in our log and on the boot partition
NEXT_S: Final = 60  # it does not say when to ask again


@dataclass(frozen=True)
class Issued:
    """Certificates, not verified yet."""

    body: bytes


@dataclass(frozen=True)
class Wait:
    """The operator has to approve it first."""

    after_s: int


@dataclass(frozen=True)
class Denied:
    """It will not, as things are. `status` is the HTTP status."""

    status: int
    text: str


class Problem(msgspec.Struct, frozen=True):
    """application/problem+json."""

    title: str = ""
    detail: str = ""


def enrol(ask: Ask, watch: Watch, home: Home, ca: bytes, csr: bytes, claim: bytes) -> (
    Issued | Wait | Denied
):  # fmt: skip
    headers = {
        "Content-Type": CSR,
        "Content-Transfer-Encoding": "base64",
        "Kerbstone-Claim": base64.b64encode(claim).decode("ascii"),
    }
    question = Question(home, ca, "simpleenroll", base64.b64encode(csr), headers)
    return _answer(ask(question, watch))


def renew(ask: Ask, watch: Watch, bundle: Bundle, csr: bytes) -> Issued | Wait | Denied:
    headers = {"Content-Type": CSR, "Content-Transfer-Encoding": "base64"}
    body = base64.b64encode(csr)
    question = Question(bundle.home, bundle.ca, "simplereenroll", body, headers, bundle)
    return _answer(ask(question, watch))


def config(ask: Ask, watch: Watch, bundle: Bundle) -> bytes:
    """The signed configuration, not verified yet. Raises ServerError."""
    reply = ask(Question(bundle.home, bundle.ca, "config", identity=bundle), watch)
    if reply.status != 200:
        raise ServerError(f"no configuration ({reply.status}): {_said(reply)}")
    return reply.body


def cacerts(ask: Ask, watch: Watch, bundle: Bundle) -> None:
    """Asked for its `Date` header: what time it is at least. Raises ServerError."""
    ask(Question(bundle.home, bundle.ca, "cacerts"), watch)


def _answer(reply: Reply) -> Issued | Wait | Denied:
    if reply.status == 200:
        if not reply.headers.get("content-type", "").startswith(CERTS):
            raise ServerError("the answer is no certificate: its type is not " + CERTS)
        return Issued(reply.body)
    if reply.status == 202:
        return Wait(_after(reply, NEXT_S))
    if reply.status in (400, 401, 403, 409, 410):
        return Denied(reply.status, _said(reply))
    if 300 <= reply.status < 400:
        raise ServerError(f"it redirects to somebody else ({reply.status}), which is refused")
    raise ServerError(f"it answers {reply.status}: {_said(reply)}")


def _after(reply: Reply, default_s: int) -> int:
    text = reply.headers.get("retry-after", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 8 else default_s


def _said(reply: Reply) -> str:
    try:
        found = msgspec.json.decode(reply.body, type=Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return "it does not say why"
    return plain(found.detail or found.title) or "it does not say why"


def plain(text: str) -> str:
    """One short line of what somebody else has written: it goes to a terminal and to a file."""
    return printable(text.strip(), TEXT)
