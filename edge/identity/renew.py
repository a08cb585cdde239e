"""Renewal: at two thirds of a certificate's life, with a new key; the old one stays until then.

The daemon says how a certificate fares in one line of a file, whenever a connection succeeds or
the broker refuses it: `connected <fingerprint>` or `refused <fingerprint>`, SHA-256 of the
certificate in hex. Connected: the bundles before it are removed. Refused, with one before it that
is still valid: that one is current again.

On the other days the signed configuration is asked for: one that was changed is taken.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

from edge.core import ConfigError
from edge.core.printable import printable
from edge.durable.readfile import read_file
from edge.identity import certs, est, siteconfig
from edge.identity.configoutcome import OUTCOME_FILE, read_config_outcome
from edge.identity.enrolstatus import EnrolmentStatus, StatusWriter, enrolled_status
from edge.identity.floorclock import FloorClock
from edge.identity.httpsclient import HttpsCall, ServerError
from edge.identity.identitybundle import IdentityBundle
from edge.identity.proposing import ProposalCourier
from edge.identity.statefolder import CONFIG, SITE, StateFolder

LOG: Final = logging.getLogger(__name__)
MARKER: Final = Path("/run/kerbstone/identity")
LINE_LIMIT: Final = 128  # bytes
REPORT_LIMIT: Final = 300  # characters
SIGN_HINT: Final = "the operator has to sign the configuration of this box again"
NEW_CLAIM_HINT: Final = "check the TPM; if the box has none, write a new claim for this box"
Outcome = Literal["fine", "renewed", "configured", "went back", "not enrolled", "trouble"]


@dataclass
class Renewal:
    """One look, as a timer asks for it each day."""

    store: StateFolder
    watch: FloorClock
    call: HttpsCall
    status_writer: StatusWriter
    marker: Path = MARKER
    changing: Callable[[], None] = lambda: None  # before the daemon's file is another
    courier: ProposalCourier | None = None
    has_tpm: bool | None = None
    outcome: Path = OUTCOME_FILE  # what the daemon says of the configuration that it has tried

    def run(self) -> Outcome:
        self.store.remove_leftovers()
        damaged = self.store.damaged()
        bundle = self.store.current() or self.store.use_pending()
        if bundle is None:
            self._lost(damaged)
            return "not enrolled"
        self.store.used_key(bundle)
        word = self._word(bundle)
        if word == "connected":
            self.store.keep_only(bundle)
        elif word == "refused" and self._older(bundle):
            return "went back"
        status = enrolled_status(bundle)
        if damaged:
            LOG.warning("%s; %s is used instead", damaged, bundle.folder.name)
            self.status_writer.write(
                replace(status, answer=f"{damaged}; {bundle.folder.name} is used")
            )
        try:
            if not self._due(bundle):
                return self._configure(bundle, status)
            answer = self._renew(bundle)
        except (ServerError, certs.CertificateError) as error:
            answer = str(error)
        if answer is None:
            self.status_writer.write(status)
            return "renewed"  # a changed configuration can wait for a day
        status = replace(status, waits_for="a new certificate", answer=est.one_line(answer))
        self._configure(bundle, status)
        self.status_writer.write(status)
        return "trouble"

    def ask(self) -> Outcome:
        """Send the proposal that waits, or ask what became of it; take what was signed."""
        bundle, courier = self.store.current(), self.courier
        if bundle is None or courier is None:
            return "not enrolled"
        courier.take()
        status = enrolled_status(bundle)
        if courier.look(bundle):
            return self._configure(bundle, status, signed=True)
        self.status_writer.write(status)
        return "fine"

    def _lost(self, damaged: str) -> None:
        if damaged:
            LOG.warning("%s, and there is no other", damaged)
            self.status_writer.write(
                EnrolmentStatus("not commissioned", answer=damaged, action=NEW_CLAIM_HINT)
            )

    def _configure(
        self, bundle: IdentityBundle, status: EnrolmentStatus, signed: bool = False
    ) -> Outcome:
        """What cannot be had, or is not for us, changes nothing; the latter is reported.

        `signed`: the server says that what is here now is the answer to a proposal.
        """
        before, held = self.store.get(SITE), self.store.get(CONFIG)
        self._tell_outcome(bundle)
        try:
            data = est.est_config(self.call, self.watch, bundle)
        except ServerError as error:
            LOG.warning("the configuration stays as it is: %s", error)
            return "fine"
        try:
            courier = self.courier or ProposalCourier(self.store, self.watch, self.call)
            siteconfig.store_signed_config(
                self.store, data, bundle.target, self.changing, courier.trial(bundle),
                failed=self._failed(),
            )  # fmt: skip
        except ConfigError as error:
            LOG.warning("the configuration stays as it is: %s", error)
            self.status_writer.write(
                replace(status, answer=est.one_line(str(error)), action=SIGN_HINT)
            )
            return "fine"
        if data != held or signed:
            if self.courier is not None:
                self.courier.answered(bundle.target)
            self.status_writer.write(status)  # where a refusal may stand
        return "fine" if self.store.get(SITE) == before else "configured"

    def _failed(self) -> str:
        """SHA-256 of the configuration that the daemon has rolled back; "" for none."""
        found = read_config_outcome(self.outcome)
        return found.digest if found is not None and found.state == "rolled_back" else ""

    def _tell_outcome(self, bundle: IdentityBundle) -> None:
        """The operator hears that his configuration was rolled back, each time that we look."""
        found, held = read_config_outcome(self.outcome), self.store.get(SITE)
        signed = siteconfig.held_config(self.store, bundle.target)
        if found is None or signed is None or found.state != "rolled_back":
            return
        if held is None or sha256(held).hexdigest() != found.digest or self.courier is None:
            return
        why = printable(f"rolled back ({found.reason}): {found.text}", REPORT_LIMIT)
        LOG.warning("configuration number %d: %s", signed.serial, why)
        self.courier.report(bundle, signed.serial, why)

    def _word(self, bundle: IdentityBundle) -> str:
        """What the daemon says of the current one; "" for nothing, or of another one."""
        try:
            data = read_file(self.marker, LINE_LIMIT) or b""
        except OSError:
            return ""
        word, _, name = data.decode("ascii", "replace").strip().partition(" ")
        return word if name == certs.fingerprint(bundle.certificate) else ""

    def _older(self, bundle: IdentityBundle) -> bool:
        def good(older: IdentityBundle) -> bool:
            found = older.certificate
            wrong = self.watch.validity_problem(
                found.not_valid_before_utc, found.not_valid_after_utc
            )
            return wrong is None

        return self.store.fall_back(bundle, good) is not None

    def _due(self, bundle: IdentityBundle) -> bool:
        """By our clock, or by the server's where nobody vouches for ours. Raises ServerError."""
        now = self.watch.estimate()
        if now is None:
            est.est_cacerts(self.call, self.watch, bundle)
            now = self.watch.estimate()
        if now is None:
            raise ServerError("neither this box nor the server knows the time")
        return now >= certs.renewal_due(bundle.certificate)

    def _renew(self, bundle: IdentityBundle) -> str | None:
        """Why there is no new one yet, or None."""
        key, target = self.store.next_key(self.has_tpm), bundle.target
        answer = est.est_renew(self.call, self.watch, bundle, key.csr(target.gateway))
        if isinstance(answer, est.EstWait):
            return "the operator has to approve it"
        if isinstance(answer, est.EstDenied):
            return f"refused ({answer.status}): {answer.text}"
        found = certs.own_certificate(
            certs.parse_certificates(answer.body), key.spki(), target.gateway, bundle.ca, self.watch
        )
        self.store.install(key, found, bundle.ca, target)
        self.watch.raise_floor(found.not_valid_before_utc)
        return None
