"""Where a check has too little to go by it neither alarms nor lets pass what is in doubt."""

import copy
import math
import random
from contextlib import suppress
from typing import Any

import pytest

from edge.core.point import Point, PointKind, Quantity
from edge.core.quality import Reason
from edge.core.reading import Bad, Sample
from edge.core.record import Draft, Stream
from edge.process.engine import DeviceSetup, Engine
from edge.process.gaugewindow import GaugeFigure
from edge.process.plausibility.relations import point_relations
from tests.kit.engine import MINUTE, body, engine, events, setup, sweeps
from tests.long import more, one_in, size
from tests.process.plausible import SweptMeter, Values, faults, points_of, steps

DOUBT = "uncertain:contradicted"


def judged(fault: str, **means: float) -> bool:
    """Does an M-Bus meter that tells these contradict itself?"""
    points = {point.key: point for point in points_of("mbus")}
    relation = next(
        one for one in point_relations([points[key] for key in means]) if one.fault == fault
    )
    figures = [GaugeFigure(means[key], 6, means[key], means[key], 0.1) for key in relation.keys]
    return relation.judge(figures) is True


def reported_less(values: Values, _: float) -> Values:
    return {**values, "power": values["power"] * 0.3}


def test_what_is_in_doubt_stays_so_where_a_reading_is_lost() -> None:
    """One answer of L2 is lost in each minute: nothing can be compared, and nothing is mended."""
    street = SweptMeter("sdm630", twist=reported_less)
    assert faults(street.run(10)) == [("phase_sum", "on")]
    whole = street.sample

    def lossy(point: Point, values: Values) -> Sample:
        lost = point.key == "power_l2" and street.now_s % 60 < 10
        return Bad(Reason.SILENT) if lost else whole(point, values)

    street.sample = lossy  # type: ignore[method-assign]
    assert street.run(20) == []
    assert street.quality("power_l2") == {"bad:silent": 1, DOUBT: 5}
    assert street.quality("power") == street.quality("power_l1") == {DOUBT: 6}
    street.twist, street.sample = lambda values, _: values, whole  # type: ignore[method-assign]
    assert faults(street.run(20)) == [("phase_sum", "off")]


@pytest.mark.parametrize("driver", ["sdm630", "em24", "umg96rm", "sunspec", "sml", "dlt645"])
def test_the_power_of_three_phases_is_not_held_against_the_current_of_one(driver: str) -> None:
    """`points` names three of a meter's points: nothing says how many phases there are."""

    class Few(SweptMeter):
        @property
        def setup(self) -> DeviceSetup:
            return DeviceSetup("meter", Stream.ENERGY, self.few, self.every_s)

        def __post_init__(self) -> None:
            wanted = ("voltage_l1", "current_l1", "power")
            self.few = tuple(p for p in points_of(self.driver) if p.key in wanted)
            super().__post_init__()
            self.points = self.few

    street = Few(driver)
    assert street.run(10) == []
    assert street.quality("power") == {"good": 6}


@one_in(3)
@pytest.mark.parametrize("driver", ["sdm630", "em24", "b23", "sunspec", "mbus"])
def test_a_meter_of_three_wires_tells_nothing_of_its_phases(driver: str) -> None:
    """Without a neutral there is no power of a phase: it reads 0, as do their registers."""

    def three_wires(values: Values, _: float) -> Values:
        own = ("power", "reactive", "apparent", "energy")
        none = {k: 0.0 for k in values if k[-3:-1] == "_l" and k.split("_")[0] in own}
        return {**values, **none}

    street = SweptMeter(driver, twist=three_wires)
    assert street.run(240) == []
    assert street.quality("power") == street.quality("energy_import") == {"good": 6}


def test_heat_that_comes_and_goes_within_a_window_fits() -> None:
    """The mean of a product is not the product of the means: a burner, a pump, half the time."""
    points = points_of("mbus")
    made = engine(DeviceSetup("device", Stream.AIR, points, 10.0))
    reported: list[Draft] = []
    for minute in range(20):
        rows = []
        for n in range(6):
            flow, kelvin = (0.8, 30.0) if n < 3 else (0.0, 1.0)
            values = {"power": 1163 * kelvin * flow, "volume_flow": flow}
            values["temperature_difference"] = kelvin
            row = tuple(values.get(p.key, Bad(Reason.ADDRESS)) for p in points)
            rows.append((minute * 60.0 + n * 10, row))
        made.sweeps(sweeps("device", rows))
        drafts = made.close((minute + 1) * MINUTE)
        reported += events(drafts)
    assert not reported
    assert body(drafts, "device")["points"]["power"]["quality"] == {"good": 6}


@one_in(3)
@pytest.mark.parametrize(("period_s", "on_s"), [(13, 3), (37, 5), (30, 4)])
def test_a_load_that_steps_all_the_time_is_no_contradiction(period_s: int, on_s: int) -> None:
    """Currents are read a second and a half before powers; a motor starts every few seconds."""

    def amps(at_s: float) -> tuple[float, float, float]:
        return (21.0 if at_s % period_s < on_s else 1.0,) * 3

    draw = random.Random(3)

    def torn(values: Values, at_s: float) -> Values:
        now, then = amps(at_s)[0], amps(at_s - 1.5)[0]
        phases = ("_l1", "_l2", "_l3")
        before = {f"current{one}": values[f"current{one}"] * then / now for one in phases}
        late = [one for one in phases if draw.random() < 0.5]
        return {**values, **before, **{f"power{n}": values[f"power{n}"] * then / now for n in late}}

    street = SweptMeter("sdm630", amps, twist=torn, every_s=5)
    assert street.run(120) == []
    doubted = sum(DOUBT in one["power"]["quality"] for one in street.windows)
    assert doubted <= 2


def test_a_contradiction_is_found_between_the_steps_of_a_load() -> None:
    street = SweptMeter("sdm630", steps, twist=reported_less)
    assert faults(street.run(60)) == [("phase_sum", "on")]


@pytest.mark.long
def test_a_battery_that_feeds_the_other_phases_is_no_turned_transformer() -> None:
    """By day and by night it gives on L1 what L2 and L3 take, and the whole is next to nothing."""

    def balanced(at_s: float) -> tuple[float, float, float]:
        two, three = 2.0 + (at_s % 7200 < 1800), 1.0
        return 0.05 - two - three, two, three

    street = SweptMeter("sdm630", balanced, every_s=60)
    assert street.run(30 * 60) == []
    assert street.quality("power_l1") == {"good": 1}


def test_a_meter_that_tells_no_voltage_against_neutral_is_right_without() -> None:
    street = SweptMeter("sdm630", twist=lambda values, _: {**values, "voltage_l1": 0.0})
    assert street.run(10) == []


@pytest.mark.parametrize(("kelvin", "power", "doubted"), [
    (2.5, 0.0, False), (2.5, 40_000.0, True), (6.0, 0.0, True),
])  # fmt: skip
def test_a_heat_meter_need_not_count_below_three_kelvin(
    kelvin: float, power: float, doubted: bool
) -> None:
    """EN 1434: the least difference for which it is made is up to 3 K."""
    reported = judged("heat", power=power, volume_flow=2.0, temperature_difference=kelvin)
    assert reported is doubted


@more
@pytest.mark.parametrize("apart", [2.0, 7.3, 30.0, 110.0])
@pytest.mark.parametrize("seed", range(size(1, 3)))
def test_two_registers_that_lie_close_are_two_all_the_same(apart: float, seed: int) -> None:
    """The step between them can have come since: it is that one falls back which tells them."""
    made = engine(
        DeviceSetup(
            "water",
            Stream.ENERGY,
            (Point("v", Quantity.VOLUME, 0, 1e8, kind=PointKind.TOTAL),),
            10.0,
        )
    )
    draw, other = random.Random(seed), False
    reported: list[Draft] = []
    counted, good = 0.0, 0
    for minute in range(1440):
        rows = []
        for n in range(6):
            other ^= draw.random() < 0.03
            at = minute * 60.0 + n * 10
            rows.append((at, (round(100 + at * 1e-5 + apart * other, 3),)))
        made.sweeps(sweeps("water", rows))
        drafts = made.close((minute + 1) * MINUTE)
        found = body(drafts, "water")["points"]["v"]
        counted += found["delta"] or 0.0
        good += found["quality"].get("good", 0) if minute > 120 else 0
        reported += events(drafts)
    assert counted <= 0.864 + 2 * apart, "before the second fall nobody can know"
    assert (faults(reported), good) == ([("two_devices", "on")], 0)
    assert len(reported) <= 10, "each change was an event"


def test_two_devices_are_in_doubt_until_their_end_is_told_over_a_new_boot_too() -> None:
    point = Point("v", Quantity.VOLUME, 0, 1e8, kind=PointKind.TOTAL)
    device = DeviceSetup("water", Stream.ENERGY, (point,), 10.0)
    made = engine(device)
    made.sweeps(sweeps("water", [(10.0 * n, (100.0 + 734 * (n % 2),)) for n in range(60)]))
    assert faults(events(made.close(10 * MINUTE))) == [("two_devices", "on")]
    again = Engine(setup(device))
    again.restore(made.snapshot())
    again.start(0)  # the clock begins anew
    for minute in range(120):
        rows = [(minute * 60.0 + 10 * n, (100.0 + minute * 1e-3,)) for n in range(6)]
        again.sweeps(sweeps("water", rows))
        drafts = again.close((minute + 1) * MINUTE)
        quality = body(drafts, "water")["points"]["v"]["quality"]
        if faults(events(drafts)) == [("two_devices", "off")]:
            break
        assert quality == {DOUBT: 6}
    assert minute == 59
    again.close(61 * MINUTE)


@pytest.mark.parametrize("apart", [7.3, 4000.0])
def test_what_two_devices_with_one_address_measure_is_in_doubt_too(apart: float) -> None:
    """The mean of a power that is now one meter's, now the other's, is nobody's."""
    draw = random.Random(5)

    def other(values: Values, _: float) -> Values:
        if draw.random() < 0.6:
            return values
        more = {key: values[key] + apart for key in values if key.startswith("energy_import")}
        less = {key: values[key] / 3 for key in values if key.startswith(("power", "current"))}
        return {**values, **less, **more}

    street = SweptMeter("sdm630", twist=other)
    assert ("two_devices", "on") in faults(street.run(180))
    for key in ("power", "voltage_l1", "current_l2", "energy_import"):
        assert set(street.quality(key)) <= {DOUBT, "uncertain:range"}, key


@pytest.mark.parametrize("driver", ["sdm630", "em24", "sunspec", "dlt645"])
def test_a_power_factor_of_three_phases_is_defined_in_many_ways(driver: str) -> None:
    """S as vector, the factor of sums, or the mean of those of the phases: one gives back."""

    def mean(values: Values, _: float) -> Values:
        factors = [values[f"power_factor_l{n}"] for n in (1, 2, 3)]
        vector = math.hypot(values["power"], values["reactive_power"])
        return {**values, "apparent_power": vector, "power_factor": sum(factors) / 3}

    street = SweptMeter(driver, lambda at: (-9.0, 2.0, 2.0 if at % 600 < 300 else 14.0), twist=mean)
    assert street.run(60) == []


@pytest.mark.parametrize("stays", [False, True])
def test_a_register_that_stood_still_for_a_month_counts_no_wild_value(stays: bool) -> None:
    """The export of a site that has none; what stays is a register that is refreshed seldom."""
    point = Point("e", Quantity.ENERGY, 0, 1e8, kind=PointKind.TOTAL)
    made = engine(DeviceSetup("meter", Stream.ENERGY, (point,), 10.0))
    made.sweeps(sweeps("meter", [(0.0, (1000.0,)), (10.0, (1000.001,))]))
    made.close(MINUTE)
    month = 30 * 1440
    after = 9000.123 if stays else 1000.001
    values = (1000.001, 1000.001, 9000.123, after, after)
    rows = [(month * 60.0 + 10 * n, (value,)) for n, value in enumerate(values)]
    made.sweeps(sweeps("meter", rows))
    drafts = made.close((month + 1) * MINUTE)
    reported = body(drafts, "meter")["points"]["e"]
    assert (reported["delta"], events(drafts)) == (8000.122 if stays else 0.0, [])
    assert reported["quality"]["uncertain:range"] == 1


@pytest.mark.parametrize("shake", [0, 3])
def test_a_register_that_is_passed_by_its_wild_value_and_shakes_is_one(shake: int) -> None:
    """float32: beyond 4,194 kWh it shakes by its last bits."""
    point = Point("e", Quantity.ENERGY, 0, 1e8, kind=PointKind.TOTAL)
    made = engine(DeviceSetup("meter", Stream.ENERGY, (point,), 10.0))
    start, reported, grown = 12_345.678, [], 0.0
    for minute in range(600):
        rows = []
        for n in range(6):
            at = minute * 60.0 + n * 10
            kwh = start + at * 10 / 3600 - (n % 2) * shake * 1e-3
            if minute in (1, 30, 60) and n == 3:
                kwh += 6.0
            rows.append((at, (round(kwh, 3),)))
        made.sweeps(sweeps("meter", rows))
        drafts = made.close((minute + 1) * MINUTE)
        grown += body(drafts, "meter")["points"]["e"]["delta"] or 0.0
        reported += events(drafts)
    if shake == 0:
        assert not reported
        assert grown == pytest.approx(100.0, abs=0.05)
    else:
        assert faults(reported) == []


WRONG: tuple[Any, ...] = (None, "x", "5", math.nan, math.inf, -1, [], {}, [1], 2**70, True)


def damaged(reported: Any) -> list[Any]:
    """It, with each of its parts damaged or cut off."""
    if not isinstance(reported, list):
        return list(WRONG)
    cut = [reported[:n] for n in range(len(reported))]
    inside = [
        [*reported[:n], w, *reported[n + 1 :]]
        for n in range(len(reported))
        for w in damaged(reported[n])
    ]
    return [*WRONG, *cut, [*reported, 1.0], *inside]


@one_in(2)
@pytest.mark.parametrize("section", ["plausibility", "devices"])
def test_a_damaged_state_is_refused_or_does_no_harm(section: str) -> None:
    points = tuple(p for p in points_of("sdm630") if p.key.startswith(("power", "energy")))
    device = DeviceSetup("meter", Stream.ENERGY, points, 30.0)
    made = engine(device)
    row = tuple(100.0 for _ in points)
    made.sweeps(sweeps("meter", [(0.0, row), (30.0, row)]))
    made.close(MINUTE)
    whole: Any = made.snapshot()
    names = sorted(whole[section]["meter"])
    for name in names if section == "plausibility" else names[:1]:
        for wrong in damaged(whole[section]["meter"][name]):
            state = copy.deepcopy(whole)
            state[section]["meter"][name] = wrong
            again = Engine(setup(device))
            again.start(0)
            with suppress(ValueError):
                again.restore(state)
            for minute in range(1, 7):
                at = minute * 60.0
                more = tuple(100.0 + minute for _ in points)
                again.sweeps(sweeps("meter", [(at, more), (at + 30, more)]))
                again.close((minute + 1) * MINUTE)
