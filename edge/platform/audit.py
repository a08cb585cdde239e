"""The audit of a store: per gateway and UTC day, what is there, and what nobody accounts for.

What manifests have proved is taken from the store (`prover`); all other records are read, in the
order of their keys, one gateway after the other, and a manifest is proved with the records it
names, read once more. With `contents` nothing is believed, and all is read: that finds what
somebody has changed in the store since. Memory does not grow with the number of records.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from edge.core import TOPIC_PREFIX
from edge.core.numbers import Numbers, count_in_ranges, format_numbers
from edge.platform.auditreport import AuditFinding, Missing, record_name
from edge.platform.auditsource import AuditSource
from edge.platform.completeness import CompletenessCheck, unsealed_numbers
from edge.platform.days import DaysOfGateway, day_of
from edge.platform.receivedranges import ReceivedRanges
from edge.platform.receivedrecord import Key, ReceivedRecord
from edge.platform.recordstore import DamagedRecordsError, RecordStore
from edge.platform.registercontinuity import RegisterContinuity
from edge.platform.seals import Replays, Seal, prove_seal, seal_of
from edge.platform.signatures import CertificateKeys
from edge.platform.sitecheck import AllowedSites, SiteCheck
from edge.platform.storedpayload import sent_or_damage, stands_for
from edge.platform.streamproof import moments_of
from edge.platform.walltimecheck import RedatedMoments, WallTimeCheck

SEALED_AFTER: Final = timedelta(days=1)  # so long a manifest may wait behind a backlog
PROGRESS_EVERY: Final = 10_000  # records, of its progress
FINDINGS_SHOWN: Final = 1000  # findings of one gateway that are listed; all are counted
# found in records that are there, whatever else is gone
OF_RECORDS: Final = frozenset({"conflict", "damage", "digest", "foreign", "overlap", "replay",
    "site", "time"})  # fmt: skip


@dataclass(slots=True)
class GatewayAudit:
    """One gateway. `findings` have the day near which they are, or `unknown`."""

    gw: str
    days: DaysOfGateway = field(default_factory=DaysOfGateway)
    findings: list[tuple[str, AuditFinding]] = field(default_factory=list)
    hidden: int = 0
    notes: list[str] = field(default_factory=list)
    missing: Missing = field(default_factory=dict)
    branch: str = ""  # prefix, site and gateway of its topics
    records: int = 0
    proved: int = 0
    unsealed: int = 0  # numbers

    def find(self, finding: AuditFinding) -> None:
        day = self.days.of(finding.place)
        self.days.day(day).findings += 1
        if len(self.findings) < FINDINGS_SHOWN:
            self.findings.append((day, finding))
        else:
            self.hidden += 1

    def find_again(self, read: "GatewayAudit", gone: int) -> None:
        """What was found by reading a store from which so many numbers were removed: of these only
        the proofs know."""
        known = {finding.text for _, finding in self.findings}
        for _, finding in read.findings:
            if finding.kind in OF_RECORDS and finding.text not in known:
                self.find(finding)
        text = f"{self.gw}: records do not agree with what manifests have proved; {gone} numbers"
        text += " were removed since, so that not all could be read again"
        self.find(AuditFinding("damage", text))


def audit_store(
    store: RecordStore,
    *,
    gateway: str | None = None,
    keys: CertificateKeys | None = None,
    prefix: str = TOPIC_PREFIX,
    sites: AllowedSites | None = None,
    contents: bool = False,
    day: str | None = None,
    progress: Callable[[int], None] = lambda _records: None,
) -> Iterator[GatewayAudit]:
    """Gateways in the order of their names; of proved records only this `day` is counted. Raises
    RecordStoreError."""
    for gw, joined in store.gateways():
        if gateway not in (None, gw):
            continue

        def auditor(proved: bool, gw: str = gw, joined: int | None = joined) -> _GatewayAuditor:
            return _GatewayAuditor(
                AuditSource(store, gw, proved=proved), ReceivedRanges(gw, joined or 0),
                SiteCheck(gw, prefix, sites), keys, day, progress, known=joined is not None,
            )  # fmt: skip

        yield _audit(auditor, gw, proved=keys is None and not contents)


def _audit(auditor: Callable[[bool], "_GatewayAuditor"], gw: str, *, proved: bool) -> GatewayAudit:
    """By what was `proved`; where that and the records do not agree, by reading all of them."""
    by_proofs: GatewayAudit | None = None
    try:
        first = auditor(proved)
        done = first.run()
        if not first.source.odd:
            return done
        by_proofs = None if first.source.short else done
        again = auditor(False)
        done = again.run()
        if by_proofs is None or not (gone := again.not_read()):
            return done
        by_proofs.find_again(done, gone)
        return by_proofs
    except DamagedRecordsError as error:
        done = by_proofs or GatewayAudit(gw)
        text = f"{gw}: {error}: the audit of this gateway ends there"
        done.find(AuditFinding("damage", text))
        return done


class _GatewayAuditor:
    """Of one gateway."""

    def __init__(
        self, source: AuditSource, received: ReceivedRanges, site_check: SiteCheck,
        keys: CertificateKeys | None, day: str | None, progress: Callable[[int], None], *,
        known: bool,
    ) -> None:  # fmt: skip
        """`known`: with which epoch the store began to hear of it."""
        self.source, self._store, self._received = source, source.store, received
        self._site_check, self._keys, self._day = site_check, keys, day
        self._progress, self._known = progress, known
        self._done = GatewayAudit(received.gw)
        self._registers, self._corrections = RegisterContinuity(), RedatedMoments()
        self._signed = self._unsigned = 0  # manifests

    def run(self) -> GatewayAudit:
        """Once."""
        done, received = self._done, self._received
        found: list[AuditFinding] = []  # reported at the end, when the days are known
        if not self._known:
            text = f"{received.gw}: the store has lost the note of this gateway's first record"
            found.append(AuditFinding("damage", f"{text}: all earlier numbers are expected, too"))
        source = self.source
        for date, counts in source.days(self._day):
            done.days.day(date).add(counts)
        done.branch, done.records = source.branch, source.records
        for entry in source.entries(received, self._registers, done.days, self._site_check):
            done.records += 1
            if done.records % PROGRESS_EVERY == 0:
                self._progress(done.records)
            if (foreign := self._site_check.take(entry)) is not None:
                found.append(foreign)
            else:
                done.branch = done.branch or entry.branch
                found.extend(self._record(entry))
            while len(found) > FINDINGS_SHOWN:
                done.find(found.pop())
        for finding in (*found, *self._site_check.findings()):
            done.find(finding)
        self._manifests()
        for entry in self._store.conflicts(received.gw):
            text = f"{record_name(*entry.key)} arrived with two different contents"
            text += f"; the second at {entry.received}"
            done.find(AuditFinding("conflict", text, entry.key))
        check = CompletenessCheck(received, strict=self._keys is not None)
        findings, done.missing = check.verdict(done.notes)
        of_registers, anew = self._registers.judge(check)
        for finding in (*findings, *of_registers):
            done.find(finding)
        if anew:
            text = "registers have their first growth of an epoch above the last recorded value"
            done.notes.append(f"{received.gw}: {anew} {text}: no record has the growth in between")
        if check.running is not None:
            text = "is open: no later start has reported how it ended"
            done.notes.append(f"{received.gw}: epoch {check.running} {text}")
        self._unsealed()
        return done

    def not_read(self) -> int:
        """How many numbers of the store's ledger have no record there, and none that covers them:
        a retention policy has removed them."""
        numbers = self._received.numbers
        return sum(
            count_in_ranges(numbers.get((epoch, stream), Numbers()).missing(*each))
            for epoch, stream, each in self._store.numbers(self._received.gw)
        )

    def _unsealed(self) -> None:
        """The last quarter of an hour is not sealed yet; what came a day before the last record
        should be: its manifests are gone, or there were none."""
        done, received = self._done, self._received
        found = unsealed_numbers(received)
        done.unsealed = sum(map(count_in_ranges, found.values()))
        if done.unsealed:
            text = "numbers have arrived that no manifest seals yet"
            done.notes.append(f"{received.gw}: {done.unsealed} {text}")
        last = _came(received.heard)
        for (epoch, stream), ranges in found.items():
            old = 0
            for first, end in ranges:
                for entry in self._store.record_range((received.gw, epoch, stream, first), end):
                    came = _came(entry.received)
                    old += None in (last, came) or came < last - SEALED_AFTER  # type: ignore[operator]
            if old:
                text = f"{received.gw} {epoch}/{stream}: {old} old records were never sealed:"
                text += f" nothing proves them ({format_numbers(ranges)})"
                done.find(
                    AuditFinding("unsealed", text, (received.gw, epoch, stream, ranges[0][0]))
                )

    def _record(self, entry: ReceivedRecord) -> list[AuditFinding]:
        done, received = self._done, self._received
        _, epoch, stream, seq = entry.key
        received.add_number(epoch, stream, seq, entry.received)
        sent = sent_or_damage(entry)
        if isinstance(sent, AuditFinding):
            empty = {"mono": (0, 0)}
            done.days.record(entry.key, entry.source, day_of(entry.wall), empty, 1)
            return [sent]
        found = list(received.add_record(entry.source, sent))
        self._registers.take(entry.key, entry.source, sent)
        done.days.record(entry.key, entry.source, day_of(entry.wall), sent, stands_for(sent))
        return found

    def _manifests(self) -> None:
        done, received, store = self._done, self._received, self._store
        refused: set[Key] = set()
        source = self.source
        for epoch, folded in source.manifests:
            self._corrections.add(epoch, moments_of(folded))
            self._signed += folded.signed
            done.proved += count_in_ranges(folded.numbers)
        for entry in source.unproved("manifest"):
            if not self._site_check.is_own(entry):
                refused.add(entry.key)
                continue
            seal = self._seal(entry)
            if isinstance(seal, Seal):
                self._corrections.add(entry.key[1], seal.clock_redelivered)
                continue
            refused.add(entry.key)
            if seal is not None:
                done.find(seal)
        self._corrections.judge(received.order(), received.boots)
        source.look_at_redated(self._corrections, done.days)
        source.odd |= bool(source.manifests and received.resealed)  # a replay is told by contents
        replays = Replays(frozenset(received.resealed))
        unproved, agree = 0, sum(folded.sealing for _, folded in source.manifests)
        for entry in source.unproved("manifest"):
            if entry.key in refused:
                continue
            sent = _map(entry)
            seal = seal_of(entry.key, sent)
            wall_times = WallTimeCheck(seal, self._corrections)
            proof = prove_seal(seal, _sealed(store, received.gw, seal, wall_times))
            found = proof.finding, wall_times.finding(), replays.look(seal, sent)
            wrong = [each for each in found if each is not None]
            for finding in wrong:
                done.find(finding)
            unproved += not proof.proved and proof.finding is None
            if proof.proved and not wrong:
                agree += seal.count > 0
                if self._keys is None or "sig" in sent:
                    done.proved += 1
                    done.days.day(day_of(entry.wall)).proved += 1
        if not agree:
            text = f"{received.gw}: no manifest proves any of its records. If the gateway is new,"
            done.find(AuditFinding("nothing", f"{text} audit again in half an hour"))
        if unproved:
            text = (
                "manifests seal numbers that are not in the store: the digests of these manifests"
            )
            done.notes.append(f"{received.gw}: {unproved} {text} are not checked")
        self._signatures()

    def _seal(self, entry: ReceivedRecord) -> Seal | AuditFinding | None:
        """A manifest that may be believed: without keys nobody knows better. None for one whose
        payload is damaged: that was reported already."""
        keys, gw, sent = self._keys, self._received.gw, sent_or_damage(entry)
        if isinstance(sent, AuditFinding):
            return None
        signed = "sig" in sent
        self._signed += signed
        self._unsigned += not signed
        name = f"the manifest {record_name(*entry.key)}"
        if keys is not None and not signed and gw not in keys.unsigned_ok:
            return AuditFinding("unsigned", f"{name} is not signed", entry.key)
        if keys is not None and signed and (why := keys.refusal(gw, sent)) is not None:
            return AuditFinding("signature", f"{name}: {why}", entry.key)
        return self._received.add_seal(entry.key, sent)

    def _signatures(self) -> None:
        gw, notes = self._received.gw, self._done.notes
        if self._keys is None:
            if self._signed:
                text = "manifests are signed; --keys FOLDER with the gateways' certificates checks"
                notes.append(f"{gw}: {self._signed} {text} them")
        elif self._unsigned and gw in self._keys.unsigned_ok:
            text = "manifests are not signed, which --unsigned-ok allows (a key in a TPM):"
            text += " anybody who can write this store could have made them, so they prove nothing"
            notes.append(f"{gw}: {self._unsigned} {text}")


def _sealed(
    store: RecordStore, gw: str, seal: Seal, wall_times: WallTimeCheck
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    wanted = set(seal.numbers)
    for first, last in seal.spans:
        for entry in store.record_range((gw, seal.epoch, seal.stream, first), last):
            if entry.key[3] in wanted:
                sent = _map(entry)
                if sent:
                    wall_times.look(entry, sent)
                yield entry.key[3], sent


def _came(received: str) -> datetime | None:
    try:
        return datetime.fromisoformat(received).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _map(entry: ReceivedRecord) -> dict[str, object]:
    """As above; nothing for what is damaged."""
    sent = sent_or_damage(entry)
    return {} if isinstance(sent, AuditFinding) else sent
