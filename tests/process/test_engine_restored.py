"""What an engine takes up again: to the bit what was saved, nothing of a damaged or other state."""

import json
import random
from dataclasses import replace
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.edge import Contact
from edge.process.approachsignal import SignalSetup
from edge.process.baywindow import BaySetup
from edge.process.engine import Engine, EngineSetup
from edge.process.phase import PhaseSetup
from tests.kit.asread import as_read
from tests.kit.engine import (
    AIR,
    HEAT,
    METER,
    MINUTE,
    MS,
    PAIR,
    SINGLE,
    S,
    body,
    car,
    engine,
    events,
    found,
    presences,
    setup,
    sweeps,
)
from tests.kit.randomsite import SITE, SiteInput, worlds
from tests.process.windows import SLOW, packed, run


@SLOW
@given(worlds(), st.randoms(use_true_random=False), st.sampled_from([msgpack, json]))
def test_a_restored_engine_goes_on_to_the_bit(
    world: SiteInput, chance: random.Random, way: Any
) -> None:
    """At any moment, with what was pending fed again: as after a kill, from state and stage."""
    stage: list[Any] = []

    def again(made: Engine) -> Engine:
        contacts, swept = made.pending()
        other = Engine(SITE)
        state = made.snapshot()
        other.restore(packed(state) if way is msgpack else json.loads(json.dumps(state)))
        assert other.snapshot() == state
        other.contacts(contacts)
        other.sweeps(swept)
        assert other.pending() == (contacts, swept)
        stage.extend(contacts)
        return other if chance.random() < 0.7 else made

    assert run(world, chance, again) == run(world)


def test_what_is_pending_is_not_in_the_snapshot() -> None:
    made = engine(SINGLE, AIR)
    made.contacts([*found("east_1.lead"), *presences("east_1.lead", (59, 59.5), (61, 61.5))])
    made.sweeps(sweeps("hut_air", [(59, (1.0, 2.0)), (61, (1.0, 2.0))]))
    assert body(made.close(MINUTE), "east_1")["volume"] == 1
    contacts, swept = made.pending()
    assert [each.mono_ns for each in contacts] == [61 * S, 61_500 * MS]
    assert [each.mono_ns for each in swept] == [61 * S]
    again = Engine(made.setup)
    again.restore(made.snapshot())
    assert body(again.close(2 * MINUTE), "east_1")["volume"] == 0


def test_a_fault_goes_on_over_a_restart() -> None:
    made = engine(SINGLE)
    rises = [(40 + i * 0.6, 40.2 + i * 0.6) for i in range(45)]
    made.contacts([*found("east_1.lead"), *presences("east_1.lead", *rises)])
    made.close(MINUTE)  # 34 of them: no fault yet
    contacts, _ = made.pending()
    again = Engine(made.setup)
    again.restore(packed(made.snapshot()))
    again.contacts(contacts)
    for each in (made, again):
        drafts = each.close(2 * MINUTE)
        assert body(drafts, "east_1")["health"] == "chatter"
        assert [draft.from_ns for draft in drafts[1:2]] == [round((40 + 37 * 0.6) * 1e6) * 1000]


def test_a_flood_goes_on_over_a_restart() -> None:
    made = engine(SINGLE)
    flood = [Contact("east_1.lead", n % 2 == 0, 59 * S + n * MS) for n in range(1050)]
    made.contacts([*found("east_1.lead"), *flood])
    assert body(made.close(MINUTE), "east_1")["health"] == "chatter"
    contacts, _ = made.pending()
    again = Engine(made.setup)
    again.restore(packed(made.snapshot()))
    again.contacts(contacts)
    for each in (made, again):
        # fifty edges alone would be believed
        assert body(each.close(2 * MINUTE), "east_1")["health"] == "chatter"
        assert body(each.close(3 * MINUTE), "east_1")["health"] == "ok"


def saved() -> dict[str, Any]:
    made = engine(PAIR, METER, HEAT)
    made.contacts([*found("north_1.lead", "north_1.trail", "heat"), *car("north_1", 59.9, 50)])
    made.sweeps(sweeps("main_meter", [(0, (1.0, 5.0))]))
    made.close(MINUTE)
    return made.snapshot()


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: {},
        lambda state: [],
        lambda state: {**state, "version": 2},
        lambda state: {key: value for key, value in state.items() if key != "lanes"},
        lambda state: {**state, "lanes": [1]},
        lambda state: {**state, "at": "now"},
        lambda state: {**state, "devices": {"main_meter": {"energy_import": ["1/1000", 1]}}},
        lambda state: {**state, "pulses": {"heat": {}}},
    ],
)
def test_a_damaged_state_is_refused_and_changes_nothing(damage: Any) -> None:
    made = engine(PAIR, METER, HEAT, start_ns=7)
    before = made.snapshot()
    with pytest.raises(ValueError, match="this state is"):
        made.restore(damage(saved()))
    assert made.snapshot() == before
    assert made.close(MINUTE)[0].from_ns == 7


def test_the_state_of_another_site_is_refused() -> None:
    with pytest.raises(ValueError, match="another site"):
        Engine(setup(AIR)).restore(saved())


def test_what_fits_is_taken_when_the_site_has_changed() -> None:
    made = Engine(setup(SINGLE, METER))
    made.restore(saved())
    assert made.dropped == ("north_1", "heat")
    made.sweeps(sweeps("main_meter", [(61, (1.0, 5.002))]))
    drafts = made.close(2 * MINUTE)
    assert body(drafts, "main_meter")["points"]["energy_import"]["delta"] == 0.002
    assert body(drafts, "east_1")["health"] == "unobserved"


@pytest.mark.parametrize(
    ("change", "dropped"),
    [
        ({}, ()),
        ({"tolerance": 0.1, "bounce_ms": 5.0, "no_activity_s": 600.0}, ()),
        ({"approach": "south"}, ()),
        ({"spacing_m": 5.0}, ("north_1",)),
        ({"loop_m": 1.0}, ("north_1",)),
        ({"effective_m": 2.5, "limit_kmh": 50.0, "tailgate_s": 1.0, "stopped_s": 20.0}, ()),
        ({"mode": "pulse"}, ("north_1",)),
        ({"kind": "bicycle"}, ("north_1",)),
    ],
)
def test_a_lane_goes_on_unless_its_geometry_is_another(
    change: dict[str, Any], dropped: tuple[str, ...]
) -> None:
    made = engine(PAIR, SINGLE)
    made.close(MINUTE)
    again = Engine(setup(replace(PAIR, **change), SINGLE))
    again.restore(made.snapshot())
    assert again.dropped == dropped


NORTH = PhaseSetup("north_green", "north", "green")
BAD = EngineSetup(
    lanes=(PAIR, SINGLE, replace(SINGLE, name="east_2", no_activity_s=300.0)),
    pulses=(HEAT,),
    bays=(BaySetup("bakery", max_stay_min=5.0),),
    signals=(SignalSetup("north", (NORTH,)),),
)


def troubled() -> Engine:
    """After twelve minutes all that can be up is up."""
    made = Engine(BAD)
    made.start(0)
    lines = ("north_1.lead", "east_1.lead", "east_2.lead", "heat", "bakery", "north_green")
    stuck = [Contact(name, True, 2 * S) for name in ("north_1.trail", "heat", "bakery")]
    made.contacts([*found(*lines), *found("north_1.trail", at_s=1), *stuck])
    flood = [(690 + i * 0.6, 690.2 + i * 0.6) for i in range(45)]
    made.contacts(presences("east_1.lead", *flood))
    reported = [each for i in range(12) for each in events(made.close((i + 1) * MINUTE))]
    assert {(e.source, as_read(e).get("fault"), as_read(e)["state"]) for e in reported} == {
        ("north_1", "stuck_on", "on"),
        ("east_1", "chatter", "on"),
        ("east_2", "no_activity", "on"),
        ("heat", "stuck_on", "on"),
        ("north_green", "phase", "on"),
        ("bakery", None, "on"),
    }
    return made


@pytest.mark.parametrize("again", [False, True])
def test_what_is_up_ends_with_a_source_that_is_gone(again: bool) -> None:
    made = Engine(setup(replace(PAIR, name="south_1"), replace(PAIR, spacing_m=5.0)))
    state, fits = (
        packed(each.snapshot()) for each in (troubled(), engine(replace(PAIR, name="south_1")))
    )
    state["lanes"]["south_1"] = fits["lanes"]["south_1"]  # something has to fit
    made.restore(state)
    if again:  # the power fails before the first window is over
        made.start(2000 * S)
        other = Engine(made.setup)
        other.restore(packed(made.snapshot()))
        made = other
    start = packed(made.snapshot())["at"]
    reported = events(made.close(start + MINUTE))
    assert {each.from_ns for each in reported} == {start}
    assert {(e.source, as_read(e).get("fault"), as_read(e)["state"]) for e in reported} == {
        ("north_1", "stuck_on", "off"),
        ("east_1", "chatter", "off"),
        ("east_2", "no_activity", "off"),
        ("heat", "stuck_on", "off"),
        ("north_green", "phase", "off"),
        ("bakery", None, "off"),
    }
    texts = {each.source: as_read(each)["text"] for each in reported}
    assert texts["bakery"] == "bakery: the bay is no longer watched, so the event is closed."
    assert (
        texts["north_1"] == "north_1: the trail loop is no longer watched, so the fault is closed."
    )
    bay = next(as_read(each) for each in reported if each.source == "bakery")
    assert bay == {
        "event": "overstay",
        "state": "off",
        "by": "rule overstay",
        "max_stay_min": 5.0,
        "text": texts["bakery"],
    }
    assert events(made.close(start + 2 * MINUTE)) == []
    assert made.snapshot()["over"] == []


def test_what_is_up_and_still_there_does_not_end() -> None:
    made = Engine(BAD)
    made.restore(packed(troubled().snapshot()))
    assert made.snapshot()["over"] == []


def test_a_contact_of_a_signal_that_shows_another_colour_ends_its_fault() -> None:
    red = replace(NORTH, colour="red")
    made = Engine(replace(BAD, signals=(SignalSetup("north", (red,)),)))
    made.restore(packed(troubled().snapshot()))
    assert made.dropped == ()
    reported = events(made.close(13 * MINUTE))
    (off,) = (each for each in reported if each.source == "north_green")
    assert (off.source, as_read(off)["state"]) == ("north_green", "off")
    assert as_read(off)["text"] == (
        "north_green: the contact for green of north is no longer watched, so the fault is closed."
    )
