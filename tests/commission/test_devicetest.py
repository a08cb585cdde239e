"""One device: what its readings say by themselves, by each other and by its neighbours."""

from collections.abc import Mapping, Sequence
from math import cos, radians
from typing import Any

import pytest

import drivers
from edge.commission.devicetest import DeviceSeen, RegisterGrowth, judge_device
from edge.commission.usualranges import USUAL, unit_mistakes
from edge.commission.verdict import StepFinding, worst_verdict
from edge.core import Bad, Point, Quantity, Reading, Reason, Sample, sweep

SITE = {
    "temperature": Point("temperature", Quantity.TEMPERATURE, low=-40, high=125),
    "humidity": Point("humidity", Quantity.RELATIVE_HUMIDITY, low=0, high=100),
    "pressure": Point("pressure", Quantity.PRESSURE, low=30_000, high=110_000),
}
METER = [
    *(Point(f"voltage_l{n}", Quantity.VOLTAGE, low=0, high=300) for n in (1, 2, 3)),
    *(Point(f"current_l{n}", Quantity.CURRENT, low=-100, high=100) for n in (1, 2, 3)),
    *(Point(f"power_l{n}", Quantity.POWER, low=-25_000, high=25_000) for n in (1, 2, 3)),
    Point("power", Quantity.POWER, low=-75_000, high=75_000),
    Point("frequency", Quantity.FREQUENCY, low=40, high=70),
]
SOUND = {
    **{f"voltage_l{n}": 230.0 for n in (1, 2, 3)}, **{f"current_l{n}": 2.0 for n in (1, 2, 3)},
    **{f"power_l{n}": 440.0 for n in (1, 2, 3)}, "power": 1320.0, "frequency": 50.01,
}  # fmt: skip


def readings(points: Sequence[Point], values: Mapping[str, Sample]) -> list[Reading]:
    known = [point for point in points if point.key in values]
    made = sweep("d", 0, [values[point.key] for point in known])
    return list(made.readings(known))


def judged(points: Sequence[Point], values: Mapping[str, Sample], **more: Any) -> list[StepFinding]:
    others = more.pop("others", {})
    return judge_device(DeviceSeen("d", [readings(points, values)] * 3, others, **more))


def kinds(found: Sequence[StepFinding]) -> list[str]:
    return [one.kind for one in found]


def test_a_sound_meter_passes_and_says_what_it_measures() -> None:
    found = judged(METER, SOUND)
    assert kinds(found) == ["device_answers"]
    assert "power 1320 W" in found[0].text
    assert "frequency 50.01 Hz" in found[0].text


def test_a_meter_that_is_mounted_backwards_is_told_with_its_remedy() -> None:
    """Sign and registers agree: nothing but the technician's word says that it is wrong."""
    turned = {k: -v if k.startswith(("power", "current")) else v for k, v in SOUND.items()}
    found = judged(METER, turned)
    assert kinds(found) == ["feeds_out"]
    assert "1320 W out of the cabinet" in found[0].text
    assert "reversed" in found[0].remedy
    assert kinds(judged(METER, turned, direction="export")) == ["device_answers"]
    assert kinds(judged(METER, SOUND, direction="export")) == ["takes_in"]
    assert kinds(judged(METER, turned, direction="either")) == ["device_answers"]


def test_one_transformer_that_is_mounted_backwards() -> None:
    wrong = {**SOUND, "current_l2": -2.0, "power_l2": -440.0, "power": 440.0}
    (found,) = judged(METER, wrong)
    assert found.kind == "phase_backwards"
    assert found.figures["phase"] == "power_l2"


def test_the_largest_phase_that_is_turned_round_blames_no_other() -> None:
    """The sum has its sign then."""
    wrong = {**SOUND, "current_l2": -8.0, "power_l2": -1800.0, "power": -920.0}
    (found,) = judged(METER, wrong)
    assert (found.kind, found.figures["phase"]) == ("phase_backwards", "power_l2")
    (found,) = judged(METER, {k: -v if k.startswith("power") else v for k, v in wrong.items()},
                      direction="export")  # fmt: skip
    assert (found.kind, found.figures["phase"]) == ("phase_backwards", "power_l2")


def test_a_sum_that_contradicts_its_phases_blames_none_of_them() -> None:
    assert kinds(judged(METER, {**SOUND, "power": -1320.0})) == ["contradiction"]


def wired(order: tuple[int, int, int], degrees: float, amps: Sequence[float]) -> dict[str, float]:
    """A load of this angle, where the transformer of phase `order[n]` sits at input n."""
    values = {"frequency": 50.0}
    for n, phase in enumerate(order):
        angle = radians(degrees + 120 * (n - phase))
        values |= {
            f"voltage_l{n + 1}": 230.0, f"current_l{n + 1}": amps[phase],
            f"power_l{n + 1}": 230.0 * amps[phase] * cos(angle),
        }  # fmt: skip
    return {**values, "power": sum(values[f"power_l{n}"] for n in (1, 2, 3))}


@pytest.mark.parametrize("amps", [(2.0, 2.0, 2.0), (3.0, 3.1, 6.0), (0.15, 6.0, 3.0)])
def test_transformers_of_other_phases_are_told_and_no_sound_one_is_to_be_turned(
    amps: tuple[float, float, float],
) -> None:
    for degrees in (-10.0, 0.0, 18.0, 35.0):
        assert kinds(judged(METER, wired((0, 1, 2), degrees, amps))) == ["device_answers"]
        for order in ((1, 0, 2), (2, 1, 0), (0, 2, 1)):
            (found,) = judged(METER, wired(order, degrees, amps))
            assert found.kind == "phases_crossed", (order, degrees)
    for order in ((1, 2, 0), (2, 0, 1)):
        (found,) = judged(METER, wired(order, 0.0, amps))
        assert found.kind == "phases_crossed", order


def test_an_answer_that_was_lost_in_part_is_no_lack_of_the_device() -> None:
    """A slow bus has time for one reading, and a frame of that was lost."""
    part: dict[str, Sample] = {**SOUND, **{f"current_l{n}": Bad(Reason.SILENT) for n in (1, 2, 3)}}
    once = judge_device(DeviceSeen("d", [readings(METER, part)], {}))
    assert kinds(once) == ["answers_poorly"]
    assert kinds(judged(METER, part)) == ["no_value"], "three times is no chance"


def test_a_meter_without_a_load_is_unproven() -> None:
    idle = {**SOUND, **{k: 0.0 for k in SOUND if k.startswith(("power", "current"))}}
    assert kinds(judged(METER, idle)) == ["no_load"]


@pytest.mark.parametrize("factor", [0.001, 1000.0, 100.0])
def test_a_power_in_another_unit(factor: float) -> None:
    wrong = {k: v * factor if k.startswith("power") else v for k, v in SOUND.items()}
    found = judged(METER, wrong)
    assert "power_unit" in kinds(found)
    told = next(one for one in found if one.kind == "power_unit").figures["factor"]
    assert told == pytest.approx(factor, rel=0.1)


@pytest.mark.parametrize(
    ("key", "value", "mistake"),
    [
        ("pressure", 1013.25, "hPa told as Pa"),
        ("pressure", 101.325, "kPa told as Pa"),
        ("humidity", 0.48, "a share of 1 told as %"),
    ],
)
def test_a_wrong_unit_is_named(key: str, value: float, mistake: str) -> None:
    (found,) = judged([*SITE.values()], {key: value})
    assert found.kind == "wrong_factor"
    assert mistake in found.text


def test_degrees_fahrenheit_are_named() -> None:
    (found,) = judged([*SITE.values()], {"temperature": 72.5})
    assert found.kind == "fahrenheit"
    assert "22.5 °C" in found.text


@pytest.mark.parametrize(
    ("volts", "kind"), [(2301.0, "wrong_factor"), (0.2301, "wrong_factor"), (180.0, "voltage_off")]
)
def test_a_voltage_that_no_grid_has(volts: float, kind: str) -> None:
    found = judged(METER, {**SOUND, "voltage_l1": volts})
    assert kind in kinds(found)


def test_a_frequency_that_no_grid_has() -> None:
    assert "frequency_off" in kinds(judged(METER, {**SOUND, "frequency": 44.0}))
    found = judged(METER, {**SOUND, "frequency": 500.1})
    assert "wrong_factor" in kinds(found)


def test_a_neighbour_that_says_something_else() -> None:
    others = {"roof": readings([*SITE.values()], {"temperature": 21.0, "pressure": 101_000.0})}
    (found,) = judged([*SITE.values()], {"temperature": 45.0, "pressure": 101_300.0}, others=others)
    assert found.kind == "differs_from"
    assert found.figures["other"] == "roof"


def test_phases_that_do_not_add_up() -> None:
    found = judged(METER, {**SOUND, "power": 2400.0})
    assert "contradiction" in kinds(found)


def test_a_device_that_does_not_answer_and_points_that_have_no_value() -> None:
    silent = {key: Bad(Reason.SILENT) for key in SITE}
    (found,) = judged([*SITE.values()], silent, why="no acknowledge at 0x44")
    assert found.text == "d does not answer: no acknowledge at 0x44."
    (found,) = judged([*SITE.values()], {"temperature": 20.0, "humidity": Bad(Reason.FAULT)})
    assert found.kind == "no_value"


@pytest.mark.parametrize(
    ("grown", "kind"), [(22.0, "energy_agrees"), (0.022, "energy_unit"), (22_000.0, "energy_unit")]
)
def test_a_register_grows_by_what_the_power_makes(grown: float, kind: str) -> None:
    growth = (RegisterGrowth("energy_import", grown, 21.5, 0.01),)
    assert kind in kinds(judged(METER, SOUND, growth=growth))


def test_a_register_that_is_too_coarse_says_nothing() -> None:
    growth = (RegisterGrowth("energy_import", 0.0, 0.02, 0.1),)
    assert kinds(judged(METER, SOUND, growth=growth)) == ["device_answers"]


def test_a_field_that_turns_left() -> None:
    points = [Point(f"voltage_angle_l{n}", Quantity.ANGLE, low=0, high=360) for n in (2, 3)]
    assert kinds(judged(points, {"voltage_angle_l2": 240.0, "voltage_angle_l3": 120.0})) == [
        "rotation_left"
    ]
    assert worst_verdict(
        judged(points, {"voltage_angle_l2": 120.0, "voltage_angle_l3": 240.0})
    ) == "passed"  # fmt: skip


def test_no_usual_value_is_taken_for_a_mistake() -> None:
    """Over the whole of each usual range, of air and weather."""
    for quantity, usual in USUAL.items():
        if quantity in (Quantity.VOLTAGE, Quantity.FREQUENCY):
            continue
        point = Point("p", quantity, low=usual.low, high=usual.high)
        for step in range(101):
            value = usual.low + (usual.high - usual.low) * step / 100
            found = judged([point], {"p": value})
            assert worst_verdict(found) == "passed", (quantity, value, found)


def test_every_mistake_is_undone_by_its_factor() -> None:
    for quantity, usual in USUAL.items():
        for factor, mistake in usual.mistakes:
            right = {Quantity.VOLTAGE: 230.0, Quantity.FREQUENCY: 50.0}.get(
                quantity, (usual.low + usual.high) / 2 or 0.5
            )
            keys = {Quantity.VOLTAGE: "voltage_l1", Quantity.CURRENT: "current_l1"}
            point = Point(keys.get(quantity, "p"), quantity, high=1e9)
            found = [one for one in unit_mistakes(point, right * factor) if one[1] == mistake]
            assert found, (quantity, mistake)
            assert found[0][2] == pytest.approx(right)


def test_every_driver_has_points_that_can_be_judged() -> None:
    """No table of a meter has a voltage of which nobody knows whether it is between phases."""
    for name in drivers.names():
        for key in drivers.spec(name).points:
            if key.startswith("voltage_l") and key not in (
                "voltage_l1",
                "voltage_l2",
                "voltage_l3",
            ):
                point = Point(key, Quantity.VOLTAGE, high=1000)
                assert judged([point], {key: 400.0})[0].verdict == "passed", (name, key)


def test_one_answer_that_was_cut_is_no_missing_point() -> None:
    whole = readings([*SITE.values()], {"temperature": 20.0, "humidity": 50.0})
    cut = readings([*SITE.values()], {"temperature": 20.0, "humidity": Bad(Reason.CRC)})
    found = judge_device(DeviceSeen("d", [whole, whole, cut], {}))
    assert kinds(found) == ["answers_poorly"]
    assert "2 of 3" in found[0].text


def test_what_a_correction_makes_is_named_also_where_it_was_refused() -> None:
    """The daemon never publishes 1013 Pa: the correction is what makes it."""
    refused = readings([*SITE.values()], {"pressure": Bad(Reason.RANGE), "temperature": 20.0})
    found = judge_device(DeviceSeen("d", [refused] * 3, {}, refused={"pressure": 1013.0}))
    assert kinds(found) == ["wrong_factor"]
    unknown = judge_device(DeviceSeen("d", [refused] * 3, {}))
    assert kinds(unknown) == ["refused_values"]
