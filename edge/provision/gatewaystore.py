"""The enrolment server's memory of gateways: who asked, what was decided, what was issued.

Every change is one transaction; `registry` is the same for brokers and the city's programs.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from edge.provision.enroldatabase import EnrolDatabase
from edge.provision.registry import (
    ClaimRequest,
    ClaimState,
    IssuedCertificate,
    Registry,
    RevokedEntry,
    time_from_text,
    time_to_text,
)

SAME_BOX: Final = "((site = ? AND role = ?) OR gateway = ?)"


class ClaimUsedError(Exception):
    """The claim belongs to another key, or there is another claim with this number."""


class NameTakenError(Exception):
    """A broker, a program, or a box of another site has this name; the text says which."""


class ClaimClosedError(Exception):
    """The claim or the certificate gives nothing any more; the text says why."""


class GatewayStore:
    """Used by any number of threads. All raise EnrolStoreError."""

    def __init__(self, path: Path) -> None:
        self._db = EnrolDatabase(path)
        self.registry = Registry(self._db)

    def close(self) -> None:
        self._db.close()

    def add_request(self, new: ClaimRequest) -> ClaimRequest:
        """The claim belongs to this key from now on. Raises ClaimUsedError if it is another's,
        NameTakenError when the name is somebody else's: an operator who claims for his sites only
        does not take over a box of others."""
        with self._db.transaction():
            old = self._requests("claim = ?", new.claim)
            if not old:
                if self.registry.knows(new.gateway):
                    raise NameTakenError("a broker or a program of this city")
                elsewhere = "revoked IS NULL AND gateway = ? AND site != ?"
                if live := self._issued(elsewhere, new.gateway, new.site):
                    raise NameTakenError(
                        f"a box at site {live[0].site}, which must be revoked first"
                    )
                values = (
                    *new[:7],
                    str(new.state),
                    time_to_text(new.requested_at),
                    new.address,
                    None,
                )
                self._db.put("asked", values)
                return new
            if old[0].digest != new.digest or old[0].spki != new.spki:
                raise ClaimUsedError
            return old[0]

    def find(self, word: str) -> list[ClaimRequest]:
        """By the claim's number or its beginning, or by the gateway's name."""
        with self._db.read():
            start = "substr(claim, 1, length(?)) = ?"
            found = self._requests(start, word, word) if len(word) >= 4 else []
            return found or self._requests("gateway = ? ORDER BY asked", word)

    def request_of(self, claim: str) -> ClaimRequest | None:
        with self._db.read():
            return next(iter(self._requests("claim = ?", claim)), None)

    def claim_of_key(self, spki: bytes) -> str:
        """The claim that this key used last. Raises ClaimClosedError."""
        with self._db.read():
            found = self._requests("spki = ? ORDER BY asked DESC", spki)
            if not found:
                raise ClaimClosedError("this key has not used a claim")
            return found[0].claim

    def pending(self) -> list[ClaimRequest]:
        with self._db.read():
            return self._requests("state = ? ORDER BY asked, claim", str(ClaimState.PENDING))

    def approve(self, claim: str, now: datetime) -> list[IssuedCertificate]:
        """The role moves to this box: what the former one had is revoked, and returned."""
        with self._db.transaction():
            row = self._one(claim)
            if row.state is ClaimState.APPROVED:
                return []
            if row.state is not ClaimState.PENDING:
                raise ClaimClosedError(f"claim {claim} is {row.state}: write a new one")
            same = (row.site, row.role, row.gateway)
            closed = f"UPDATE asked SET state = ?, decided = ? WHERE state = ? AND {SAME_BOX}"
            self._db.rows(
                closed, str(ClaimState.REPLACED), time_to_text(now), str(ClaimState.APPROVED), *same
            )
            former = self._issued(f"revoked IS NULL AND claim != ? AND {SAME_BOX}", claim, *same)
            self._revoke(former, "superseded", now)
            self._decide(claim, ClaimState.APPROVED, now)
            return former

    def refuse(self, claim: str, now: datetime, reason: str) -> list[IssuedCertificate]:
        """Nothing more for this claim; the certificates it gave are revoked, and returned."""
        with self._db.transaction():
            self._one(claim)
            live = self._issued("revoked IS NULL AND claim = ?", claim)
            self._revoke(live, reason, now)
            self._decide(claim, ClaimState.REFUSED, now)
            return live

    def issue(
        self,
        claim: str,
        spki: bytes,
        again: Callable[[IssuedCertificate], bool],
        make: Callable[[], IssuedCertificate],
    ) -> IssuedCertificate:
        """A certificate for this key: the last one it got if `again` says so, else a new one.

        Raises ClaimClosedError when the claim is not approved (any more).
        """
        with self._db.transaction():
            row = self._one(claim)
            if row.state is not ClaimState.APPROVED:
                raise ClaimClosedError(f"claim {claim} is {row.state}")
            own = "claim = ? AND spki = ? ORDER BY ends DESC, begins DESC"
            last = next(iter(self._issued(own, claim, spki)), None)
            if last is not None and again(last):
                return last
            new = make()
            life = (time_to_text(new.begins), time_to_text(new.ends))
            self._db.put("issued", (f"{new.serial:x}", *new[1:7], *life, None, None))
            return new

    def certificate(self, serial: int) -> IssuedCertificate | None:
        with self._db.read():
            return next(iter(self._issued("serial = ?", f"{serial:x}")), None)

    def certificates(self, claim: str) -> list[IssuedCertificate]:
        with self._db.read():
            return self._issued("claim = ? ORDER BY begins", claim)

    def revoked(self) -> list[RevokedEntry]:
        """Also those that have expired since: a list that only grows hides no mistake."""
        one = "SELECT serial, revoked, reason FROM {} WHERE revoked IS NOT NULL"
        sql = f"{one.format('issued')} UNION ALL {one.format('named')} ORDER BY revoked, serial"
        with self._db.read():
            found = self._db.rows(sql)
        return [
            RevokedEntry(int(serial, 16), time_from_text(at), reason)
            for serial, at, reason in found
        ]

    # -- inside ------------------------------------------------------------------------------------

    def _one(self, claim: str) -> ClaimRequest:
        found = self._requests("claim = ?", claim)
        if not found:
            raise ClaimClosedError(f"claim {claim} is not known")
        return found[0]

    def _requests(self, where: str, *values: object) -> list[ClaimRequest]:
        return [
            _to_asked(*row) for row in self._db.rows(f"SELECT * FROM asked WHERE {where}", *values)
        ]

    def _issued(self, where: str, *values: object) -> list[IssuedCertificate]:
        found = self._db.rows(f"SELECT * FROM issued WHERE {where}", *values)
        return [_to_issued(*row) for row in found]

    def _revoke(self, which: Sequence[IssuedCertificate], reason: str, now: datetime) -> None:
        for each in which:
            sql = "UPDATE issued SET revoked = ?, reason = ? WHERE serial = ?"
            self._db.rows(sql, time_to_text(now), reason, f"{each.serial:x}")

    def _decide(self, claim: str, state: ClaimState, now: datetime) -> None:
        sql = "UPDATE asked SET state = ?, decided = ? WHERE claim = ?"
        self._db.rows(sql, str(state), time_to_text(now), claim)


def _to_asked(*row: Any) -> ClaimRequest:
    *first, state, asked, address, decided = row
    when = None if decided is None else time_from_text(decided)
    return ClaimRequest._make((*first, ClaimState(state), time_from_text(asked), address, when))


def _to_issued(serial: str, *row: Any) -> IssuedCertificate:
    *first, begins, ends, revoked, reason = row
    when = None if revoked is None else time_from_text(revoked)
    return IssuedCertificate._make(
        (int(serial, 16), *first, time_from_text(begins), time_from_text(ends), when, reason)
    )
