"""What an operator decides: who waits, who is approved, who is revoked; also by a stick."""

import base64
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from edge.core import Clock, ConfigError
from edge.identity.claim import CLAIM_NAME
from edge.identity.names import comparison_code, spki_hash
from edge.provision import certrequest, operatorfiles
from edge.provision.enrolservice import EnrolService
from edge.provision.estanswers import HttpAnswer
from edge.provision.gatewaystore import ClaimClosedError, GatewayStore
from edge.provision.registry import ClaimRequest, ClaimState, IssuedCertificate, time_to_text
from edge.provision.serverdir import ServerDirectory

REQUEST: Final = "kerbstone-request.pem"
CERTIFICATE: Final = "kerbstone-certificate.pem"
CA_FILE: Final = "kerbstone-ca.pem"
CONFIG: Final = "kerbstone-config.json"


class CodeMismatchError(Exception):
    """The box shows another code than the request has: it is another box."""


class OfflineDeniedError(Exception):
    """The enrolment service refused what was on the stick."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A request after the decision, and the certificates that ended with it."""

    row: ClaimRequest
    revoked: list[IssuedCertificate]


def request_map(request: ClaimRequest) -> dict[str, Any]:
    """A request as an operator sees it."""
    return {
        "claim": request.claim,
        "gateway": request.gateway,
        "site": request.site,
        "role": request.role,
        "code": comparison_code(request.spki),
        "spki": spki_hash(request.spki),
        "state": str(request.state),
        "asked": time_to_text(request.requested_at),
        "from": request.address,
    }


def choose_request(store: GatewayStore, word: str) -> ClaimRequest:
    """The one request that is meant. Raises ConfigError."""
    found = store.find(word)
    waiting = [row for row in found if row.state is ClaimState.PENDING]
    live = [row for row in found if row.state is ClaimState.APPROVED]
    for each in (waiting, live, found):
        if len(each) == 1:
            return each[0]
    if not found:
        raise ConfigError(f"{word!r:.80}: no such box or claim; see `provision pending`")
    claims = ", ".join(row.claim for row in waiting or live or found)
    raise ConfigError(f"{word!r:.80} matches several claims, name one: {claims}")


def approve_request(
    directory: ServerDirectory, store: GatewayStore, word: str, code: str | None, now: datetime
) -> Decision:
    """Raises CodeMismatchError, ConfigError. With `code` what the box shows is compared."""
    policy, who = directory.policy(), directory.authority()
    row = choose_request(store, word)
    own = comparison_code(row.spki)
    if code is not None and code.strip().upper().replace("-", "") != own.replace("-", ""):
        text = f"the box of claim {row.claim} has the code {own}, not {code!r:.40}"
        raise CodeMismatchError(
            f"{text}: do not approve it; find out which box asks from {row.address}"
        )
    try:
        former = store.approve(row.claim, now)
    except ClaimClosedError as error:
        raise ConfigError(str(error)) from None
    directory.write_crl(store, who, now, policy.crl_days)
    return Decision(row._replace(state=ClaimState.APPROVED), former)


def revoke_box(
    directory: ServerDirectory, store: GatewayStore, word: str, reason: str, now: datetime
) -> Decision:
    """Refuse a request that waits, or end what a box has. Raises ConfigError."""
    policy, who = directory.policy(), directory.authority()
    row = choose_request(store, word)
    ended = store.refuse(row.claim, now, reason)
    directory.write_crl(store, who, now, policy.crl_days)
    return Decision(row._replace(state=ClaimState.REFUSED), ended)


def sign_offline(
    directory: ServerDirectory,
    store: GatewayStore,
    stick: Path,
    code: str | None,
    clock: Clock,
) -> Decision:
    """For a box without a network: sign the request on a stick, and put the answer beside it.

    It goes through the same service as a request by HTTPS, so a claim is used once there too.
    Raises CodeMismatchError, OfflineDeniedError, ConfigError, OSError.
    """
    who = directory.authority()
    service = EnrolService(directory, directory.policy(), store, who, clock)
    claim = operatorfiles.read_file(stick / CLAIM_NAME, "claim")
    try:
        asked = certrequest.read_csr_file(
            operatorfiles.read_file(stick / REQUEST, "certificate request")
        )
    except certrequest.CsrError as error:
        raise ConfigError(f"{stick / REQUEST}: {error}") from None
    header = base64.b64encode(claim).decode("ascii")
    body = base64.b64encode(asked.der)

    def ask() -> HttpAnswer:
        answer = service.answer(lambda: service.enrol(header, body, "stick"))
        if answer.status >= 400:
            raise OfflineDeniedError(f"{stick}: {answer.log_text}")
        return answer

    ask()
    row = store.claim_of_key(asked.spki)
    done = approve_request(directory, store, row, code, clock.now().utc())
    ask()
    issued = max(
        (each for each in store.certificates(row) if each.spki == asked.spki),
        key=lambda each: each.begins,
    )
    made = x509.load_der_x509_certificate(issued.der)
    config = service.answer(lambda: service.config(issued.der))
    if config.status == 200:
        operatorfiles.replace_file(stick / CONFIG, config.body)
    operatorfiles.replace_file(stick / CA_FILE, who.certificate.public_bytes(Encoding.PEM))
    operatorfiles.replace_file(
        stick / CERTIFICATE, made.public_bytes(Encoding.PEM)
    )  # last: all is there
    return done
