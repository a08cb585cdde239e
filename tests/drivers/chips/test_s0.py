"""An S0 output: one contact that goes on is one pulse."""

from typing import Any

import pytest

from drivers.chips.s0 import S0
from drivers.sim.gpio_lines import RequestedLine, RequestSettings, SimLine
from edge.core import ConfigError, ContactLine, Edge, LineSpec

MS = 1_000_000


def test_the_line_is_debounced_and_pulled_up() -> None:
    assert S0("GPIO5").lines == (LineSpec("GPIO5", "up", 0.01),)


@pytest.mark.parametrize("options", [{"debounce_s": 0.03}, {"debounce_s": -1}, {"imp_per_kwh": 0}])
def test_what_would_lose_pulses_is_a_configuration_error(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        S0("GPIO5", **options)


def test_the_shortest_pulses_with_bounce_are_counted_once_each() -> None:
    """30 ms on, 30 ms off, each change bouncing for 5 ms; a spike of 2 ms is no pulse."""
    s0 = S0("GPIO5")
    line = SimLine(5, "GPIO5")
    line.driven = True
    debounce_ns = round(s0.lines[0].debounce_s * 1e9)
    held = RequestedLine(
        line, "test", RequestSettings(edges="both", debounce_ns=debounce_ns), 1024, lambda: None
    )

    for pulse in range(100):
        for start_ms, level in ((0, False), (30, True)):
            for bounce_ms, bounced in ((0, level), (1, not level), (5, level)):
                line.drive(bounced, (pulse * 60 + start_ms + bounce_ms) * MS)
    line.drive(False, 7_000 * MS)
    line.drive(True, 7_002 * MS)
    held.settle(8_000 * MS)
    meant = ContactLine("heat", s0.active == "high")
    contacts = [meant.contact(Edge("GPIO5", e.rising, *e[:2])) for e in held.take(1024)]
    pulses = [c.mono_ns for c in contacts if c.on and not c.initial]
    assert pulses == [(i * 60 + 15) * MS for i in range(100)]  # late, all by the same
    assert len(contacts) == 200
