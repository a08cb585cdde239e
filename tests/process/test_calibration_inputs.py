"""What a value is corrected with: humidity and temperature of others, as they are corrected."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.quality import Reason
from edge.core.reading import Bad, Sweep, sweep
from edge.process.aan803 import compensate, compensate_ozone
from edge.process.calibration import CalibrationInputs, Correction
from edge.process.calibration.correction import humidity_growth
from edge.process.engine import DeviceSetup, Engine, EngineSetup
from tests.kit.engine import MINUTE, S, body, engine, sweeps
from tests.process.weather import (
    CELLS,
    DRY,
    DUST,
    GAS,
    HUT,
    NO2,
    OX,
    RH,
    WEATHER,
    counter,
    dust,
    weather,
)

RIGHT_RH = Correction("humidity", (-20.0, 1.0))


def test_humidity_comes_from_another_device() -> None:
    made = engine(WEATHER, counter(DRY))
    made.sweeps([weather(0.5), *(dust(i, 10.0) for i in (0, 1, 2))])
    point = body(made.close(3 * S), DUST)["points"]["pm2_5"]
    assert point["mean"] == pytest.approx(10 / humidity_growth(0.35, 80.0), abs=0.05)
    # before it was known, the measured value stands, and is marked
    assert point["quality"] == {"good": 2, "uncertain:calibration": 1}


def dried(humidity: DeviceSetup, rows: list[Sweep], seconds: int = 2) -> dict[str, object]:
    made = engine(humidity, counter(DRY))
    made.sweeps(rows)
    return body(made.close(seconds * S), DUST)["points"]["pm2_5"]  # type: ignore[no-any-return]


def test_a_value_is_corrected_with_what_the_humidity_really_is() -> None:
    """90 % that a certificate makes 70 %: nine tenths of the water were never there."""
    corrected = replace(WEATHER, corrections=(RIGHT_RH,))
    point = dried(corrected, [dust(1, 100.0), weather(0, percent=90.0)])
    assert point["mean"] == pytest.approx(100 / humidity_growth(0.35, 70.0), abs=0.05)
    assert point["quality"] == {"good": 1}


def test_a_humidity_that_its_calibration_throws_out_is_not_known() -> None:
    corrected = replace(WEATHER, corrections=(RIGHT_RH,))
    point = dried(corrected, [weather(0, percent=15.0), dust(1, 100.0)])
    assert point["quality"] == {"uncertain:calibration": 1}


def test_the_doubt_about_an_expired_input_is_passed_on() -> None:
    made = engine(replace(WEATHER, corrections=(RIGHT_RH,)), counter(DRY), CELLS)
    made.sweeps([weather(0), dust(1, 10.0), sweep(GAS, S, (0.24, 0.229, 0.26, 0.225))])
    made.expired({HUT: {"humidity"}, GAS: {"no2"}})
    drafts = made.close(2 * S)
    assert body(drafts, DUST)["points"]["pm2_5"]["quality"] == {"uncertain:calibration": 1}
    gases = body(drafts, GAS)["points"]
    for key in ("no2", "o3"):  # ozone is made with that very NO2
        assert gases[key]["quality"] == {"uncertain:calibration": 1}
        assert gases[key]["mean"] is not None


def test_humidity_that_is_too_old_is_not_known() -> None:
    made = engine(WEATHER, counter(DRY))
    made.sweeps([weather(0), dust(299, 10.0), dust(301, 10.0)])
    quality = body(made.close(302 * S), DUST)["points"]["pm2_5"]["quality"]
    assert {"good": 1, "uncertain:calibration": 1}.items() <= quality.items()


def test_in_fog_the_result_is_estimated() -> None:
    made = engine(WEATHER, counter(DRY))
    made.sweeps([weather(0, percent=99.0), dust(0, 10.0)])
    assert body(made.close(S), DUST)["points"]["pm2_5"]["quality"] == {"uncertain:estimated": 1}


@given(st.permutations(list(range(12))), st.sampled_from([(), (RIGHT_RH,)]))
def test_the_order_in_which_buses_are_heard_changes_nothing(
    order: list[int], corrections: tuple[Correction, ...]
) -> None:
    hut = replace(WEATHER, corrections=corrections)
    found = [weather(i, percent=40.0 + 5 * i) for i in range(6)]
    found += [dust(i + 0.25, 10.0) for i in range(6)]
    mixed = [found[place] for place in order]
    # each device is heard in its own order
    of = {HUT: iter(found[:6]), DUST: iter(found[6:])}
    mixed = [next(of[each.source]) for each in mixed]
    made = engine(hut, counter(DRY))
    for each in mixed:
        made.sweeps([each])
    plain = engine(hut, counter(DRY))
    plain.sweeps(found)
    assert made.close(10 * S) == plain.close(10 * S)


def test_an_engine_that_goes_on_knows_the_humidity_of_before() -> None:
    setup = EngineSetup(devices=(replace(WEATHER, corrections=(RIGHT_RH,)), counter(DRY)))
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


def test_a_gas_is_made_of_corrected_voltages_at_the_corrected_temperature() -> None:
    ohms = Correction("ain0", (0.001, 1.02))
    warm = replace(WEATHER, corrections=(Correction("temperature", (-3.0, 1.0)),))
    made = engine(warm, replace(CELLS, corrections=(ohms,)))
    made.sweeps([weather(0), sweep(GAS, S // 2, (0.240, 0.229, 0.260, 0.225))])
    no2 = compensate(NO2, 0.240 * 1.02 + 0.001, 0.229, 18.0)
    assert body(made.close(S), GAS)["points"]["no2"]["mean"] == pytest.approx(no2, abs=0.05)


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
    inputs = CalibrationInputs([RH], {HUT: WEATHER.points})
    for i in range(10_000):
        inputs.take(weather(i))
    assert inputs.at(RH, 9_999 * S) == 80.0
    assert inputs.at(RH, 100 * S) is None
    inputs.forget(9_990 * S)
    assert inputs.snapshot(9_990 * S) == [[HUT, "humidity", 9_990 * S, 80.0]]
    assert inputs.at(RH, 9_995 * S) == 80.0


def test_a_calibrated_device_costs_no_other_anything() -> None:
    made = engine(WEATHER, counter(DRY))
    made.sweeps(sweeps(HUT, ((i, (20.0, 50.0)) for i in range(60))))
    assert body(made.close(MINUTE), HUT)["points"]["humidity"]["quality"] == {"good": 60}
