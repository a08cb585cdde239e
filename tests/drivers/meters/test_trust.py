"""Values that are none, ratios that multiply them, ways to count, and which of them are asked."""

import math

import pytest

from drivers.meters.register_map import ModbusDevice, explain, load_register_map, options
from drivers.sim.meter import UnitFault
from edge.core import Bad, ConfigError, DataError, Reason, UncertainValue
from tests.drivers.meters.fake import SimBus, on_a_bus, reported, slave

ADDRESS, RANGE = Bad(Reason.ADDRESS), Bad(Reason.RANGE)


# -- values that are none --------------------------------------------------------------------------


async def test_what_an_import_only_meter_has_not_is_no_number() -> None:
    has: dict[str, float | None] = {
        "energy_import": 1.5, "voltage_l1": 230.0, "power": 10.0, "power_factor": 0.5,
    }  # fmt: skip
    lacks: dict[str, float | None] = dict.fromkeys(
        ("energy_export", "power_l1", "current_l1", "power_factor_l1", "frequency")
    )
    meter, _ = on_a_bus(slave("b23", has | lacks))
    found = await reported(meter)
    assert {key: found[key] for key in has} == has
    assert {found[key] for key in lacks} == {ADDRESS}


async def test_not_a_number_is_what_a_schneider_has_not() -> None:
    meter, _ = on_a_bus(slave("iem3000", {"voltage_l1": None, "voltage_l2": 231.5, "power": None}))
    found = await reported(meter)
    assert (found["voltage_l1"], found["voltage_l2"], found["power"]) == (ADDRESS, 231.5, ADDRESS)


@pytest.mark.parametrize("name", ["em24", "em24_e1", "em340", "em111"])
@pytest.mark.parametrize("amps", [0.0, 100_000.0])
async def test_a_value_that_ran_over_is_no_number_whatever_the_transformers(
    name: str, amps: float
) -> None:
    table = load_register_map(name)
    over = {register.point.key: 1e12 for register in table.registers}
    meter, _ = on_a_bus(slave(name, over), amps=amps)  # the simulator shows the largest it can
    assert set((await reported(meter)).values()) == {RANGE}


@pytest.mark.parametrize("wild", [math.nan, math.inf, -math.inf])
async def test_no_float_that_is_no_number_passes(wild: float) -> None:
    for name in ("sdm630", "umg96rm", "janitza_b23"):
        table = load_register_map(name)
        meter, _ = on_a_bus(slave(name, {r.point.key: wild for r in table.registers}))
        assert set((await reported(meter)).values()) == {RANGE}


# -- transformers ----------------------------------------------------------------------------------

NET = {"voltage_l1": 20_000.0, "current_l1": 80.0, "power": 96_000.0, "energy_import": 123_440.0,
       "frequency": 50.0, "power_factor": 0.9}  # fmt: skip


async def test_the_ratios_that_a_meter_keeps_multiply_what_is_behind_transformers() -> None:
    behind: dict[str, float | None] = {**NET, "pt": 100, "ct": 40}
    one = slave("adl400", behind)
    meter, _ = on_a_bus(one)
    found = await reported(meter)
    assert {key: found[key] for key in NET} == NET
    assert one.image(3)[0x0061][1] == (2000).to_bytes(2, "big")  # 200.0 V at its terminals
    behind |= {"ct": 80}  # changed at the meter, which then shows half the current
    assert {key: (await reported(meter))[key] for key in NET} == NET


@pytest.mark.parametrize("ratio", [0, 10_001, 65_535])
async def test_a_ratio_that_cannot_be_makes_what_it_multiplies_bad(ratio: int) -> None:
    held = {"frequency": 50.0, "power_factor": 0.9, "ct": ratio}
    meter, _ = on_a_bus(slave("adl400", held))
    found = await reported(meter)
    assert found["voltage_l1"] == 0
    assert {found[key] for key in ("current_l1", "power", "energy_import")} == {RANGE}
    assert (found["frequency"], found["power_factor"]) == (50.0, 0.9)


async def test_without_its_ratios_a_reading_is_no_number() -> None:
    one = slave("adl400", {**NET, "pt": 100, "ct": 40}, gaps="refuse")
    one.missing = {"ct"}
    meter, bus = on_a_bus(one)
    for asked in (1, 0):
        found = await reported(meter)
        assert found["voltage_l1"] == 20_000.0
        assert {found[key] for key in ("current_l1", "power", "energy_import")} == {ADDRESS}
        assert bus.log.count((0x008E, 1)) == asked  # once, and it is remembered
        bus.log.clear()


def test_a_recording_without_the_ratios_is_in_doubt() -> None:
    asked = bytes.fromhex("0103006100061416")
    answer = bytes.fromhex("01030c089908a40897007b00ea01590927")
    with pytest.raises(DataError):
        explain(load_register_map("adl400"), [asked, answer])  # its check sum is wrong
    found = explain(load_register_map("adl400"), [bytes.fromhex("0103006100069416"), answer])
    assert found["voltage_l1"] == UncertainValue(220.1, Reason.CALIBRATION)


async def test_larger_transformers_widen_the_ranges_and_change_no_value() -> None:
    held = {"current_l1": 900.0, "power": 500_000.0, "voltage_l1": 230.0}
    narrow, _ = on_a_bus(slave("sdm630", held))
    wide, _ = on_a_bus(slave("sdm630", held), amps=1000.0)
    found = await reported(narrow)
    assert (found["current_l1"], found["power"], found["voltage_l1"]) == (RANGE, RANGE, 230.0)
    found = await reported(wide)
    assert {key: found[key] for key in held} == held
    with pytest.raises(ConfigError, match="adl400 has no amps"):
        load_register_map("adl400").rated(5)


# -- direction -------------------------------------------------------------------------------------


async def test_a_meter_that_counts_the_other_way_is_turned() -> None:
    held = {"power": -500.0, "reactive_power": 20.0, "current_l1": -2.5, "apparent_power": 510.0,
            "energy_import": 7.0, "energy_export": 9.0, "power_factor": -0.5}  # fmt: skip
    meter, _ = on_a_bus(slave("em340", held), positive="export")
    turned = held | {"power": 500.0, "reactive_power": -20.0, "current_l1": 2.5}
    found = await reported(meter)
    assert {key: found[key] for key in held} == turned
    assert str(found["power_l1"]) == "0.0"  # and not minus nothing
    assert all(point.low < point.high for point in meter.points)


async def test_a_busy_meter_is_busy_and_nothing_else_is_concluded() -> None:
    one = slave("em24", {"voltage_l1": 230.0})
    meter, bus = on_a_bus(one)
    one.fault = UnitFault("exception", times=1, code=6)
    found = await reported(meter)
    assert found["voltage_l1"] == Bad(Reason.BUSY)
    assert found["energy_import"] == 0
    bus.log.clear()
    assert (await reported(meter))["voltage_l1"] == 230.0
    one.fault = UnitFault("exception", code=5)
    with pytest.raises(DataError) as caught:
        await meter.read()
    assert caught.value.reason is Reason.BUSY


# -- some points only ------------------------------------------------------------------------------


async def test_only_what_is_wanted_is_asked_for_with_the_ratios_it_needs() -> None:
    table = load_register_map("adl400").only(["current_l1", "voltage_l1", "frequency"])
    one = slave("adl400", {**NET, "pt": 100, "ct": 40})
    bus = SimBus({1: one})
    meter = ModbusDevice(bus, table, 1)
    assert await reported(meter) == {
        key: NET[key] for key in ("voltage_l1", "current_l1", "frequency")
    }
    assert bus.log == [(0x0061, 4), (0x0077, 1), (0x008D, 2)]
    assert not load_register_map("adl400").only(["frequency"]).ratios
    assert not load_register_map("em24").only(["power"]).signs
    assert load_register_map("em24").only(["power"]).identity


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (["powr"], "sdm120 has no point 'powr'; did you mean 'power'?"),
        (["power", "x9"], "choose from voltage_l1, current_l1"),
        ([], "name at least one point"),
    ],
)
def test_a_point_that_nobody_has_is_a_config_error(wanted: list[str], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_register_map("sdm120").only(wanted)
    assert says in str(caught.value)


def test_every_table_has_the_options_that_it_can_use() -> None:
    assert set(options(load_register_map("sdm630"))) == {"unit", "amps", "positive"}
    assert set(options(load_register_map("adl400"))) == {"unit", "positive"}
    assert options(load_register_map("em24"))["amps"].default == 65
