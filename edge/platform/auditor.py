"""The auditor: is everything there that a gateway has numbered, once, and is no time missing?

Pure: it is fed with messages in the order of their arrival, which is not the order of their
numbers: live records overtake the backlog. So it judges at the end, and not before.
"""

from edge.core.numbers import count_in_ranges
from edge.platform.auditreport import FINDINGS_LIMIT, AuditFinding, AuditReport
from edge.platform.completeness import judge_completeness, unsealed_numbers
from edge.platform.receivedranges import ReceivedRanges
from edge.platform.repeats import Repeats
from edge.platform.unsealedrecords import UnsealedRecords
from edge.wire.decode import DecodedMessage

__all__ = ["AuditFinding", "AuditReport", "Auditor"]


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
