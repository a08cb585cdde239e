"""The declarations use the words of the code, and say what each field means."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from edge.health.board import THROTTLE_BITS
from edge.health.boxalarms import ALARM_WORDS
from edge.health.fields import FIELDS
from edge.health.flash import PRE_EOL
from edge.health.reboot import Cause
from edge.infer.cause import CAUSE_TEXTS
from edge.infer.loops.loopflag import FAULTS
from edge.outbox.drops import DROP_REASONS
from edge.process import baywindow
from edge.process.engineevents import CONTRADICTIONS, FAULT_TEXTS
from edge.process.plaincontacts import CONTACT_TEXTS
from edge.process.traffic.loopselection import HEALTH_STATES, STATES
from edge.wire.contract.bay import BayHealth
from edge.wire.contract.boxevent import BOX_EVENTS
from edge.wire.contract.catalogue import BY_NAME, EVENTS, MESSAGES
from edge.wire.contract.event import SITE_EVENTS, Event, Switch
from edge.wire.contract.health import BoardCondition, PreEol, RebootCause, Throttle
from edge.wire.contract.schemas import schema_of
from edge.wire.contract.terms import Fault, LoopFault
from edge.wire.contract.traffic import LaneHealth
from edge.wire.records import HEADER
from tests.contract.notyetsent import NOT_YET_SENT_CAUSES

ROOT = Path(__file__).parents[2]


def test_the_closed_lists_are_those_of_the_code() -> None:
    assert set(get_args(LaneHealth)) == set(HEALTH_STATES)
    assert words("event", "Drop", "reason") == set(DROP_REASONS)
    assert set(get_args(LoopFault)) == set(FAULTS)
    assert set(FAULTS) < set(STATES), "what a judge finds, a record must know what to do with"
    assert set(get_args(Fault)) == {*FAULT_TEXTS, *FAULTS, *CONTRADICTIONS, "phase"}
    assert words("event", "SensorFault", "fault") == set(get_args(Fault))
    assert set(get_args(BayHealth)) == set(baywindow.BAY_STATES)
    assert words("event", "Anomaly", "cause") == {*CAUSE_TEXTS, *NOT_YET_SENT_CAUSES}
    assert not NOT_YET_SENT_CAUSES & CAUSE_TEXTS.keys(), "it is sent now: take it out of the list"
    assert {
        str(each.__struct_config__.tag)
        for each in (*SITE_EVENTS, *BOX_EVENTS)
        if issubclass(each, Switch)
    } == set(CONTACT_TEXTS)


def test_the_words_of_health_are_those_of_the_code() -> None:
    assert get_args(Throttle) == THROTTLE_BITS
    assert get_args(PreEol) == tuple(PRE_EOL.values())
    assert get_args(BoardCondition) == ALARM_WORDS
    assert get_args(RebootCause) == tuple(str(cause) for cause in Cause)
    for field in FIELDS:
        assert words("health", "Health", field.key) == set(field.among), field.key
    assert words("event", "Board", "condition") == set(ALARM_WORDS)
    assert words("event", "Start", "reason") == {str(cause) for cause in Cause}


def test_the_header_is_that_of_the_code() -> None:
    header = schema_of(BY_NAME["lane"])["$defs"]["Header"]["properties"]
    assert {*header, "stream", "source"} == HEADER


def words(message: str, form: str, field: str) -> set[str]:
    found = schema_of(BY_NAME[message])["$defs"][form]["properties"][field]
    forms = found.get("anyOf", [found.get("items", found)])
    return {word for each in forms for word in each.get("enum", ())}


def test_every_kind_of_event_that_the_code_names_is_declared() -> None:
    """Also of events that no test has seen: kinds stand in the source as words."""
    found = {kind for path in (ROOT / "edge").rglob("*.py") for kind in kinds(path)}
    assert found >= {"denied", "bus"}, "the search finds what is there"
    assert found <= EVENTS.keys(), "declare it in edge/wire/contract"


def test_every_kind_of_event_that_has_a_form_is_declared() -> None:
    """A Struct that is filled and in neither list would go out undeclared."""
    forms = {form for form in forms_of(Event) if form.__module__.startswith("edge.")}
    assert forms == {*SITE_EVENTS, *BOX_EVENTS}, "put it into SITE_EVENTS or BOX_EVENTS"


def forms_of(form: type[Event]) -> Iterator[type[Event]]:
    """Those that nobody derives from."""
    derived = [each for each in form.__subclasses__() if each.__module__.startswith("edge.")]
    if not derived:
        yield form
    for each in derived:
        yield from forms_of(each)


def kinds(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    known = dict(constants(tree))
    for node in ast.walk(tree):
        match node:
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    if word(key) == "event" and (kind := word(value)) and kind.isidentifier():
                        yield kind
            case ast.Call(
                func=ast.Attribute(attr="alarm" | "once" | "_report" | "report" | "say"),
                args=[one, *_],
            ):
                if kind := known.get(one.id) if isinstance(one, ast.Name) else word(one):
                    yield from [kind] if kind.isidentifier() else []  # else it is a sentence


def constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Names of words at the top of a module: `KIND: Final = "configuration"`."""
    for node in tree.body:
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), value=value) if text := word(value):
                yield name, text


def word(node: ast.AST | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


# -- the declarations are whole -------------------------------------------------------------------


@pytest.mark.parametrize("name", [each.name for each in MESSAGES])
def test_every_field_says_what_it_means(name: str) -> None:
    for form, schema in schema_of(BY_NAME[name])["$defs"].items():
        if schema.get("type") == "object":
            assert schema.get("description"), form
        for field, each in schema.get("properties", {}).items():
            known = field in ("event", "state") or "$ref" in each
            assert known or each.get("description"), f"{form}.{field}"


@pytest.mark.parametrize("name", [each.name for each in MESSAGES])
def test_a_name_that_ends_with_a_unit_tells_the_same_unit(name: str) -> None:
    units = {"_s": "s", "_us": "us", "_m": "m", "_cm": "cm", "_kib": "KiB", "_min": "min"}
    units["_kmh"] = "km/h"
    for form, schema in schema_of(BY_NAME[name])["$defs"].items():
        for field, each in schema.get("properties", {}).items():
            for tail, unit in units.items():
                if field.endswith(tail):
                    assert each.get("x-unit") == unit, f"{form}.{field}"
