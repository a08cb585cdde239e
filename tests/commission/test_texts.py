"""Sentences: each kind has its figures, and none needs what nobody gives."""

import re
from string import Formatter

import pytest

from edge.commission.findingkinds import FINDING_KINDS, FindingKind
from edge.commission.loopfields import LOOP_FIELDS, judge_loop
from edge.commission.verdict import StepFinding, StepVerdict, finding, worst_verdict


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("kind", FINDING_KINDS)
def test_a_sentence_is_whole(kind: FindingKind) -> None:
    row = FINDING_KINDS[kind]
    figures = {name: "x" for name in places(row.text) | places(row.remedy)}
    made = StepFinding(kind, dict(figures))
    assert made.text.endswith(".")
    assert row.verdict in list(StepVerdict)
    assert "{" not in made.text + made.remedy
    if row.verdict != "passed":
        assert made.remedy, "what is not right has a remedy"
    assert not re.search(r"\s{2,}", made.text + made.remedy)


def test_numbers_have_four_digits() -> None:
    made = finding("frequency_off", point="frequency", value=44.123456)
    assert made.text.startswith("frequency is 44.12 Hz")
    assert made.figures["value"] == 44.12


def test_fields_of_a_loop_are_judged_by_the_limits_of_the_trade() -> None:
    good = {"inductance_uh": 120.0, "q": 9.0, "resistance_ohm": 1.2, "insulation_mohm": 200.0}
    assert worst_verdict(judge_loop("a.lead", good)) == "passed"
    for key, value in (
        ("inductance_uh", 20.0), ("inductance_uh", 900.0), ("q", 4.0), ("resistance_ohm", 7.0),
        ("insulation_mohm", 2.0),
    ):  # fmt: skip
        (found,) = judge_loop("a.lead", {**good, key: value})
        assert found.kind == "loop_outside"
        assert LOOP_FIELDS[key].limit in found.text
    missing = judge_loop("a.lead", {"q": 9.0})
    assert worst_verdict(missing) == "unproven"
    assert "inductance_uh" in missing[0].text
