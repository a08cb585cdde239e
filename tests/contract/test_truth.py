"""What is sent is what is declared, and what is declared is what can be sent."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.core import Contact, Draft, Stream, StreamLevel
from edge.platform.subscription import ArrivedMessage
from edge.process.engine import Engine, EngineSetup
from edge.wire import DecodedMessage, decode
from edge.wire.contract.catalogue import BY_NAME, EVENTS, MESSAGES
from edge.wire.contract.health import Health
from edge.wire.contract.schemas import schema_of
from edge.wire.records import HEADER
from tests.contract import roads, scenes
from tests.contract.boxes import box
from tests.contract.captured import HOW
from tests.contract.conform import conforms, conforms_down, named
from tests.contract.notyetsent import NOT_YET_SENT, NOT_YET_SENT_EVENTS, NOT_YET_SENT_STREAMS
from tests.contract.street import street
from tests.kit.asread import as_read
from tests.kit.engine import S
from tests.kit.randomsite import SITE, SiteInput, contacts, split, worlds
from tests.long import examples, one_in

SUMMARIES = {
    each.name
    for each in MESSAGES
    for stream in Stream.of_level(StreamLevel.SUMMARY)
    if each.address == f"up/{stream}/{{source}}"
}
SEALED = Stream.of_level(StreamLevel.SUMMARY) | Stream.of_level(StreamLevel.URGENT)
UNSEEN = {  # their twins are seen: the same code says it of other devices and switches
    "loop_card": {"health"}, "energy": {"health"},
    "door": {"lost_edges"}, "plug": {"lost_edges"}, "contact": {"lost_edges"},
}  # fmt: skip


@pytest.fixture(scope="module")
def hour() -> list[Draft]:
    return street()


def decoded(arrived: Iterator[ArrivedMessage]) -> Iterator[DecodedMessage]:
    for each in arrived:
        yield from decode(each.topic, each.payload, each.content_type)


@one_in(2)
@pytest.mark.parametrize("encoding", ["json", "msgpack"])
def test_all_that_a_street_says_is_declared(hour: list[Draft], encoding: Any) -> None:
    messages = list(decoded(scenes.sent(hour, encoding)))
    for message in messages:
        conforms(message)
    healths = {m.sent["health"] for m in messages if "lane" in m.sent}
    assert healths >= {"ok", "stuck_on", "chatter", "no_activity"}
    kinds = {m.sent["event"] for m in messages if "event" in m.sent}
    assert kinds >= {"congestion", "anomaly", "sensor_fault", "overstay", "meter", "door", "tamper"}
    faults = {m.sent["fault"] for m in messages if "fault" in m.sent}
    assert faults >= {"stuck_on", "chatter", "no_activity", "phase"}


def test_merged_records_of_a_boot_without_a_clock_are_declared(hour: list[Draft]) -> None:
    merged = scenes.downsampled([*hour, *scenes.others()])
    messages = list(decoded(scenes.again(merged, "json")))
    missing = sorted(SUMMARIES - {named(message).name for message in messages})
    assert not missing, f"no scene sends three of {missing} of one source: {HOW}"
    assert len(messages) == len(merged)
    for message in messages:
        conforms(message)
        assert {"covers", "backfilled", "redelivered", "bounds"} <= message.sent.keys()


def test_what_the_outbox_and_devices_and_batches_say_is_declared() -> None:
    for message in decoded(scenes.sent(scenes.others(), "json")):
        conforms(message)


def test_manifests_are_declared(hour: list[Draft], tmp_path: Path) -> None:
    seals = scenes.seals([*hour, *scenes.others()], tmp_path)
    messages = list(decoded(scenes.sent(seals, "msgpack")))
    for message in messages:
        conforms(message)
    missing = sorted(SEALED - NOT_YET_SENT_STREAMS - {m.sent["stream_of"] for m in messages})
    assert not missing, f"no scene sends records of {missing} to be sealed: {HOW}"
    assert all("sig" in m.sent for m in messages)


def test_what_the_committer_writes_over_kills_and_reboots_is_declared(tmp_path: Path) -> None:
    records = scenes.lives(tmp_path)
    for message in decoded(scenes.arrived(record, "json") for record in records):
        conforms(message)
    assert {"gap", "clock", "denied", "health"} <= {r.body.get("event") for r in records}


def test_what_the_box_says_of_itself_is_declared(tmp_path: Path) -> None:
    drafts = box(tmp_path)
    for message in decoded(scenes.sent(drafts, "msgpack")):
        conforms(message)
        if message.sent["stream"] == "health":
            said = message.sent.keys() - HEADER
            assert said <= set(Health.__struct_encode_fields__), "each field of it"
    assert {"start", "board", None} == {as_read(draft).get("event") for draft in drafts}


def test_what_comes_down_is_declared() -> None:
    found = {conforms_down(topic, payload).name for topic, payload in scenes.commands()}
    assert found == {each.name for each in MESSAGES if each.direction == "down"}


@pytest.mark.parametrize(
    "change",
    [
        {"colour": "red"},
        {"occupancy": 1.5},
        {"volume": 2.5},
        {"health": "fine"},
        {"quality": {"bad:tired": 1}},
        {"approach": "north side"},
        {"covers": []},
        {"boot": -1},
    ],
    ids=str,
)
def test_what_is_not_declared_does_not_conform(hour: list[Draft], change: dict[str, Any]) -> None:
    (message,) = decoded(each for each in scenes.sent(hour[:1], "json"))
    conforms(message)
    wrong = {**message.sent, **change}
    with pytest.raises(AssertionError):
        conforms(DecodedMessage(message.topic, wrong, wrong))


def test_each_field_of_a_record_is_needed_or_declared_optional(hour: list[Draft]) -> None:
    (message,) = decoded(each for each in scenes.sent(hour[:1], "json"))
    required = schema_of(BY_NAME["lane"])["$defs"]["Lane"]["required"]
    for name in message.sent:
        less = {key: value for key, value in message.sent.items() if key != name}
        if name in required:
            with pytest.raises(AssertionError):
                conforms(DecodedMessage(message.topic, less, less))
        else:
            conforms(DecodedMessage(message.topic, less, less))


def test_every_field_that_is_declared_is_sent_by_some_scene(
    hour: list[Draft], tmp_path: Path
) -> None:
    """A field that the code has given up, or has never had, is no promise."""
    drafts = [*hour, *scenes.others()]
    arrived = [
        *scenes.sent(drafts, "json"),
        *scenes.again(scenes.downsampled(drafts), "json"),
        *scenes.sent(scenes.seals(hour, tmp_path), "json"),
        *(scenes.arrived(record, "json") for record in scenes.lives(tmp_path)),
    ]
    seen: dict[str, set[str]] = {}
    for message in decoded(iter(arrived)):
        name = message.sent.get("event") or named(message).name
        seen.setdefault(name, set()).update(message.sent)
    missing = sorted({*SUMMARIES, "manifest"} - seen.keys())
    assert not missing, f"no scene sends {missing}: {HOW}"
    forms = {name: BY_NAME[name].types[0] for name in (*SUMMARIES, "manifest")}
    kept = {name: EVENTS[name] for name in EVENTS.keys() & seen.keys()}
    for name, form in {**forms, **kept}.items():
        unseen = (
            set(form.__struct_encode_fields__)
            - seen[name]
            - {"backfilled", "redelivered", "bounds"}
        )
        ahead = NOT_YET_SENT.get(name, set())
        assert unseen <= UNSEEN.get(name, set()) | ahead, name
        assert not ahead & seen[name], f"{name}: it is sent now: take it out of the list"
    assert EVENTS.keys() - seen.keys() <= {"start", "board"} | NOT_YET_SENT_EVENTS, (
        "those of the box have their own scene"
    )
    assert not NOT_YET_SENT_EVENTS & seen.keys(), "it is sent now: take it out of the list"


@settings(
    max_examples=examples(25),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(worlds())
def test_whatever_comes_over_the_wires_what_goes_out_is_declared(world: SiteInput) -> None:
    """Bounce, rage, lost edges, wild values: a range in the contract is a promise."""
    engine = Engine(SITE)
    engine.start(0)
    contacts, swept = split([each for items in world.sources.values() for each in items])
    drafts = engine.contacts(contacts) + engine.sweeps(swept)
    for end_ns in world.ends:
        drafts += engine.close(end_ns)
    for message in decoded(scenes.sent(drafts, "json")):
        conforms(message)


ROADSIDE = EngineSetup(lanes=(roads.STOP, roads.AHEAD), bays=(roads.BAY,), signals=(roads.SIGNAL,))
LINES = ("south_1.lead", "south_2.lead", "south_red", "south_green", "bakery")


@settings(
    max_examples=examples(25),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.tuples(*map(contacts, LINES)), st.lists(st.integers(1, 900), min_size=1, max_size=4))
def test_whatever_a_bay_and_a_signal_hear_what_goes_out_is_declared(
    lines: tuple[list[Contact], ...], lengths_s: list[int]
) -> None:
    engine = Engine(ROADSIDE)
    engine.start(0)
    drafts = engine.contacts([each for line in lines for each in line])
    end_ns = 0
    for length_s in lengths_s:
        end_ns += length_s * S
        drafts += engine.close(end_ns)
    for message in decoded(scenes.sent(drafts, "json")):
        conforms(message)
    assert any("bay" in as_read(draft) for draft in drafts)
