"""First boot: from a claim on the boot partition to an identity that has worked.

Killed at any point it is started again, looks at what is there, and goes on. The claim is blanked
last, when the server has accepted the new certificate and the configuration has come.
"""

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal

import msgspec

from edge.core import ConfigError
from edge.identity import accesskeeping, certs, est, keys, siteconfig, statefolder
from edge.identity.bootpartition import BootPartition
from edge.identity.claim import CLAIM_LIMIT, CLAIM_NAME, Claim, ClaimError, parse_claim
from edge.identity.enrolstatus import EnrolmentStatus, StatusWriter, enrolled_status
from edge.identity.floorclock import FloorClock
from edge.identity.httpsclient import HttpsCall, ServerError
from edge.identity.identitybundle import EnrolmentTarget, IdentityBundle
from edge.identity.names import comparison_code
from edge.identity.proposing import ProposalCourier
from edge.identity.statefolder import PendingWait, StateFolder

LOG: Final = logging.getLogger(__name__)
FIRST_S: Final = 5.0
LONGEST_S: Final = 3600.0  # between two tries, whatever the server says
DENIED_S: Final = 900.0  # it said no: somebody has to do something first
COUNTED_S: Final = 600  # the time waited is written so often
NEAR_S: Final = 3600.0  # so long after the approval somebody waits for the configuration
NEAR_WAIT_S: Final = 45.0  # and then it is asked for within a minute

APPROVAL_TEXT: Final = "the operator's approval"
COMPARE_HINT: Final = "compare the code with `kerbstone provision pending`, then approve it there"
LOST_HINT: Final = "the identity on this box is damaged, or its key is in another TPM or credential"
KEYLESS_HINT: Final = (
    "check the TPM; if it was replaced, use `kerbstone-enrol forget` and a new claim"
)
NETWORK_HINT: Final = "check cable, SIM and antenna, and the table `network` of the claim"
DAMAGED_HINT: Final = "the box asks again; if this stays, report it to the operator of the server"
HINT_BY_STATUS: Final[dict[int, str]] = {
    400: "report this: the box and the server have incompatible versions",
    401: "the server does not know the key that signed this claim: write a new claim",
    403: "this claim's site or name is not allowed on this server: write a new claim",
    409: "another box has used this claim: write a new claim for this box",
    410: "this claim has expired or was revoked: write a new claim",
}
SITE_HINT: Final = (
    "the operator signs a site file; to send one from here, `kerbstone scan > site.toml`, complete "
    "it, `kerbstone propose site.toml`"
)
FORGET_HINT: Final = "to give this box another role, run `kerbstone-enrol forget` first"
Outcome = Literal["enrolled", "no claim", "bad claim", "no key"]


@dataclass
class Enrolment:
    """All that it needs from outside, so that days pass in no time in a test."""

    store: StateFolder
    boot: BootPartition
    watch: FloorClock
    call: HttpsCall
    status_writer: StatusWriter
    rng: random.Random
    courier: ProposalCourier | None = None
    has_tpm: bool | None = None  # None: look
    started_s: float = 0.0

    def run(self) -> Outcome:
        """Until there is an identity that works, for days if need be; or there is no claim."""
        self.started_s = self.watch.mono_s()
        self.store.remove_leftovers()
        bundle = self.store.current() or self.store.use_pending() or self._wait()
        if not isinstance(bundle, IdentityBundle):
            return bundle
        self._finish(bundle)
        return "enrolled"

    def _wait(self) -> IdentityBundle | Outcome:
        tries = 0
        while True:
            try:
                self.take()
                data = self.claim_file()
                if data is None:
                    why = LOST_HINT if self.store.numbers() else ""
                    do = f"put {CLAIM_NAME} here and start again"
                    self.status_writer.write(
                        EnrolmentStatus("not commissioned", answer=why, action=do)
                    )
                    return "no claim"
                claim = parse_claim(data)
            except ClaimError as error:
                self.status_writer.write(EnrolmentStatus("not commissioned", answer=str(error)))
                return "bad claim"
            status = EnrolmentStatus("not enrolled", claim.gateway)
            try:
                key = self.store.next_key(self.has_tpm)
                status = replace(status, code=comparison_code(key.spki()), key=key.kind)
                status, bundle, wait_s = self._try(claim, data, key, status, tries)
            except keys.NoKeyError as error:
                self.status_writer.write(
                    replace(status, answer=est.one_line(f"no key: {error}"), action=KEYLESS_HINT)
                )
                return "no key"
            if bundle is not None:
                return bundle
            tries += 1
            self._pause(status, claim.claim, wait_s)

    def take(self) -> None:
        """Copy the claim of a box without an identity, and its network: before there is one.

        The network, and what opens the page, are kept beside it: the claim goes when it is used.
        """
        data = None if self.store.current() is not None else self.claim_file()
        if data is None:
            return
        claim = parse_claim(data)
        if claim.access is not None:
            accesskeeping.keep_access(
                self.store, self.boot, claim.access, claim.gateway, claim.claim
            )
        network = claim.network
        if network is None:
            self.store.remove(statefolder.NETWORK)
        elif self.store.get(statefolder.NETWORK) != (network_json := msgspec.json.encode(network)):
            self.store.put(statefolder.NETWORK, network_json)

    def claim_file(self) -> bytes | None:
        """The claim; from the boot partition it is copied to where a write is all or nothing.

        A newer one there replaces the copy; a torn or altered one does not.
        """
        kept, there = self.store.get(statefolder.CLAIM), self.boot.claim()
        if there is None or there == kept:
            return kept
        try:
            parse_claim(there)
        except ClaimError:
            if kept is not None:
                LOG.warning("the claim on the boot partition is damaged; using the copy of it")
                return kept
            raise
        self.store.put(statefolder.CLAIM, there[:CLAIM_LIMIT])
        return there

    def _try(
        self, claim: Claim, data: bytes, key: keys.IdentityKey, status: EnrolmentStatus, tries: int
    ) -> tuple[EnrolmentStatus, IdentityBundle | None, float]:
        """Ask once: what to say, the bundle if there is one now, and how long to wait if not."""
        target, ca = EnrolmentTarget.of(claim), claim.ca.encode()
        try:
            answer = est.est_enrol(self.call, self.watch, target, ca, key.csr(claim.gateway), data)
            if isinstance(answer, est.EstIssued):
                found = certs.own_certificate(
                    certs.parse_certificates(answer.body), key.spki(), claim.gateway, ca, self.watch
                )
                bundle = self.store.install(key, found, ca, target)
                self.watch.raise_floor(found.not_valid_before_utc)
                return status, bundle, 0.0
        except (ServerError, certs.CertificateError) as error:
            do = NETWORK_HINT if isinstance(error, ServerError) else DAMAGED_HINT
            status = replace(
                status, waits_for="the enrolment server", answer=est.one_line(str(error))
            )
            return replace(status, action=do), None, self._backoff(tries)
        if isinstance(answer, est.EstWait):
            status = replace(status, waits_for=APPROVAL_TEXT, action=COMPARE_HINT)
            after_s = min(max(float(answer.after_s), FIRST_S), LONGEST_S)
            return status, None, after_s * self.rng.uniform(1.0, 1.2)
        status = replace(
            status, waits_for="a claim that is accepted", action=HINT_BY_STATUS[answer.status]
        )
        status = replace(status, answer=f"refused ({answer.status}): {answer.text}")
        return status, None, max(DENIED_S, self._backoff(tries))

    def _finish(self, bundle: IdentityBundle) -> None:
        """The identity is here. It has worked when it has brought the configuration."""
        self.store.used_key(bundle)
        status, tries, began_s = enrolled_status(bundle), 0, self.watch.mono_s()
        courier = self.courier or ProposalCourier(self.store, self.watch, self.call)
        courier.name_box(bundle)
        while not siteconfig.has_stored_config(self.store, bundle.target):
            try:
                courier.take()
                courier.look(bundle)
                data = est.est_config(self.call, self.watch, bundle)
                trial = courier.trial(bundle)
                siteconfig.store_signed_config(self.store, data, bundle.target, trial=trial)
                courier.answered(bundle.target)
            except (ServerError, ConfigError) as error:
                answer = est.one_line(str(error))
                status = replace(
                    status, waits_for="its configuration", answer=answer, action=SITE_HINT
                )
                waits_s = [self._backoff(tries)]
                if self.watch.mono_s() - began_s < NEAR_S:
                    waits_s.append(NEAR_WAIT_S)
                if (asks_s := courier.wait_s()) is not None:
                    waits_s.append(asks_s)
                self._pause(status, bundle.target.gateway, min(waits_s), courier.wait)
                courier.count()
                tries += 1
        self.done(bundle)

    def done(self, bundle: IdentityBundle) -> None:
        """It works: the claim's code is of no use any more, and goes."""
        self.store.remove(statefolder.PENDING)
        claim, status = self.store.get(statefolder.CLAIM), enrolled_status(bundle)
        if claim is not None and not self.boot.retire_claim(claim):
            status = replace(
                status, action=f"delete {CLAIM_NAME} here: this box cannot write to the card"
            )
        elif claim is not None:
            self.store.used()
        if not status.action and self.boot.claim() is not None:
            status = replace(
                status,
                answer=f"{CLAIM_NAME} is ignored: this box has an identity",
                action=FORGET_HINT,
            )
        self.status_writer.write(status)

    def _backoff(self, tries: int) -> float:
        most = min(LONGEST_S, FIRST_S * 2 ** min(tries, 16))
        return self.rng.uniform(most / 2, most)

    def _pause(
        self,
        status: EnrolmentStatus,
        claim: str,
        wait_s: float,
        wait: Callable[[float], None] | None = None,
    ) -> None:
        """Wait, and keep account of it over restarts: a technician wants to know since when."""
        kept, now_s = self.store.pending(claim), self.watch.mono_s()
        waited_s = kept.waited_s + now_s - self.started_s
        self.status_writer.write(replace(status, since_s=waited_s))
        (wait or self.watch.wait)(wait_s)
        waited_s += self.watch.mono_s() - now_s
        if kept.tries == 0 or waited_s - kept.waited_s >= COUNTED_S:
            self.started_s = self.watch.mono_s()
            record = PendingWait(claim, int(waited_s), kept.tries + 1)
            self.store.put(statefolder.PENDING, msgspec.json.encode(record))
