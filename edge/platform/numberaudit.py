"""What is missing, by numbers alone: the ledger, held against what manifests and events say.

It reads no other record, and of these only what was not proved when it came. It says nothing about
contents, times and signatures: an audit (`edge.platform.audit`) does.
"""

from collections.abc import Iterator

from edge.core.numbers import Numbers
from edge.platform.audit import GatewayAudit
from edge.platform.auditreport import AuditFinding
from edge.platform.auditsource import AuditSource
from edge.platform.completeness import CompletenessCheck
from edge.platform.days import DaysOfGateway
from edge.platform.receivedranges import ReceivedRanges
from edge.platform.recordstore import RecordStore
from edge.platform.registercontinuity import RegisterContinuity
from edge.platform.sitecheck import SiteCheck
from edge.platform.storedpayload import sent_or_damage

SAYING: tuple[str, ...] = ("event", "manifest")  # streams whose records speak of numbers


def audit_numbers(store: RecordStore, *, gateway: str | None = None) -> Iterator[GatewayAudit]:
    """Gateways in the order of their names; `records` are numbers. Raises RecordStoreError."""
    for gw, joined in store.gateways():
        if gateway is None or gateway == gw:
            yield _audit(store, gw, joined or 0)


def _audit(store: RecordStore, gw: str, joined: int) -> GatewayAudit:
    done, received = GatewayAudit(gw), ReceivedRanges(gw, joined)
    source = AuditSource(store, gw, proved=True)
    done.branch = source.branch
    for epoch, stream, (first, last) in store.numbers(gw):
        received.numbers.setdefault((epoch, stream), Numbers()).add_range(first, last)
        done.records += last - first + 1
    unused = RegisterContinuity(), DaysOfGateway(), SiteCheck(gw)
    for entry in source.entries(received, *unused, SAYING):
        _, epoch, stream, seq = entry.key
        done.branch = done.branch or entry.branch
        received.add_number(epoch, stream, seq, entry.received)
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
