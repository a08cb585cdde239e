"""Corrections: what a certificate makes of a value, and what cannot be."""

from dataclasses import replace
from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.quality import Reason
from edge.core.reading import Bad, UncertainValue
from edge.process.calibration import CalibrationInputs, Calibrator, Correction, GasCell, InputPoint
from edge.process.calibration.correction import evaluate_polynomial, humidity_growth
from tests.kit.engine import MINUTE, PM25, S, body, engine
from tests.process.weather import (
    CELLS,
    DRY,
    DUST,
    GAS,
    NO2,
    OX,
    RH,
    VOLTS,
    WARM,
    WEATHER,
    counter,
    dust,
)


def test_offset_and_gain() -> None:
    made = engine(counter(Correction("pm2_5", (-0.5, 2.0))))
    made.sweeps([dust(i, 10.0) for i in range(60)])
    point = body(made.close(MINUTE), DUST)["points"]["pm2_5"]
    assert (point["mean"], point["n"], point["quality"]) == (19.5, 60, {"good": 60})


def test_both_may_be_published() -> None:
    made = engine(counter(Correction("pm2_5", (0.0, 2.0), keep_raw=True)))
    made.sweeps(
        [dust(0, 10.0), dust(1, Bad(Reason.CRC)), dust(2, UncertainValue(4.0, Reason.WARMUP))]
    )
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
    assert isclose(humidity_growth(0.4, 85.0), 2.3737, rel_tol=1e-4)
    assert humidity_growth(0.4, 0.0) == 1.0
    assert humidity_growth(0.4, 99.0) == humidity_growth(0.4, 95.0)


@given(st.floats(0.01, 1.5), st.floats(0, 100), st.floats(0, 100))
def test_wet_particles_are_heavier(kappa: float, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 1.0 <= humidity_growth(kappa, low) <= humidity_growth(kappa, high)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=8), st.floats(-1e3, 1e3))
def test_a_polynomial_is_the_sum_of_its_powers(coefficients: list[float], x: float) -> None:
    plain = sum(c * x**n for n, c in enumerate(coefficients))
    size = sum(abs(c * x**n) for n, c in enumerate(coefficients))
    assert abs(evaluate_polynomial(tuple(coefficients), x) - plain) <= 1e-9 * (1 + size)


def test_an_expired_calibration_is_a_quality() -> None:
    made = engine(counter(Correction("pm2_5", (0.0, 2.0), keep_raw=True)))
    made.sweeps([dust(0, 10.0)])
    made.expired({DUST: {"pm2_5"}})
    points = body(made.close(S), DUST)["points"]
    assert points["pm2_5"]["quality"] == {"uncertain:calibration": 1}
    assert (points["pm2_5"]["mean"], points["pm2_5"]["grade"]) == (20.0, "uncertain")
    assert points["pm2_5_raw"]["quality"] == {"good": 1}


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
        CalibrationInputs([InputPoint("nobody", "humidity")], {})
    wet = Correction("humidity", kappa=0.3, humidity=RH)
    with pytest.raises(ValueError, match="corrected for humidity itself"):
        engine(replace(WEATHER, corrections=(wet,)), counter(DRY))
    for no2 in (InputPoint(GAS, "o3"), InputPoint(GAS, "o4")):
        blind = GasCell("o3", OX, "ain2", "ain3", WARM, no2, 0.3)
        with pytest.raises(ValueError, match="needs NO2 itself"):
            replace(CELLS, cells=(blind, replace(blind, point="o4")))
