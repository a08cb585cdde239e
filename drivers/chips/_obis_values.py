"""What OBIS codes mean: points, units, and samples made of what a meter tells under its codes.

Source: IEC 62056-61 and DLMS UA Blue Book (value groups, enumerated units); BDEW/EDI@Energy list
of OBIS codes for the German codes.

One vocabulary for IEC 62056-21, DSMR, SML and DLMS, so that `energy_import` is the same point
whatever the wire. A value that another unit than its quantity's came with is converted; power
that comes as two numbers, taken and given, becomes one with a sign, positive for import.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NamedTuple

from drivers.chips._obis import CURRENT, UNSAID, Obis
from edge.core import Bad, Point, PointKind, Quantity, Reason, Sample

PHASES: Final = (("l1", 20), ("l2", 40), ("l3", 60))  # what is added to group C
TARIFFS: Final = range(1, 5)


class ObisReading(NamedTuple):
    """One value as a meter tells it. `unit` is a text ("kWh"), a DLMS number (30), or ""."""

    obis: Obis
    value: Decimal | int | None  # None: it was named, and what came is no number
    unit: str | int = ""


class ObisMeaning(NamedTuple):
    """The point that a code tells of. `sign` 0: the whole; 1 and -1: what is taken and given."""

    key: str
    sign: int = 0


# --- what the codes mean ----------------------------------------------------------------------

_PLAIN: Final = {  # instantaneous values that are told whole: (C, D, E)
    (16, 7, 0): "power",
    **{(16 + plus, 7, 0): f"power_{phase}" for phase, plus in PHASES},
    (9, 7, 0): "apparent_power",
    **{(9 + plus, 7, 0): f"apparent_power_{phase}" for phase, plus in PHASES},
    (11, 7, 0): "current",
    **{(11 + plus, 7, 0): f"current_{phase}" for phase, plus in PHASES},
    (91, 7, 0): "current_n",
    (12, 7, 0): "voltage",
    **{(12 + plus, 7, 0): f"voltage_{phase}" for phase, plus in PHASES},
    (13, 7, 0): "power_factor",
    **{(13 + plus, 7, 0): f"power_factor_{phase}" for phase, plus in PHASES},
    (14, 7, 0): "frequency",
    (81, 7, 1): "voltage_angle_l2",  # of U-L2 to U-L1
    (81, 7, 2): "voltage_angle_l3",
    (81, 7, 4): "phase_angle_l1",  # of I to U
    (81, 7, 15): "phase_angle_l2",
    (81, 7, 26): "phase_angle_l3",
}
_PARTS: Final = {  # taken and given are two codes: (C, D, E) -> point and sign
    (c + plus, 7, 0): ObisMeaning(f"{name}{phase}", sign)
    for phase, plus in (("", 0), *((f"_{phase}", plus) for phase, plus in PHASES))
    for c, name, sign in (
        (1, "power", 1),
        (2, "power", -1),
        (3, "reactive_power", 1),
        (4, "reactive_power", -1),
    )
}
_TOTALS: Final = {  # group C of the registers (D = 8)
    1: "energy_import",
    2: "energy_export",
    15: "energy_total",
    3: "reactive_energy_import",
    4: "reactive_energy_export",
    **{4 + quadrant: f"reactive_energy_q{quadrant}" for quadrant in range(1, 5)},
    9: "apparent_energy",
}
_MEANINGS: Final = {
    **{code: ObisMeaning(key) for code, key in _PLAIN.items()},
    **_PARTS,
    **{(c, 8, 0): ObisMeaning(key) for c, key in _TOTALS.items()},
    **{(c, 8, t): ObisMeaning(f"{key}_t{t}") for c, key in _TOTALS.items() for t in TARIFFS},
    **{
        (c + plus, 8, 0): ObisMeaning(f"{_TOTALS[c]}_{phase}")
        for c in (1, 2, 3, 4)
        for phase, plus in PHASES
    },
}


def obis_meaning(obis: Obis) -> ObisMeaning | None:
    """The point that a code of an electricity meter tells of, if it is a value of now."""
    if obis.a != 1 or obis.b > 1 or obis.f != CURRENT:
        return None
    return _MEANINGS.get((obis.c, obis.d, 0 if obis.e == UNSAID else obis.e))


_LIMITS: Final = {  # wide: these meters also sit behind transformers and tell primary values
    "energy": (Quantity.ENERGY, 0.0, 1e9),
    "reactive_energy": (Quantity.REACTIVE_ENERGY, 0.0, 1e9),
    "apparent_energy": (Quantity.APPARENT_ENERGY, 0.0, 1e9),
    "power": (Quantity.POWER, -1e7, 1e7),
    "reactive_power": (Quantity.REACTIVE_POWER, -1e7, 1e7),
    "apparent_power": (Quantity.APPARENT_POWER, 0.0, 1e7),
    "power_factor": (Quantity.POWER_FACTOR, -1.0, 1.0),
    "voltage": (Quantity.VOLTAGE, 0.0, 1e5),
    "current": (Quantity.CURRENT, -10000.0, 10000.0),  # some give it the sign of the power
    "frequency": (Quantity.FREQUENCY, 40.0, 70.0),
    "voltage_angle": (Quantity.ANGLE, -360.0, 360.0),
    "phase_angle": (Quantity.ANGLE, -360.0, 360.0),
}
_TOTAL: Final = (Quantity.ENERGY, Quantity.REACTIVE_ENERGY, Quantity.APPARENT_ENERGY)


def _point(key: str) -> Point:
    stem = max((stem for stem in _LIMITS if key.startswith(stem)), key=len)
    quantity, low, high = _LIMITS[stem]
    kind = PointKind.TOTAL if quantity in _TOTAL else PointKind.GAUGE
    return Point(key, quantity, low, high, kind=kind)


POINTS: Final = MappingProxyType({m.key: _point(m.key) for m in _MEANINGS.values()})
"""Every point that a code can mean, by its key."""


def known_points(*keys: str) -> tuple[Point, ...]:
    """These points of the vocabulary, in this order."""
    return tuple(POINTS[key] for key in keys)


# --- units ------------------------------------------------------------------------------------

_BASES: Final = {  # unit without prefix -> quantity, and how many of it make the quantity's unit
    ("W", 27): (Quantity.POWER, 0),
    ("VA", 28): (Quantity.APPARENT_POWER, 0),
    ("var", 29): (Quantity.REACTIVE_POWER, 0),
    ("Wh", 30): (Quantity.ENERGY, -3),
    ("VAh", 31): (Quantity.APPARENT_ENERGY, -3),
    ("varh", 32): (Quantity.REACTIVE_ENERGY, -3),
    ("A", 33): (Quantity.CURRENT, 0),
    ("V", 35): (Quantity.VOLTAGE, 0),
    ("Hz", 44): (Quantity.FREQUENCY, 0),
    ("deg", 8): (Quantity.ANGLE, 0),
    ("m3", 13): (Quantity.VOLUME, 0),
    ("m3/h", 15): (Quantity.VOLUME_FLOW, 0),
    ("1", 255): (Quantity.POWER_FACTOR, 0),
}
_PREFIXES: Final = (("", 0), ("k", 3), ("K", 3), ("M", 6))
_UNITS: Final[dict[str | int, tuple[Quantity, Decimal]]] = {
    **{code: (q, Decimal(1).scaleb(e)) for (_, code), (q, e) in _BASES.items()},
    **{
        prefix + spelling: (q, Decimal(1).scaleb(e + more))
        for (unit, _), (q, e) in _BASES.items()
        for prefix, more in _PREFIXES
        for spelling in {unit, unit.replace("var", "VAr"), unit.replace("Wh", "WH")}
    },
    14: (Quantity.VOLUME, Decimal(1)),  # corrected to standard conditions
    "GJ": (Quantity.ENERGY, Decimal(1000) / Decimal("3.6")),
    "mA": (Quantity.CURRENT, Decimal("0.001")),
    "Grad": (Quantity.ANGLE, Decimal(1)),
    "°": (Quantity.ANGLE, Decimal(1)),
}


_AMBIGUOUS: Final = (Quantity.POWER, Quantity.REACTIVE_POWER, Quantity.APPARENT_POWER)


def convert(reading: ObisReading, point: Point) -> float | None:
    """The value in the unit of the point's quantity; None when it is a value of something else.

    Without a unit it is taken as kWh, kvarh, V, A, Hz, those of all displays. Power is shown in W
    by some and in kW by others: without a unit it is None.
    """
    if reading.value is None or not Decimal(reading.value).is_finite():
        return None
    unit = reading.unit
    if unit == "" or (unit == 255 and point.quantity is Quantity.POWER_FACTOR):
        return None if point.quantity in _AMBIGUOUS else float(Decimal(reading.value))
    quantity, factor = _UNITS.get(unit, (None, Decimal(0)))
    return float(Decimal(reading.value) * factor) if quantity is point.quantity else None


# --- from values to samples -------------------------------------------------------------------


def obis_samples(
    wanted: Sequence[Point], readings: Iterable[ObisReading], with_registers: bool = True
) -> tuple[Sample, ...]:
    """One sample per wanted point; of a code that comes twice the first counts.

    What the meter does not tell is bad:address; what cannot be, bad:range. A point told as taken
    and given is their difference, unless it is also told whole. A register that is told by tariffs
    only is their sum, where the meter sends no other (`with_registers`); those of the
    channel that comes first.
    """
    found: dict[ObisMeaning, ObisReading] = {}
    tariffs: dict[str, dict[int, ObisReading]] = {}
    channels: dict[str, int] = {}
    for reading in readings:
        if (point_meaning := obis_meaning(reading.obis)) is not None:
            found.setdefault(point_meaning, reading)
        key = register_of(reading.obis) if with_registers else None
        if key is not None and channels.setdefault(key, reading.obis.b) == reading.obis.b:
            tariffs.setdefault(key, {}).setdefault(reading.obis.e, reading)
    by_key = {key: _sum(POINTS[key], parts) for key, parts in tariffs.items()}
    return tuple(_sample(point, found, by_key.get(point.key)) for point in wanted)


def register_of(obis: Obis) -> str | None:
    """The register that a code tells one tariff of."""
    now = obis.a == 1 and obis.b <= 1 and obis.f == CURRENT
    tariff = obis.d == 8 and obis.e not in (0, UNSAID)
    return _TOTALS.get(obis.c) if now and tariff else None


def _sum(point: Point, parts: dict[int, ObisReading]) -> float | None:
    """What the tariffs 1, 2 and so on make together; None when one of them is not known.

    One alone is no sum: the others may be hidden.
    """
    values = [convert(parts[n], point) for n in sorted(parts)]
    whole = len(parts) > 1 and sorted(parts) == list(range(1, len(parts) + 1))
    sound = (value for value in values if value is not None and value >= point.low)
    exact = [Decimal(str(value)) for value in sound]
    return float(sum(exact)) if whole and len(exact) == len(values) else None


def _sample(point: Point, found: dict[ObisMeaning, ObisReading], summed: float | None) -> Sample:
    whole = found.get(ObisMeaning(point.key))
    if whole is not None:
        value = convert(whole, point)
    else:
        parts = [(s, found[m]) for s in (1, -1) if (m := ObisMeaning(point.key, s)) in found]
        if not parts:
            return Bad(Reason.ADDRESS) if summed is None else checked_sample(point, summed)
        values = [(sign, convert(part, point)) for sign, part in parts]
        value = sum(s * v for s, v in values if v is not None)
        if any(v is None for _, v in values):
            value = None
    return checked_sample(point, value)


def checked_sample(point: Point, value: float | None) -> Sample:
    """The value as a sample; bad:range outside the point's range and for what is no number."""
    return value if value is not None and point.low <= value <= point.high else Bad(Reason.RANGE)
