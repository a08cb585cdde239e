"""What is missing, by numbers alone: the ledger, held against what manifests and events say.

It reads no other record, so it costs what a gateway has of these, and not what it has sent. It says
nothing about contents, times and signatures: an audit (`edge.platform.audit`) does.
"""

from collections.abc import Iterator

from edge.core.numbers import Numbers
from edge.platform.audit import GatewayAudit, sent_or_damage
from edge.platform.auditreport import AuditFinding
from edge.platform.completeness import CompletenessCheck
from edge.platform.receivedranges import ReceivedRanges
from edge.platform.recordstore import RecordStore

SAYING: tuple[str, ...] = ("event", "manifest")  # streams whose records speak of numbers


def audit_numbers(store: RecordStore, *, gateway: str | None = None) -> Iterator[GatewayAudit]:
    """Gateways in the order of their names; `records` are numbers. Raises RecordStoreError."""
    for gw, joined in store.gateways():
        if gateway is None or gateway == gw:
            yield _audit(store, gw, joined or 0)


def _audit(store: RecordStore, gw: str, joined: int) -> GatewayAudit:
    done, received = GatewayAudit(gw), ReceivedRanges(gw, joined)
    for epoch, stream, (first, last) in store.numbers(gw):
        received.numbers.setdefault((epoch, stream), Numbers()).add_range(first, last)
        done.records += last - first + 1
    for stream in SAYING:
        for entry in store.records(gw, stream):
            done.branch = done.branch or entry.branch
            received.add_number(entry.key[1], stream, entry.key[3], entry.received)
            sent = sent_or_damage(entry)
            if isinstance(sent, AuditFinding):
                done.find(sent)
                continue
            for finding in received.add_record(entry.source, sent):
                done.find(finding)
            if stream == "manifest":
                seal = received.add_seal(entry.key, sent)
                if isinstance(seal, AuditFinding):
                    done.find(seal)
    findings, done.missing = CompletenessCheck(received).verdict(done.notes)
    for finding in findings:
        done.find(finding)
    return done
