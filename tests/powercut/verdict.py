"""What power cuts have cost, of one box: what the platform has against what was said to be safe.

A number is promised when the daemon called it durable (its `highwater` in memory) before the power
went. It is lost when the platform has it neither as a record nor within a merged one, and no drop
event declares it. No software can prevent that on a disk that lies; it must not stay unsaid. A loss
is seen when the box has declared the time of it as a gap, or when the audit names it. What nobody
says is silent.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from edge.core.numbers import count_in_ranges
from edge.platform.audit import GatewayAudit, audit_store
from edge.platform.auditreport import AuditFinding
from edge.platform.recordstore import RecordStore
from edge.platform.storedpayload import sent_or_damage

DOUBLED: Final = frozenset({"conflict", "duplicate", "overlap"})
TOLD: Final = frozenset({"damage", "fork", "lost", "open"})
"""Of a box whose disk has gone back behind what it had sent: the city is told that it has."""
OLDER: Final = frozenset({"damage", "fork"})
"""A start that goes on from an older outbox says so itself, by what it names as its former one."""
LATER: Final = frozenset({"nothing", "unsealed"})
"""A manifest comes after what it seals: with the end of a run the last ones are still to come."""
OF_LOSSES: Final = frozenset({"hole", "missing", "register"})
"""What a loss leaves behind in the numbers, in time, and in a register."""
OF_STARTS: Final = frozenset({"lost", "open"})
"""What names a loss at the end of a start, without a number."""
REPLAY: Final = "replay"


@dataclass(frozen=True, slots=True)
class CutVerdict:
    """Counts of numbers, but `resealed`, `told` and `undeclared`, which are findings of the audit.

    `silent` of the `lost` nobody speaks of. `resealed` are manifests that a start on an older
    outbox has made again; `doubled` are numbers with two contents, or time that two records cover.
    `seen`: what told of a loss, and how often. `texts`: what was found, in sentences.
    """

    acknowledged: int
    promised: int
    lost: int
    silent: int
    doubled: int
    resealed: int
    undeclared: int
    told: int
    wrong: int = 0
    """Findings that no loss explains, of those in `undeclared`."""
    seen: Mapping[str, int] = field(default_factory=dict)
    texts: tuple[str, ...] = ()

    @property
    def unharmed(self) -> bool:
        """Nothing was lost, and something could have been."""
        wrong = self.lost or self.doubled or self.undeclared or self.told or self.resealed
        return not wrong and self.acknowledged > 0 and self.promised > 0

    @property
    def honest(self) -> bool:
        """What was lost is seen, nothing has two contents, and something could have been lost."""
        bad = self.silent or self.doubled or self.wrong
        return not bad and self.acknowledged > 0 and self.promised > 0


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
    audits = [*audit_store(store, gateway=gateway)]
    findings = [finding for audit in audits for _, finding in audit.findings]
    older = {_epoch(one) >> 32 for one in findings if one.kind in OLDER}
    resealed = [one for one in findings if one.kind == REPLAY and _came_after(one, older)]
    others = [one for one in findings if one not in resealed]
    doubled = _count(others, DOUBLED | {REPLAY})
    undeclared = len(others) - doubled - _count(others, TOLD | LATER)
    gaps, spans = [*_gaps(store, gateway)], _spans(store, gateway)
    seen = Counter[str]()
    if dropped:
        seen["declared by a drop"] = dropped.total()
    texts = list[str]()
    silent = 0
    for epoch, count in missing.items():
        left, how = _unseen(epoch, count, audits, spans, gaps)
        silent += left
        seen.update(how)
        said = ", ".join(how) or "nobody says so"
        texts.append(
            f"start {epoch >> 32}: {count} numbers were called durable, and are nowhere: {said}"
            + (f"; of {left} of them nobody speaks" if left and how else "")
        )
    for one in others:
        if one.kind in TOLD | OF_LOSSES:
            seen[f"by the audit as {one.kind}"] += 1
    texts += [f"{each.kind}: {each.text}" for each in others if each.kind not in LATER]
    return CutVerdict(
        acknowledged=there.total(),
        promised=sum(promised.values()),
        lost=sum(missing.values()),
        silent=silent,
        doubled=doubled,
        resealed=len(resealed),
        undeclared=undeclared,
        told=_count(others, TOLD),
        wrong=undeclared - _count(others, OF_LOSSES),
        seen=dict(seen),
        texts=tuple(texts),
    )


@dataclass(frozen=True, slots=True)
class _Gap:
    """Which start declared it, the one that this knew before it, and from when on in the
    time of that one; None: always. `whole`: of all sources. `received`: when the platform got it.
    """

    epoch: int
    former: int
    whole: bool
    from_us: int | None
    received: str


@dataclass(slots=True)
class _Span:
    """Of what came of one start: the end of its last record on the boot's clock, and when the last
    of it was received."""

    to_us: int = 0
    received: str = ""


def _unseen(
    epoch: int, count: int, audits: Iterable[GatewayAudit], spans: Mapping[int, _Span],
    gaps: Sequence[_Gap],
) -> tuple[int, Counter[str]]:  # fmt: skip
    """How many of the numbers that are lost of a start nobody speaks of; and who speaks of the
    others."""
    seen = Counter[str]()
    missing = sum(
        count_in_ranges(ranges)
        for audit in audits
        for (of, _), ranges in audit.missing.items()
        if of == epoch
    )
    if missing:
        seen["named by the audit: missing"] = min(missing, count)
    if rest := count - seen.total():
        near = {epoch, *(gap.epoch for gap in gaps if gap.former == epoch)}
        kinds = {
            finding.kind
            for audit in audits
            for _, finding in audit.findings
            if (_epoch(finding) == epoch and finding.kind in OF_STARTS)
            or (
                _epoch(finding) in near and finding.kind == "hole"
            )  # it is named before the next one
        }
        span = spans.get(epoch, _Span())
        if any(_declares(gap, epoch, span) for gap in gaps):
            seen["declared by a gap"] = rest
        elif kinds:
            seen[f"named by the audit: {min(kinds)}"] = rest
    return count - seen.total(), seen


def _declares(gap: _Gap, epoch: int, span: _Span) -> bool:
    """Whether this gap covers all that was lost of a start. A later one on an older disk may know
    nothing of that start, and goes on from one before it: then its gap covers the whole of it."""
    if gap.epoch == epoch or gap.epoch >> 32 < epoch >> 32:
        return False
    if not gap.whole or gap.received < span.received:
        return False
    if gap.former == epoch:
        return gap.from_us is None or (bool(span.received) and gap.from_us <= span.to_us)
    return gap.former >> 32 < epoch >> 32


def _gaps(store: RecordStore, gateway: str) -> Iterator[_Gap]:
    """What starts have declared."""
    for entry in store.records(gateway, "event"):
        match sent_or_damage(entry):
            case {
                "event": "gap", "sources": [*names], "gap": [int() | None as begin, int()],
                "former": {"epoch": int(former)},
            }:  # fmt: skip
                yield _Gap(entry.key[1], former, names == ["*"], begin, entry.received)


def _spans(store: RecordStore, gateway: str) -> dict[int, _Span]:
    found = dict[int, _Span]()
    for entry in store.records(gateway):
        span = found.setdefault(entry.key[1], _Span())
        span.to_us = max(span.to_us, entry.mono[1])
        span.received = max(span.received, entry.received)
    return found


def _came_after(replay: AuditFinding, older: Iterable[int]) -> bool:
    """Whether a manifest that says again what another one has said is of a start after the box was
    known to go on from an older outbox."""
    return any(number <= _epoch(replay) >> 32 for number in older)


def _epoch(finding: AuditFinding) -> int:
    return 0 if finding.place is None else finding.place[1]


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
