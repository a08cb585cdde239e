"""What the database of the enrolment server holds: requests, and what was issued to gateways,
brokers and the city's programs, and what has ended.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from edge.provision.enroldatabase import EnrolDatabase

FOLDER: Final = "/var/lib/kerbstone-provision"  # of the enrolment server
REASONS: Final = ("keyCompromise", "cessationOfOperation", "superseded", "affiliationChanged")


class ClaimState(StrEnum):
    """Of a claim, once a key has asked with it."""

    PENDING = "pending"  # an operator must approve
    APPROVED = "approved"
    REFUSED = "refused"  # or revoked
    REPLACED = "replaced"  # another box has the role, or the name


class ClaimRequest(NamedTuple):
    """A claim, and the one key that has used it."""

    claim: str
    digest: bytes  # SHA-256 of the claim's file
    site: str
    role: str
    gateway: str
    spki: bytes
    csr: bytes
    state: ClaimState
    requested_at: datetime
    address: str
    decided_at: datetime | None = None


class IssuedCertificate(NamedTuple):
    """A certificate of a gateway, whatever has become of it."""

    serial: int
    claim: str
    gateway: str
    site: str
    role: str
    spki: bytes
    der: bytes
    begins: datetime
    ends: datetime
    revoked: datetime | None = None
    reason: str | None = None


class NamedKind(StrEnum):
    """Who gets a certificate by an operator's command, without a claim."""

    BROKER = "broker"  # a server, under its hosts' names
    PLATFORM = "platform"  # a client that the broker's ACL names


class NamedCertificate(NamedTuple):
    """A certificate of a broker or of a program of the city, whatever has become of it."""

    serial: int
    kind: NamedKind
    name: str
    spki: bytes
    der: bytes
    begins: datetime
    ends: datetime
    revoked: datetime | None = None
    reason: str | None = None


class RevokedEntry(NamedTuple):
    """A line of the list of revoked certificates."""

    serial: int
    at: datetime
    reason: str


def time_to_text(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def time_from_text(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


class NameInUseError(Exception):
    """A box has this name, or this key was revoked; the text says which."""


class Registry:
    """Used by any number of threads. All raise EnrolStoreError."""

    def __init__(self, db: EnrolDatabase) -> None:
        self._db = db

    def add(self, new: NamedCertificate) -> None:
        """Raises NameInUseError."""
        with self._db.transaction():
            if self._db.rows("SELECT 1 FROM asked WHERE gateway = ? LIMIT 1", new.name):
                raise NameInUseError(f"a box has the name {new.name}: choose another name")
            if self._named("spki = ? AND revoked IS NOT NULL", new.spki):
                raise NameInUseError(f"the key of {new.name} was revoked: make a new key")
            life = (time_to_text(new.begins), time_to_text(new.ends))
            values = (f"{new.serial:x}", str(new.kind), *new[2:5], *life, None, None)
            self._db.put("named", values)

    def knows(self, name: str) -> bool:
        """Inside of a change only."""
        return bool(self._db.rows("SELECT 1 FROM named WHERE name = ? LIMIT 1", name))

    def find(self, name: str) -> list[NamedCertificate]:
        """All that this name was given, the newest last."""
        with self._db.read():
            return self._named("name = ? ORDER BY ROWID", name)

    def live(self) -> list[NamedCertificate]:
        """What is not revoked, of everybody, the newest of a name last; it may have expired."""
        with self._db.read():
            return self._named("revoked IS NULL ORDER BY kind, name, ROWID")

    def revoke(self, name: str, reason: str, now: datetime) -> list[NamedCertificate]:
        """All that this name has; what has ended with it is returned."""
        with self._db.transaction():
            ended = self._named("revoked IS NULL AND name = ? ORDER BY ROWID", name)
            sql = "UPDATE named SET revoked = ?, reason = ? WHERE revoked IS NULL AND name = ?"
            self._db.rows(sql, time_to_text(now), reason, name)
            return ended

    def _named(self, where: str, *values: object) -> list[NamedCertificate]:
        found = self._db.rows(f"SELECT * FROM named WHERE {where}", *values)
        return [_to_named(*row) for row in found]


def _to_named(serial: str, kind: str, *row: Any) -> NamedCertificate:
    *first, begins, ends, revoked, reason = row
    when = None if revoked is None else time_from_text(revoked)
    life = (time_from_text(begins), time_from_text(ends))
    return NamedCertificate._make((int(serial, 16), NamedKind(kind), *first, *life, when, reason))
