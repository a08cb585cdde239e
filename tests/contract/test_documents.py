"""The AsyncAPI document and the pages: whole, without a loose end, and as the code has it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from docs import generate, promise
from edge.wire import Topics, parse_topic
from edge.wire.contract.catalogue import BY_NAME, LAST, MESSAGES
from edge.wire.contract.schemas import schema_of

DOCUMENT = promise.asyncapi()
ROOT = Path(__file__).parents[2]


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for each in node.values():
            yield from references(each)
    elif isinstance(node, list):
        for each in node:
            yield from references(each)


def followed(reference: str, root: Any) -> Any:
    for step in reference.removeprefix("#/").split("/"):
        root = root[step]
    return root


def test_every_reference_of_the_document_leads_somewhere() -> None:
    found = list(references(DOCUMENT))
    assert found
    for reference in found:
        if reference.startswith("schemas/"):
            assert f"docs/contract/{reference}" in generate.DOCUMENTS
        else:
            assert followed(reference, DOCUMENT) is not None


@pytest.mark.parametrize("name", list(BY_NAME))
def test_every_reference_of_a_schema_leads_somewhere(name: str) -> None:
    schema = schema_of(BY_NAME[name])
    for reference in references(schema):
        assert followed(reference, schema)


def test_a_message_of_an_operation_is_one_of_its_channel() -> None:
    for operation in DOCUMENT["operations"].values():
        channel = followed(operation["channel"]["$ref"], DOCUMENT)
        for message in operation["messages"]:
            assert followed(message["$ref"], DOCUMENT) in channel["messages"].values()


def test_a_gateway_sends_what_is_up_and_receives_what_is_down() -> None:
    for name, operation in DOCUMENT["operations"].items():
        address = followed(operation["channel"]["$ref"], DOCUMENT)["address"]
        way = address.removeprefix("{prefix}/{site}/{gateway}/").partition("/")[0]
        assert operation["action"] == {"up": "send", "down": "receive"}[way], name
    assert len(DOCUMENT["operations"]) == len(MESSAGES) + len(LAST)


def test_addresses_are_the_topics_of_the_code() -> None:
    topics = Topics("kerbstone/v1", "stadtmitte", "gw-1")
    down = {
        topics.receipt,
        topics.reconnect_spread,
        *(f"{topics.down}/cmd/{v}" for v in ("resend", "status")),
    }
    filled = {"prefix": "kerbstone/v1", "site": "stadtmitte", "gateway": "gw-1",
              "source": "north_1", "verb": "resend"}  # fmt: skip
    for channel in DOCUMENT["channels"].values():
        topic = channel["address"].format(**filled)
        assert topic in down or parse_topic(topic).gw == "gw-1"


def test_what_is_written_is_what_the_code_says() -> None:
    for name in promise.documents():
        text = (ROOT / name).read_text(encoding="utf-8")
        assert text == generate.DOCUMENTS[name](), f"{name} is stale: run `make docs`"
    assert not generate.left_over()


def test_every_link_of_the_page_leads_somewhere() -> None:
    page = (promise.HERE / "README.md").read_text(encoding="utf-8")
    titles = {line.lstrip("# ").lower() for line in page.split("\n") if line.startswith("#")}
    for _, _, rest in (part.partition("](") for part in page.split("[")[1:]):
        target = rest.partition(")")[0]
        if target.startswith("#"):
            assert target[1:] in titles, target
        elif target:
            assert (promise.HERE / target).exists(), target


def test_the_document_is_plain_json() -> None:
    assert json.loads(promise.dumped(DOCUMENT)) == DOCUMENT
