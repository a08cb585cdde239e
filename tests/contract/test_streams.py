"""A stream is declared in several places; each of them that is forgotten is told here."""

from typing import get_args

import msgspec
import pytest

from docs.breaking import breaking
from docs.promise import documents
from edge.core import Stream, StreamLevel
from edge.process.devicewindow import FORMS
from edge.process.enginesetup import DeviceSetup
from edge.process.merge import merge_bodies
from edge.wire.contract.catalogue import BY_NAME, LAST, MESSAGES
from edge.wire.contract.header import Sourced
from edge.wire.contract.meta import DeviceStream
from edge.wire.contract.schemas import schema_of
from tests.contract.captured import examples_of
from tests.contract.notyetsent import NOT_YET_SENT_STREAMS

HEADER = {"stream", "covers", *Sourced.__struct_encode_fields__}  # what the outbox says itself
DECLARE = (
    "declare its records in edge/wire/contract/catalogue.py, MESSAGES, with the address"
    " up/STREAM/{source}"
)
ADDRESSES = {each.address for each in MESSAGES if each.direction == "up"}


@pytest.mark.parametrize("stream", Stream)
def test_each_stream_has_a_message(stream: Stream) -> None:
    declared = {f"up/{stream}", f"up/{stream}/{{source}}"} & ADDRESSES
    assert len(declared) == (stream not in NOT_YET_SENT_STREAMS), f"{stream}: {DECLARE}"


@pytest.mark.parametrize("stream", sorted(set(Stream) - NOT_YET_SENT_STREAMS))
def test_what_is_retained_of_a_stream_is_in_the_documents(stream: Stream) -> None:
    forms = {each.name for each in MESSAGES if each.address == f"up/{stream}/{{source}}"}
    assert not stream.retained or forms, f"{stream} is retained of each source: {DECLARE}"
    assert forms & set(LAST) == (forms if stream.retained else set())
    operations = msgspec.json.decode(documents()["docs/contract/asyncapi.json"]())["operations"]
    page = documents()["docs/contract/README.md"]()
    for name in forms:
        row = f"| `up/last/{{source}}` | up | yes | [{name}](#{name}) |"
        assert (f"{name}_last" in operations) == (row in page) == stream.retained, name


@pytest.mark.parametrize("stream", sorted(Stream.of_level(StreamLevel.SUMMARY)))
def test_two_summaries_of_a_stream_merge(stream: str) -> None:
    """With no room for both, the outbox keeps one: each form of a summary has to say how."""
    forms = [each.name for each in MESSAGES if each.address == f"up/{stream}/{{source}}"]
    assert forms, f"{stream}: {DECLARE}"
    for name in forms:
        for example in examples_of(name):
            record = example["payload"]
            body = {field: value for field, value in record.items() if field not in HEADER}
            try:
                merged = merge_bodies(body, body)
            except ValueError as error:
                pytest.fail(f"say in edge/process/merge.py how two of {name} become one: {error}")
            lost = sorted(body.keys() - merged.keys())
            assert not lost, f"edge/process/merge.py loses these fields of two of {name}: {lost}"


@pytest.mark.parametrize("stream", Stream)
def test_a_device_may_have_a_stream_everywhere_or_nowhere(stream: Stream) -> None:
    """What a device's records look like, which devices there may be, and what `meta` says of it."""
    try:
        DeviceSetup("meter", stream, (), 1.0)
    except ValueError:
        accepted = False
    else:
        accepted = True
    known = {
        "edge/process/devicewindow.py:FORMS": stream in FORMS,
        "edge/process/enginesetup.py:DeviceSetup": accepted,
        "edge/wire/contract/meta.py:DeviceStream": stream in get_args(DeviceStream),
    }
    missing = [place for place, there in known.items() if not there]
    assert len(missing) in (0, len(known)), f"{stream}: devices may have it, but not by {missing}"


@pytest.mark.parametrize("name", ["manifest", "receipt", "resend", "event"])
def test_a_new_stream_breaks_none_of_the_promises(name: str) -> None:
    """Who seals, acknowledges, asks for or counts the numbers of a stream names it."""
    old = schema_of(BY_NAME[name])
    new = msgspec.json.decode(msgspec.json.encode(old).replace(b'"traffic"', b'"traffic","water"'))
    assert b'"water"' in msgspec.json.encode(new)
    assert breaking(old, new) == []
