"""What is read of a message: where it breaks the contract, and what may be added to it."""

import json
from typing import Any, Final

import pytest

from edge.conform.evidence import Arrival, Heard, read
from edge.conform.product import Product
from edge.wire import JSON
from tests.conform.scriptedgateway import example

PRODUCT: Final = Product(name="A", version="1", site="test", gateway="gw-1")
AIR: Final = "kerbstone/v1/test/gw-1/up/air/hut_air"
EVENT: Final = "kerbstone/v1/test/gw-1/up/event/gateway"


def heard(topic: str, payload: bytes | dict[str, Any], content_type: str | None = JSON) -> Heard:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return read(Arrival(1.0, topic, data, content_type, 1, False), PRODUCT)


def air(**more: Any) -> dict[str, Any]:
    return {**example("air", source="hut_air"), **more}


def test_a_field_that_is_added_later_is_allowed_at_every_depth() -> None:
    record = air(added=1)
    record["points"] = {
        name: {**point, "added": [1], "more": {}} for name, point in record["points"].items()
    }
    assert heard(AIR, record).part is None
    status = example("status", state="online")
    status["box"]["start"]["added"] = True
    assert heard("kerbstone/v1/test/gw-1/up/status", status).part is None


@pytest.mark.parametrize(
    "name",
    [
        "x` - at `$.seq.zz.y",
        "x` - at `$.mono.zz.y",
        "x` - at `$.mono[...].y",
        "x` - at `$.mono[9].y",
        "seq` - at `$",
        "`",
        "",
    ],
)
def test_a_field_may_have_any_name(name: str) -> None:
    record = air(**{name: 1})
    record["points"] = {each: {**point, name: 1} for each, point in record["points"].items()}
    assert heard(AIR, record).part is None
    status = example("status", state="online")
    status["box"]["start"][name] = True
    assert heard("kerbstone/v1/test/gw-1/up/status", status).part is None


def test_a_sentence_that_only_looks_like_an_added_field_is_judged_as_it_is() -> None:
    record = air(**{"from": "Object contains unknown field `seq` - at `$.v[0].x"})
    assert heard(AIR, record).part == "fields"


def test_a_kind_of_event_that_is_added_later_is_allowed() -> None:
    event = example("event", event="board", source="gateway")
    assert heard(EVENT, {**event, "event": "earthquake"}).part is None
    assert heard(EVENT, {**event, "event": "earthquake", "text": 1}).part == "fields"


@pytest.mark.parametrize(
    ("topic", "payload", "content_type", "part"),
    [
        ("kerbstone/v1/test/gw-1/up/debug", b"{}", JSON, "topic"),
        ("kerbstone/v1/test/gw-1/up/register/x", air(stream="register", source="x"), JSON, "topic"),
        (AIR, b"", JSON, "format"),
        (AIR, b"[]", JSON, "format"),
        (AIR, b'{"v": NaN}', JSON, "format"),
        (AIR, b'{"v": 1, "v": 1}', JSON, "format"),
        (AIR, air(), None, "format"),
        (AIR, air(), "text/plain", "format"),
        (AIR, b"x" * ((1 << 20) + 1), JSON, "format"),
        (AIR, air(v=2), JSON, "header"),
        (AIR, air(gw="gw-2"), JSON, "header"),
        (AIR, air(stream="energy"), JSON, "header"),
        (AIR, air(mono=[2, 1]), JSON, "header"),
        (AIR, air(covered_s="2"), JSON, "fields"),
        (AIR, air(points={"pm1_0": {"mean": 1}}), JSON, "fields"),
        (AIR, air(**{"from": "yesterday"}), JSON, "fields"),
    ],
)
def test_a_message_is_wrong_in_one_part(
    topic: str, payload: bytes | dict[str, Any], content_type: str | None, part: str
) -> None:
    found = heard(topic, payload, content_type)
    assert found.part == part
    assert found.why


def test_with_mqtt_311_there_is_no_content_type() -> None:
    arrival = Arrival(1.0, AIR, json.dumps(air()).encode(), None, 1, False)
    older = Product(name="A", version="1", site="test", gateway="gw-1", mqtt="3.1.1")
    assert read(arrival, older).part is None
