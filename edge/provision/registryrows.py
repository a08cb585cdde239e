"""What the store of the enrolment server holds: requests, and what was issued."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, NamedTuple

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
