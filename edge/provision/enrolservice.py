"""Who gets what: the decisions of the enrolment server, without its sockets.

The shape is that of EST (RFC 7030), so that another server can take its place. Each refusal has a
status that the box acts on: 4xx but 409 and 410 is a fault to be mended, 202 is patience.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from edge.core import Clock, ConfigError
from edge.identity import claim as claims
from edge.identity.claim import Claim
from edge.identity.names import comparison_code
from edge.identity.proposal import (
    ProposalError,
    ProposalStanding,
    named_gateway,
    parse_proposal,
    parse_report,
)
from edge.provision import certrequest, estanswers
from edge.provision.authority import Authority
from edge.provision.certrequest import CertificateRequest
from edge.provision.configreports import KeptReport
from edge.provision.enroldatabase import EnrolStoreError
from edge.provision.estanswers import PROBLEMS, RETRY_S, EnrolRefusedError, HttpAnswer
from edge.provision.gatewaystore import (
    ClaimClosedError,
    ClaimUsedError,
    GatewayStore,
    NameTakenError,
)
from edge.provision.proposals import TooManyError, serial_of
from edge.provision.registry import ClaimRequest, ClaimState, IssuedCertificate, time_to_text
from edge.provision.serverdir import ALL_SITES, Policy, ServerDirectory

RENEW_AT_SHARE: Final = (
    2 / 3
)  # of its life: before that the same key gets the same certificate again
CERTIFICATES_A_DAY: Final = 10


class EnrolService:
    """Used by any number of threads."""

    def __init__(
        self,
        directory: ServerDirectory,
        policy: Policy,
        store: GatewayStore,
        authority: Authority,
        clock: Clock,
    ) -> None:
        self._clock = clock
        self.label = policy.label
        self._directory = directory
        self._policy = policy
        self._store = store
        self._who = authority

    def now(self) -> datetime:
        return self._clock.now().utc()

    def answer(self, act: Callable[[], HttpAnswer]) -> HttpAnswer:
        """What it answers, also when it refuses."""
        try:
            return act()
        except EnrolRefusedError as error:
            return estanswers.problem_answer(
                PROBLEMS[error.code][0], error.code, PROBLEMS[error.code][1], str(error)
            )

    def cacerts(self) -> HttpAnswer:
        return estanswers.certificate_answer(self._who.certificate, "the CA's certificate")

    def enrol(self, header: str | None, csr: bytes, address: str) -> HttpAnswer:
        """A new box, with the whole claim's file in a header."""
        data = _claim_bytes(header)
        claim = self._claim(data)
        asked = _request(csr, claim.gateway)
        row = self._register_claim(claim, data, asked, address)
        code = comparison_code(asked.spki)
        if row.state is ClaimState.PENDING:
            text = f"{claim.gateway} waits for approval, code {code}"
            detail = f"an operator must approve claim {claim.claim}, comparison code {code}"
            body = {"title": "Pending", "detail": detail, "code": "pending"}
            return estanswers.json_answer(202, body, text, {"Retry-After": str(RETRY_S)})
        # a claim gives one certificate: lost on the way it is sent again, later it is renewed
        issued = self._issue(row.claim, asked, row, lambda last: True)
        self._check_alive(issued, timedelta(0))
        return self._given(issued)

    def reenrol(self, peer: bytes | None, body: bytes) -> HttpAnswer:
        """A box with a certificate, also for a while after its end."""
        old = self._certificate_of(peer)
        asked = _request(body, old.gateway)
        self._check_alive(old, timedelta(days=self._policy.grace_days))
        if self._rate_exceeded(old.claim):
            raise EnrolRefusedError(
                "busy", f"more than {CERTIFICATES_A_DAY} certificates in a day: wait"
            )
        return self._given(self._issue(old.claim, asked, old, self._is_recent))

    def config(self, peer: bytes | None) -> HttpAnswer:
        """The signed configuration of this box. An expired certificate must be renewed first."""
        old = self._certificate_of(peer)
        self._check_alive(old, timedelta(0))
        try:
            found = self._directory.config(old.gateway)
        except ConfigError as error:
            raise EnrolRefusedError("missing", str(error)) from None
        if found is None:
            detail = f"no configuration for {old.gateway} yet: run `kerbstone provision config`"
            raise EnrolRefusedError("missing", detail)
        return HttpAnswer(
            200, found, "application/json", log_text=f"configuration of {old.gateway}"
        )

    def propose(self, peer: bytes | None, body: bytes, address: str) -> HttpAnswer:
        """A site file that this box asks an operator to sign; it has no force before that.

        Its text is kept for the box of the certificate alone, and must name it.
        """
        own = self._certificate_of(peer)
        self._check_alive(own, timedelta(0))
        try:
            new = parse_proposal(body)
            site, gateway = named_gateway(new.text)
        except ProposalError as error:
            raise EnrolRefusedError("malformed", f"the proposal: {error}") from None
        if (site, gateway) != (own.site, own.gateway):
            raise EnrolRefusedError(
                "forbidden", f"the proposal must be for {own.gateway} at site {own.site}"
            )
        serial = self._serial(own.gateway)
        try:
            kept = self._directory.proposals.keep(
                own.gateway, own.site, new, self.now(), address, serial
            )
        except TooManyError as error:
            raise EnrolRefusedError("busy", f"{error}: wait") from None
        except (ConfigError, OSError) as error:
            raise EnrolStoreError(f"the proposal of {own.gateway} is not kept: {error}") from error
        return _standing(202, kept.standing(serial), f"proposal of {own.gateway}")

    def proposal(self, peer: bytes | None) -> HttpAnswer:
        """What became of the newest proposal of this box: some bytes, for it asks often."""
        own = self._certificate_of(peer)
        self._check_alive(own, timedelta(0))
        serial = self._serial(own.gateway)
        try:
            kept = self._directory.proposals.find(own.gateway)
        except ConfigError as error:
            raise EnrolStoreError(str(error)) from None
        if kept is None or kept.site != own.site:
            return _standing(200, ProposalStanding(serial=serial), "no proposal")
        standing = kept.standing(serial)
        return _standing(200, standing, f"proposal of {own.gateway}: {standing.state}")

    def report(self, peer: bytes | None, body: bytes) -> HttpAnswer:
        """A box cannot use what was signed for it: kept for the operator, one for each box."""
        own = self._certificate_of(peer)
        self._check_alive(own, timedelta(0))
        try:
            report = parse_report(body)
        except ProposalError as error:
            raise EnrolRefusedError("malformed", str(error)) from None
        received = time_to_text(self.now())
        kept = KeptReport(gateway=own.gateway, site=own.site, received=received, report=report)
        try:
            self._directory.reports.keep(kept)
        except OSError as error:
            raise EnrolStoreError(f"the report of {own.gateway} is not kept: {error}") from error
        return estanswers.json_answer(202, {}, f"{own.gateway} cannot use number {report.serial}")

    # -- inside ------------------------------------------------------------------------------------

    def _serial(self, gateway: str) -> int:
        try:
            return serial_of(self._directory.config(gateway))
        except ConfigError:
            return 0

    def _claim(self, data: bytes) -> Claim:
        try:
            claim = claims.parse_claim(data)
        except claims.AlteredError as error:
            raise EnrolRefusedError("unknown", str(error)) from None
        except claims.ClaimError as error:
            raise EnrolRefusedError("malformed", str(error)) from None
        operator = self._policy.operator(claim)
        if operator is None:
            detail = "its operator is not known here: add the key to [operators] in provision.toml"
            raise EnrolRefusedError("unknown", detail)
        if ALL_SITES not in operator.sites and claim.site not in operator.sites:
            raise EnrolRefusedError(
                "forbidden", f"its operator may not claim for site {claim.site}"
            )
        return claim

    def _register_claim(
        self, claim: Claim, data: bytes, request: CertificateRequest, address: str
    ) -> ClaimRequest:
        """The claim's row. An expired claim goes on working for the key that used it in time."""
        now = self.now()
        digest = hashlib.sha256(data).digest()
        new = ClaimRequest(claim.claim, digest, claim.site, claim.role, claim.gateway, request.spki,
                    request.der, ClaimState.PENDING, now, address)  # fmt: skip
        row = self._store.request_of(claim.claim)
        if row is None and claim.expires_at() <= now:
            raise EnrolRefusedError("expired", f"claim expired {claim.expires}: write a new one")
        try:
            row = self._store.add_request(new)
        except ClaimUsedError:
            detail = f"another key has used claim {claim.claim}: revoke it, and write a new one"
            raise EnrolRefusedError("used", detail) from None
        except NameTakenError as error:
            detail = f"{claim.gateway} is the name of {error}: write another claim"
            raise EnrolRefusedError("forbidden", detail) from None
        if row.state in (ClaimState.REFUSED, ClaimState.REPLACED):
            raise EnrolRefusedError(
                "revoked", f"claim {claim.claim} is {row.state}: write a new one"
            )
        return row

    def _certificate_of(self, der: bytes | None) -> IssuedCertificate:
        """What was issued to the one who holds the client certificate's key."""
        if der is None:
            raise EnrolRefusedError("unknown", "a certificate of this CA is needed (mutual TLS)")
        found = self._store.certificate(x509.load_der_x509_certificate(der).serial_number)
        if found is None or found.der != der:
            raise EnrolRefusedError("unknown", "this certificate was not issued to a gateway here")
        if found.revoked is not None:
            raise EnrolRefusedError(
                "revoked", f"this certificate was revoked {time_to_text(found.revoked)}"
            )
        return found

    def _check_alive(self, issued: IssuedCertificate, grace: timedelta) -> None:
        if issued.revoked is not None:
            raise EnrolRefusedError(
                "revoked", f"the certificate was revoked {time_to_text(issued.revoked)}"
            )
        if self.now() > issued.ends + grace:
            detail = f"the certificate expired {time_to_text(issued.ends)}"
            raise EnrolRefusedError("expired", f"{detail}: a new claim is needed")

    def _issue(
        self,
        claim: str,
        request: CertificateRequest,
        names: ClaimRequest | IssuedCertificate,
        again: Callable[[IssuedCertificate], bool],
    ) -> IssuedCertificate:
        try:
            return self._store.issue(claim, request.spki, again, lambda: self._make(request, names))
        except ClaimClosedError as error:
            raise EnrolRefusedError("revoked", str(error)) from None

    def _make(
        self, request: CertificateRequest, names: ClaimRequest | IssuedCertificate
    ) -> IssuedCertificate:
        made = self._who.gateway(names.gateway, request.key, self.now(), self._policy.days)
        der = made.public_bytes(serialization.Encoding.DER)
        who = (names.claim, names.gateway, names.site, names.role)
        life = (made.not_valid_before_utc, made.not_valid_after_utc)
        return IssuedCertificate(made.serial_number, *who, request.spki, der, *life)

    def _rate_exceeded(self, claim: str) -> bool:
        """A box that asks in a loop fills neither the store nor the list of revocations."""
        day = self.now() - timedelta(days=1)
        return (
            sum(each.begins > day for each in self._store.certificates(claim)) > CERTIFICATES_A_DAY
        )

    def _is_recent(self, last: IssuedCertificate) -> bool:
        return last.revoked is None and self.now() < last.begins + RENEW_AT_SHARE * (
            last.ends - last.begins
        )

    def _given(self, issued: IssuedCertificate) -> HttpAnswer:
        text = (
            f"certificate {issued.serial:x} for {issued.gateway}, until {time_to_text(issued.ends)}"
        )
        return estanswers.certificate_answer(x509.load_der_x509_certificate(issued.der), text)


def _standing(status: int, standing: ProposalStanding, text: str) -> HttpAnswer:
    return estanswers.json_answer(status, standing, text)


def _claim_bytes(header: str | None) -> bytes:
    if header is None:
        raise EnrolRefusedError("malformed", "the header Kerbstone-Claim is missing")
    try:
        return base64.b64decode(header.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise EnrolRefusedError("malformed", "the header Kerbstone-Claim is not base64") from None


def _request(body: bytes, gateway: str) -> CertificateRequest:
    try:
        asked = certrequest.decode_csr(body)
        certrequest.check_names(asked, gateway)
    except certrequest.CsrError as error:
        raise EnrolRefusedError("malformed", f"certificate request: {error}") from None
    except certrequest.NameRefusedError as error:
        raise EnrolRefusedError("forbidden", f"certificate request: {error}") from None
    return asked
