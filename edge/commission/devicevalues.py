"""The values of a device in a sentence and in the table of the sheet: the most telling ones."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from edge.commission.usualranges import BETWEEN, shown_range
from edge.commission.verdict import rounded, shown_figure
from edge.core.point import Point, PointKind, Quantity
from edge.core.reading import Reading
from edge.process.plausibility.relations import PHASES

VALUES_SHOWN: Final = 6
POINTS_PLOTTED: Final = 14
OF_ONE: Final = 4  # points of one quantity
TELLING: Final = (
    Quantity.POWER, Quantity.VOLTAGE, Quantity.FREQUENCY, Quantity.POWER_FACTOR,
    Quantity.TEMPERATURE, Quantity.PRESSURE, Quantity.RELATIVE_HUMIDITY,
    Quantity.MASS_CONCENTRATION, Quantity.CARBON_DIOXIDE, Quantity.ENERGY, Quantity.VOLUME_FLOW,
)  # fmt: skip
"""What stands in the sentence of a device that is right, the most telling first."""


WRITTEN: Final[Mapping[str, str]] = {
    "Cel": "°C", "%RH": "%", "ug/m3": "µg/m³", "um": "µm", "1/cm3": "1/cm³", "Ohm": "Ω", "m3": "m³",
    "m3/h": "m³/h", "deg": "°", "1": "", "/": "",
}  # fmt: skip
"""Units of the wire as people write them; the page has the same."""


def number_of(reading: Reading) -> float | None:
    """Its value, if that is a number."""
    value = reading.value
    if isinstance(value, bool | str) or value is None:
        return None
    return float(value)


def _rank(reading: Reading) -> tuple[int, bool, bool]:
    """The most telling first; a total before its phases, and what lies between two phases last."""
    quantity, key = reading.point.quantity, reading.point.key
    place = TELLING.index(quantity) if quantity in TELLING else len(TELLING)
    return place, bool(BETWEEN.search(key)), key.endswith(PHASES)


def values_text(last: Sequence[Reading]) -> str:
    """What a device measures, in a few words."""
    known = [each for each in last if number_of(each) is not None]
    shown: list[Reading] = []
    for each in sorted(known, key=_rank):  # stable: the first of each quantity
        if not any(each.point.quantity is other.point.quantity for other in shown):
            shown.append(each)
    return ", ".join(
        f"{each.point.key} {shown_number(each)} {shown_unit(each.point)}".rstrip()
        for each in shown[:VALUES_SHOWN]
    )


def shown_unit(point: Point) -> str:
    """For people: a share and a count have none."""
    unit = point.quantity.unit
    return WRITTEN.get(unit, unit)


def plotted_points(readings: Sequence[Reading]) -> list[list[str | float | None]]:
    """For the sheet, the POINTS_PLOTTED most telling: key, value, unit, ends of its usual range."""
    rows: list[list[str | float | None]] = []
    seen: Counter[Quantity] = Counter()
    for each in sorted(readings, key=_rank):
        value, quantity = number_of(each), each.point.quantity
        if value is None or quantity not in TELLING or seen[quantity] == OF_ONE:
            continue
        seen[quantity] += 1
        ends = shown_range(each.point, value) or (None, None)
        shown = round(value, 1) if each.point.kind is PointKind.TOTAL else rounded(value)
        rows.append([each.point.key, shown, shown_unit(each.point), *ends])
    return rows[:POINTS_PLOTTED]


def shown_number(reading: Reading) -> str:
    """To four digits, without an exponent."""
    return shown_figure(rounded(number_of(reading)))
