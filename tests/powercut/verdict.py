"""What power cuts have cost, of one box: what the platform has against what was said to be safe.

A number is promised when the daemon called it durable (its `highwater` in memory) before the power
went. It is lost when the platform has it neither as a record nor within a merged one, and no drop
event declares it. What nobody accounts for, and what is there twice, the audit says.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from edge.core.numbers import count_in_ranges
from edge.platform.audit import audit_store
from edge.platform.auditreport import AuditFinding
from edge.platform.recordstore import RecordStore
from edge.platform.storedpayload import sent_or_damage

DOUBLED: Final = frozenset({"conflict", "duplicate", "overlap", "replay"})
TOLD: Final = frozenset({"damage", "fork", "lost", "open"})
"""Of a box whose disk has gone back behind what it had sent: the city is told that it has."""
LATER: Final = frozenset({"nothing", "unsealed"})
"""A manifest comes after what it seals: with the end of a run the last ones are still to come."""


@dataclass(frozen=True, slots=True)
class CutVerdict:
    """Counts of numbers, but `told` and `undeclared`, which are findings of the audit. `texts`:
    what was found, in sentences."""

    acknowledged: int
    promised: int
    lost: int
    doubled: int
    undeclared: int
    told: int
    texts: tuple[str, ...]

    @property
    def unharmed(self) -> bool:
        """Nothing was lost, and something could have been."""
        wrong = self.lost or self.doubled or self.undeclared or self.told
        return not wrong and self.acknowledged > 0 and self.promised > 0

    @property
    def honest(self) -> bool:
        """What was lost is said to be, and nothing has two contents."""
        return not (self.doubled or self.undeclared) and self.acknowledged > 0


def judge_cuts(store: RecordStore, gateway: str, promised: Mapping[int, int]) -> CutVerdict:
    """`promised`: epoch -> how many numbers of it, all streams together, were called durable before
    a cut. Raises RecordStoreError."""
    there: Counter[int] = Counter()
    for epoch, _, numbers in store.numbers(gateway):
        there[epoch] += count_in_ranges([numbers])
    dropped = _dropped(store, gateway)
    missing = {
        epoch: count - there[epoch] - dropped[epoch]
        for epoch, count in promised.items()
        if count > there[epoch] + dropped[epoch]
    }
    findings = [
        finding for audit in audit_store(store, gateway=gateway) for _, finding in audit.findings
    ]
    texts = [
        f"start {epoch >> 32}: {count} numbers were called durable, and are nowhere"
        for epoch, count in missing.items()
    ]
    texts += [f"{each.kind}: {each.text}" for each in findings if each.kind not in LATER]
    return CutVerdict(
        acknowledged=there.total(),
        promised=sum(promised.values()),
        lost=sum(missing.values()),
        doubled=_count(findings, DOUBLED),
        undeclared=len(findings) - _count(findings, DOUBLED | TOLD | LATER),
        told=_count(findings, TOLD),
        texts=tuple(texts),
    )


def _count(findings: Iterable[AuditFinding], kinds: frozenset[str]) -> int:
    return sum(finding.kind in kinds for finding in findings)


def _dropped(store: RecordStore, gateway: str) -> Counter[int]:
    """Numbers that drop events declare, by epoch."""
    found: Counter[int] = Counter()
    for entry in store.records(gateway, "event"):
        match sent_or_damage(entry):
            case {"event": "drop", "epoch_of": int(epoch), "count": int(count)}:
                found[epoch] += count
    return found
