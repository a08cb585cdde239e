"""A loop card of a simulated cabinet: its contact with each of its faults, in time that flies."""

from collections.abc import Callable
from typing import Literal

import pytest

from drivers.sim.contactplay import CYCLE, PulsePlay, SignalPlay
from drivers.sim.drivencontact import BOUNCE_S, BOUNCES, DrivenContact
from drivers.sim.loopcard import FAULTS, LATE_S, LoopCard
from drivers.sim.timeline import Timeline
from edge.process.enginesetup import LaneSetup

S = 1_000_000_000
Level = tuple[float, bool]  # seconds, closed
SETTLED_S = 2 * BOUNCES * BOUNCE_S[1]


class Wire:
    """A card whose changes are written down."""

    def __init__(
        self, mode: Literal["presence", "pulse"] = "presence", *, active_high: bool = False
    ) -> None:
        self.line = Timeline(lambda: 0)
        self.seen: list[tuple[int, bool]] = []
        self.card = LoopCard(self.line, self.drive, active_high, mode)
        self.active_high = active_high
        self.card.begin(0)

    def drive(self, high: bool, t_ns: int) -> None:
        self.seen.append((t_ns, high))

    def closed(self, until_s: float) -> list[Level]:
        self.line.run_until(round(until_s * S))
        return [(t_ns / S, high is self.active_high) for t_ns, high in self.seen]


def test_presence_is_as_long_as_a_vehicle_is_over_the_loop() -> None:
    wire = Wire()
    wire.card.over(2 * S, 3 * S, 4.5)
    assert wire.closed(10) == [(0.0, False), (2.0, True), (3.0, False)]
    assert wire.seen[1] == (2 * S, False)  # to ground


def test_two_vehicles_at_once_close_it_once() -> None:
    wire = Wire(active_high=True)
    wire.card.over(2 * S, 4 * S, 4.5)
    wire.card.over(3 * S, 5 * S, 4.5)
    assert wire.closed(10) == [(0.0, False), (2.0, True), (5.0, False)]


def test_a_pulse_is_of_an_eighth_of_a_second() -> None:
    wire = Wire("pulse")
    wire.card.over(2 * S, 4 * S, 4.5)
    assert wire.closed(10) == [(0.0, False), (2.0, True), (2.125, False)]


def shown(fault: str, length_m: float = 12.0, vehicles: int = 4) -> list[Level]:
    """Vehicles of a second each ten seconds, with a fault that begins after half a second."""
    wire = Wire()
    other = Wire()
    other.card.timeline = wire.line
    wire.card.beside(other.card)
    for n in range(vehicles):
        other.card.over((10 * n + 5) * S, (10 * n + 6) * S, 4.5)
    wire.line.at(S // 2, lambda t_ns: wire.card.misbehave(fault, t_ns))
    for n in range(vehicles):
        wire.card.over((10 * n + 2) * S, (10 * n + 3) * S, length_m)
    return wire.closed(10 * vehicles)


def rises(levels: list[Level]) -> list[float]:
    return [t_s for t_s, closed in levels if closed]


WHOLE: list[Level] = [
    (0.0, False), (2.0, True), (3.0, False), (12.0, True), (13.0, False),
    (22.0, True), (23.0, False), (32.0, True), (33.0, False),
]  # fmt: skip
CHECKS: dict[str, Callable[[list[Level]], bool]] = {
    "stuck_on": lambda seen: seen == [(0.0, False), (0.5, True)],
    "dead": lambda seen: seen == [(0.0, False)],
    "chatter": lambda seen: len(seen) > 60,
    "crosstalk": lambda seen: {(5.02, True), (5.82, False)} & set(seen) != set(),
    "bounce": lambda seen: (
        len(seen) == 1 + 8 * (1 + 2 * BOUNCES)
        and rises(seen)[0] == 2.0
        and 2.0 < rises(seen)[BOUNCES] < 2.0 + SETTLED_S
        and not seen[-1][1]
    ),
    "splashover": lambda seen: {(5.2, True), (5.8, False)} <= set(seen),
    "breakup": lambda seen: rises(seen)[:3] == [2.0, 2.66, 12.0],
    "late_release": lambda seen: (13.0 + LATE_S, False) in seen and (3.0, False) in seen,
    "undercount": lambda seen: rises(seen) == [2.0, 12.0, 32.0],
    "inverted": lambda seen: seen[1:4] == [(0.5, True), (2.0, False), (3.0, True)],
}


def test_without_a_fault_it_shows_every_vehicle() -> None:
    assert shown("") == WHOLE


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_looks_as_it_should_and_is_no_other(fault: str) -> None:
    levels = shown(fault)
    assert [name for name, check in CHECKS.items() if check(levels)] == [fault]


def test_a_fault_that_ends_leaves_the_contact_as_the_road_is() -> None:
    wire = Wire()
    wire.card.over(2 * S, 3 * S, 4.5)
    wire.card.over(8 * S, 9 * S, 4.5)
    wire.line.at(S, lambda t_ns: wire.card.misbehave("stuck_on", t_ns))
    wire.line.at(5 * S, lambda t_ns: wire.card.misbehave("", t_ns))
    assert wire.closed(10) == [(0.0, False), (1.0, True), (5.0, False), (8.0, True), (9.0, False)]
    assert wire.line.waiting() == 0


def test_a_chatter_that_ends_leaves_nothing_behind() -> None:
    wire = Wire()
    wire.line.at(S, lambda t_ns: wire.card.misbehave("chatter", t_ns))
    wire.line.at(5 * S, lambda t_ns: wire.card.misbehave("", t_ns))
    wire.closed(20)
    assert wire.line.waiting() == 0


def test_a_contact_that_bounces_is_still_sooner_than_the_gateway_believes_a_change() -> None:
    assert LaneSetup("a", "north").bounce_ms > SETTLED_S * 1000


@pytest.mark.parametrize("at_ms", [2000.2, 2001, 2003, 2005, 2500])
def test_a_bounce_that_ends_in_its_middle_leaves_the_contact_as_the_road_is(at_ms: float) -> None:
    wire = Wire()
    wire.line.at(S, lambda t_ns: wire.card.misbehave("bounce", t_ns))
    wire.card.over(2 * S, 3 * S, 4.5)
    wire.line.at(round(at_ms * 1e6), lambda t_ns: wire.card.misbehave("", t_ns))
    assert wire.closed(2.9)[-1][1] is True
    assert wire.closed(10)[-1] == (3.0, False)
    assert wire.line.waiting() == 0


def test_a_fault_that_it_has_not_is_refused() -> None:
    wire = Wire()
    with pytest.raises(ValueError, match="stuck_on, dead"):
        wire.card.misbehave("crc", 0)


def contact(line: Timeline, seen: list[Level]) -> DrivenContact:
    return DrivenContact(line, lambda high, t_ns: seen.append((t_ns / S, not high)), False)


def test_pulses_come_as_the_power_says() -> None:
    line, seen = Timeline(lambda: 0), list[Level]()
    play = PulsePlay(line, contact(line, seen), 1000, lambda: 3600.0)
    play.begin(0)
    line.run_until(100 * S + S // 2)
    assert play.pulses == 100  # a pulse is 3600 J
    assert [t_s for t_s, closed in seen if closed][:3] == [1.0, 2.0, 3.0]


def test_a_signal_closes_one_contact_at_a_time() -> None:
    line = Timeline(lambda: 0)
    lit: dict[str, list[Level]] = {colour: [] for colour, _ in CYCLE}
    contacts = {colour: [contact(line, seen)] for colour, seen in lit.items()}
    play = SignalPlay(line, contacts, offset_s=0.0)
    play.begin(0)
    cycle_s = sum(seconds for _, seconds in CYCLE)
    line.run_until(round(3 * cycle_s * S) - 1)
    assert [t_s for t_s, closed in lit["green"] if closed] == [0.0, cycle_s, 2 * cycle_s]
    for colour, seconds in CYCLE:
        shown = [level for level in lit[colour] if level[1]]
        ends = [level for level in lit[colour] if not level[1] and level[0] > 0]
        first = next(end for end in ends if end[0] > shown[0][0])
        assert first[0] - shown[0][0] == pytest.approx(seconds)
