"""All checks, in the order of the report, and what is judged of one run."""

from collections.abc import Sequence
from typing import Final

from edge.conform.check import ConformanceCheck, Need, Result, judge
from edge.conform.checks import (
    commands,
    connection,
    manifests,
    messages,
    receipts,
    records,
    retained,
)
from edge.conform.evidence import DecodedEvidence, Evidence
from edge.conform.product import Product

CHECKS: Final[tuple[ConformanceCheck, ...]] = (
    *messages.CHECKS,
    *retained.CHECKS,
    *records.CHECKS,
    *manifests.CHECKS,
    *receipts.CHECKS,
    *commands.CHECKS,
    *connection.CHECKS,
)


def given_by(product: Product, *, drop: bool, restart: bool) -> frozenset[Need]:
    """What there is for checks that need more than a broker."""
    found: set[Need] = {*product.can}
    if product.expendable:
        found.add("expendable")
    if product.confirm == "platform":
        found.add("receipts")
    if drop:
        found.add("drop")
    if restart:
        found.add("restart")
    return frozenset(found)


def judge_all(raw: Evidence, given: frozenset[Need]) -> Sequence[Result]:
    """Each check, judged by what the run has seen."""
    evidence = DecodedEvidence(raw)
    return [judge(check, evidence, given) for check in CHECKS]
