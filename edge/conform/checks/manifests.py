"""Manifests: what they seal is what came, digests, clocks, signatures (decision 13)."""

from collections.abc import Iterator
from typing import Final

from edge.conform.check import ConformanceCheck, NotSeenError
from edge.conform.evidence import DecodedEvidence, Heard
from edge.platform.auditreport import AuditFinding, record_name
from edge.platform.epochorder import EpochClaims, order_epochs
from edge.platform.receivedrecord import Key, make_received
from edge.platform.seals import Seal, prove_seal, seal_of
from edge.platform.walltimecheck import RedatedMoments, WallTimeCheck
from edge.wire import DecodedMessage
from edge.wire.digestchain import SIGNATURE_KEYS

EVERY_S: Final = 900.0  # the longest time without a manifest of a stream that sends


def _manifests(evidence: DecodedEvidence) -> list[DecodedMessage]:
    found: dict[Key, DecodedMessage] = {}
    for heard, message in evidence.records():
        if message.topic.stream == "manifest" and heard.part is None:
            found.setdefault(message.key, message)
    if not found:
        raise NotSeenError("no manifest came")
    return list(found.values())


def _seals(evidence: DecodedEvidence) -> list[Seal]:
    """Those that contradict themselves are left to `manifests.form`."""
    found = []
    for message in _manifests(evidence):
        try:
            seal = seal_of(message.key, message.sent)
        except ValueError:
            continue
        if seal.count:
            found.append(seal)
    return found


def form(evidence: DecodedEvidence) -> Iterator[str]:
    for message in _manifests(evidence):
        try:
            seal_of(message.key, message.sent)
        except ValueError as error:
            yield f"{record_name(*message.key)}: {error}"


def _first_sendings(evidence: DecodedEvidence) -> dict[Key, tuple[Heard, DecodedMessage]]:
    found: dict[Key, tuple[Heard, DecodedMessage]] = {}
    for heard, message in evidence.records():
        found.setdefault(message.key, (heard, message))
    return found


def digest(evidence: DecodedEvidence) -> Iterator[str]:
    came = _first_sendings(evidence)
    judged = 0
    for seal in _seals(evidence):
        keys = [(seal.key[0], seal.epoch, seal.stream, number) for number in seal.numbers]
        proof = prove_seal(seal, ((k[3], came[k][1].sent) for k in keys if k in came))
        if isinstance(proof.finding, AuditFinding):
            yield proof.finding.text
        judged += not proof.absent
    if not judged:
        raise NotSeenError("no manifest came all of whose records came as well")


def clock(evidence: DecodedEvidence) -> Iterator[str]:
    came = _first_sendings(evidence)
    redated = RedatedMoments()
    boots = {key[1]: message.data["boot"] for key, (_, message) in came.items()}
    seals = _seals(evidence)
    for seal in seals:
        redated.add(seal.key[1], seal.clock_redelivered)
    redated.judge(order_epochs(set(boots), EpochClaims()), boots)
    judged = 0
    for seal in seals:
        check = WallTimeCheck(seal, redated)
        for number in seal.numbers:
            found = came.get((seal.key[0], seal.epoch, seal.stream, number))
            if found is None or found[1].data.get("redelivered"):
                continue
            heard, message = found
            arrival = heard.arrival
            judged += 1
            check.look(
                make_received(message, arrival.topic, arrival.payload, arrival.content_type, ""),
                message.sent,
            )
        if (finding := check.finding()) is not None:
            yield finding.text
    if not judged:
        raise NotSeenError("no record came with its manifest")


def sealed(evidence: DecodedEvidence) -> Iterator[str]:
    """Live records that are old enough for their manifest to be there."""
    end_s = evidence.raw.ended_s - EVERY_S - 2 * evidence.product.period_s
    covered = {
        (seal.epoch, seal.stream, number)
        for seal in _seals_or_none(evidence)
        for number in seal.numbers
    }
    judged = 0
    for key, (heard, message) in _first_sendings(evidence).items():
        if key[2] == "manifest" or heard.at_s > end_s or message.data.get("redelivered"):
            continue
        judged += 1
        if key[1:] not in covered:
            yield f"{record_name(*key)}: no manifest has sealed it within 15 min"
    if not judged:
        raise NotSeenError("needs a run of more than 15 min (`--for`)")


def _seals_or_none(evidence: DecodedEvidence) -> list[Seal]:
    try:
        return _seals(evidence)
    except NotSeenError:
        return []


def signed(evidence: DecodedEvidence) -> Iterator[str]:
    for message in _manifests(evidence):
        if absent := sorted(SIGNATURE_KEYS - message.data.keys()):
            yield f"{record_name(*message.key)} has no {', '.join(absent)}"


CHECKS: Final = (
    ConformanceCheck(
        "manifests.form",
        "A manifest does not contradict itself: first, last, count and steps.",
        "decision 13",
        form,
    ),
    ConformanceCheck(
        "manifests.digest",
        "The digest is the chain over the records that came.",
        "decision 13",
        digest,
    ),
    ConformanceCheck(
        "manifests.clock",
        "Records have the wall times of the moments that their manifest names.",
        "contract: manifest",
        clock,
    ),
    ConformanceCheck(
        "manifests.sealed", "Each record is sealed within 15 min.", "decision 13", sealed
    ),
    ConformanceCheck(
        "manifests.signed",
        "Manifests have algorithm, signature and the certificate's digest. "
        "The signature itself is checked by `kerbstone audit --keys`.",
        "decision 13",
        signed,
        ("signed",),
    ),
)
