"""What contradicts its neighbour is uncertain, and told once with what to look at."""

import math
from dataclasses import replace
from typing import Any

import pytest

from drivers.sim.typical import typical
from edge.core.point import Point, Quantity
from edge.core.quality import Reason
from edge.core.reading import Bad, Sample
from edge.core.record import Draft, Stream
from edge.process.calibration import Correction
from edge.process.engine import DeviceSetup, Engine
from tests.kit.asread import as_read
from tests.kit.engine import MINUTE, body, engine, events, setup, sweeps
from tests.long import more, one_in, size
from tests.process.plausible import LOADS, SweptMeter, Twist, Values, faults, points_of

DOUBT = "uncertain:contradicted"
THREE = ("sdm630", "em24", "em340", "b23", "janitza_b23", "umg96rm", "iem3000", "adl400", "adw300")
TELEGRAMS = ("sunspec", "sml", "dsmr", "iec62056", "dlms", "dlt645", "mbus")
ELECTRIC = (*THREE, "sdm120", "sdm230", "em111", "pzem004t", *TELEGRAMS, "iec62056_push")


def times(key: str, factor: float) -> Twist:
    return lambda values, _: {**values, key: values[key] * factor}


def sign(values: Values, _: float) -> Values:
    """The maker calls positive what is given."""
    powers = {key: -value for key, value in values.items() if key.startswith("power")}
    return {**values, **powers}


def other_voltage(values: Values, _: float) -> Values:
    """The transformers of L1 and L2 were taken for each other: each current is a third off."""
    reported = dict(values)
    angle = math.acos(0.95)
    for phase, off in (("l1", 120), ("l2", -120)):
        apparent = values[f"voltage_{phase}"] * values[f"current_{phase}"]
        reported[f"power_{phase}"] = apparent * math.cos(angle + math.radians(off))
        reported[f"reactive_power_{phase}"] = apparent * math.sin(angle + math.radians(off))
        reported[f"power_factor_{phase}"] = math.cos(angle + math.radians(off))
    reported["power"] = sum(reported[f"power_l{n}"] for n in (1, 2, 3))
    reported["reactive_power"] = sum(reported[f"reactive_power_l{n}"] for n in (1, 2, 3))
    return reported


def turned_l2(values: Values, _: float) -> Values:
    reported = {**values, "power_l2": -values["power_l2"]}
    reported["power"] = sum(reported[f"power_l{n}"] for n in (1, 2, 3))
    reported["energy_import"] = values["energy_import_l1"] + values["energy_import_l3"]
    reported["energy_import"] -= values["energy_import_l2"]
    reported["energy_import_t1"] = reported["energy_import"]
    reported["energy_import_l2"], reported["energy_export_l2"] = 0.0, values["energy_import_l2"]
    return reported


def turned_all(values: Values, _: float) -> Values:
    reported = sign(values, 0)
    for key in values:
        if key.startswith("energy_import"):
            other = key.replace("import", "export")
            if other in values:
                reported[key], reported[other] = values[other], values[key]
    return reported


PLANTED: list[tuple[str, str, Twist, str, int]] = [
    *((name, "phase_sum", times("power", 0.3), "power_l2", 10) for name in (*THREE, *TELEGRAMS)
      if name != "iem3000"),
    *((name, "apparent_power", times("current_l1", 0.4), "current_l1", 10)
      for name in (*THREE, "sdm120", "sdm230", "em111", "pzem004t", "sunspec", "dlms", "dlt645",
                   "mbus")),
    *((name, "apparent_power", times("current_l3", 0.0), "current_l3", 10)
      for name in ("sml", "dsmr", "iec62056")),
    *((name, "apparent_power", times("apparent_power", 0.5), "apparent_power", 10)
      for name in ("sdm630", "sdm120", "em24", "sunspec", "dlt645")),
    *((name, "power_factor", times("power_factor_l1", 0.3), "power_factor_l1", 10)
      for name in ("sdm630", "em24", "em340", "umg96rm", "sunspec", "dlt645")),
    *((name, "phases_swapped", other_voltage, "power_l1", 30)
      for name in (*THREE, "sunspec", "sml", "iec62056", "dlt645", "mbus", "dlms")),
    *((name, "direction", sign, "power", 150) for name in ELECTRIC if name != "pzem004t"),
    ("sdm630", "backwards", turned_l2, "power_l2", 27 * 60),
    # a day of each kind of device takes two seconds
    *((name, "backwards", turned_l2, "power_l2", 27 * 60)
      for name in size((), ("sunspec", "sml", "dsmr", "mbus"))),
]  # fmt: skip


@more
@pytest.mark.parametrize(
    ("driver", "fault", "twist", "key", "minutes"),
    [
        pytest.param(*each, id=f"{each[0]}-{each[1]}-{each[3]}")
        for each in PLANTED[size(1, 0) :: size(2, 1)]
    ],
)
def test_a_planted_contradiction_is_caught(
    driver: str, fault: str, twist: Twist, key: str, minutes: int
) -> None:
    phases = 1 if driver in ("sdm120", "sdm230", "em111", "pzem004t") else 3
    street = SweptMeter(driver, twist=twist, phases=phases, every_s=20 if minutes < 1000 else 60)
    reported = street.run(minutes)
    assert (fault, "on") in faults(reported)
    said = [
        (as_read(one)["fault"], *as_read(one)["points"])
        for one in reported
        if "fault" in as_read(one)
    ]
    assert len(set(said)) == len(said), "told once"
    one = next(as_read(each) for each in reported if as_read(each).get("fault") == fault)
    assert key in one["points"]
    assert len(one["text"]) > 60
    assert set(street.quality(key)) <= {DOUBT, "uncertain:range"}


def test_the_first_window_that_contradicts_is_not_called_good() -> None:
    street = SweptMeter("sdm630", twist=times("power", 0.3))
    assert street.run(1) == []
    assert street.windows[0]["power_l2"]["quality"] == {DOUBT: 6}
    assert street.windows[0]["power_l2"]["grade"] == "uncertain"
    assert street.windows[0]["voltage_l2"]["quality"] == {"good": 6}


def test_the_end_is_told_once_too() -> None:
    street = SweptMeter("sdm630", twist=times("power", 0.3))
    street.run(10)
    street.twist = lambda values, _: values
    assert faults(street.run(20)) == [("phase_sum", "off")]
    assert street.quality("power_l2") == {"good": 6}


def test_a_restart_tells_nothing_again_and_forgets_no_end() -> None:
    street = SweptMeter("sdm630", twist=times("power", 0.3))
    assert faults(street.run(10)) == [("phase_sum", "on")]
    again = Engine(setup(street.setup))
    again.restore(street.engine.snapshot())
    street.engine = again
    assert street.run(10) == []
    assert street.quality("power_l2") == {DOUBT: 6}
    street.twist = lambda values, _: values
    assert faults(street.run(20)) == [("phase_sum", "off")]


def test_what_is_not_checked_any_more_ends() -> None:
    street = SweptMeter("sdm630", twist=times("power", 0.3))
    street.run(10)
    less = replace(street.setup, points=tuple(p for p in street.points if p.key != "power_l3"))
    for now in (less, replace(less, name="other")):
        made = Engine(setup(now, DeviceSetup("air", Stream.AIR, street.points[:1], 1.0)))
        state: Any = street.engine.snapshot()
        made.restore({**state, "devices": {**state["devices"], "air": {}}})
        (event,) = events(made.close(20 * MINUTE))
        assert (event.source, as_read(event)["fault"], as_read(event)["state"]) == (
            "meter", "phase_sum", "off",
        )  # fmt: skip


@pytest.mark.long
def test_a_sign_convention_and_a_turned_meter_are_told_apart() -> None:
    """Sign and register disagree: the sign. They agree, day and night: the transformers."""
    street = SweptMeter("sdm630", twist=sign, every_s=20)
    (event,) = (each for each in street.run(400) if as_read(each)["fault"] == "direction")
    assert 'positive = "export"' in as_read(event)["text"]
    assert "reversed" not in as_read(event)["text"]
    street = SweptMeter("sdm630", twist=turned_all, every_s=60)
    (event,) = street.run(27 * 60)
    assert (as_read(event)["fault"], as_read(event)["points"][0]) == (
        "backwards",
        "power",
    )
    assert "reversed = true" in as_read(event)["text"]
    assert street.quality("power") == {"good": 1}, "it may be a generator"


def test_a_load_that_steps_within_one_reading_is_no_contradiction() -> None:
    """Blocks are read one after another: now and then the sum is of before, the phase of after."""

    def torn(values: Values, at_s: float) -> Values:
        return {**values, "power": values["power"] - (900.0 if at_s % 60 < 5 else 0.0)}

    assert SweptMeter("sdm630", twist=torn).run(60) == []


def heat(**more: float) -> dict[str, float]:
    kelvin, flow = 30.41, 0.813
    reported = {
        "power": 1163 * kelvin * flow, "volume_flow": flow, "temperature_flow": 70.4,
        "temperature_return": 40.0, "temperature_difference": kelvin, "energy": 1000.0,
        "volume": 55.0,
    }  # fmt: skip
    return {**reported, **more}


def of_values(driver: str, values: dict[str, float], minutes: int = 10) -> tuple[Any, list[Draft]]:
    """The last window and the events of a device that always tells the same."""
    points = points_of(driver)
    made = engine(DeviceSetup("device", Stream.AIR, points, 10.0))
    reported: list[Draft] = []
    row: list[Sample] = [values.get(point.key, Bad(Reason.ADDRESS)) for point in points]
    for minute in range(minutes):
        made.sweeps(sweeps("device", [(minute * 60 + n * 10, tuple(row)) for n in range(6)]))
        drafts = made.close((minute + 1) * MINUTE)
        reported += events(drafts)
    return body(drafts, "device")["points"], reported


@pytest.mark.parametrize("wrong", [{"power": 9123.0}, {"temperature_return": 20.0}])
def test_heat_that_does_not_fit_its_flow_is_caught(wrong: dict[str, float]) -> None:
    assert of_values("mbus", heat())[1] == []
    points, reported = of_values("mbus", heat(**wrong))
    assert faults(reported) == [("heat", "on")]
    assert points[next(iter(wrong))]["quality"] == {DOUBT: 6}


@pytest.mark.parametrize(
    ("driver", "part", "whole"),
    [
        ("sds011", "pm2_5", "pm10"),
        ("pms3003", "pm1_0", "pm2_5"),
        ("pms5003", "pm2_5", "pm10"),
        ("pms5003", "n0_5", "n0_3"),
        ("pms5003t", "n2_5", "n1_0"),
        ("pms7003", "pm2_5", "pm10"),
        ("zh03b", "pm2_5", "pm10"),
        ("sps30", "pm4_0", "pm10"),
        ("sps30", "nc1_0", "nc2_5"),
        ("sps30_uart", "pm1_0", "pm2_5"),
        ("sen55", "pm2_5", "pm4_0"),
        ("sen66", "pm1_0", "pm2_5"),
    ],
)
def test_particles_of_a_part_are_not_more_than_all(driver: str, part: str, whole: str) -> None:
    values = typical(points_of(driver))
    assert of_values(driver, values)[1] == []
    points, reported = of_values(driver, {**values, part: values[whole] * 2}, 70)
    assert ("size_order", "on") in faults(reported)
    assert points[part]["quality"] == points[whole]["quality"] == {DOUBT: 6}


def test_a_corrected_point_need_not_fit_one_that_is_not() -> None:
    points = tuple(
        Point(key, Quantity.MASS_CONCENTRATION, low=0, high=1000) for key in ("pm2_5", "pm10")
    )
    half = Correction("pm10", (0.0, 0.5))
    made = engine(DeviceSetup("air", Stream.AIR, points, 10.0, corrections=(half,)))
    reported = []
    for minute in range(10):
        made.sweeps(sweeps("air", [(minute * 60 + n, (20.0, 22.0)) for n in range(6)]))
        reported += events(made.close((minute + 1) * MINUTE))
    assert not reported


@pytest.mark.parametrize("name", ["sht4x", "bme280", "scd41", "s0"])
def test_points_without_a_neighbour_cost_nothing(name: str) -> None:
    if name == "s0":
        return
    made = engine(DeviceSetup("air", Stream.AIR, points_of(name), 1.0))
    assert made._sources.devices["air"].plausibility is None


# -- false alarms ----------------------------------------------------------------------------------


ALL_LOADS = ("sdm630", "sunspec", "dsmr", "sdm120")
DAYS = [("dsmr", "steps", 26)]
DAYS += [
    (name, list(LOADS)[at % len(LOADS)], size(2, 8))
    for at, name in enumerate(ELECTRIC)
    if name not in size((), ALL_LOADS)
]
MORE_DAYS = [("sdm630", "sunny", 26), ("dsmr", "sunny", 26)]
MORE_DAYS += [(name, load, 8) for name in ALL_LOADS for load in LOADS]


@one_in(3)
@more
@pytest.mark.parametrize(("driver", "load", "hours"), DAYS + size([], MORE_DAYS))
def test_simulated_hours_bring_no_false_alarm(driver: str, load: str, hours: int) -> None:
    phases = 1 if driver in ("sdm120", "sdm230", "em111", "pzem004t") else 3
    amps = LOADS[load]
    street = SweptMeter(driver, lambda at: amps(at)[:phases], phases=phases, every_s=30)
    assert [as_read(each)["text"] for each in street.run(hours * 60)] == []
    assert not any(DOUBT in point["quality"] for one in street.windows for point in one.values())


@one_in(3)
@pytest.mark.parametrize("driver", ["mbus", "dlms", "iec62056"])
def test_a_meter_that_is_read_each_quarter_of_an_hour_brings_none(driver: str) -> None:
    street = SweptMeter(driver, LOADS["sunny"], every_s=900)
    assert [as_read(each)["text"] for each in street.run(2 * 1440)] == []


@pytest.mark.parametrize("driver", ELECTRIC)
def test_what_a_simulator_measures_fits_together(driver: str) -> None:
    assert faults(of_values(driver, typical(points_of(driver)), 30)[1]) == []
