"""Currents, voltages, powers and their factor fit together in every meter that is simulated."""

import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import drivers
from drivers.sim.simdevice import SimRequest, measured_values, unit_values
from drivers.sim.variation import Variation
from edge.cabinet.simrequest import sim_request
from edge.core import Quantity
from tests.long import examples

ELECTRICAL = {Quantity.POWER, Quantity.APPARENT_POWER}
PHASES = ("_l1", "_l2", "_l3")
METERS = [
    name
    for name in drivers.names()
    if drivers.spec(name).wiring in ("serial", "modbus")
    and {point.quantity for point in sim_request(drivers.spec(name), {}).points} & ELECTRICAL
]
NEAR = 0.005  # values are round, and so are the figures that people read


def played(name: str, backwards: bool, t_s: float) -> Mapping[str, float]:
    """Its points at a moment."""
    made = sim_request(drivers.spec(name), {})
    request = SimRequest(
        made.driver, made.wiring, made.points, made.line, table=made.table, backwards=backwards
    )
    keys = {point.key for point in made.points}
    if made.wiring == "modbus":
        now = [0.0]
        read = unit_values(request, lambda: now[0])
        now[0] = t_s
        return {key: value for key, value in read().items() if key in keys and value is not None}
    return Variation(request.points, measured_values(request), backwards).values(t_s)


def apparent(found: Mapping[str, float], phase: str) -> float | None:
    """What a phase carries, or the meter as a whole."""
    if phase or not any("voltage" + one in found and "current" + one in found for one in PHASES):
        if "voltage" + phase in found and "current" + phase in found:
            return abs(found["voltage" + phase] * found["current" + phase])
        return found.get("apparent_power" + phase)
    return sum(apparent(found, one) or 0.0 for one in PHASES)


def near(value: float) -> Any:
    return pytest.approx(value, rel=NEAR, abs=0.5)


@pytest.mark.parametrize("name", METERS)
@given(t_s=st.floats(0, 200), backwards=st.booleans())
@settings(max_examples=examples(40), deadline=None)
def test_volts_amperes_watts_and_vars_fit(name: str, t_s: float, backwards: bool) -> None:
    found = played(name, backwards, t_s)
    for phase in ("", *PHASES):
        power, total = found.get("power" + phase), apparent(found, phase)
        told = found.get("apparent_power" + phase, total)
        reactive = found.get("reactive_power" + phase)
        if total is not None:
            assert told == near(total), ("apparent_power", phase)
        if power is None or told is None:
            continue
        assert abs(power) <= told * (1 + NEAR), ("power", phase)
        if reactive is not None:
            assert math.hypot(power, reactive) == near(told), ("reactive_power", phase)
        if (factor := found.get("power_factor" + phase)) is not None:
            assert abs(factor) == pytest.approx(abs(power) / told, abs=0.005), phase
        if (angle := found.get("phase_angle" + phase)) is not None:
            assert abs(math.cos(math.radians(angle))) == pytest.approx(abs(power) / told, abs=0.005)
    for key in ("power", "reactive_power", "apparent_power"):
        parts = [found[key + phase] for phase in PHASES if key + phase in found]
        if key in found and parts:
            assert found[key] == near(sum(parts)), key
    amperes = [found["current" + phase] for phase in PHASES if "current" + phase in found]
    for key in ("current", "current_sum"):
        if key in found and amperes:
            assert found[key] == near(sum(amperes)), key
