"""The auditor: is everything there that a gateway has numbered, once, and is no time missing?

Pure: it is fed with messages in the order of their arrival, which is not the order of their
numbers: live records overtake the backlog. So it judges at the end, and not before. It remembers,
bounded, what came, to know whether what comes again is the same and was expected to, and what no
manifest has sealed yet, for the digest.
"""

from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import Any, Final

import msgpack

from edge.core.numbers import count_in_ranges
from edge.platform.auditreport import FINDINGS_LIMIT, AuditFinding, AuditReport, record_name
from edge.platform.completeness import judge_completeness, unsealed_numbers
from edge.platform.receivedranges import ReceivedRanges
from edge.platform.receivedrecord import Key, content_digest
from edge.platform.seals import Seal, SealProof, prove_seal
from edge.wire.decode import DecodedMessage

DIGESTS_KEPT: Final = 50_000  # contents of a stream, for telling a duplicate from a conflict
IN_FLIGHT: Final = 200  # messages that a broker may send again after our connection was lost
KEPT_BYTES: Final = 16 << 20  # bytes of records, all gateways together
OVERHEAD: Final = 400  # bytes that a kept record takes beside its own
WAITING_MANIFESTS: Final = 1000  # manifests some of whose records are not here (yet)
__all__ = ["AuditFinding", "AuditReport", "Auditor"]


class Repeats:
    """Remembers the contents of the newest records of each epoch and stream."""

    def __init__(self) -> None:
        self._contents: dict[tuple[str, int, str], OrderedDict[int, tuple[bytes, bool]]] = {}
        self._latest: deque[Key] = deque(maxlen=IN_FLIGHT)
        self._forgiven: set[Key] = set()
        self.redelivered = 0

    def reconnected(self) -> None:
        """Our own connection was lost: the broker may send its last messages again."""
        self._forgiven = set(self._latest)

    def compare(
        self, key: Key, sent: Mapping[str, Any], new: bool
    ) -> tuple[bool, AuditFinding | None]:
        """Whether the record is to be counted, and what is wrong with a second one."""
        contents = self._contents.setdefault(key[:3], OrderedDict())
        content, redelivered = content_digest(sent), bool(sent.get("redelivered"))
        before = contents.get(key[3])
        if before is None:
            contents[key[3]] = content, redelivered
            if len(contents) > DIGESTS_KEPT:
                contents.popitem(last=False)
            if new:
                self._latest.append(key)
            elif not redelivered:
                text = f"{record_name(*key)} arrived twice, the first time long ago"
                return False, AuditFinding("duplicate", text, key)
            return new, None
        if before[0] != content:
            text = f"{record_name(*key)} arrived with two different contents"
            return False, AuditFinding("conflict", text, key)
        if key in self._forgiven:
            self.redelivered += 1
        elif not (redelivered or before[1]):
            text = f"{record_name(*key)} arrived twice, and neither is marked `redelivered`"
            return False, AuditFinding("duplicate", text, key)
        return False, None


class UnsealedRecords:
    """A manifest usually comes after what it seals; where it does not, it waits."""

    def __init__(self) -> None:
        self.proved = 0
        self._records: OrderedDict[Key, bytes] = OrderedDict()
        self._bytes = 0
        self._waiting: OrderedDict[Key, Seal] = OrderedDict()
        self._given_up = 0

    @property
    def waiting(self) -> int:
        return len(self._waiting) + self._given_up

    def add(self, key: Key, sent: Mapping[str, Any]) -> None:
        """The oldest go when there is no more room."""
        packed: bytes = msgpack.packb(sent)
        self._records[key] = packed
        self._bytes += len(packed) + OVERHEAD
        while self._bytes > KEPT_BYTES:
            _, oldest = self._records.popitem(last=False)
            self._bytes -= len(oldest) + OVERHEAD

    def add_seal(self, gw: str, seal: Seal) -> AuditFinding | None:
        """A manifest has come. What it seals need not be kept any longer."""
        proof = self._prove(gw, seal)
        if proof.absent:
            self._waiting[seal.key] = seal
            if len(self._waiting) > WAITING_MANIFESTS:
                self._waiting.popitem(last=False)
                self._given_up += 1
        return proof.finding

    def retry_waiting(self) -> list[AuditFinding]:
        """Once more those that waited: by now their records may have come."""
        found: list[AuditFinding] = []
        for key, seal in list(self._waiting.items()):
            proof = self._prove(key[0], seal)
            if not proof.absent:
                del self._waiting[key]
            if proof.finding is not None:
                found.append(proof.finding)
        return found

    def _prove(self, gw: str, seal: Seal) -> SealProof:
        keys = [(gw, seal.epoch, seal.stream, seq) for seq in seal.numbers]
        here = [(key[3], msgpack.unpackb(self._records[key])) for key in keys if self._has(key)]
        proof = prove_seal(seal, here)
        if not proof.absent:
            self.proved += proof.proved
            for key in keys:
                if self._has(key):
                    self._bytes -= len(self._records.pop(key)) + OVERHEAD
        return proof

    def _has(self, key: Key) -> bool:
        return key in self._records


class Auditor:
    """`take` every message, then `report`."""

    def __init__(self) -> None:
        self._records = 0
        self._received: dict[str, ReceivedRanges] = {}
        self._repeats = Repeats()
        self._unsealed = UnsealedRecords()
        self._found: list[AuditFinding] = []
        self._hidden = 0

    def take(self, message: DecodedMessage) -> None:
        """One decoded message; retained copies (`last`, `status`, `meta`) are no records."""
        if message.kind != "record":
            return
        gw, epoch, stream, seq = key = message.key
        received = self._received.setdefault(gw, ReceivedRanges(gw, epoch))
        new = received.add_number(epoch, stream, seq)
        counted, finding = self._repeats.compare(key, message.sent, new)
        if finding is not None:
            self._find(finding)
        if not counted:
            return
        self._records += 1
        for finding in received.add_record(message.topic.source, message.sent):
            self._find(finding)
        if stream == "manifest":
            seal = received.add_seal(key, message.sent)
            finding = seal if isinstance(seal, AuditFinding) else self._unsealed.add_seal(gw, seal)
            if finding is not None:
                self._find(finding)
        else:
            self._unsealed.add(key, message.sent)

    def refused(self, kind: str, topic: str, why: str) -> None:
        """A message that names another gateway than its topic, or is not in the wire format."""
        self._find(AuditFinding(kind, f"{topic}: {why}"))

    def reconnected(self) -> None:
        """Our own connection was lost: the broker may send its last messages again."""
        self._repeats.reconnected()

    def lost(self, count: int) -> None:
        """This program was too slow, and threw messages away."""
        text = f"{count} messages arrived faster than they could be checked, and were not checked"
        self._find(AuditFinding("overrun", text))

    def report(self) -> AuditReport:
        """The verdict over all that has come until now."""
        for late in self._unsealed.retry_waiting():
            self._find(late)
        report = AuditReport(self._records, self._unsealed.proved, list(self._found))
        if self._hidden:
            report.notes.append(f"{self._hidden} more findings of these kinds are not shown")
        if self._repeats.redelivered:
            count = self._repeats.redelivered
            report.notes.append(f"{count} messages arrived again after a reconnection")
        for gw, received in self._received.items():
            findings, _ = judge_completeness(received, report.notes)
            report.findings.extend(findings)
            if received.sealed and (
                count := sum(map(count_in_ranges, unsealed_numbers(received).values()))
            ):
                report.notes.append(
                    f"{gw}: {count} numbers have arrived that no manifest seals yet"
                )
        if self._unsealed.waiting:
            text = "manifests seal records that did not arrive here, or arrived too long ago"
            report.notes.append(
                f"{self._unsealed.waiting} {text}: the digests of these manifests are not checked"
            )
        return report

    def _find(self, finding: AuditFinding) -> None:
        if len(self._found) < FINDINGS_LIMIT:
            self._found.append(finding)
        else:
            self._hidden += 1
