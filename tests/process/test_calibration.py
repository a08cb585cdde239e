"""Corrections: what a certificate makes of a value, and what becomes of it without its inputs."""

from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.point import Point, Quantity
from edge.core.quality import Reason
from edge.core.reading import Bad, Doubt, Sample, Sweep, sweep
from edge.core.record import Stream
from edge.process.aan803 import Cell, compensate, compensate_ozone
from edge.process.calibration import Calibrator, Correction, GasCell, Input, Inputs
from edge.process.calibration.correction import growth, polynomial
from edge.process.engine import DeviceSetup, Engine, Setup
from tests.process.build import MINUTE, PM25, TEMPERATURE, S, body, engine, sweeps

HUMIDITY = Point("humidity", Quantity.RELATIVE_HUMIDITY, low=0, high=100)
VOLTS = tuple(Point(f"ain{n}", Quantity.VOLTAGE, -5, 5, resolution=0.0001) for n in range(4))
HUT, DUST, GAS = "hut", "dust", "gas"
RH = Input(HUT, "humidity")
WARM = Input(HUT, "temperature")
WEATHER = DeviceSetup(HUT, Stream.AIR, (TEMPERATURE, HUMIDITY), 1.0)
NO2 = Cell("NO2-B43F", 224, 226, 3, 1, 0.223)
OX = Cell("OX-B431", 227, 219, 2, 4, 0.334)


def counter(*corrections: Correction) -> DeviceSetup:
    return DeviceSetup(DUST, Stream.AIR, (PM25,), 1.0, corrections=corrections)


def weather(at_s: float, cel: Sample = 21.0, percent: Sample = 80.0) -> Sweep:
    return sweep(HUT, round(at_s * S), (cel, percent))


def dust(at_s: float, value: Sample) -> Sweep:
    return sweep(DUST, round(at_s * S), (value,))


def told(made: Engine, end_ns: int, source: str = DUST) -> dict[str, object]:
    return body(made.close(end_ns), source)["points"]  # type: ignore[no-any-return]


def test_offset_and_gain() -> None:
    made = engine(counter(Correction("pm2_5", (-0.5, 2.0))))
    made.sweeps([dust(i, 10.0) for i in range(60)])
    point = body(made.close(MINUTE), DUST)["points"]["pm2_5"]
    assert (point["mean"], point["n"], point["quality"]) == (19.5, 60, {"good": 60})


def test_both_may_be_published() -> None:
    made = engine(counter(Correction("pm2_5", (0.0, 2.0), keep_raw=True)))
    made.sweeps([dust(0, 10.0), dust(1, Bad(Reason.CRC)), dust(2, Doubt(4.0, Reason.WARMUP))])
    points = body(made.close(3 * S), DUST)["points"]
    assert list(points) == ["pm2_5", "pm2_5_raw"]
    assert (points["pm2_5"]["mean"], points["pm2_5_raw"]["mean"]) == (20.0, 10.0)
    same = {"bad:crc": 1, "good": 1, "uncertain:warmup": 1}
    assert points["pm2_5"]["quality"] == points["pm2_5_raw"]["quality"] == same


def test_what_a_correction_throws_out_of_the_range_is_no_number() -> None:
    made = engine(counter(Correction("pm2_5", (-20.0, 1.0))))
    made.sweeps([dust(0, 10.0), dust(1, 30.0)])
    point = body(made.close(2 * S), DUST)["points"]["pm2_5"]
    assert (point["mean"], point["quality"]) == (10.0, {"bad:range": 1, "good": 1})


def test_growth_is_that_of_the_paper() -> None:
    """Crilley et al. 2018, equation 4, worked out by hand: 1 + (0.4 / 1.65) / (1 / 0.85 - 1)."""
    assert isclose(growth(0.4, 85.0), 2.3737, rel_tol=1e-4)
    assert growth(0.4, 0.0) == 1.0
    assert growth(0.4, 99.0) == growth(0.4, 95.0)


@given(st.floats(0.01, 1.5), st.floats(0, 100), st.floats(0, 100))
def test_wet_particles_are_heavier(kappa: float, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 1.0 <= growth(kappa, low) <= growth(kappa, high)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=8), st.floats(-1e3, 1e3))
def test_a_polynomial_is_the_sum_of_its_powers(coefficients: list[float], x: float) -> None:
    plain = sum(c * x**n for n, c in enumerate(coefficients))
    size = sum(abs(c * x**n) for n, c in enumerate(coefficients))
    assert abs(polynomial(tuple(coefficients), x) - plain) <= 1e-9 * (1 + size)


DRY = Correction("pm2_5", (0.0, 1.0), 0.35, RH)


def test_humidity_comes_from_another_device() -> None:
    made = engine(WEATHER, counter(DRY))
    made.sweeps([weather(0.5), *(dust(i, 10.0) for i in (0, 1, 2))])
    point = body(made.close(3 * S), DUST)["points"]["pm2_5"]
    assert point["mean"] == pytest.approx(10 / growth(0.35, 80.0), abs=0.05)
    # before it was known, the measured value stands, and is marked
    assert point["quality"] == {"good": 2, "uncertain:calibration": 1}


def test_humidity_that_is_too_old_is_not_known() -> None:
    made = engine(WEATHER, counter(DRY))
    made.sweeps([weather(0), dust(299, 10.0), dust(301, 10.0)])
    quality = body(made.close(302 * S), DUST)["points"]["pm2_5"]["quality"]
    assert {"good": 1, "uncertain:calibration": 1}.items() <= quality.items()


def test_in_fog_the_result_is_estimated() -> None:
    made = engine(WEATHER, counter(DRY))
    made.sweeps([weather(0, percent=99.0), dust(0, 10.0)])
    assert body(made.close(S), DUST)["points"]["pm2_5"]["quality"] == {"uncertain:estimated": 1}


@given(st.permutations(list(range(12))))
def test_the_order_in_which_buses_are_heard_changes_nothing(order: list[int]) -> None:
    found = [weather(i, percent=40.0 + 5 * i) for i in range(6)]
    found += [dust(i + 0.25, 10.0) for i in range(6)]
    mixed = [found[place] for place in order]
    # each device is heard in its own order
    of = {HUT: iter(found[:6]), DUST: iter(found[6:])}
    mixed = [next(of[each.source]) for each in mixed]
    made = engine(WEATHER, counter(DRY))
    for each in mixed:
        made.sweeps([each])
    plain = engine(WEATHER, counter(DRY))
    plain.sweeps(found)
    assert made.close(10 * S) == plain.close(10 * S)


def test_an_engine_that_goes_on_knows_the_humidity_of_before() -> None:
    setup = Setup(devices=(WEATHER, counter(DRY)))
    made = Engine(setup)
    made.start(0)
    made.sweeps([weather(59), dust(59, 10.0), dust(61, 10.0)])
    made.close(MINUTE)
    contacts, kept = made.pending()
    assert [each.values for each in kept] == [(10.0,)], "as it was measured"
    again = Engine(setup)
    again.restore(made.snapshot())
    again.contacts(contacts)
    again.sweeps(kept)
    assert again.close(2 * MINUTE) == made.close(2 * MINUTE)


def test_an_expired_calibration_is_a_quality() -> None:
    made = engine(counter(Correction("pm2_5", (0.0, 2.0), keep_raw=True)))
    made.sweeps([dust(0, 10.0)])
    made.expired({DUST: {"pm2_5"}})
    points = body(made.close(S), DUST)["points"]
    assert points["pm2_5"]["quality"] == {"uncertain:calibration": 1}
    assert (points["pm2_5"]["mean"], points["pm2_5"]["grade"]) == (20.0, "uncertain")
    assert points["pm2_5_raw"]["quality"] == {"good": 1}


CELLS = DeviceSetup(
    GAS, Stream.AIR, VOLTS, 1.0,
    cells=(
        GasCell("o3", OX, "ain2", "ain3", WARM, Input(GAS, "no2"), 0.3),
        GasCell("no2", NO2, "ain0", "ain1", WARM),
    ),
)  # fmt: skip


def test_two_voltages_become_a_gas_and_one_gas_is_taken_from_another() -> None:
    volts = (0.240, 0.229, 0.260, 0.225)
    made = engine(WEATHER, CELLS)
    made.sweeps([weather(0), sweep(GAS, S // 2, volts)])
    points = body(made.close(S), GAS)["points"]
    assert list(points) == ["ain0", "ain1", "ain2", "ain3", "no2", "o3"]
    no2 = compensate(NO2, volts[0], volts[1], 21.0)
    assert points["no2"]["mean"] == pytest.approx(no2, abs=0.05)
    o3 = compensate_ozone(OX, volts[2], volts[3], 21.0, no2, 0.3)
    assert points["o3"]["mean"] == pytest.approx(o3, abs=0.05)


def test_a_gas_without_temperature_or_without_its_partner_is_no_number() -> None:
    made = engine(WEATHER, CELLS)
    made.sweeps([sweep(GAS, S // 2, (0.24, 0.229, 0.26, 0.225))])
    points = body(made.close(S), GAS)["points"]
    assert points["no2"]["quality"] == points["o3"]["quality"] == {"bad:calibration": 1}
    made.sweeps([weather(1.1), sweep(GAS, 3 * S // 2, (Bad(Reason.RANGE), 0.229, 0.26, 0.225))])
    points = body(made.close(2 * S), GAS)["points"]
    assert points["no2"]["quality"] == {"bad:range": 1}
    assert points["o3"]["quality"] == {"bad:calibration": 1}


def test_memory_is_bounded_and_the_past_is_forgotten() -> None:
    inputs = Inputs([RH], {HUT: WEATHER.points})
    for i in range(10_000):
        inputs.take(weather(i))
    assert inputs.at(RH, 9_999 * S) == 80.0
    assert inputs.at(RH, 100 * S) is None
    inputs.forget(9_990 * S)
    assert inputs.state(9_990 * S) == [[HUT, "humidity", 9_990 * S, 80.0]]
    assert inputs.at(RH, 9_995 * S) == 80.0


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="go together"):
        Correction("pm2_5", kappa=0.3)
    with pytest.raises(ValueError, match="no number"):
        Correction("pm2_5", (float("nan"),))
    with pytest.raises(ValueError, match="no point pm10"):
        Calibrator((PM25,), [Correction("pm10")], [])
    with pytest.raises(ValueError, match="same key"):
        Calibrator(VOLTS, [], [GasCell("ain0", NO2, "ain0", "ain1", WARM)])
    with pytest.raises(ValueError, match="no device measures"):
        Inputs([Input("nobody", "humidity")], {})


def test_a_calibrated_device_costs_no_other_anything() -> None:
    made = engine(WEATHER, counter(DRY))
    made.sweeps(sweeps(HUT, ((i, (20.0, 50.0)) for i in range(60))))
    assert body(made.close(MINUTE), HUT)["points"]["humidity"]["quality"] == {"good": 60}
