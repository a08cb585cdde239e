"""One device: whether it answers, and whether its values can be, by themselves, by each other, and
by its neighbours. A few readings, taken just now.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from edge.commission.devicevalues import number_of, shown_unit, values_text
from edge.commission.findingkinds import FindingKind
from edge.commission.metertest import judge_meter
from edge.commission.usualranges import (
    GRID_HZ,
    GRID_HZ_BY,
    VOLTAGE_SHARE,
    celsius_of,
    mains,
    near_nominal,
    nominal_voltages,
    unit_mistakes,
    usual_range,
)
from edge.commission.verdict import Figure, StepFinding, finding
from edge.core.point import Point, PointKind, Quantity
from edge.core.quality import Grade, Reason
from edge.core.reading import Reading
from edge.process.gaugewindow import GaugeFigure
from edge.process.plausibility.relations import point_relations

Direction = Literal["import", "export", "either"]
VALUES_SHOWN: Final = 6
LOST: Final = (Reason.SILENT, Reason.CRC, Reason.BUSY)  # may be of this answer alone
READ_OFTEN: Final = 3  # readings without a value: that is no chance
FAHRENHEIT_C: Final = (-30.0, 60.0)
"""What a value in degrees Fahrenheit is then; a warm day in Celsius is no mistake."""
NEIGHBOUR_BY: Final[Mapping[Quantity, float]] = {
    Quantity.TEMPERATURE: 15.0,  # a cabinet in the sun, and the air outside of it
    Quantity.RELATIVE_HUMIDITY: 40.0,
    Quantity.PRESSURE: 800.0,
    Quantity.FREQUENCY: 0.2,
}
"""By how much two devices of one site may differ."""
NEIGHBOUR_SHARE: Final[Mapping[Quantity, float]] = {Quantity.VOLTAGE: 0.06}


@dataclass(frozen=True, slots=True)
class RegisterGrowth:
    """What a register of energy grew by in a window of the daemon, and what its power made of it.

    `step_kwh` is what the register can tell.
    """

    point: str
    grown_kwh: float
    expected_kwh: float
    step_kwh: float


@dataclass(frozen=True, slots=True)
class DeviceSeen:
    """A device's last readings, oldest first, as the city would get them.

    `others`: device -> its last readings. `why`: what is wrong with an answer that did not come.
    `refused`: what the corrections of the site file made of the last answer, by point, also where
    that is out of the point's range and was refused.
    """

    device: str
    readings: Sequence[Sequence[Reading]]
    others: Mapping[str, Sequence[Reading]]
    direction: Direction = "import"
    why: str = ""
    growth: Sequence[RegisterGrowth] = ()
    refused: Mapping[str, float] = field(default_factory=dict)


def judge_device(seen: DeviceSeen) -> list[StepFinding]:
    """All that is wrong; what it measures if nothing is."""
    answered = [sweep for sweep in seen.readings if any(r.value is not None for r in sweep)]
    if not answered:
        return [finding("device_silent", device=seen.device, why=seen.why or "no answer")]
    last = _last_known(answered)
    found = [*_without_value(seen.device, last, seen.refused)]
    lost = [each for each in found if each.figures.get("why") in LOST]
    if lost and len(seen.readings) < READ_OFTEN:
        found = [each for each in found if each not in lost]
        found.append(
            finding("answers_poorly", device=seen.device, count=0, asked=len(seen.readings))
        )
    lacking = sum(reading.value is None for reading in last)
    whole = sum(sum(r.value is None for r in sweep) == lacking for sweep in seen.readings)
    if whole < len(seen.readings):
        asked = len(seen.readings)
        found.append(finding("answers_poorly", device=seen.device, count=whole, asked=asked))
    figures = gauge_figures(answered)
    points = {reading.point.key: reading.point for reading in last}
    for reading in last:
        value = number_of(reading)
        if value is None and reading.quality.reason is Reason.RANGE:
            value = seen.refused.get(reading.point.key)
        if value is not None:
            found += _by_itself(reading.point, value)
    wrong = {str(each.figures["point"]) for each in found if "point" in each.figures}
    found += _by_each_other(seen.device, points, figures, wrong)
    found += _by_neighbours(seen, last, wrong)
    meter = [*judge_meter(seen.device, points, figures, seen.direction)]
    if any(each.kind == "phases_crossed" for each in meter):  # its remedy is the better one
        found = [each for each in found if each.figures.get("fault") != "phases_swapped"]
    found += meter
    found += _by_growth(seen.growth)
    if all(each.verdict == "passed" for each in found):
        found.insert(0, finding("device_answers", device=seen.device, values=values_text(last)))
    return found


def _last_known(sweeps: Sequence[Sequence[Reading]]) -> list[Reading]:
    """Of each point the last reading that had a value; what never had one as it was last."""
    found = {each.point.key: each for each in sweeps[0]}
    for sweep in sweeps[1:]:
        for each in sweep:
            if each.value is not None or found[each.point.key].value is None:
                found[each.point.key] = each
    return list(found.values())


def gauge_figures(sweeps: Sequence[Sequence[Reading]]) -> dict[str, GaugeFigure]:
    """Of all gauges that had a value in each of the readings."""
    columns: dict[str, list[float]] = {}
    points: dict[str, Point] = {}
    for sweep in sweeps:
        for reading in sweep:
            if (value := number_of(reading)) is not None:
                columns.setdefault(reading.point.key, []).append(value)
                points[reading.point.key] = reading.point
    return {
        key: GaugeFigure(sum(v) / len(v), len(v), min(v), max(v), points[key].step)
        for key, v in columns.items()
        if len(v) == len(sweeps) and points[key].kind is PointKind.GAUGE
    }


def _without_value(
    device: str, last: Sequence[Reading], refused: Mapping[str, float]
) -> Iterator[StepFinding]:
    bad: dict[str, list[str]] = {}
    for reading in last:
        key, reason = reading.point.key, reading.quality.reason
        if reading.quality.grade is Grade.BAD and not (reason is Reason.RANGE and key in refused):
            bad.setdefault(str(reason), []).append(key)
    for why, keys in bad.items():
        kind: FindingKind = "refused_values" if why == Reason.RANGE else "no_value"
        yield finding(kind, points=_some(keys), device=device, why=why)


def _by_itself(point: Point, value: float) -> Iterator[StepFinding]:
    unit = shown_unit(point)
    usual = usual_range(point)
    mistake = next(unit_mistakes(point, value), None)
    outside = not point.low <= value <= point.high
    unusual = usual is not None and not usual.low <= value <= usual.high
    if point.quantity is Quantity.FREQUENCY and value:
        unusual = not any(abs(value - hz) <= GRID_HZ_BY for hz in GRID_HZ)
    nominal = None
    if point.quantity is Quantity.VOLTAGE and mains(point) and value:
        nominal = near_nominal(value, nominal_voltages(point))
        unusual = nominal is None
    if not (outside or unusual):
        return
    if point.quantity is Quantity.TEMPERATURE and _is_fahrenheit(value):
        yield finding(
            "fahrenheit", point=point.key, value=value, unit=unit, right=celsius_of(value)
        )
    elif mistake is not None:
        factor, what, right = mistake
        times = f"÷ {factor:g}" if factor >= 1 else f"× {1 / factor:.4g}"
        yield finding(
            "wrong_factor", point=point.key, value=value, unit=unit, times=times, right=right,
            mistake=what,
        )  # fmt: skip
    elif outside:
        yield finding(
            "out_of_range", point=point.key, value=value, unit=unit, low=point.low, high=point.high
        )
    elif point.quantity is Quantity.FREQUENCY:
        yield finding("frequency_off", point=point.key, value=value)
    elif point.quantity is Quantity.VOLTAGE:
        best = min(nominal_voltages(point), key=lambda each: abs(value / each - 1))
        yield finding(
            "voltage_off", point=point.key, value=value, nominal=best,
            percent=round(100 * VOLTAGE_SHARE),
        )  # fmt: skip
    elif usual is not None:
        yield finding(
            "unusual", point=point.key, value=value, unit=unit, low=usual.low, high=usual.high
        )


def _is_fahrenheit(value: float) -> bool:
    low, high = FAHRENHEIT_C
    return value > 70 and low <= celsius_of(value) <= high


def _by_each_other(
    device: str, points: Mapping[str, Point], figures: Mapping[str, GaugeFigure], wrong: set[str]
) -> Iterator[StepFinding]:
    for relation in point_relations(list(points.values())):
        if relation.fault == "size_order" or wrong.intersection(relation.keys):
            continue  # it needs hours; and what is wrong by itself contradicts everything
        known = [figures[key] for key in relation.keys if key in figures]
        if len(known) == len(relation.keys) and relation.judge(known):
            values = ", ".join(
                f"{key} {figures[key].mean:.4g} {shown_unit(points[key])}" for key in relation.keys
            )
            yield finding(
                "contradiction", points=_some(relation.keys), device=device, fault=relation.fault,
                values=values, look=relation.look,
            )  # fmt: skip


def _by_neighbours(
    seen: DeviceSeen, last: Sequence[Reading], wrong: set[str]
) -> Iterator[StepFinding]:
    """The same point of another device of the site; one word about each point."""
    for reading in last:
        point, value = reading.point, number_of(reading)
        if value is None or point.key in wrong:
            continue
        for other, readings in seen.others.items():
            match = next((r for r in readings if r.point.key == point.key), None)
            if match is None or (theirs := number_of(match)) is None or other == seen.device:
                continue
            if _differ(point.quantity, value, theirs):
                yield finding(
                    "differs_from", point=point.key, value=value, unit=shown_unit(point),
                    other=other, other_value=theirs,
                )  # fmt: skip
                break


def _differ(quantity: Quantity, one: float, other: float) -> bool:
    if (by := NEIGHBOUR_BY.get(quantity)) is not None:
        return abs(one - other) > by
    if (share := NEIGHBOUR_SHARE.get(quantity)) is not None:
        return abs(one - other) > share * max(abs(one), abs(other))
    return False


def _by_growth(growth: Iterable[RegisterGrowth]) -> Iterator[StepFinding]:
    """A register against its power: only where it moved by much more than it can tell."""
    for each in growth:
        if each.expected_kwh <= 0 or max(each.grown_kwh, each.expected_kwh) < 10 * each.step_kwh:
            continue
        ratio = each.grown_kwh / each.expected_kwh
        words: dict[str, Figure] = {
            "point": each.point, "grown": each.grown_kwh, "expected": each.expected_kwh,
        }  # fmt: skip
        if ratio > 5 or (ratio < 0.2 and each.expected_kwh >= 10 * each.step_kwh):
            yield finding("energy_unit", **{**words, "factor": ratio})
        elif 0.5 < ratio < 2:
            yield finding("energy_agrees", **words)


def _some(keys: Sequence[str]) -> str:
    left = len(keys) - VALUES_SHOWN
    return ", ".join([*keys[:VALUES_SHOWN], *([f"and {left} more"] if left > 0 else [])])
