"""Doors, bays and pulse outputs that chatter are told, as an event and as an open issue."""

import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from edge.core import Contact, Draft
from edge.gateway.issuefindings import event_finding, known_faults
from edge.process.baywindow import BaySetup
from edge.process.engine import Engine, EngineSetup
from edge.process.enginesetup import ContactSetup, PulseSetup
from tests.kit.asread import as_read
from tests.kit.engine import MINUTE, S, body, events, found, presences
from tests.process.windows import packed

SETUP = EngineSetup(
    bays=(BaySetup("bay_1"),),
    pulses=(PulseSetup("charger", 1000),),
    contacts=(ContactSetup("hatch", "door"),),
)
NAMES = ("bay_1", "charger", "hatch")


def flutter(name: str, begin_s: float, seconds: float, most_s: float) -> Iterator[Contact]:
    """As a loose wire."""
    chance, at_s, on = random.Random(name), begin_s, False
    while at_s < begin_s + seconds:
        on = not on
        yield Contact(name, on, round(at_s * S))
        at_s += chance.uniform(0.005, most_s)
    if on:
        yield Contact(name, False, round(at_s * S))


def started() -> Engine:
    engine = Engine(SETUP)
    engine.start(0)
    for name in NAMES:
        engine.contacts(found(name))
    return engine


def told(open_now: set[str], drafts: list[Draft]) -> set[str]:
    for draft in drafts:
        if (one := event_finding(draft)) is not None:
            assert one[0].kind == "contact_fault"
            assert one[0].cause.startswith(draft.source)
            assert not one[1] or one[0].remedy.startswith("Look at the ")
            open_now = open_now | {one[0].about} if one[1] else open_now - {one[0].about}
    return open_now


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("most_s", [0.012, 0.06])  # faster than bounce is joined, and slower
def test_a_contact_that_chatters_is_an_open_issue_until_it_is_steady(
    name: str, most_s: float
) -> None:
    engine = started()
    now = told(set(), engine.contacts([*flutter(name, 5, 50, most_s)]))
    now = told(now, events(engine.close(MINUTE)))
    assert now == {f"{name} chatter"}

    again = Engine(SETUP)  # a restart: who told it knows it still
    again.restore(packed(engine.snapshot()))
    again.plain.restore(packed(engine.plain.snapshot()), same_boot=True)
    assert {each.about for each in known_faults({}, again.faults_up())} == now
    for minute in range(2, 5):
        now = told(now, events(again.close(minute * MINUTE)))
    assert now == set()
    assert again.faults_up() == []


@pytest.mark.parametrize(
    "sound",
    [
        # a charger of 22 kW, of which a pulse is 30 ms long
        lambda: (("charger", i * 0.16, 0.03) for i in range(300)),
        # an output with pulses that are too short, but far apart
        lambda: (("charger", i * 1.0, 0.02) for i in range(50)),
        # somebody who looks for a place, and drives over the loop again and again
        lambda: (("bay_1", i * 4.0, 2.0) for i in range(14)),
        lambda: (("hatch", i * 8.0, 3.0) for i in range(7)),
    ],
)
def test_what_a_sound_contact_does_is_no_chatter(
    sound: Callable[[], Iterator[tuple[str, float, float]]],
) -> None:
    engine = started()
    drafts = engine.contacts(
        [
            contact
            for name, at_s, for_s in sound()
            for contact in (
                Contact(name, True, round((1 + at_s) * S)),
                Contact(name, False, round((1 + at_s + for_s) * S)),
            )
        ]
    )
    assert told(set(), [*drafts, *events(engine.close(MINUTE))]) == set()


@pytest.mark.parametrize("pause_s", [0.030, 0.025])  # as EN 62053-31 has it; a late coupler
def test_a_pulse_output_at_the_limit_of_its_norm_counts_each_pulse(pause_s: float) -> None:
    """For a whole window, as at full load."""
    engine = started()
    edges = presences("charger", *((1 + at, 1.03 + at) for at in count_up(0.03 + pause_s, 58)))
    assert told(set(), engine.contacts([*edges])) == set()
    closed = engine.close(MINUTE)
    assert told(set(), events(closed)) == set()
    energy = body(closed, "charger")["points"]["energy_import"]
    assert energy["delta"] == pytest.approx(len(edges) / 2 / 1000)


def count_up(step_s: float, end_s: float) -> list[float]:
    return [step_s * number for number in range(int(end_s / step_s))]


def test_what_chattered_at_a_source_that_is_gone_is_over() -> None:
    engine = started()
    engine.contacts([*flutter("bay_1", 5, 50, 0.06), *flutter("charger", 5, 50, 0.06)])
    engine.close(MINUTE)
    other = Engine(EngineSetup(contacts=SETUP.contacts, bays=(BaySetup("bay_2"),)))
    state = packed(engine.snapshot())
    state["bays"]["bay_2"] = state["bays"]["bay_1"]
    other.restore(state)
    over = told(
        {"bay_1 chatter", "charger chatter", "bay_2 chatter"}, events(other.close(2 * MINUTE))
    )
    assert over <= {"bay_2 chatter"}


def test_a_steady_contact_keeps_nothing_of_it() -> None:
    state = packed(started().snapshot())
    assert "chatter" not in {*state["bays"]["bay_1"], *state["pulses"]["charger"]}


@pytest.mark.parametrize(("name", "young"), [("bay_1", [50.0, 50.12]), ("charger", [50.12])])
def test_moments_that_are_too_old_to_be_chatter_are_not_kept(name: str, young: list[float]) -> None:
    def kept() -> Any:
        state = packed(engine.snapshot())
        return {**state["bays"], **state["pulses"]}[name].get("chatter")

    engine = started()
    engine.contacts(presences(name, (5, 5.1), (5.12, 5.2), (50, 50.1), (50.12, 50.2)))
    engine.close(MINUTE)
    assert kept()[0] == [round(at * S) for at in young]
    engine.close(2 * MINUTE)
    assert kept() is None


def test_pulses_of_a_line_that_chatters_are_no_energy() -> None:
    """A loose wire of an S0 output was 41 kW for the city."""
    engine = started()
    one_kw = [1 + 3.6 * number for number in range(16)]

    def minute(number: int, edges: Iterable[Contact]) -> Any:
        engine.contacts([*edges])
        return body(engine.close(number * MINUTE), "charger")["points"]

    sound = minute(1, presences("charger", *((at, at + 0.05) for at in one_kw)))
    wild = minute(2, flutter("charger", 65, 50, 0.06))
    still = minute(3, [])
    after = minute(4, presences("charger", *((180 + at, 180.05 + at) for at in one_kw)))
    assert sound["energy_import"]["delta"] == pytest.approx(0.016)
    for one in (wild, still):  # it may go on: it is over half a minute later
        assert (one["energy_import"]["delta"], one["energy_import"]["last"]) == (None, None)
        assert one["energy_import"]["quality"] == {"bad:fault": 1}
        assert one["power"]["mean"] is None
        assert one["power"]["quality"] == {"bad:fault": 1}
    assert after["energy_import"]["first"] == sound["energy_import"]["last"]
    assert after["energy_import"]["delta"] == pytest.approx(0.016)
    assert after["energy_import"]["quality"]["uncertain:gap"] == 1
    assert after["power"]["mean"] == pytest.approx(1000, rel=0.01)


QUARTER = 15 * MINUTE


def told_at(drafts: list[Draft]) -> list[tuple[int, str]]:
    return [(round(each.from_ns / S), str(as_read(each)["state"])) for each in drafts]


@pytest.mark.parametrize("name", ["bay_1", "charger"])
def test_noise_early_in_a_long_window_costs_the_next_one_nothing(name: str) -> None:
    engine = started()
    engine.contacts([*flutter(name, 5, 2, 0.012)])
    first = engine.close(QUARTER)
    assert told_at(events(first)) == [(7, "on"), (37, "off")]
    engine.contacts(presences(name, *((905 + 60 * i, 935 + 60 * i) for i in range(5))))
    second = engine.close(2 * QUARTER)
    assert events(second) == []
    if name == "bay_1":
        assert (body(first, name)["health"], body(second, name)["health"]) == ("chatter", "ok")
        assert body(second, name)["arrivals"] == 5
    else:
        assert body(first, name)["points"]["energy_import"]["quality"] == {"bad:fault": 1}
        assert body(second, name)["points"]["energy_import"]["delta"] == pytest.approx(0.005)


def test_noise_and_chatter_of_one_window_are_told_in_their_order() -> None:
    """A loose wire does both."""
    engine = started()
    engine.contacts([*flutter("bay_1", 5, 2, 0.012), *flutter("bay_1", 500, 20, 0.06)])
    noise_on, noise_off, on, off = told_at(events(engine.close(QUARTER)))
    assert (noise_on, noise_off) == ((7, "on"), (37, "off"))
    assert (on[1], off[1]) == ("on", "off")
    assert 500 <= on[0] < off[0] < 560
