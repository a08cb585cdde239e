"""Signals: which colour was known when, and contacts that do not change any more."""

import json
from typing import Any

import pytest

from edge.core.edge import Contact
from edge.process.approachsignal import SignalSetup
from edge.process.engine import Engine, EngineSetup
from edge.process.phase import PhaseSetup, PhaseTracker
from tests.kit.asread import as_read
from tests.kit.engine import MINUTE, SINGLE, S, events, found, presences

GREEN = PhaseSetup("north_green", "north", "green")
RED = PhaseSetup("north_red", "north", "red")
AMBER = PhaseSetup("north_amber", "north", "amber")


def phase(*setups: PhaseSetup) -> PhaseTracker:
    made = PhaseTracker("north", setups)
    made.begin(0)
    for each in setups:
        made.lines[each.name].fold(found(each.name), 0)
    return made


def spans(made: PhaseTracker, end_ns: int, start_ns: int = 0) -> list[tuple[float, float]] | None:
    made.run(start_ns, end_ns)
    green = made.green(start_ns, end_ns)
    return None if green is None else [(a / S, b / S) for a, b in green]


def test_green_is_when_its_contact_is_closed() -> None:
    made = phase(GREEN)
    made.lines["north_green"].fold(presences("north_green", (10, 30), (50, 70)), 0)
    assert spans(made, MINUTE) == [(10, 30), (50, 60)]
    assert made.green(20 * S, 55 * S) == [(20 * S, 30 * S), (50 * S, 55 * S)]
    assert spans(made, 2 * MINUTE, MINUTE) == [(60, 70)]


def test_without_green_what_is_neither_red_nor_amber_is_green() -> None:
    made = phase(RED, AMBER)
    made.lines["north_red"].fold(presences("north_red", (33, 60)), 0)
    made.lines["north_amber"].fold(presences("north_amber", (30, 33), (58, 60)), 0)
    assert spans(made, MINUTE) == [(0, 30)]


def test_with_all_three_nothing_is_inferred() -> None:
    made = phase(GREEN, AMBER, RED)
    made.lines["north_green"].fold(presences("north_green", (10, 30)), 0)
    made.lines["north_amber"].fold(presences("north_amber", (30, 33)), 0)
    made.lines["north_red"].fold(presences("north_red", (34, 55)), 0)
    made.run(0, MINUTE)
    assert [(each.at_ns // S, each.colour) for each in made.shown] == [
        (0, ""), (10, "green"), (30, ""), (34, "red"), (55, "")
    ]  # fmt: skip


def test_amber_is_not_red_where_it_is_told() -> None:
    made = phase(GREEN, AMBER)
    made.lines["north_green"].fold(presences("north_green", (10, 30)), 0)
    made.lines["north_amber"].fold(presences("north_amber", (30, 33)), 0)
    made.run(0, MINUTE)
    assert [(each.at_ns // S, each.colour) for each in made.shown] == [
        (0, "red"), (10, "green"), (30, ""), (33, "red")
    ]  # fmt: skip


def test_green_and_red_at_once_is_red() -> None:
    made = phase(GREEN, RED)
    made.lines["north_green"].fold(presences("north_green", (10, 30)), 0)
    made.lines["north_red"].fold(presences("north_red", (20, 40)), 0)
    assert spans(made, MINUTE) == [(10, 20)]


@pytest.mark.parametrize("setups", [(AMBER,), (), (GREEN, PhaseSetup("x", "north", "green"))])
def test_what_cannot_tell_green_is_refused(setups: tuple[PhaseSetup, ...]) -> None:
    with pytest.raises(ValueError, match="phase of north"):
        SignalSetup("north", setups)


def test_before_the_first_level_nobody_knows() -> None:
    made = PhaseTracker("north", [GREEN])
    made.begin(0)
    assert spans(made, MINUTE) is None
    made.lines["north_green"].fold(found("north_green", at_s=70, on=True), MINUTE)
    assert spans(made, 2 * MINUTE, MINUTE) is None  # not for all of the window
    assert spans(made, 3 * MINUTE, 2 * MINUTE) == [(120, 180)]


def test_one_contact_of_two_that_nobody_hears_is_enough_to_know_nothing() -> None:
    made = phase(GREEN, RED)
    made.mark_unobserved(10 * S, "north_red")
    assert spans(made, MINUTE) is None
    made = phase(GREEN, RED)
    assert spans(made, MINUTE) == []


def test_lost_edges_leave_the_window_without_a_colour() -> None:
    made = phase(GREEN)
    made.lines["north_green"].fold([Contact("north_green", True, 20 * S, lost=2)], 0)
    assert spans(made, MINUTE) is None
    assert spans(made, 2 * MINUTE, MINUTE) == [(60, 120)]


def test_a_contact_that_rests_for_ten_minutes_is_a_fault() -> None:
    made = phase(GREEN)
    made.lines["north_green"].fold(presences("north_green", (10, 30)), 0)
    reported = [made.run(i * MINUTE, (i + 1) * MINUTE) for i in range(10)]
    assert reported == [[]] * 10
    (fault,) = made.run(10 * MINUTE, 11 * MINUTE)
    assert fault.from_ns == 630 * S
    assert fault.source == "north_green"
    assert as_read(fault) == {
        "event": "sensor_fault",
        "state": "on",
        "by": "rule phase",
        "fault": "phase",
        "text": "north_green: the contact for green of north has not changed for 10 minutes: the "
        "signal is off or flashes, or the cable of the contact is cut; until the contact changes, "
        "records have no `signal`.",
        "since_s": 600.0,
    }
    assert made.green(10 * MINUTE, 11 * MINUTE) is None
    made.lines["north_green"].fold(presences("north_green", (670, 690)), 11 * MINUTE)
    (over,) = made.run(11 * MINUTE, 12 * MINUTE)
    assert (over.from_ns, as_read(over)["state"]) == (670 * S, "off")
    assert made.green(11 * MINUTE, 12 * MINUTE) is None
    assert spans(made, 13 * MINUTE, 12 * MINUTE) == []


def test_a_contact_that_nobody_watches_is_not_silent() -> None:
    made = PhaseTracker("north", [GREEN])
    made.begin(0)  # not heard yet
    reported = [each for i in range(12) for each in made.run(i * MINUTE, (i + 1) * MINUTE)]
    made.lines["north_green"].fold(found("north_green", at_s=750), 12 * MINUTE)
    reported += made.run(12 * MINUTE, 13 * MINUTE)
    made.mark_unobserved(800 * S)
    reported += [each for i in range(13, 30) for each in made.run(i * MINUTE, (i + 1) * MINUTE)]
    assert reported == []
    made.lines["north_green"].fold(found("north_green", at_s=1810), 30 * MINUTE)
    reported += [each for i in range(30, 41) for each in made.run(i * MINUTE, (i + 1) * MINUTE)]
    assert [each.from_ns for each in reported] == [2410 * S]  # ten minutes, all of them watched


class SignalledLane:
    """A lane and its signal, a window a minute; `reported` are events of the signal's contacts."""

    def __init__(self, *setups: PhaseSetup, position: str = "stop") -> None:
        signal = SignalSetup("north", setups, ((SINGLE.name, position),))
        self.setup = EngineSetup(lanes=(SINGLE,), signals=(signal,))
        self.engine = Engine(self.setup)
        self.engine.start(0)
        self.engine.contacts(found("east_1.lead"))
        self.minute = 0
        self.reported: list[tuple[float, str, str]] = []
        self.texts: list[str] = []

    def run(self, until: int, *contacts: Contact, every_s: float | None = 20.0) -> None:
        """To the end of this minute; a vehicle passes now and then."""
        start_s, end_s = self.minute * 60, until * 60
        self.engine.contacts(contacts)
        while every_s is not None and start_s + 5 < end_s:
            self.engine.contacts(presences("east_1.lead", (start_s + 5, start_s + 5.5)))
            start_s += every_s  # type: ignore[assignment]
        while self.minute < until:
            self.minute += 1
            for each in events(self.engine.close(self.minute * MINUTE)):
                assert as_read(each)["fault"] == "phase"
                self.reported.append((each.from_ns / S, each.source, as_read(each)["state"]))
                self.texts.append(as_read(each)["text"])

    def killed(self) -> None:
        state: Any = json.loads(json.dumps(self.engine.snapshot()))
        self.engine = Engine(self.setup)
        self.engine.restore(state)


@pytest.mark.parametrize("kills", [False, True])
def test_a_contact_that_was_never_heard_while_vehicles_pass_is_a_fault_once(kills: bool) -> None:
    street = SignalledLane(GREEN, RED)
    for minute in range(1, 31):
        street.run(minute, *(found("north_red") if minute == 1 else ()),
                   *presences("north_red", (minute * 60 - 50, minute * 60 - 20)))  # fmt: skip
        if kills:
            street.killed()
    assert street.reported == [(600.0, "north_green", "on")]
    assert street.texts == [
        "north_green: the contact for green of north has never changed in 10 minutes while "
        "vehicles passed: its wire is probably not connected; until the contact changes, records "
        "have no `signal`."
    ]
    green = [*found("north_green", at_s=1810), *presences("north_green", (1830, 1850))]
    street.run(31, *green)
    assert street.reported[1:] == [(1810.0, "north_green", "off")]
    assert street.texts[1] == "north_green: the contact for green of north changes now."
    street.run(39)
    assert len(street.reported) == 2


def test_where_nothing_passes_nobody_knows_whether_a_contact_is_heard() -> None:
    street = SignalledLane(GREEN)
    street.run(40, every_s=None)
    assert street.reported == []
    street.run(43)
    street.killed()
    street.run(45)
    assert street.reported == [(44 * 60.0, "north_green", "on")]  # after ten vehicles


def test_a_contact_whose_line_is_closed_was_told_already() -> None:
    street = SignalledLane(GREEN)
    street.run(2, *found("north_green"), *presences("north_green", (10, 30)))
    street.engine.closed("north_green", 130 * S)  # whoever closed it said so
    street.run(15)
    street.killed()
    street.run(30)
    assert street.reported == []
    street.run(31, *found("north_green", at_s=1810))
    street.engine.mark_gap(1870 * S, 1871 * S)
    street.run(32, *found("east_1.lead", at_s=1871))
    street.run(50)  # it is not heard after the gap, and nobody said that its line is closed
    assert street.reported == [(1870 + 600.0, "north_green", "on")]


def test_a_fault_that_was_up_before_the_gap_is_not_told_again() -> None:
    street = SignalledLane(GREEN)
    street.run(12, *found("north_green"))
    assert street.reported == [(600.0, "north_green", "on")]
    street.engine.start(1000 * S)
    street.minute = 17
    street.run(40, *found("east_1.lead", at_s=1021))
    assert len(street.reported) == 1
    street.run(42, *found("north_green", at_s=2410), *presences("north_green", (2430, 2450)))
    assert street.reported[1:] == [(2430.0, "north_green", "off")]


def test_without_a_loop_by_the_signal_nothing_is_known_of_its_contacts() -> None:
    street = SignalledLane(GREEN, position="corridor")
    street.run(30)
    assert street.reported == []


@pytest.mark.parametrize("fault", [True, None, "broken", ["stuck"], {}])
def test_a_fault_that_there_is_not_is_a_damaged_state(fault: object) -> None:
    made = phase(GREEN)
    whole: Any = made.snapshot()
    _, *contact, _, changed = whole["north_green"]
    never_changed = made.snapshot_never_changed()
    again = PhaseTracker("north", (GREEN,))
    again.restore({"north_green": ["green", *contact, "stuck", changed]}, 0, never_changed)
    with pytest.raises(ValueError, match="no fault of a signal's contact"):
        again.restore({"north_green": ["green", *contact, fault, changed]}, 0, never_changed)
