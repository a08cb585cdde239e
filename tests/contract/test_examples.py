"""The examples in the documents were sent by running code: they decode, and they conform."""

import base64
import json
from typing import Any

import msgpack
import pytest

from docs import promise
from edge.wire import decode
from edge.wire.contract.catalogue import BY_NAME, EVENTS
from edge.wire.contract.schemas import schema_of
from edge.wire.records import HEADER_KEYS
from tests.contract.captured import EXAMPLES, HOW, examples_of
from tests.contract.conform import conforms, conforms_down, named
from tests.contract.notyetsent import NOT_YET_SENT_EVENTS
from tests.long import one_in

ALL = [(name, number) for name, found in EXAMPLES.items() for number in range(len(found))]


def packed(example: dict[str, Any]) -> bytes:
    """As it went over the wire."""
    payload = example["payload"]
    if "msgpack" not in example["content_type"]:
        return json.dumps(payload, ensure_ascii=False).encode()
    if "tables" in payload:
        payload = {**payload, "tables": base64.b64decode(payload["tables"])}
    data: bytes = msgpack.packb(payload)
    return data


@pytest.mark.parametrize(("name", "number"), ALL)
def test_an_example_decodes_and_conforms(name: str, number: int) -> None:
    example = EXAMPLES[name][number]
    if BY_NAME[name].direction == "down":
        assert conforms_down(example["topic"], packed(example)).name == name
        return
    (message,) = decode(example["topic"], packed(example), example["content_type"])
    conforms(message)
    assert named(message).name == name


@pytest.mark.parametrize(("name", "number"), ALL)
def test_an_example_has_its_fields_in_the_order_in_which_they_are_declared(
    name: str, number: int
) -> None:
    """Digests are over bytes: whoever fills a body does not choose its order."""
    payload = EXAMPLES[name][number]["payload"]
    forms = BY_NAME[name].types if name != "event" else (EVENTS[payload["event"]],)
    orders = [[key for key in form.__struct_encode_fields__ if key in payload] for form in forms]
    sent = [key for key in payload if key not in {*HEADER_KEYS, "event", "state"}]
    known = [[key for key in order if key not in {*HEADER_KEYS, "state"}] for order in orders]
    assert sent in known


def test_every_message_has_an_example() -> None:
    missing = sorted(BY_NAME.keys() - EXAMPLES.keys())
    assert not missing, f"{missing} have no example in docs/contract/examples: {HOW}"


def test_every_kind_of_event_has_an_example() -> None:
    reported = {each["payload"]["event"] for each in EXAMPLES["event"]}
    missing = sorted(EVENTS.keys() - NOT_YET_SENT_EVENTS - reported)
    assert not missing, f"events of the kinds {missing} have no example: {HOW}"
    surplus = sorted(reported - EVENTS.keys() | reported & NOT_YET_SENT_EVENTS)
    assert not surplus, f"not declared, or said to be not sent yet: {surplus}"


def test_an_example_holds_nothing_of_the_machine_that_it_was_captured_on() -> None:
    text = json.dumps(EXAMPLES)
    assert not [
        word for word in ("/tmp", "/home", "/root", "pytest", str(promise.ROOT)) if word in text
    ]


@one_in(4)
@pytest.mark.parametrize("name", list(BY_NAME))
def test_another_validator_agrees(name: str) -> None:
    """JSON Schema by somebody else's program, where there is one."""
    jsonschema = pytest.importorskip("jsonschema")
    schema = schema_of(BY_NAME[name])
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for example in examples_of(name):
        validator.validate(example["payload"])
        validator.validate({**example["payload"], "added_later": 1})
        with pytest.raises(jsonschema.ValidationError):
            validator.validate({**example["payload"], "v": 2})


def test_a_consumer_bears_an_event_of_a_kind_that_is_added_later() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(schema_of(BY_NAME["event"]))
    known = EXAMPLES["event"][0]["payload"]
    validator.validate({**known, "event": "earthquake"})
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({**known, "event": "gap", "gap": "long"})
