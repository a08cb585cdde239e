"""Meters on a wired M-Bus: electricity, heat, cold, water, gas; through a level converter.

Source: EN 13757-2 and EN 13757-3; rscada/libmbus and its frames of real meters; PyPI pyMeterBus
0.8.5. The unit of a value decides which point it is. Only present values count (storage 0, no
maximum or minimum), and only those of the meter itself (subunit 0; each maker uses other subunits
differently). If several values have one meaning, the first counts. If a description comes twice in
a telegram, as with phases without a name, the value is bad:contradicted. Phases are read as EMU and
SBC code them; the standard leaves this to the makers. Telegrams of the fixed form (CI 73) and
encrypted ones are refused. Before encryption existed, the configuration word held a signature, and
some meters still fill it. EN 13757-7 has encryption modes up to 15; a telegram with a higher mode
is taken as not encrypted.

2400 8E1; 300 to 38400 is possible. At 300 a long telegram takes ten seconds: set `timeout_s`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Annotated, ClassVar, Final

from drivers.chips import _mbus_link as link
from drivers.chips._mbus_records import MbusRecord, parse_records, vif_meaning
from edge.core import (
    Bad,
    BusError,
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

VARIABLE, ERROR = link.VARIABLE, 0x70  # CI: records; an error instead
HEADER: Final = 12
TELEGRAMS_AT_MOST: Final = 8
ELECTRICITY: Final = 0x02
MODES: Final = range(1, 16)  # of encryption, in the high byte of the configuration word
ERROR_FLAGS: Final = (0xFD, 0x17)
PERMANENT, TEMPORARY, LOW = 0x08, 0x10, 0x04  # bits of the status byte

_PHASED: Final = (
    ("power", Quantity.POWER, 1e7),
    ("reactive_power", Quantity.REACTIVE_POWER, 1e7),
    ("voltage", Quantity.VOLTAGE, 1e5),
    ("current", Quantity.CURRENT, 1e5),
)


def _total(key: str, quantity: Quantity = Quantity.ENERGY) -> Point:
    return Point(key, quantity, low=0, high=1e9, kind=PointKind.TOTAL)


@dataclass(slots=True)
class Mbus:
    """One meter, by its primary `address`, or by the 8 digits of its number in `secondary`."""

    line: ClassVar[str] = "2400 8E1"
    every_s: ClassVar[float] = 60.0  # a reading takes seconds
    points: ClassVar[Sequence[Point]] = (
        _total("energy_import"),
        _total("energy_export"),
        *(_total(f"energy_import_t{tariff}") for tariff in (1, 2, 3, 4)),
        _total("reactive_energy_import", Quantity.REACTIVE_ENERGY),
        *(
            Point(key + phase, quantity, low=0 if key == "voltage" else -high, high=high)
            for key, quantity, high in _PHASED
            for phase in ("", "_l1", "_l2", "_l3")
        ),
        Point("apparent_power", Quantity.APPARENT_POWER, low=0, high=1e7),
        Point("frequency", Quantity.FREQUENCY, low=40, high=70),
        _total("energy"),  # of heat or cold
        _total("volume", Quantity.VOLUME),
        Point("volume_flow", Quantity.VOLUME_FLOW, low=-1e5, high=1e5),
        Point("temperature_flow", Quantity.TEMPERATURE, low=-50, high=250),
        Point("temperature_return", Quantity.TEMPERATURE, low=-50, high=250),
        Point("temperature_difference", Quantity.TEMPERATURE, low=-250, high=250),
    )
    bus: SerialBus
    address: Annotated[int, (0, 250), "primary address of the meter"] = 0
    secondary: Annotated[str, "the 8 digits of the meter's number, in place of `address`"] = ""
    timeout_s: Annotated[float, (0.2, 30.0), "how long to wait for an answer, in seconds"] = 2.0
    identity: str = field(default="", init=False)
    health: Mapping[Condition, str] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        if self.secondary and not re.fullmatch("[0-9A-Fa-f]{8}", self.secondary):
            raise ConfigError(
                f"secondary = {self.secondary!r} cannot be right: the 8 digits of the meter's"
                " number belong here, in quotes"
            )

    async def open(self) -> None:
        """Nothing on the line; the meter is told to begin anew before each reading."""
        self.identity = ""

    async def read(self) -> tuple[Sample, ...]:
        """All points, of all its telegrams. Raises BusError on silence, DataError for damage."""
        if self.secondary:  # this deselects the others, and the meter begins with its first one
            await self.bus.frame(link.next_ack, self.timeout_s, link.select(self.secondary))
        else:
            await self.bus.frame(
                link.next_ack, self.timeout_s, link.short_frame(link.SND_NKE, self.address)
            )
        target = link.SELECTED if self.secondary else self.address
        telegrams: list[MbusTelegram] = []
        for turn in range(TELEGRAMS_AT_MOST):
            control = link.REQ_UD2 | (0 if turn % 2 else link.FCB)
            telegrams.append(parse_telegram(await self._ask(target, control)))
            if telegrams[0].identity != telegrams[-1].identity:
                raise DataError("two meters answer: they have the same address")
            if not telegrams[-1].more:
                break
        samples = decode(telegrams)
        self.identity, self.health = telegrams[0].identity, status_conditions(telegrams)
        return tuple(samples.get(p.key, Bad(Reason.ADDRESS)) for p in self.points)

    async def _ask(self, target: int, control: int) -> bytes:
        others = set[int]()
        cut = link.answer_framer(target, self.secondary, others)
        try:
            return await self.bus.frame(cut, self.timeout_s, link.short_frame(control, target))
        except DataError as error:  # something came
            if not others or self.secondary:
                raise
            who = ", ".join(map(str, sorted(others)))
            raise BusError(
                f"address {target}: another meter answered, with address {who}; set address ="
                f" {min(others)}, or give the meter the address {target}"
            ) from error

    async def close(self) -> None:
        """Nothing to release: the line belongs to all."""


@dataclass(frozen=True, slots=True)
class MbusTelegram:
    """One telegram with data: whose it is, how it is doing, its records."""

    identity: str
    medium: int
    status: int
    records: tuple[MbusRecord, ...]
    more: bool


def parse_telegram(frame: bytes) -> MbusTelegram:
    """Raises DataError for a damaged telegram, for one that tells an error, and for other forms."""
    control, _, ci, data = link.parse_long(frame)
    if control & link.KIND != link.RSP_UD:
        raise DataError("this telegram is no answer with data")
    if ci == ERROR:
        code = data[0] if data else 0
        raise DataError(
            f"the meter answers with error {code}", Reason.BUSY if code == 8 else Reason.FAULT
        )
    if ci != VARIABLE or len(data) < HEADER:
        raise DataError(f"telegrams of the form {ci:02x} are not understood", Reason.FAULT)
    if data[11] & 0x1F in MODES:
        raise DataError("the meter encrypts its telegrams: switch its encryption off", Reason.FAULT)
    maker = int.from_bytes(data[4:6], "little")
    letters = "".join(chr(64 + (maker >> shift & 0x1F)) for shift in (10, 5, 0))
    found, more = parse_records(data[HEADER:])
    number = data[3::-1].hex().upper()
    return MbusTelegram(f"{letters} {number}", data[7], data[9], tuple(found), more)


def decode(telegrams: Sequence[MbusTelegram]) -> dict[str, Sample]:
    """Samples by key. A meter that reports a permanent error gives uncertain values (fault)."""
    found: dict[str, Sample] = {}
    by: dict[str, tuple[int, MbusRecord]] = {}  # telegram and record that it came with
    forms = [[replace(record, value=None) for record in one.records] for one in telegrams]
    for place, one in enumerate(telegrams):
        if forms[place] in forms[:place] and _is_repeated(telegrams, place):
            continue
        for record in one.records:
            value = _sample(record, one.medium)
            if value is None:
                continue
            key, sample = value
            if key in found:
                if _contradicts(place, record, *by[key]):
                    found[key] = Bad(Reason.CONTRADICTED)
                continue
            broken = one.status & PERMANENT and not isinstance(sample, Bad | UncertainValue)
            by[key] = (place, record)
            found[key] = UncertainValue(sample, Reason.FAULT) if broken else sample  # type: ignore[arg-type]
    return found


def _is_repeated(telegrams: Sequence[MbusTelegram], place: int) -> bool:
    """Whether a telegram of a form that was there is that one again, later.

    It is where the meter never comes to its last one, since it does not heed the frame count bit,
    and after a last one, where another reading begins. Else it is what the meter sends next, and
    tells other things in the same words.
    """
    return telegrams[-1].more or any(not one.more for one in telegrams[:place])


def _contradicts(place: int, record: MbusRecord, before: int, first: MbusRecord) -> bool:
    """Whether two records claim to be the same thing; a register may stand in each telegram."""
    return record.vif == first.vif and (place == before or record.value != first.value)


def _sample(record: MbusRecord, medium: int) -> tuple[str, Sample] | None:
    """A record's point and value; None when it is of something else."""
    if record.function or record.storage or record.subunit:
        return None
    unit_meaning = vif_meaning(record.vif)
    if unit_meaning is None:
        return None
    stem = unit_meaning.stem
    if medium == ELECTRICITY and stem in ("energy", "reactive_energy"):
        stem += "_export" if unit_meaning.given else "_import"
    elif unit_meaning.given:
        return None
    key = stem + (f"_l{unit_meaning.phase}" if unit_meaning.phase else "")
    key += f"_t{record.tariff}" if record.tariff else ""
    point = POINTS.get(key)
    if point is None:
        return None
    if unit_meaning.error is not None:
        return key, Bad(unit_meaning.error)
    if record.value is None:
        return key, Bad(Reason.RANGE)
    value = float(Fraction(record.value) * unit_meaning.factor)
    return key, value if point.low <= value <= point.high else Bad(Reason.RANGE)


def status_conditions(telegrams: Sequence[MbusTelegram]) -> dict[Condition, str]:
    """What the status byte and the error flags say."""
    status = 0
    for one in telegrams:
        status |= one.status
    wrong = []
    if status & PERMANENT:
        wrong.append("the meter reports a permanent error")
    if status & TEMPORARY:
        wrong.append("the meter reports a temporary error")
    if status & 0x03 in (2, 3) and not wrong:
        wrong.append("the meter reports an error of its application")
    for record in (record for one in telegrams for record in one.records):
        if record.vif == ERROR_FLAGS and not record.storage and record.value:
            wrong.append(
                f"its error flags are {record.value:x}" if isinstance(record.value, int) else ""
            )
    found = {Condition.DEVICE: "; ".join(filter(None, wrong))} if any(wrong) else {}
    if status & LOW:
        found[Condition.BATTERY] = "the meter's battery or supply is low"
    return found


POINTS: Final = {point.key: point for point in Mbus.points}


def explain(frames: Sequence[bytes]) -> dict[str, Sample]:
    """What recorded telegrams mean; requests and acknowledgements are passed over.

    Raises DataError for a damaged telegram, and when there is none.
    """
    telegrams: list[MbusTelegram] = []
    useful = False
    for frame in frames:
        if frame == link.ACK or link.is_request(frame):
            useful = True
            continue
        if link.parse_long(frame)[0] & link.KIND == link.RSP_UD:
            telegrams.append(parse_telegram(frame))
        useful = True
    if not useful:
        raise DataError("no telegram", Reason.SILENT)
    return decode(telegrams)


DRIVER: Final = Mbus
