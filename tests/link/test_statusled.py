"""What the LED says, in virtual time; a person with a watch could tell them apart."""

import threading
from collections.abc import Sequence
from itertools import pairwise

import pytest

from edge.link.statusled import PATTERNS, LedFacts, LedState, StatusLed, led_state
from tests.kit.clock import JumpingClock


class LedLine:
    """A line, a clock and a waiting that takes no time. `late_s` is how late each wake-up is."""

    def __init__(self, seconds: float, late_s: float = 0.0) -> None:
        self.clock, self.late_s, self._end_s = JumpingClock(0), late_s, seconds
        self.edges: list[tuple[float, bool]] = []
        self.led = StatusLed(self, self.clock, self.wait)
        self.at: list[tuple[float, LedState]] = []

    @property
    def now_s(self) -> float:
        return self.clock.mono_ns / 1e9

    def set(self, on: bool) -> None:
        self.edges.append((round(self.now_s, 3), on))

    def wait(self, event: threading.Event, seconds: float) -> bool:
        until_s = self.now_s + seconds
        if self.at and self.at[0][0] <= until_s:
            until_s, shown = self.at.pop(0)
            self.clock.wait_until(round(until_s * 1e9))
            self.led.set_state(shown)
        else:
            self.clock.wait_until(round((until_s + self.late_s) * 1e9))
        if self.now_s >= self._end_s:
            self.led.close()
        return event.is_set()

    def play(self, *shown: LedState) -> Sequence[float]:
        for one in shown:
            self.led.set_state(one)
        self.led.run()
        return [when for when, on in self.edges if on]


@pytest.mark.parametrize(
    ("shown", "on"),
    [
        ("fine", [3.0, 6.2, 9.4]),
        ("no_broker", [3.0, 3.5, 6.7, 7.2, 10.4]),
        ("sensor_fault", [3.0, 3.5, 4.0, 7.2, 7.7, 8.2]),
        ("not_commissioned", [1.0, 3.0, 5.0, 7.0, 9.0]),
        ("access_point", [round(0.2 + 0.4 * n, 1) for n in range(26)]),
    ],
)
def test_each_pattern_is_as_documented(shown: LedState, on: list[float]) -> None:
    assert LedLine(10.5).play(shown) == on


def test_each_flash_ends_and_the_led_is_off_at_the_end() -> None:
    wire = LedLine(30.0)
    wire.play("sensor_fault")
    levels = [on for _, on in wire.edges]
    assert levels[0] is False
    assert levels[-1] is False
    assert all(a != b for a, b in pairwise(levels[:-1])), "alternating"


def test_late_wake_ups_do_not_add_up() -> None:
    wire = LedLine(3_200.0, late_s=0.004)
    on = wire.play("fine")
    assert len(on) == 1_000 - 1 or len(on) == 1_000
    assert on[-1] - (3.0 + 3.2 * (len(on) - 1)) < 0.01


def test_a_new_state_begins_at_once_with_dark() -> None:
    wire = LedLine(9.0)
    wire.at = [(3.1, "no_broker")]
    wire.play("fine")
    assert (3.1, False) in wire.edges
    assert [when for when, on in wire.edges if on] == [3.0, 6.1, 6.6]


def test_the_patterns_differ() -> None:
    assert len(set(PATTERNS.values())) == len(PATTERNS) == 5


@pytest.mark.parametrize(
    ("facts", "shown"),
    [
        (LedFacts(False, None, None), "not_commissioned"),
        (LedFacts(False, True, False), "fine"),  # set up by hand: a daemon that runs is enough
        (LedFacts(True, True, False), "fine"),
        (LedFacts(True, True, True), "sensor_fault"),
        (LedFacts(True, False, True), "no_broker"),
        (LedFacts(True, None, None), "sensor_fault"),  # the daemon itself does not answer
    ],
)
def test_the_worst_is_shown(facts: LedFacts, shown: LedState) -> None:
    assert led_state(facts) == shown
