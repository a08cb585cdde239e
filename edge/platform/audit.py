"""The audit of a store: per gateway and UTC day, what is there, and what nobody accounts for.

Memory does not grow with the number of records: they are read in the order of their keys, one
gateway after the other, and a manifest is proved with the records it names, read once more.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from edge.core import PREFIX
from edge.core.numbers import stepped
from edge.platform.days import Days, day_of
from edge.platform.entry import Entry
from edge.platform.filed import Filed
from edge.platform.judge import judge, unsealed
from edge.platform.ledger import Ledger
from edge.platform.seals import Seal, prove
from edge.platform.signatures import Keys
from edge.platform.sites import Sites
from edge.platform.store import Store
from edge.platform.verdict import Finding, Missing, name
from edge.uplink.wire import WireError

SHOWN: Final = 1000  # findings of one gateway that are told; all are counted


@dataclass(slots=True)
class Audited:
    """One gateway. `findings` have the day near which they are, or `unknown`."""

    gw: str
    days: Days = field(default_factory=Days)
    findings: list[tuple[str, Finding]] = field(default_factory=list)
    hidden: int = 0
    notes: list[str] = field(default_factory=list)
    missing: Missing = field(default_factory=dict)
    branch: str = ""  # prefix, site and gateway of its topics
    records: int = 0
    proved: int = 0

    def find(self, finding: Finding) -> None:
        day = self.days.of(finding.place)
        self.days.day(day).findings += 1
        if len(self.findings) < SHOWN:
            self.findings.append((day, finding))
        else:
            self.hidden += 1


def audit(
    store: Store,
    *,
    gateway: str | None = None,
    keys: Keys | None = None,
    prefix: str = PREFIX,
    sites: Sites | None = None,
    progress: Callable[[int], None] = lambda _records: None,
) -> Iterator[Audited]:
    """Gateways in the order of their names. Raises StoreError."""
    for gw, joined in store.gateways():
        if gateway is None or gateway == gw:
            filed = Filed(gw, prefix, sites)
            yield _gateway(store, Ledger(gw, joined), filed, keys, progress)


def _gateway(
    store: Store, ledger: Ledger, filed: Filed, keys: Keys | None, progress: Callable[[int], None]
) -> Audited:
    done = Audited(ledger.gw)
    found: list[Finding] = []  # told at the end, when the days are known
    for entry in store.records(ledger.gw):
        done.records += 1
        if done.records % 10_000 == 0:
            progress(done.records)
        if (foreign := filed.take(entry)) is not None:
            found.append(foreign)
        else:
            done.branch = done.branch or entry.branch
            found.extend(_record(entry, ledger, done))
        while len(found) > SHOWN:
            done.find(found.pop())
    for finding in (*found, *filed.findings()):
        done.find(finding)
    _manifests(store, ledger, keys, done)
    for entry in store.conflicts(ledger.gw):
        text = (
            f"{name(*entry.key)} came with two different contents; the second at {entry.received}"
        )
        done.find(Finding("conflict", text, entry.key))
    findings, done.missing = judge(ledger, done.notes)
    for finding in findings:
        done.find(finding)
    if count := unsealed(ledger):
        what = "no manifest seals yet" if ledger.sealed else "nothing seals: no manifest has come"
        done.notes.append(f"{ledger.gw}: {count} numbers have come that {what}")
    return done


def _record(entry: Entry, ledger: Ledger, done: Audited) -> list[Finding]:
    _, epoch, stream, seq = entry.key
    ledger.number(epoch, stream, seq)
    sent = _sent(entry)
    if isinstance(sent, Finding):
        done.days.record(entry.key, entry.source, day_of(entry.wall), {"mono": (0, 0)}, 1)
        return [sent]
    found = list(ledger.take(entry.source, sent))
    done.days.record(entry.key, entry.source, day_of(entry.wall), sent, _stands_for(sent))
    return found


def _manifests(store: Store, ledger: Ledger, keys: Keys | None, done: Audited) -> None:
    signed = unproved = 0
    for entry in store.records(ledger.gw, "manifest"):
        sent = _sent(entry)
        if isinstance(sent, Finding):
            continue  # told already
        seal = ledger.seal(entry.key, sent)
        if isinstance(seal, Finding):
            done.find(seal)
            continue
        why = keys.refusal(ledger.gw, sent) if keys is not None and "sig" in sent else None
        signed += "sig" in sent
        if why is not None:
            done.find(Finding("signature", f"{seal.says}: {why}", seal.key))
        proof = prove(seal, _sealed(store, ledger.gw, seal))
        if proof.finding is not None:
            done.find(proof.finding)
        unproved += not proof.proved and proof.finding is None
        if proof.proved and why is None:
            done.proved += 1
            done.days.day(day_of(entry.wall)).proved += 1
    if unproved:
        text = "manifests seal numbers that are not in the store: their digests are not checked"
        done.notes.append(f"{ledger.gw}: {unproved} {text}")
    if signed and keys is None:
        text = "manifests are signed; --keys FOLDER with the gateways' certificates checks them"
        done.notes.append(f"{ledger.gw}: {signed} {text}")


def _sealed(store: Store, gw: str, seal: Seal) -> Iterator[tuple[int, Mapping[str, Any]]]:
    wanted = set(seal.numbers)
    for entry in store.run((gw, seal.epoch, seal.stream, seal.first), seal.last):
        if entry.key[3] in wanted:
            sent = _sent(entry)
            yield entry.key[3], {} if isinstance(sent, Finding) else sent


def _sent(entry: Entry) -> dict[str, Any] | Finding:
    """The stored payload, held against the columns it is found by."""
    try:
        sent = entry.sent()
        gw, epoch, stream, seq = entry.key
        said = sent["gw"], sent["epoch"], sent["stream"], sent["seq"], sent["boot"]
        if said == (gw, epoch, stream, seq, entry.boot) and list(entry.mono) == list(sent["mono"]):
            return sent
        why = "its payload has another key"
    except (WireError, KeyError, TypeError) as error:
        why = f"{error}"
    text = f"{name(*entry.key)}: the stored payload is damaged: {why}"
    return Finding("damage", text, entry.key)


def _stands_for(sent: Mapping[str, Any]) -> int:
    covers = sent.get("covers")
    if covers is None:
        return 1
    try:
        return len(set(stepped(covers)))
    except ValueError:
        return 1
