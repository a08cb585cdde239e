"""S0 outputs: energy from the number of pulses, power from the time between them."""

from typing import Any

import pytest

from edge.core.edge import Contact
from edge.process.engine import Engine, PulseSetup
from edge.process.pulsewindow import PulseWindow
from tests.kit.asread import as_read
from tests.kit.engine import HEAT, MINUTE, S, body, engine, events, found, presences


def pulses(*at_s: float, name: str = "heat") -> list[Contact]:
    return presences(name, *((at, at + 0.03) for at in at_s))


def heat(*contacts: Contact, setup: PulseSetup = HEAT) -> Engine:
    made = engine(setup)
    made.contacts([*found("heat"), *contacts])
    return made


@pytest.mark.parametrize(
    ("imp_per_kwh", "interval_s"), [(1000, 3.6), (10_000, 0.36), (2000, 1.8)]
)  # s0-1000-3.6, s0-10000-0.36, s0-2000-1.8
def test_the_time_between_pulses_is_power(imp_per_kwh: float, interval_s: float) -> None:
    count = round(60 / interval_s)
    made = heat(
        *pulses(*(i * interval_s for i in range(count))), setup=PulseSetup("heat", imp_per_kwh)
    )
    reported = body(made.close(MINUTE), "heat")["points"]
    assert reported["power"]["mean"] == pytest.approx(1000, rel=0.01)  # capped late in the window
    assert reported["power"]["max"] == 1000.0
    assert reported["energy_import"]["delta"] == count / imp_per_kwh
    assert reported["energy_import"]["quality"] == {"good": count}


def test_a_load_that_goes_away_fades() -> None:
    made = heat(*pulses(0, 3.6, 7.2))
    reported = body(made.close(MINUTE), "heat")["points"]["power"]
    assert reported["min"] == pytest.approx(3600 / 52.8, abs=0.1)  # 3.6e6 / (1000 * 52.8 s)
    assert reported["n"] == 57  # from 4 s on there is an interval; 60 s is a sample of this window
    assert body(made.close(2 * MINUTE), "heat")["points"]["power"]["max"] < 69


def test_before_two_pulses_there_is_no_power() -> None:
    reported = body(heat(*pulses(30)).close(MINUTE), "heat")["points"]
    assert reported["power"]["mean"] is None
    assert reported["energy_import"] == {
        "first": 0, "last": 0.001, "delta": 0.001, "step": 0.001, "quality": {"good": 1},
    }  # fmt: skip


def test_a_bouncing_contact_is_one_pulse() -> None:
    bounce = [(10, True), (10.002, False), (10.004, True), (10.034, False), (10.037, True)]
    contacts = [Contact("heat", on, round(at * S)) for at, on in (*bounce, (10.039, False))]
    assert body(heat(*contacts).close(MINUTE), "heat")["points"]["energy_import"]["delta"] == 0.001


def test_pulses_among_lost_edges_count_as_uncertain() -> None:
    made = heat(*pulses(1, 2), Contact("heat", True, 9 * S, lost=6), Contact("heat", False, 10 * S))
    reported = body(made.close(MINUTE), "heat")
    assert reported["points"]["energy_import"]["delta"] == 0.006  # two, three that were lost, one
    assert reported["points"]["energy_import"]["quality"] == {"good": 3, "uncertain:gap": 3}
    assert reported["lost_edges"] == 6


def test_a_line_that_nobody_watched_has_no_numbers() -> None:
    reported = body(engine(HEAT).close(MINUTE), "heat")
    assert reported["covered_s"] == 0
    assert reported["points"]["energy_import"]["delta"] is None
    assert reported["points"]["energy_import"]["quality"] == {"bad:gap": 1}


def test_a_welded_contact_is_an_event() -> None:
    made = heat(Contact("heat", True, 10 * S), Contact("heat", False, 400 * S))
    drafts = [each for i in range(1, 8) for each in made.close(i * MINUTE)]
    assert [(each.from_ns, as_read(each)["state"]) for each in events(drafts)] == [
        (310 * S, "on"),
        (400 * S, "off"),
    ]


def test_the_count_goes_on_over_a_restart() -> None:
    made = heat(*pulses(1, 2, 3))
    made.close(MINUTE)
    again = Engine(made.setup)
    again.restore(made.snapshot())
    again.start(0)
    again.contacts([*found("heat"), *pulses(5)])
    reported = body(again.close(MINUTE), "heat")["points"]["energy_import"]
    assert (reported["first"], reported["last"], reported["delta"]) == (0.003, 0.004, 0.001)


def test_an_odd_constant_stays_exact() -> None:
    setup = PulseSetup("heat", 375)
    made = heat(*pulses(*range(0, 50)), setup=setup)
    reported = body(made.close(MINUTE), "heat")["points"]["energy_import"]
    assert reported["delta"] == 50 / 375
    assert round(reported["delta"] / reported["step"]) == 50


def test_setups_that_cannot_work_are_refused() -> None:
    for change in ({"imp_per_kwh": 0}, {"imp_per_kwh": 1000, "bounce_ms": 40}):
        with pytest.raises(ValueError, match="meter heat"):
            PulseSetup("heat", **change)


def test_what_bounced_is_not_kept_beyond_its_window() -> None:
    meter = PulseWindow(HEAT)
    meter.begin(0)
    for minute in range(3):
        at = 60 * minute + 10
        edges = [(at, True), (at + 0.002, False), (at + 0.004, True), (at + 0.034, False)]
        meter.lines["heat"].fold(
            [Contact("heat", on, round(t * S)) for t, on in edges], minute * MINUTE
        )
        meter.close(minute * MINUTE, (minute + 1) * MINUTE, ())
        state: Any = meter.snapshot()
        assert state["line"]["bounced"] == []
    assert meter.total == 3
