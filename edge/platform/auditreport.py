"""What an audit says in the end."""

from dataclasses import dataclass, field
from typing import Any, Final

from edge.core.numbers import Range
from edge.platform.receivedrecord import Key

FINDINGS_LIMIT: Final = 200  # findings that are printed one by one as they come


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """Something that should not be. `kind` is a word for programs, `text` a sentence.

    `place` is a record near which it is, for a day to be found; a number that never came is fine.
    """

    kind: str
    text: str
    place: Key | None = None


@dataclass(slots=True)
class AuditReport:
    """What the auditor says in the end."""

    records: int = 0  # each counted once
    proved: int = 0  # manifests whose digest is that of the records that came
    findings: list[AuditFinding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not self.findings


Missing = dict[tuple[int, str], list[Range]]  # epoch, stream -> numbers nobody accounts for


def record_name(gw: str, epoch: Any, stream: str, seq: Any) -> str:
    """`gw-1 4294967303/air/17`."""
    return f"{gw} {epoch}/{stream}/{seq}"
