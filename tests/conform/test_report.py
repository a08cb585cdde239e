"""The report: honest about what was skipped, and no place for a gateway's own marks."""

from typing import Final

from edge.conform.check import ConformanceCheck, NotSeenError, Result, judge
from edge.conform.evidence import DecodedEvidence, Evidence
from edge.conform.kit import CHECKS, given_by, judge_all
from edge.conform.product import Product
from edge.conform.report import Report, as_data, html, markdown, text_lines

PRODUCT: Final = Product(name="A|<b>x</b>", version="1", site="test", gateway="gw-1")
HOSTILE: Final = "topic <script>alert(1)</script> | `x`\n# no title"


def no_judge(evidence: DecodedEvidence) -> list[str]:
    raise NotSeenError("nothing came")


CHECK: Final = ConformanceCheck("a.b", "Asks.", "decision 12", no_judge)


def report(*results: Result) -> Report:
    return Report(Evidence(PRODUCT), results, "2026-12-01T00:00:00.000Z")


def test_a_report_fails_only_by_a_failed_check() -> None:
    assert not report(Result(CHECK, "skipped", reason="x"), Result(CHECK, "passed")).failed
    assert report(Result(CHECK, "failed", ("x",)), Result(CHECK, "passed")).failed


def test_a_gateways_words_are_no_marks_of_a_page() -> None:
    found = report(Result(CHECK, "failed", (HOSTILE,), 3))
    assert "<script>" not in html(found)
    assert "&lt;script&gt;" in html(found)
    page = markdown(found)
    assert "<script>" not in page
    assert "\n# no title" not in page
    assert all(
        row.replace("\\|", "").count("|") == 5 for row in page.splitlines() if row[:2] == "| "
    )
    assert "and 3 more" in page
    assert "and 3 more" in "\n".join(text_lines(found))


def test_json_has_every_verdict_with_its_reason() -> None:
    (check,) = as_data(report(Result(CHECK, "skipped", reason="why")))["checks"]
    assert check == {"id": "a.b", "verdict": "skipped", "contract": 1, "reason": "why"}


def test_a_check_is_skipped_for_what_was_not_given_and_for_a_later_contract() -> None:
    evidence = DecodedEvidence(Evidence(PRODUCT))
    needing = ConformanceCheck("a.b", "Asks.", "decision 12", no_judge, ("restart",))
    later = ConformanceCheck("a.b", "Asks.", "decision 12", no_judge, contract=2)
    assert "--restart-command" in judge(needing, evidence, frozenset()).reason
    assert judge(later, evidence, frozenset()).reason == "needs contract version 2"
    assert judge(CHECK, evidence, frozenset()).reason == "nothing came"


def test_of_a_gateway_that_is_not_there_nothing_is_passed() -> None:
    given = given_by(PRODUCT, drop=True, restart=True)
    results = judge_all(Evidence(PRODUCT), given)
    assert not [result.check.id for result in results if result.verdict == "passed"]
    failed = [result.check.id for result in results if result.verdict == "failed"]
    assert failed == ["status.held", "meta.held", "records.live"]


def test_ids_are_unique() -> None:
    assert len({check.id for check in CHECKS}) == len(CHECKS)
