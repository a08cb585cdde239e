"""How far the commissioning of a box is: what is kept, in one file, in bytes that a test pins.

Version 1: JSON. A file that cannot be read is set aside by its owner, and commissioning begins
anew.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from edge.commission.founddevices import OfferedDevice, ScannedPlace
from edge.commission.steps import CommissionStep
from edge.commission.verdict import StepFinding, StepVerdict, worst_verdict

VERSION: Final = 1
NAME_LIMIT: Final = 64  # characters of who does it
NOTE_LIMIT: Final = 500


class StepResult(Struct, frozen=True):
    """What a step came to, `at` in Unix seconds, or None where no clock knew it.

    `configured` and `serial` are what it was done with: if they are other ones now, it is stale.
    `figures` are for plots, and of a lane the order that the drive showed.
    """

    findings: list[StepFinding]
    at: int | None
    by: str
    configured: str
    serial: str = ""
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> StepVerdict:
        return worst_verdict(self.findings)


class SignedSheet(Struct, frozen=True):
    """A sheet that is kept: its number, its digest, and what it said."""

    number: int
    sha256: str
    state: str  # accepted, or reservations
    by: str
    at: int | None
    signed: bool
    configured: dict[str, str] = {}  # step -> what it was done with
    serials: dict[str, str] = {}  # step -> the device's serial number
    told: bool = True  # the outbox has its event


class CommissionSession(Struct):
    """All of it. `steps` by their ids; also those that the site has no longer, until the next
    begin."""

    by: str = ""
    begun: int | None = None
    steps: dict[str, StepResult] = field(default_factory=dict)
    fields: dict[str, dict[str, float | str]] = field(default_factory=dict)
    found: list[OfferedDevice] = field(default_factory=list)
    searched: list[ScannedPlace] = field(default_factory=list)
    sheet: SignedSheet | None = None  # the last one
    number: int = 0  # of the last sheet
    v: int = VERSION

    @property
    def is_open(self) -> bool:
        """Somebody has begun, and has not signed."""
        return self.by != ""


def encode_session(session: CommissionSession) -> bytes:
    """As it is kept."""
    return msgspec.json.encode(session, order="deterministic") + b"\n"


def decode_session(data: bytes) -> CommissionSession:
    """Back from it. Raises ValueError for what is damaged, or of another version."""
    session = msgspec.json.decode(data, type=CommissionSession)
    if session.v != VERSION:
        raise ValueError(f"commissioning of version {session.v}; this program knows {VERSION}")
    return session


def stale_reason(result: StepResult, step: CommissionStep, serial: str) -> str:
    """Why a result counts no more: `configuration` or `device`; "" while it does."""
    return _stale(result.configured, result.serial, step, serial)


def _stale(configured: str, known: str, step: CommissionStep, serial: str) -> str:
    if configured != step.configured:
        return "configuration"
    if known and serial and known != serial:
        return "device"
    return ""


def stale_steps(
    sheet: SignedSheet, steps: Mapping[str, CommissionStep], serials: Mapping[str, str]
) -> list[str]:
    """What the sheet vouches for and is another one now, and what it never knew."""
    return [
        id_
        for id_, step in steps.items()
        if _stale(sheet.configured.get(id_, ""), sheet.serials.get(id_, ""), step,
                  serials.get(id_, ""))
    ]  # fmt: skip


def verdict_counts(verdicts: Iterable[StepVerdict]) -> dict[str, int]:
    """How many of each."""
    counts = {str(word): 0 for word in StepVerdict}
    for verdict in verdicts:
        counts[str(verdict)] += 1
    return counts
