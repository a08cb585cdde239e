"""What is asked of the enrolment server, and what its answers mean. Shaped like EST (RFC 7030).

The header `Kerbstone-Claim` carries the claim to `simpleenroll`; `config` and `proposal` are ours,
all else is EST.
"""

import base64
from dataclasses import dataclass
from typing import Final

import msgspec

from edge.core.printable import printable
from edge.identity.floorclock import FloorClock
from edge.identity.httpsclient import HttpsCall, HttpsReply, HttpsRequest, ServerError
from edge.identity.identitybundle import EnrolmentTarget, IdentityBundle
from edge.identity.proposal import ConfigReport, ProposalStanding

CSR: Final = "application/pkcs10"
CERTS: Final = "application/pkcs7-mime"
TEXT_LIMIT: Final = 200  # characters of what a server says, in our log and on the boot partition
NEXT_S: Final = 60  # it does not say when to ask again


@dataclass(frozen=True)
class EstIssued:
    """Certificates, not verified yet."""

    body: bytes


@dataclass(frozen=True)
class EstWait:
    """The operator has to approve it first."""

    after_s: int


@dataclass(frozen=True)
class EstDenied:
    """It will not, as things are. `status` is the HTTP status."""

    status: int
    text: str


class ProblemDetails(msgspec.Struct, frozen=True):
    """application/problem+json."""

    title: str = ""
    detail: str = ""


def est_enrol(call: HttpsCall, clock: FloorClock, target: EnrolmentTarget, ca: bytes, csr: bytes,
claim: bytes) -> (
    EstIssued | EstWait | EstDenied
):  # fmt: skip
    headers = {
        "Content-Type": CSR,
        "Content-Transfer-Encoding": "base64",
        "Kerbstone-Claim": base64.b64encode(claim).decode("ascii"),
    }
    request = HttpsRequest(target, ca, "simpleenroll", base64.b64encode(csr), headers)
    return _answer(call(request, clock))


def est_renew(
    call: HttpsCall, clock: FloorClock, bundle: IdentityBundle, csr: bytes
) -> EstIssued | EstWait | EstDenied:
    headers = {"Content-Type": CSR, "Content-Transfer-Encoding": "base64"}
    body = base64.b64encode(csr)
    request = HttpsRequest(bundle.target, bundle.ca, "simplereenroll", body, headers, bundle)
    return _answer(call(request, clock))


def est_config(call: HttpsCall, clock: FloorClock, bundle: IdentityBundle) -> bytes:
    """The signed configuration, not verified yet. Raises ServerError."""
    reply = call(HttpsRequest(bundle.target, bundle.ca, "config", identity=bundle), clock)
    if reply.status != 200:
        raise ServerError(f"no configuration ({reply.status}): {_problem_text(reply)}")
    return reply.body


def est_propose(
    call: HttpsCall, clock: FloorClock, bundle: IdentityBundle, message: bytes
) -> ProposalStanding | EstDenied:
    """Send a proposal; once more with the same id changes nothing. Raises ServerError."""
    headers = {"Content-Type": "application/json"}
    request = HttpsRequest(bundle.target, bundle.ca, "proposal", message, headers, bundle)
    return _standing(call(request, clock))


def est_proposal(
    call: HttpsCall, clock: FloorClock, bundle: IdentityBundle
) -> ProposalStanding | EstDenied:
    """What became of the newest proposal of this box. Raises ServerError."""
    request = HttpsRequest(bundle.target, bundle.ca, "proposal", identity=bundle)
    return _standing(call(request, clock))


def est_report(
    call: HttpsCall, clock: FloorClock, bundle: IdentityBundle, report: ConfigReport
) -> None:
    """Tell why a configuration is not taken. Raises ServerError: an older server takes none."""
    headers, body = {"Content-Type": "application/json"}, msgspec.json.encode(report)
    reply = call(HttpsRequest(bundle.target, bundle.ca, "report", body, headers, bundle), clock)
    if reply.status >= 300:
        raise ServerError(f"no report ({reply.status}): {_problem_text(reply)}")


def est_cacerts(call: HttpsCall, clock: FloorClock, bundle: IdentityBundle) -> None:
    """Asked for its `Date` header: what time it is at least. Raises ServerError."""
    call(HttpsRequest(bundle.target, bundle.ca, "cacerts"), clock)


def _answer(reply: HttpsReply) -> EstIssued | EstWait | EstDenied:
    if reply.status == 200:
        if not reply.headers.get("content-type", "").startswith(CERTS):
            raise ServerError("the answer is no certificate: its type is not " + CERTS)
        return EstIssued(reply.body)
    if reply.status == 202:
        return EstWait(_after(reply, NEXT_S))
    if reply.status in (400, 401, 403, 409, 410):
        return EstDenied(reply.status, _problem_text(reply))
    if 300 <= reply.status < 400:
        raise ServerError(f"it redirects to somebody else ({reply.status}), which is refused")
    raise ServerError(f"it answers {reply.status}: {_problem_text(reply)}")


def _standing(reply: HttpsReply) -> ProposalStanding | EstDenied:
    if reply.status in (200, 202):
        try:
            return msgspec.json.decode(reply.body, type=ProposalStanding)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ServerError(f"the answer says nothing of a proposal: {error}") from None
    if reply.status in (400, 401, 403, 404, 410, 413):
        return EstDenied(reply.status, _problem_text(reply))
    raise ServerError(f"it answers {reply.status}: {_problem_text(reply)}")


def _after(reply: HttpsReply, default_s: int) -> int:
    text = reply.headers.get("retry-after", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 8 else default_s


def _problem_text(reply: HttpsReply) -> str:
    try:
        found = msgspec.json.decode(reply.body, type=ProblemDetails)
    except (ValueError, RecursionError):  # a MsgspecError is a ValueError
        return "it does not say why"
    return one_line(found.detail or found.title) or "it does not say why"


def one_line(text: str) -> str:
    """One short line of what somebody else has written: it goes to a terminal and to a file."""
    return printable(text.strip(), TEXT_LIMIT)
