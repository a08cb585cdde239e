"""The meters behind a P1 port: who they are, and which point each of them is.

Source: Netbeheer Nederland P1 Companion Standard 5.0.2 (M-Bus devices: 0-n:24.1.0 the kind,
0-n:96.1.0 the identifier, 0-n:24.2.1 the reading); Belgium has the identifier under 0-n:96.1.1.

The number of a channel is that of an installation, and may be another one tomorrow: a meter is
known by its identifier alone. Two of one kind are two points, each named in the configuration; as
long as nobody has named them their point is bad, for their registers must never be taken for one.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from drivers.chips._obis import Obis, parse_obis, plain_serial
from drivers.chips._obis_values import ObisReading, checked_sample, convert
from drivers.chips._telegram import DataSet, parse_amount
from edge.core import Bad, Point, PointKind, Quantity, Reason, Sample

CHANNELS: Final = 4
GONE_DAYS: Final = 31  # a reading that is so much older than another's: that meter was taken away
READ_AT: Final = re.compile(  # YYMMDDhhmmss; the first P1 ports are of 2007
    r"(?:0[7-9]|[1-5][0-9])(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{6}[SWsw]?"
)
MBUS: Final = {  # type of the device after EN 13757-3 -> point
    3: Point("gas_volume", Quantity.VOLUME, 0, 1e8, kind=PointKind.TOTAL),
    7: Point("water_volume", Quantity.VOLUME, 0, 1e8, kind=PointKind.TOTAL),
    6: Point("warm_water_volume", Quantity.VOLUME, 0, 1e8, kind=PointKind.TOTAL),
    4: Point("heat_energy", Quantity.ENERGY, 0, 1e9, kind=PointKind.TOTAL),
}
OPTIONS: Final = {3: "gas", 7: "water", 6: "warm_water", 4: "heat"}
ALIASES: Final = {12: 4}  # heat measured in the flow or in the return pipe


class P1Meter(NamedTuple):
    """What a telegram says of one meter. `at` sorts by time; "" is none that can be."""

    kind: int
    identity: str  # as it is printed on the meter; "": it does not tell
    at: str
    value: tuple[Decimal | None, str]

    @property
    def sample(self) -> Sample:
        if not self.at:
            return Bad(Reason.STALE)
        point, (value, unit) = MBUS[self.kind], self.value
        reading = ObisReading(Obis(0, 1, 24, 2, 1), value if unit else None, unit)
        return checked_sample(point, convert(reading, point))

    @property
    def day(self) -> int:
        """To be compared; each month has 31."""
        year, month, day = (int(self.at[at : at + 2]) for at in (0, 2, 4))
        return (year * 12 + month) * 31 + day


class PointSource(NamedTuple):
    """What a point says, and of which meter; "" when it has no identifier, or several speak."""

    sample: Sample
    identity: str = ""


def identifier_text(text: str) -> str:
    """An identifier as it is printed: it is told as the hexadecimal of its letters."""
    try:
        found = bytes.fromhex(text).decode("ascii")
    except ValueError:  # UnicodeDecodeError is one
        return text
    return found if found.isprintable() and found else text


def canonical_identifier(text: str) -> str:
    """An identifier from a telegram or a configuration, in letters or in hexadecimal."""
    found = plain_serial(identifier_text(text.strip())).upper()
    return found if found.strip("0") else ""


def point_keys(kind: int, count: int) -> list[str]:
    """The points of so many meters of a kind: `gas_volume`, `gas_volume_2`."""
    stem = MBUS[kind].key
    return [stem if n == 1 else f"{stem}_{n}" for n in range(1, max(1, count) + 1)]


def list_meters(found: Iterable[DataSet]) -> list[P1Meter]:
    """Those that tell a reading. One that stands on two channels is there once, by its later one;
    twice only where the two contradict each other.
    """
    kinds: dict[int, int] = {}
    names: dict[tuple[int, int], str] = {}
    values: dict[int, tuple[str, tuple[Decimal | None, str]]] = {}
    for entry in found:
        code = parse_obis(entry.code)
        if code is None or code.a != 0 or not 1 <= code.b <= CHANNELS:
            continue
        match code[2:5], entry.groups:
            case (24, 1, 0), (digits, *_) if digits.isdigit() and len(digits) <= 3:
                kinds[code.b] = ALIASES.get(int(digits), int(digits))
            case (96, 1, place), (name, *_) if canonical_identifier(name):
                names[code.b, place] = canonical_identifier(name)
            case (24, 2, 1 | 3), (at, value, *_) if value:
                values[code.b] = (at, parse_amount(value))
            case (24, 3, 0), (at, _, _, _, _, unit, value, *_):  # DSMR 2, 3: the last in a new line
                values[code.b] = (at, (parse_amount(value)[0], unit))
    meters: list[P1Meter] = []
    for channel, (at, value_read) in sorted(values.items()):
        kind = kinds.get(channel, -1)
        if kind in MBUS:
            identity = next((names[key] for key in sorted(names) if key[0] == channel), "")
            read_at = at[:12] if READ_AT.fullmatch(at) else ""
            meters.append(P1Meter(kind, identity, read_at, value_read))
    return [
        one for place, one in enumerate(meters) if not _is_same_meter(one, meters[:place], meters)
    ]


def _is_same_meter(one: P1Meter, before: Sequence[P1Meter], everybody: Sequence[P1Meter]) -> bool:
    """Whether another channel tells of this very meter: later, or the same and before it.

    One that went back meanwhile is not this very meter, whatever its identifier.
    """
    if not one.identity:
        return False
    later = (each.sample for each in everybody if each[:2] == one[:2] and each.at > one.at)
    return one in before or any(not _less(sample, one.sample) for sample in later)


def _less(a: Sample, b: Sample) -> bool:
    return isinstance(a, float) and isinstance(b, float) and a < b


def point_sources(
    kind: int, meters: Sequence[P1Meter], named: Sequence[str]
) -> tuple[dict[str, PointSource], str]:
    """The points of a kind, and a sentence for a person where these do not say what they could.

    `named` are the identifiers of the configuration: the first is the plain point.
    """
    mine = [one for one in meters if one.kind == kind]
    if named:
        by_name = {name: [one for one in mine if one.identity == name] for name in named}
        found = [_only(by_name[name]) for name in named]
        lost = [name for name in named if not by_name[name]]
        new = [one.identity for one in _there(mine) if one.identity not in named]
        text = _replaced(OPTIONS[kind], lost, new) if lost and new else ""
    else:
        there = _there(mine)
        found = [_only(there or mine[:1])]
        text = _ambiguous(kind, there) if len(there) > 1 else ""
    return dict(zip(point_keys(kind, len(named)), found, strict=True)), text


def _there(mine: Sequence[P1Meter]) -> list[P1Meter]:
    """Without those that were never read, or have been taken away."""
    read = [one for one in mine if one.at]
    last = max((one.day for one in read), default=0)
    return [one for one in read if last - one.day <= GONE_DAYS]


def _only(those: Sequence[P1Meter]) -> PointSource:
    match those:
        case []:
            return PointSource(Bad(Reason.ADDRESS))
        case [one]:
            return PointSource(one.sample, one.identity)
    names = {one.identity for one in those}
    return PointSource(Bad(Reason.CONTRADICTED), names.pop() if len(names) == 1 else "")


def ambiguous(
    meters: Sequence[P1Meter], named: Mapping[int, Sequence[str]]
) -> dict[str, list[str]]:
    """Option -> what to write into it: of each kind with several meters that nobody has named."""
    found: dict[str, list[str]] = {}
    for kind, option in OPTIONS.items():
        names = {one.identity for one in _there([one for one in meters if one.kind == kind])}
        if len(names) > 1 and not named.get(kind) and all(names):
            found[option] = sorted(names)
    return found


def _ambiguous(kind: int, there: Sequence[P1Meter]) -> str:
    option, first = OPTIONS[kind], MBUS[kind].key
    names = sorted({one.identity for one in there})
    words = option.replace("_", " ")
    if "" in names:
        return (
            f"{len(there)} {words} meters are behind this port, and not all send an identifier, so"
            f" {first} has no value; have the meter that is no longer used disconnected"
        )
    if len(names) == 1:
        return (
            f"two channels send different readings of the {words} meter {names[0]};"
            " have the channel that is no longer used removed"
        )
    shown = ", ".join(f'"{name}"' for name in names)
    return (
        f"{len(names)} {words} meters are behind this port ({', '.join(names)}), and the site file"
        f" does not say which of them is {first}; write {option} = [{shown}] in the order that you"
        f" want: the first is {first}, the second {first}_2"
    )


def _replaced(option: str, lost: Sequence[str], new: Sequence[str]) -> str:
    shown = ", ".join(name or "one without an identifier" for name in new)
    return (
        f"{option} names {', '.join(lost)}, but the port reports {shown} instead;"
        " if the meter was replaced, write the new identifier in place of the old one"
    )
