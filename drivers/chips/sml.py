"""German smart meters that send SML, without being asked, at their optical port (EDL21, eHZ, mME).

Source: SML 1.04 (BSI TR-03109-1, annex IV b); OBIS codes and status word after FNN Lastenheft
EDL, as in the manual of the Sagemcom Smarty BZ; volkszaehler/libsml for the fault of the DZG DVS74;
devZer0/libsml-testing for meters that send power under other codes; PyPI smllib for its direction.

Power, phases and digits below one kWh are hidden until the customer's PIN is entered at the meter:
until then those points are bad:address. What else a meter sends depends on its model.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, ClassVar, Final, Literal

from drivers.chips._obis import Obis, from_bytes, serial_number
from drivers.chips._obis_registers import TariffRegisters
from drivers.chips._obis_values import ObisReading, known_points, obis_samples
from drivers.chips._sml import SmlEntry, SmlNumber, SmlValues, decode, next_frame
from edge.core import Condition, DataError, Point, Reason, Sample, SerialBus

SILENT_S: Final = 12.0  # most send every one to four seconds
SCALERS: Final = range(-9, 10)  # powers of ten that a value may have
POWER: Final = bytes.fromhex("0100100700ff")
REGISTER: Final = 8  # D of what counts
POWERS: Final = (1, 2, 16)  # C of the usual codes of power: taken, given, both with a sign
WHOLE: Final = Obis(1, 0, 16, 7, 0)
ABSOLUTE: Final = Obis(1, 0, 15, 7, 0)  # without a sign: EMH ED300L and eHZ, DrNeuhaus SMARTY
SIGNED: Final = Obis(1, 0, 1, 7, 1)  # with one, though of a tariff: EMH eHZ361
GIVES: Final = 0x20  # in a status word of before FNN: power flows out
DZG: Final = bytes.fromhex("0a01") + b"DZG"
DVS74: Final = (range(42_000_000, 49_000_000), range(55_000_000, 59_000_000))

FIXED, FIXED_MASK = 0x04, 0xFF  # by these bits a status word is one after FNN
STATUS: Final = (  # bit, condition, what a person should know
    (9, Condition.TAMPER, "the meter notices a magnet"),  # from memory of the FNN text
    (10, Condition.TAMPER, "the terminal cover is or was open"),
    (15, Condition.PHASES, "the phases do not come in the order L1, L2, L3"),
    (17, Condition.DEVICE, "the meter reports a fatal error"),  # from memory of the FNN text
)

POINTS: Final = known_points(
    "energy_import", "energy_import_t1", "energy_import_t2",
    "energy_export", "energy_export_t1", "energy_export_t2",
    "power", "power_l1", "power_l2", "power_l3",
    "voltage_l1", "voltage_l2", "voltage_l3", "current_l1", "current_l2", "current_l3",
    "frequency", "voltage_angle_l2", "voltage_angle_l3",
    "phase_angle_l1", "phase_angle_l2", "phase_angle_l3",
)  # fmt: skip


@dataclass(slots=True)
class Sml:
    """One meter. What it does not send is bad:address.

    `dvs74` "auto" puts right the sign of the power of DZG DVS74 meters: those with certain serial
    numbers send positive values in a signed number that is too small, so that they look negative.
    """

    points: ClassVar[Sequence[Point]] = POINTS
    line: ClassVar[str] = "9600 8N1"
    bus: SerialBus
    dvs74: Annotated[
        Literal["auto", "off"],
        "`auto` corrects the sign of the power of those DZG DVS74 meters that send it wrong",
    ] = "auto"
    _identity: str = field(default="", init=False, repr=False)
    _registers: TariffRegisters = field(default_factory=TariffRegisters, init=False, repr=False)
    _server: bytes = field(default=b"", init=False, repr=False)  # by which it is known again
    _health: dict[Condition, str] = field(default_factory=dict, init=False, repr=False)

    @property
    def identity(self) -> str:
        return self._identity

    @property
    def health(self) -> Mapping[Condition, str]:
        return self._health

    async def open(self) -> None:
        """Nothing to do: it talks by itself."""

    async def read(self) -> tuple[Sample, ...]:
        """The newest frame. Raises BusError on silence, DataError for a damaged one."""
        values = decode(await self.bus.frame(next_frame, SILENT_S, newest=True))
        found = sml_readings(values, self.dvs74 == "auto")
        if not self._identity or values.server != self._server:
            self._identity = identity(values) or self._identity
            self._server = values.server
        self._health = status_conditions(values.entries)
        return self._registers.samples(self._identity, POINTS, found)

    async def close(self) -> None:
        """Nothing to release: it goes on talking."""


def sml_readings(values: SmlValues, mend: bool = True) -> list[ObisReading]:
    """The numbers among the values. Raises DataError when there are none."""
    mend = mend and any(_is_dvs74(e.value) for e in values.entries)
    found: list[ObisReading] = []
    left_out: list[
        ObisReading
    ] = []  # a tariff that is not known: then the others are not the whole
    for entry in values.entries:
        code = from_bytes(entry.name)
        if code is not None and code.d == REGISTER and code.e and entry.value is None:
            left_out.append(ObisReading(code, None, entry.unit))
        elif code is not None and isinstance(entry.value, SmlNumber):
            number = entry.value.value
            if mend and entry.name == POWER and entry.value.size <= 3 and number < 0:
                number += 1 << 8 * entry.value.size
            exact = Decimal(number).scaleb(entry.scaler) if entry.scaler in SCALERS else None
            found.append(ObisReading(code, exact, entry.unit))
    if not found:
        raise DataError("a frame without values", Reason.STALE)
    return [*found, *left_out, *_power(found, values.entries)]


def _power(found: Sequence[ObisReading], entries: Iterable[SmlEntry]) -> list[ObisReading]:
    """Power that is told by another code than the usual ones, as if by the usual one.

    What has no sign gets that of the status word; without one it is not told, unless it is zero.
    """
    now = [one for one in found if one.obis.a == 1 and one.obis.b <= 1 and one.obis.d == 7]
    by_code = {one.obis: one for one in now}
    if any(one.obis.c in POWERS and one.obis != SIGNED for one in now):
        return []
    if (reading := by_code.get(ABSOLUTE)) is not None:
        words = [e.status for e in entries if e.status and e.status & FIXED_MASK != FIXED]
        if reading.value is None or reading.value < 0 or not (words or reading.value == 0):
            return []
        gives = any(word & GIVES for word in words)
        return [reading._replace(obis=WHOLE, value=-reading.value if gives else reading.value)]
    reading = by_code.get(SIGNED)
    return [] if reading is None else [reading._replace(obis=WHOLE)]


def _is_dvs74(value: object) -> bool:
    """Whether this is the number of a meter whose power has the wrong sign."""
    if not isinstance(value, bytes) or len(value) != 10 or not value.startswith(DZG):
        return False
    return any(int.from_bytes(value[5:]) in batch for batch in DVS74)


def identity(values: SmlValues) -> str:
    """The serial number: from the list, or the id of the server."""
    texts = {
        code: server_id_text(entry.value)
        for entry in values.entries
        if isinstance(entry.value, bytes) and (code := from_bytes(entry.name)) is not None
    }
    return serial_number(texts) or server_id_text(values.server)


def server_id_text(raw: bytes) -> str:
    """A server id as it stands on the plate (DIN 43863-5): 1EMH0012345678; others in hex."""
    if len(raw) == 10 and raw[0] in (9, 10) and raw[2:5].isalpha():
        return f"{raw[1]:X}{raw[2:5].decode('ascii')}{raw[5]:02X}{int.from_bytes(raw[6:]):08d}"
    return raw.decode("ascii") if raw.isascii() and raw.isalnum() else raw.hex()


def status_conditions(entries: Iterable[SmlEntry]) -> dict[Condition, str]:
    """What the status words say, where they are those after FNN."""
    words = [e.status for e in entries if e.status and e.status & FIXED_MASK == FIXED]
    found: dict[Condition, str] = {}
    for bit, condition, text in STATUS:
        if any(word >> bit & 1 for word in words):
            found[condition] = f"{found[condition]}; {text}" if condition in found else text
    return found


def explain(frames: Sequence[bytes]) -> dict[str, Sample]:
    """What the last of these frames means. Raises DataError for a damaged one, and for none."""
    if not frames:
        raise DataError("no frame", Reason.SILENT)
    found = [decode(frame) for frame in frames][-1]
    return {
        p.key: s for p, s in zip(POINTS, obis_samples(POINTS, sml_readings(found)), strict=True)
    }


DRIVER: Final = Sml
