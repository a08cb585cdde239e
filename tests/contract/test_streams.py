"""A stream is declared in three places; each of them that is forgotten is told here."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from docs.breaking import breaking
from edge.core import Stream, StreamLevel
from edge.process.merge import merge_bodies
from edge.wire.contract.catalogue import BY_NAME, MESSAGES
from edge.wire.contract.header import Sourced
from edge.wire.contract.schemas import schema_of

HEADER = {"stream", *Sourced.__struct_encode_fields__}
RESERVED = {"register"}  # nothing is sent on it yet
EXAMPLES = Path(__file__).parents[2] / "docs/contract/examples"
ADDRESSES = {each.address for each in MESSAGES if each.direction == "up"}


@pytest.mark.parametrize("stream", Stream)
def test_each_stream_has_a_message(stream: Stream) -> None:
    declared = {f"up/{stream}", f"up/{stream}/{{source}}"} & ADDRESSES
    assert len(declared) == (stream not in RESERVED), (
        f"{stream}: declare its records in edge/wire/contract/catalogue.py, MESSAGES"
    )


@pytest.mark.parametrize("stream", sorted(Stream.of_level(StreamLevel.SUMMARY)))
def test_two_summaries_of_a_stream_merge(stream: str) -> None:
    """With no room for both, the outbox keeps one: each form of a summary has to say how."""
    forms = [each.name for each in MESSAGES if each.address == f"up/{stream}/{{source}}"]
    assert forms
    for name in forms:
        examples: list[dict[str, Any]] = msgspec.json.decode(
            (EXAMPLES / f"{name}.json").read_bytes()
        )
        assert examples
        for example in examples:
            record = example["payload"]
            body = {field: value for field, value in record.items() if field not in HEADER}
            assert merge_bodies(body, body), f"{name}: say in edge/process/merge.py how two merge"


@pytest.mark.parametrize("name", ["manifest", "receipt", "resend", "event"])
def test_a_new_stream_breaks_none_of_the_promises(name: str) -> None:
    """Who seals, acknowledges, asks for or counts the numbers of a stream names it."""
    old = schema_of(BY_NAME[name])
    new = msgspec.json.decode(msgspec.json.encode(old).replace(b'"traffic"', b'"traffic","water"'))
    assert b'"water"' in msgspec.json.encode(new)
    assert breaking(old, new) == []
