"""Smart meters with a P1 port: DSMR 2 to 5 and ESMR 5, also in Belgium, Luxembourg, Sweden.

Source: Netbeheer Nederland P1 Companion Standard 5.0.2 (telegram, CRC, M-Bus devices);
ndokter/dsmr_parser for the older telegrams and those of other countries.

A telegram comes every second (5), every ten seconds (4 and before) at 115200 8N1; DSMR 2 and 3
speak 9600 baud (settings unverified) and have no checksum: there the parity is checked if the port
is set to 8N1, and a telegram with one damaged line gives nothing. P1 is inverted, and silent until
its request pin is high: both is done by the cable. Encrypted telegrams are not read.

A value without a unit is bad:range. A device on the M-Bus that was never read is told with zeros
and a time that cannot be (632525252525S, 700101010000W; seen in issues of dsmr_parser and
dsmr-reader): that is bad:stale, as is a reading whose time the meter has lost for a while.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar, Final, NamedTuple

from drivers.chips._crc16 import arc
from drivers.chips._obis import Obis, parse, serial
from drivers.chips._obis_values import Reading, convert, points, samples, within
from drivers.chips._telegram import Entry, amount, checked, cut, entries, number, readings, texts
from edge.core import Bad, Condition, DataError, Kind, Point, Quantity, Reason, Sample, SerialBus

SILENT_S: Final = 22.0  # two telegrams of the slow ones
MODERN: Final = (  # lines of the telegrams that end with a checksum
    Obis(1, 3, 0, 2, 8),
    Obis(0, 0, 1, 0, 0),
    Obis(0, 0, 96, 1, 4),
)

ELECTRICITY: Final = points(
    "energy_import", "energy_import_t1", "energy_import_t2",
    "energy_export", "energy_export_t1", "energy_export_t2",
    "reactive_energy_import", "reactive_energy_export",
    "power", "power_l1", "power_l2", "power_l3",
    "voltage_l1", "voltage_l2", "voltage_l3", "current_l1", "current_l2", "current_l3",
)  # fmt: skip
SUMS: Final = ("energy_import", "energy_export")
READ_AT: Final = re.compile(  # YYMMDDhhmmss; the first P1 ports are of 2007
    r"(?:0[7-9]|[1-5][0-9])(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{6}[SW]?"
)
MBUS: Final = {  # type of the device after EN 13757-3 -> point
    3: Point("gas_volume", Quantity.VOLUME, 0, 1e8, kind=Kind.TOTAL),
    7: Point("water_volume", Quantity.VOLUME, 0, 1e8, kind=Kind.TOTAL),
    6: Point("warm_water_volume", Quantity.VOLUME, 0, 1e8, kind=Kind.TOTAL),
    4: Point("heat_energy", Quantity.ENERGY, 0, 1e9, kind=Kind.TOTAL),
}
ALIASES: Final = {12: 4}  # heat measured in the flow or in the return pipe
FAILURES: Final = {
    Obis(0, 0, 96, 7, 21): Point("power_failures", Quantity.COUNT, 0, 99999, kind=Kind.TOTAL),
    Obis(0, 0, 96, 7, 9): Point("long_power_failures", Quantity.COUNT, 0, 99999, kind=Kind.TOTAL),
}
POINTS: Final = (*ELECTRICITY, *MBUS.values(), *FAILURES.values())


@dataclass(slots=True)
class Dsmr:
    """One meter and what it has on its M-Bus. What it does not tell is bad:address.

    `energy_import` and `energy_export` are the sum of both tariffs where the meter has no total.
    Of two devices of one kind on the M-Bus (one was changed), the later reading counts.
    """

    points: ClassVar[Sequence[Point]] = POINTS
    line: ClassVar[str] = "115200 8N1"
    bus: SerialBus
    _identity: str = field(default="", init=False, repr=False)

    @property
    def identity(self) -> str:
        return self._identity

    @property
    def health(self) -> Mapping[Condition, str]:
        """Always empty: the port does not tell of faults."""
        return {}

    async def open(self) -> None:
        """Nothing to do: it talks by itself."""

    async def read(self) -> tuple[Sample, ...]:
        """The newest telegram. Raises BusError on silence, DataError for a damaged one."""
        found = telegram(await self.bus.frame(cut, SILENT_S, newest=True))
        self._identity = identity(found) or self._identity
        return decode(found)

    async def close(self) -> None:
        """Nothing to release: it goes on talking."""


def telegram(frame: bytes) -> list[Entry]:
    """The data sets of a telegram. Raises DataError when it is damaged."""
    text = checked(frame)
    head, _, rest = text.partition(b"\r\n")
    body, mark, tail = rest.rpartition(b"\r\n!")
    if not head.startswith(b"/") or not mark or not tail.endswith(b"\r\n"):
        raise DataError(f"no telegram: {frame[:40].hex() or 'nothing'}")
    crc = tail[:-2].decode("ascii")
    if crc and crc != f"{arc(text[: -len(tail)]):04X}":
        raise DataError("wrong CRC: the telegram was damaged")
    found = entries(body.decode("ascii"), strict=not crc)
    if not found:
        raise DataError("a telegram without values")
    if not crc and not texts(found).keys().isdisjoint(MODERN):
        raise DataError("the telegram has lost its CRC")
    return found


def decode(found: Sequence[Entry]) -> tuple[Sample, ...]:
    """The data sets of a telegram, one sample per point."""
    told = [one if one.unit else one._replace(value=None) for one in readings(found)]
    by_key = {p.key: s for p, s in zip(ELECTRICITY, samples(ELECTRICITY, told), strict=True)}
    for key in SUMS:
        by_key[key] = _sum(by_key[key], by_key[f"{key}_t1"], by_key[f"{key}_t2"])
    by_key |= _mbus(found)
    plain = texts(found)
    for code, point in FAILURES.items():
        by_key[point.key] = _count(point, plain.get(code))
    return tuple(by_key[point.key] for point in POINTS)


def _sum(total: Sample, *tariffs: Sample) -> Sample:
    """The total; where the meter has none, what its tariffs make together."""
    if total != Bad(Reason.ADDRESS):
        return total
    numbers = [Decimal(str(tariff)) for tariff in tariffs if isinstance(tariff, float)]
    return float(sum(numbers)) if len(numbers) == len(tariffs) else total


def _count(point: Point, text: str | None) -> Sample:
    if text is None:
        return Bad(Reason.ADDRESS)
    value = number(text)
    return within(point, None if value is None else float(value))


# --- meters on the M-Bus of the meter ---------------------------------------------------------


class Device(NamedTuple):
    """What a telegram says of one M-Bus channel. `at` sorts by time; "" is none that can be."""

    kind: int
    at: str
    value: tuple[Decimal | None, str]


def _mbus(found: Iterable[Entry]) -> dict[str, Sample]:
    kinds: dict[int, int] = {}
    values: dict[int, tuple[str, tuple[Decimal | None, str]]] = {}
    for entry in found:
        code = parse(entry.code)
        if code is None or code.a != 0 or not 1 <= code.b <= 4 or code.c != 24:
            continue
        match code[3:5], entry.groups:
            case (1, 0), (kind, *_) if kind.isdigit() and len(kind) <= 3:
                kinds[code.b] = ALIASES.get(int(kind), int(kind))
            case (2, 1 | 3), (at, value, *_) if value:
                values[code.b] = (at, amount(value))
            case (3, 0), (at, _, _, _, _, unit, value, *_):  # DSMR 2 and 3: the last in a new line
                values[code.b] = (at, (amount(value)[0], unit))
    best: dict[int, Device] = {}
    for channel in sorted(values):
        at, told = values[channel]
        device = Device(kinds.get(channel, -1), at[:12] if READ_AT.fullmatch(at) else "", told)
        known = best.get(device.kind)
        if device.kind in MBUS and (known is None or device.at > known.at):
            best[device.kind] = device
    return {point.key: _volume(point, best.get(kind)) for kind, point in MBUS.items()}


def _volume(point: Point, device: Device | None) -> Sample:
    if device is None:
        return Bad(Reason.ADDRESS)
    if not device.at:
        return Bad(Reason.STALE)
    value, unit = device.value
    told = Reading(Obis(0, 1, 24, 2, 1), value if unit else None, unit)
    return within(point, convert(told, point))


def identity(found: Iterable[Entry]) -> str:
    """The serial number of the electricity meter: it is told as the hexadecimal of its letters."""
    return serial({code: _letters(text) for code, text in texts(found).items()})


def _letters(text: str) -> str:
    try:
        letters = bytes.fromhex(text).decode("ascii")
    except ValueError:  # UnicodeDecodeError is one
        return text
    return letters if letters.isprintable() and letters else text


def explain(frames: Sequence[bytes]) -> dict[str, Sample]:
    """What the last of these telegrams means. Raises DataError for a damaged one, and for none."""
    if not frames:
        raise DataError("no telegram", Reason.SILENT)
    found = [telegram(frame) for frame in frames][-1]
    return {p.key: s for p, s in zip(POINTS, decode(found), strict=True)}


DRIVER: Final = Dsmr
