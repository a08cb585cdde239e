"""A meter that is mounted backwards, turned: what it tells is what flows, under the right name."""

from typing import Any, cast

import pytest

import drivers
from drivers.choice import reversed_device, with_points
from drivers.meters.register_map import load_register_map
from drivers.sim.meter import MeterLoad
from drivers.sim.meter_server import MeterServer
from edge.core import (
    Bad,
    ConfigError,
    Point,
    PointKind,
    Polled,
    Quantity,
    Reason,
    Sample,
    UncertainValue,
)
from edge.core.point import SIGNED_QUANTITIES, is_directed, opposite_key
from tests.drivers.meters.fake import SimBus
from tests.kit.meter import FixedMeter
from tests.long import one_in

DIRECTED = [name for name in drivers.names() if drivers.spec(name).directed]


POINTS = (
    Point("power", Quantity.POWER, -1e4, 2e4),
    Point("power_max", Quantity.POWER, 0, 2e4),
    Point("current", Quantity.CURRENT, -50, 100),
    Point("voltage", Quantity.VOLTAGE, 0, 300),
    Point("energy_import", Quantity.ENERGY, 0, 1e6, kind=PointKind.TOTAL),
    Point("energy_export", Quantity.ENERGY, 0, 1e6, kind=PointKind.TOTAL),
    Point("energy_import_l1", Quantity.ENERGY, 0, 1e6, kind=PointKind.TOTAL),
    Point("reactive_energy_q1_l2", Quantity.REACTIVE_ENERGY, 0, 1e6, kind=PointKind.TOTAL),
)


async def reported(meter: Polled) -> dict[str, Sample]:
    return dict(zip((p.key for p in meter.points), await meter.read(), strict=True))


async def test_power_changes_its_sign_and_registers_their_names() -> None:
    meter = reversed_device(FixedMeter((-1000.0, 5.0, -4.5, 230.0, 7.0, 345.0, 3.0, 2.0), POINTS))
    assert await reported(meter) == {
        "power": 1000.0, "power_max": 5.0, "current": 4.5, "voltage": 230.0,
        "energy_export": 7.0, "energy_import": 345.0,
        "energy_export_l1": 3.0,  # it has no counterpart: it counts what it counts, named so
        "reactive_energy_q3_l2": 2.0,
    }  # fmt: skip
    power = meter.points[0]
    assert (power.low, power.high) == (-2e4, 1e4)
    assert cast("Any", meter).identity == "SN-1"


async def test_what_is_bad_or_doubtful_stays_so() -> None:
    bad, doubt = Bad(Reason.RANGE), UncertainValue(-3.0, Reason.WARMUP)
    meter = reversed_device(FixedMeter((bad, bad, doubt, bad, bad, bad, bad, bad), POINTS))
    found = await reported(meter)
    assert (found["power"], found["current"]) == (bad, UncertainValue(3.0, Reason.WARMUP))
    still = reversed_device(FixedMeter((0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0), POINTS))
    assert str((await reported(still))["power"]) == "0.0"


async def test_a_current_without_a_sign_gets_none() -> None:
    """The range allows one, and this device never tells it: 4 A are no -4 A."""
    device = FixedMeter((-1000.0, 5.0, 4.0, 230.0, 7.0, 345.0, 3.0, 2.0), POINTS)
    meter = reversed_device(device)
    assert (await reported(meter))["current"] == 4.0
    device.samples = (-1000.0, 5.0, -4.0, 230.0, 7.0, 345.0, 3.0, 2.0)
    assert (await reported(meter))["current"] == 4.0
    device.samples = (1000.0, 5.0, 4.0, 230.0, 7.0, 345.0, 3.0, 2.0)
    assert (await reported(meter))["current"] == -4.0, "this one does give it a sign"


@one_in(2)
@pytest.mark.parametrize("name", ["sdm630", "sdm120", "b23", "em340", "iem3000", "em24"])
async def test_a_shipped_meter_that_is_mounted_backwards_tells_what_flows(name: str) -> None:
    """Consumption seen by a meter that is mounted backwards, beside one that is not."""
    table = load_register_map(name)
    phases = 3 if any(r.point.key == "voltage_l2" for r in table.registers) else 1
    now_s = [0.0]

    def amps(way: float) -> MeterLoad:
        flows = tuple(way * each for each in (4.0, 5.0, 6.0)[:phases])
        return MeterLoad(phases, lambda _: flows, clock=lambda: now_s[0])

    both = [amps(1.0), amps(-1.0)]
    for load_ in both:
        load_.values()
    now_s[0] = 36_000.0
    right, wrong = (
        cast("Polled", drivers.build(name, SimBus({1: MeterServer(name, each.values())}),
        {"unit": 1},
                                     backwards=backwards))
        for each, backwards in zip(both, (False, True), strict=True)
    )  # fmt: skip
    plain, turned_ = await reported(right), await reported(wrong)
    for key in ("power", "power_l1", "power_l3", "energy_import", "energy_export"):
        if key in plain:
            assert turned_[key] == pytest.approx(plain[key], rel=1e-3, abs=0.1), key
    assert isinstance(plain["energy_import"], float)
    assert plain["energy_import"] > 8


@pytest.mark.parametrize("name", DIRECTED)
def test_every_device_with_a_direction_is_turned_and_turned_back(name: str) -> None:
    spec = drivers.spec(name)
    settings = {"unit": 1} if "unit" in spec.options else {}
    device = cast("Polled", drivers.build(name, None, settings))
    once = reversed_device(device)
    assert is_directed(once.points)
    assert tuple(reversed_device(once).points) == tuple(device.points)
    for before, after in zip(device.points, once.points, strict=True):
        assert after.quantity is before.quantity
        if before.quantity in SIGNED_QUANTITIES and before.low < 0:
            assert (after.key, after.low, after.high) == (before.key, -before.high, -before.low)
        else:
            assert (after.key, after.low) == (opposite_key(before.key), before.low)


def test_points_are_chosen_by_the_names_they_have_then() -> None:
    meter = cast(
        "Polled",
        drivers.build("em24", None, {"unit": 1}, ("power", "energy_export_l1"), backwards=True),
    )
    assert [point.key for point in meter.points] == ["power", "energy_export_l1"]
    own = cast("Any", meter).device.map.registers
    assert [register.point.key for register in own] == ["power", "energy_import_l1"]


@pytest.mark.parametrize("name", ["sht4x", "pms5003", "pzem004t", "canoga", "ads1115_pairs"])
def test_what_tells_no_direction_cannot_be_turned(name: str) -> None:
    assert not drivers.spec(name).directed
    with pytest.raises(ConfigError, match=f"reversed: {name} reports no direction; leave it out"):
        drivers.build(name, None, {}, backwards=True)


@pytest.mark.parametrize("name", ["sdm630", "em24", "b23", "mbus", "sml", "dsmr", "dlt645"])
@pytest.mark.parametrize("key", ["energy_import", "energy_export"])
def test_one_register_can_be_chosen_of_a_meter_that_is_mounted_backwards(
    name: str, key: str
) -> None:
    """A site that sends nothing but its energy: the meter has both, and one is wanted."""
    register = f"{key}_t1" if name == "dsmr" else key
    settings = {"unit": 1} if "unit" in drivers.spec(name).options else {}
    meter = cast("Polled", drivers.build(name, None, settings, (register,), backwards=True))
    assert [point.key for point in meter.points] == [register]


def test_chosen_points_without_a_direction_can_be_turned_with_their_device() -> None:
    some = with_points(FixedMeter((), POINTS), ["energy_import", "energy_export"])
    assert [p.key for p in reversed_device(some).points] == ["energy_export", "energy_import"]
    with pytest.raises(ConfigError, match="reports no direction"):
        reversed_device(with_points(FixedMeter((), POINTS), ["voltage"]))
