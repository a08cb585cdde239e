"""What a wrong gateway may send, and no check may end by."""

import json
from typing import Any, Final

import pytest

from edge.conform.evidence import Arrival, Asked, Evidence, read
from edge.conform.kit import given_by, judge_all
from edge.conform.steps import Step
from edge.wire import JSON
from tests.conform.scriptedgateway import example
from tests.conform.test_flaws import PRODUCT


@pytest.mark.parametrize("id_", [[], {}, None, 1.5, ["x"]])
def test_an_answer_may_have_any_id(id_: Any) -> None:
    evidence = Evidence(PRODUCT, joined=1, dropped_s=5.0, drop_ended_s=6.0, ended_s=60.0)
    evidence.asked += [Asked(1.0, step, "status", "conform-1") for step in Step]
    answer = {**example("answer"), "gw": "gw-1", "verb": "status", "id": id_}
    topic: Final = PRODUCT.topics.answer("status")
    arrival = Arrival(10.0, topic, json.dumps(answer).encode(), JSON, 1, False)
    evidence.heard.append(read(arrival, PRODUCT))
    found = judge_all(evidence, given_by(PRODUCT, drop=True, restart=True))
    assert {each.check.id: each for each in found}["connection.retained"].verdict == "passed"
