"""Smart meters with a P1 port: DSMR 2 to 5 and ESMR 5, also in Belgium, Luxembourg, Sweden.

Source: Netbeheer Nederland P1 Companion Standard 5.0.2 (telegram, CRC, M-Bus devices);
ndokter/dsmr_parser for the older telegrams and those of other countries.

A telegram comes every second (DSMR 5), or every ten seconds (4 and before), at 115200 8N1. DSMR 2
and 3 use 9600 baud (settings unverified) and have no checksum. For these the driver checks the
parity if the port is set to 8N1, and drops a telegram with a damaged line. P1 is inverted, and
silent until its request pin is high: the cable takes care of both. Encrypted telegrams are not
read.

Meters on the M-Bus are told apart by their identifiers, never by their channels.
A value without a unit is bad:range. For a device on the M-Bus that was never read, the meter sends
zeros and an impossible time (632525252525S, 700101010000W; seen in issues of dsmr_parser and
dsmr-reader). Such a value is bad:stale. So is a reading whose time the meter has lost for a while.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final

from drivers.chips import _p1_meters as p1
from drivers.chips._crc16 import arc
from drivers.chips._obis import Obis, serial_number
from drivers.chips._obis_registers import TariffRegisters
from drivers.chips._obis_values import checked_sample, known_points
from drivers.chips._telegram import (
    DataSet,
    check_parity,
    next_telegram,
    obis_readings,
    obis_texts,
    parse_data_sets,
    parse_number,
)
from edge.core import (
    Bad,
    Condition,
    ConfigError,
    DataError,
    Point,
    PointKind,
    Quantity,
    Reason,
    Sample,
    SerialBus,
    UncertainValue,
)

SILENT_S: Final = 22.0  # two telegrams of the slow ones
MODERN: Final = (  # lines of the telegrams that end with a checksum
    Obis(1, 3, 0, 2, 8),
    Obis(0, 0, 1, 0, 0),
    Obis(0, 0, 96, 1, 4),
)

ELECTRICITY: Final = known_points(
    "energy_import", "energy_import_t1", "energy_import_t2",
    "energy_export", "energy_export_t1", "energy_export_t2",
    "reactive_energy_import", "reactive_energy_export",
    "power", "power_l1", "power_l2", "power_l3",
    "voltage_l1", "voltage_l2", "voltage_l3", "current_l1", "current_l2", "current_l3",
)  # fmt: skip
FAILURES: Final = {
    Obis(0, 0, 96, 7, 21): Point("power_failures", Quantity.COUNT, 0, 99999, kind=PointKind.TOTAL),
    Obis(0, 0, 96, 7, 9): Point(
        "long_power_failures", Quantity.COUNT, 0, 99999, kind=PointKind.TOTAL
    ),
}
POINTS: Final = (*ELECTRICITY, *p1.MBUS.values(), *FAILURES.values())
HEAD: Final = "p1 1"  # of what is kept
KEPT: Final = 2048  # bytes; more was not kept by us
GAPS: Final = (
    5  # readings that say that they are another meter's: the first may be lost with the power
)
UNSURE: Final = "unsure"  # which meter a point was last of; no identifier has small letters


@dataclass
class Dsmr:
    """One meter and what it has on its M-Bus. What it does not send is bad:address.

    `energy_import` and `energy_export` are the sum of both tariffs where the meter has no total.

    `gas`, `water`, `warm_water` and `heat` name the meters on the M-Bus by their identifiers, as
    printed on them or in the hexadecimal of the telegram. That is needed where there are several
    of a kind, which are bad:contradicted without it: the first is `gas_volume`, the second
    `gas_volume_2`. Another meter behind a point is uncertain:gap at first: no step is counted.
    """

    line: ClassVar[str] = "115200 8N1"
    bauds: ClassVar[tuple[int, ...]] = (9600, 115200)
    bus: SerialBus
    gas: Annotated[
        tuple[str, ...],
        "identifiers of the gas meters on the M-Bus, as printed on them or in the hexadecimal "
        "of the telegram; needed if there are several: the first becomes `gas_volume`, the "
        "second `gas_volume_2`",
    ] = ()
    water: Annotated[tuple[str, ...], "the same for water meters: `water_volume`"] = ()
    warm_water: Annotated[
        tuple[str, ...],
        "the same for warm water meters: `warm_water_volume`",
    ] = ()
    heat: Annotated[tuple[str, ...], "the same for heat meters: `heat_energy`"] = ()
    points: Sequence[Point] = field(default=POINTS, init=False, repr=False)  # with the options'
    health: Mapping[Condition, str] = field(default_factory=dict, init=False, repr=False)
    _identity: str = field(default="", init=False, repr=False)
    _registers: TariffRegisters = field(default_factory=TariffRegisters, init=False, repr=False)
    _named: dict[int, list[str]] = field(init=False, repr=False)
    _meters: dict[str, str] = field(default_factory=dict, init=False, repr=False)  # by point
    _gaps: dict[str, int] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self._named = {
            kind: _identifiers(key, getattr(self, key)) for kind, key in p1.OPTIONS.items()
        }
        self.points = (*POINTS, *points_of_further_meters(self._named))

    @property
    def identity(self) -> str:
        return self._identity

    async def open(self) -> None:
        """Nothing to do: it talks by itself."""

    async def read(self) -> tuple[Sample, ...]:
        """The newest telegram. Raises BusError on silence, DataError for a damaged one."""
        found = parse_telegram(await self.bus.frame(next_telegram, SILENT_S, newest=True))
        self._identity = identity(found) or self._identity
        places, notes = mbus_samples(found, self._named)
        self.health = {Condition.SETTINGS: ". ".join(notes)} if notes else {}
        own = decode(found, self._identity, self._registers)
        samples = own | {key: self._goes_on(key, *at) for key, at in places.items()}
        return tuple(samples[point.key] for point in self.points)

    async def close(self) -> None:
        """Nothing to release: it goes on talking."""

    def snapshot(self) -> bytes:
        """Which meter each point was last of, so that another one is noticed after a restart."""
        meters = {key: UNSURE if key in self._gaps else name for key, name in self._meters.items()}
        rows = [HEAD, *(f"{key}={name}" for key, name in sorted(meters.items()))]
        return "\n".join(rows).encode() if meters else b""

    def restore(self, kept: bytes, age_s: float) -> None:
        """Take back what `snapshot` gave, however long ago."""
        head, *rows = kept[:KEPT].decode("ascii", "replace").split("\n")
        keys = {point.key for point in self.points}
        if head == HEAD:
            pairs = (row.partition("=") for row in rows)
            self._meters = {key: name for key, _, name in pairs if key in keys} | self._meters

    def _goes_on(self, key: str, sample: Sample, name: str) -> Sample:
        """The sample; of another meter than before: uncertain for the gap.

        Of two without an identifier, or with one and the same, nobody knows which goes on alone.
        """
        if sample == Bad(Reason.CONTRADICTED) and self._meters.get(key, name) in ("", name):
            self._meters[key] = UNSURE
        if isinstance(sample, Bad):
            return sample
        if self._meters.setdefault(key, name) != name:
            self._meters[key], self._gaps[key] = name, GAPS
        if key not in self._gaps:
            return sample
        self._gaps[key] -= 1
        if not self._gaps[key]:
            del self._gaps[key]
        return UncertainValue(sample, Reason.GAP)  # type: ignore[arg-type]


def _identifiers(option: str, identifiers: Sequence[str]) -> list[str]:
    """The identifiers in an option, as they are compared. Raises ConfigError."""
    found = [p1.canonical_identifier(name) for name in identifiers]
    if len(found) > p1.CHANNELS or "" in found or len(set(found)) < len(found):
        raise ConfigError(
            f"{option} = {list(identifiers)} cannot be right: the identifiers of up to "
            f"{p1.CHANNELS} different meters belong here, as printed on them"
        )
    return found


def points_of_further_meters(named: Mapping[int, Sequence[str]]) -> list[Point]:
    """Those of the second, third and fourth meter of a kind."""
    return [
        Point(key, p1.MBUS[kind].quantity, 0, p1.MBUS[kind].high, kind=PointKind.TOTAL)
        for kind, names in named.items()
        for key in p1.point_keys(kind, len(names))[1:]
    ]


def parse_telegram(frame: bytes) -> list[DataSet]:
    """The data sets of a telegram. Raises DataError when it is damaged."""
    text = check_parity(frame)
    head, _, rest = text.partition(b"\r\n")
    body, mark, tail = rest.rpartition(b"\r\n!")
    if not head.startswith(b"/") or not mark or not tail.endswith(b"\r\n"):
        raise DataError(f"no telegram: {frame[:40].hex() or 'nothing'}")
    crc = tail[:-2].decode("ascii")
    right = arc(text[: -len(tail)])
    if crc and crc not in (f"{right:04X}", f"{right:X}"):  # some leave out leading zeros
        raise DataError("wrong CRC: the telegram was damaged")
    found = parse_data_sets(body.decode("ascii"), strict=not crc)
    if not found:
        raise DataError("a telegram without values")
    if not crc and not obis_texts(found).keys().isdisjoint(MODERN):
        raise DataError("the telegram has lost its CRC")
    return found


def decode(
    found: Sequence[DataSet], identity: str, registers: TariffRegisters
) -> dict[str, Sample]:
    """What the data sets of a telegram say of the meter itself."""
    obis_found = [one if one.unit else one._replace(value=None) for one in obis_readings(found)]
    samples = registers.samples(identity, ELECTRICITY, obis_found)
    by_key = {p.key: s for p, s in zip(ELECTRICITY, samples, strict=True)}
    plain = obis_texts(found)
    return by_key | {point.key: _count(point, plain.get(code)) for code, point in FAILURES.items()}


def mbus_samples(
    found: Sequence[DataSet], named: Mapping[int, Sequence[str]]
) -> tuple[dict[str, p1.PointSource], list[str]]:
    """The points of the meters on its M-Bus, and what a person should know of them."""
    meters = p1.list_meters(found)
    by_key: dict[str, p1.PointSource] = {}
    notes: list[str] = []
    for kind in p1.MBUS:
        places, text = p1.point_sources(kind, meters, named.get(kind, ()))
        by_key |= places
        notes += [text] if text else []
    return by_key, notes


def _count(point: Point, text: str | None) -> Sample:
    if text is None:
        return Bad(Reason.ADDRESS)
    value = parse_number(text)
    return checked_sample(point, None if value is None else float(value))


def identity(found: Iterable[DataSet]) -> str:
    """The serial number of the electricity meter: it is told as the hexadecimal of its letters."""
    return serial_number(
        {code: p1.identifier_text(text) for code, text in obis_texts(found).items()}
    )


def explain(frames: Sequence[bytes]) -> dict[str, Sample]:
    """What the last of these telegrams means. Raises DataError for a damaged one, and for none."""
    if not frames:
        raise DataError("no telegram", Reason.SILENT)
    found = [parse_telegram(frame) for frame in frames][-1]
    by_key = decode(found, "", TariffRegisters()) | {
        key: at.sample for key, at in mbus_samples(found, {})[0].items()
    }
    return {point.key: by_key[point.key] for point in POINTS}


def draft_options(frame: bytes) -> dict[str, list[str]]:
    """Options for a port with several meters of a kind. Raises DataError for a damaged frame."""
    return p1.ambiguous(p1.list_meters(parse_telegram(frame)), {})


DRIVER: Final = Dsmr
