"""Receipts: a record comes again until it has one, and never after it (decision 12)."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from edge.conform.check import ConformanceCheck, NotSeenError
from edge.conform.evidence import DecodedEvidence
from edge.platform.auditreport import record_name
from edge.platform.receivedrecord import Key

GRACE_S: Final = 5.0  # on their way: a receipt down, a record up
EARLY: Final = 0.8  # of the wait
LATE: Final = 1.5


def _waits(evidence: DecodedEvidence) -> dict[Key, list[float]]:
    """Of each record that had no receipt: when it came, until it was sent by our command."""
    found: dict[Key, list[float]] = {}
    for heard, message in evidence.records():
        key = message.key
        if key in evidence.raw.withheld and key != evidence.raw.resent:
            found.setdefault(key, []).append(heard.at_s)
    if not found:
        raise NotSeenError("no live record came from which a receipt could be withheld")
    return found


def _limit_s(evidence: DecodedEvidence, wait_s: float) -> float:
    return wait_s * LATE + GRACE_S


def again(evidence: DecodedEvidence) -> Iterator[str]:
    wait_s = evidence.product.receipt_s
    for key, times in _waits(evidence).items():
        if len(times) < 2:
            yield f"{record_name(*key)} had no receipt, and did not come again"
        elif not EARLY * wait_s <= times[1] - times[0] <= _limit_s(evidence, wait_s):
            yield (
                f"{record_name(*key)} had no receipt, and came again after "
                f"{times[1] - times[0]:.1f} s; the product says {wait_s:g} s"
            )


def doubling(evidence: DecodedEvidence) -> Iterator[str]:
    judged = 0
    for key, times in _waits(evidence).items():
        if len(times) < 3:
            continue
        judged += 1
        waits = [after - before for before, after in pairwise(times[:3])]
        # what was late once, on a busy machine or line, makes the next wait no longer
        low, high = (2 * pick(waits[0], evidence.product.receipt_s) for pick in (min, max))
        if not EARLY * low <= waits[1] <= _limit_s(evidence, high):
            yield (
                f"{record_name(*key)} came again after {waits[0]:.1f} s, and then after "
                f"{waits[1]:.1f} s, which is not twice as long"
            )
    if not judged:
        raise NotSeenError("no record without a receipt came a third time: a longer run is needed")


def stop(evidence: DecodedEvidence) -> Iterator[str]:
    raw, told = evidence.raw, set[Key]()
    receipted = raw.receipted
    # a receipt that comes while it is away is lost, and then the record comes again rightly
    away = [each for each in (raw.dropped_s, raw.restarted_s) if each is not None]
    end_s = min(away, default=raw.ended_s)
    if not receipted:
        raise NotSeenError("no record came that could be receipted")
    for heard, message in evidence.records():
        key = message.key
        since_s = receipted.get(key) if heard.at_s < end_s else None
        if since_s is not None and heard.at_s > since_s + GRACE_S and key not in told:
            told.add(key)
            yield f"{record_name(*key)} came again {heard.at_s - since_s:.1f} s after its receipt"


NEEDS: Final = ("receipts", "expendable")
CHECKS: Final = (
    ConformanceCheck(
        "receipts.again",
        "A record without a receipt comes again after `receipt_s`.",
        "decision 12",
        again,
        NEEDS,
    ),
    ConformanceCheck(
        "receipts.doubling",
        "It comes a third time after twice as long.",
        "decision 12",
        doubling,
        NEEDS,
    ),
    ConformanceCheck(
        "receipts.stop", "A record never comes again after its receipt.", "decision 12", stop, NEEDS
    ),
)
