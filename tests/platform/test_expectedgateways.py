"""Gateways that are expected: heard, overdue within the time that each promises, or never there."""

import json
from typing import Any

import pytest

from edge.platform.expectedgateways import ExpectedGateways
from edge.wire import DecodedMessage, decode

UP = "kerbstone/v1/quay/gw-1/up"
HEAD = {"v": 1, "gw": "gw-1", "site": "quay"}


def message(topic: str, **data: Any) -> DecodedMessage:
    (found,) = decode(topic, json.dumps({**HEAD, **data}).encode(), None)
    return found


def record() -> DecodedMessage:
    head = {"epoch": 7, "stream": "air", "seq": 1, "boot": 1, "mono": [0, 1], "source": "hut",
            "from": "2026-11-25T12:00:00Z", "to": "2026-11-25T12:01:00Z", "tq": "ntp"}  # fmt: skip
    return message(f"{UP}/air/hut", **head, points={})


def test_one_that_sends_is_heard_and_says_what() -> None:
    one = ExpectedGateways(["gw-1"], 100.0)
    one.take(record(), 103.0, retained=False)
    assert one.missing(110.0) == []
    assert one.sentences(110.0) == ["expected gw-1: heard 7 s ago (air/hut)"]
    assert one.facts(110.0)["gw-1"] == {
        "heard": True, "age_s": 7.0, "expected_s": 150.0, "offline": None
    }  # fmt: skip


def test_what_the_broker_kept_is_nothing_heard_but_tells_how_often_it_sends() -> None:
    one = ExpectedGateways(["gw-1"], 0.0)
    one.take(message(f"{UP}/meta", period_s=300.0), 1.0, retained=True)
    one.take(message(f"{UP}/status", state="offline", why="lost"), 1.0, retained=True)
    assert one.missing(10.0) == ["gw-1"]
    assert one.sentences(10.0) == [
        "expected gw-1: nothing heard in 10 s; it sends every 5 min: listen for 10 min. "
        "It is offline: its connection broke"
    ]


def test_one_that_never_was_here_is_said_to_be_so() -> None:
    one = ExpectedGateways(["gw-9"], 0.0)
    one.take(record(), 1.0, retained=False)
    assert one.missing(5.0) == ["gw-9"]
    assert "may never have been here" in one.sentences(5.0)[0]


def test_what_is_promised_at_the_start_is_kept() -> None:
    one = ExpectedGateways(["gw-1"], 0.0)
    (said,) = one.promises()
    assert "a warning comes after 150 s of silence" in said
    assert list(one.changes(150.0)) == []
    assert len(list(one.changes(150.5))) == 1


def test_silence_is_told_once_and_so_is_its_end() -> None:
    one = ExpectedGateways(["quay/gw-1"], 0.0)
    one.take(message(f"{UP}/meta", period_s=10.0), 0.0, retained=True)
    one.take(record(), 5.0, retained=False)
    assert list(one.changes(54.0)) == []
    assert list(one.changes(56.0)) == ["quay/gw-1: last heard 51 s ago; it sends every 10 s"]
    assert list(one.changes(80.0)) == []
    assert one.missing(80.0) == ["quay/gw-1"], "it was heard, and is not any more"
    one.take(record(), 81.0, retained=False)
    assert list(one.changes(81.0)) == ["quay/gw-1: heard again (air/hut)"]
    assert one.missing(81.0) == []


def test_one_that_saves_data_may_be_silent_for_longer() -> None:
    one = ExpectedGateways(["gw-1"], 0.0)
    saver = {"level": 1, "used": 1, "budget": 2, "month": None}
    one.take(message(f"{UP}/meta", period_s=60.0), 0.0, retained=True)
    one.take(message(f"{UP}/status", state="online", data_saver=saver), 0.0, retained=False)
    assert list(one.changes(1800.0)) == []
    assert len(list(one.changes(1831.0))) == 1


def test_an_offline_that_the_broker_says_in_its_place_is_not_heard() -> None:
    one = ExpectedGateways(["gw-1"], 0.0)
    one.take(message(f"{UP}/status", state="offline", why="lost"), 3.0, retained=False)
    assert one.missing(4.0) == ["gw-1"]


@pytest.mark.parametrize("period_s", [0, -1, 1e99, True, "60", None, float("inf")])
def test_a_period_that_cannot_be_is_not_believed(period_s: Any) -> None:
    one = ExpectedGateways(["gw-1"], 0.0)
    found = message(f"{UP}/meta", period_s=60.0)
    found.data["period_s"] = period_s
    one.take(found, 0.0, retained=True)
    assert one.facts(1.0)["gw-1"]["expected_s"] == 150.0


def test_another_gateway_of_the_same_name_at_another_site_does_not_count() -> None:
    one = ExpectedGateways(["harbour/gw-1"], 0.0)
    one.take(record(), 1.0, retained=False)
    assert one.missing(2.0) == ["harbour/gw-1"]
