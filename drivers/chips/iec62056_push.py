"""Energy meters of IEC 62056-21 mode D: they send their telegram without being asked.

Source: IEC 62056-21:2002, protocol mode D; status byte and codes of the EasyMeter Q3D as in its
manual (Voltcraft VSM 102, single source); volkszaehler/vzlogger (MeterD0). Power without a unit
is bad:range, as in `iec62056`.

The telegram has no checksum. The driver drops a telegram with a damaged line or a wrong parity. To
see the parity, it needs the port set to 8N1, which is the same ten bits on the wire as 7 bits and
even parity. A digit that is missing altogether cannot be noticed. The standard says 2400 baud
(unverified here); meters such as the EasyMeter Q3D send at 9600.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

from drivers.chips._iec62056 import fault
from drivers.chips._obis import LETTERS, Obis, serial_number
from drivers.chips._obis_registers import TariffRegisters
from drivers.chips._obis_values import known_points, obis_samples
from drivers.chips._telegram import (
    DataSet,
    check_parity,
    next_telegram,
    obis_readings,
    obis_texts,
    parse_data_sets,
)
from edge.core import Condition, DataError, Point, Reason, Sample, SerialBus

SILENT_S: Final = 12.0  # a telegram takes 3 s at 2400 baud; the slowest meters begin one every 5 s
STATUS: Final = Obis(1, 0, 96, 5, 5)
ERRORS: Final = Obis(0, 0, LETTERS["F"], LETTERS["F"], 0)  # F.F

POINTS: Final = known_points(
    "energy_import", "energy_import_t1", "energy_import_t2",
    "energy_export", "energy_export_t1", "energy_export_t2",
    "power", "power_l1", "power_l2", "power_l3",
    "voltage_l1", "voltage_l2", "voltage_l3", "current_l1", "current_l2", "current_l3",
)  # fmt: skip


@dataclass(slots=True)
class Iec62056Push:
    """One meter. What it does not send is bad:address."""

    points: ClassVar[Sequence[Point]] = POINTS
    line: ClassVar[str] = "2400 8N1"
    bus: SerialBus
    _identity: str = field(default="", init=False, repr=False)
    _registers: TariffRegisters = field(default_factory=TariffRegisters, init=False, repr=False)
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
        """The newest telegram. Raises BusError on silence, DataError for a damaged one."""
        found = parse_telegram(await self.bus.frame(next_telegram, SILENT_S, newest=True))
        obis_found = obis_texts(found)
        self._identity = serial_number(obis_found) or self._identity
        self._health = status_conditions(obis_found)
        return self._registers.samples(self._identity, POINTS, obis_readings(found))

    async def close(self) -> None:
        """Nothing to release: it goes on talking."""


def parse_telegram(frame: bytes) -> list[DataSet]:
    """The data sets of a telegram. Raises DataError when one line of it is damaged."""
    head, _, rest = check_parity(frame).partition(b"\r\n")
    if not head.startswith(b"/") or not rest.endswith(b"\r\n!\r\n"):
        raise DataError(f"no telegram: {frame[:40].hex() or 'nothing'}")
    found = parse_data_sets(rest[:-5].decode("ascii"), strict=True)
    if not found:
        raise DataError("a telegram without values")
    return found


def status_conditions(texts: Mapping[Obis, str]) -> dict[Condition, str]:
    """What the status byte 96.5.5 and the error register F.F say."""
    found: dict[Condition, str] = {}
    word = texts.get(STATUS, "")
    if len(word) == 2 and all(digit in "0123456789ABCDEFabcdef" for digit in word):
        bits = int(word, 16)
        missing = [f"L{phase}" for phase, bit in ((1, 5), (2, 4), (3, 3)) if bits >> bit & 1]
        if missing:
            found[Condition.POWER] = f"no voltage on {', '.join(missing)}"
        if bits & 1:
            found[Condition.DEVICE] = f"the meter reports an error (status {word})"
    if error := fault(texts.get(ERRORS, "")):
        found[Condition.DEVICE] = f"the error register F.F holds {error}: look it up in the manual"
    return found


def explain(frames: Sequence[bytes]) -> dict[str, Sample]:
    """What the last of these telegrams means. Raises DataError for a damaged one, and for none."""
    if not frames:
        raise DataError("no telegram", Reason.SILENT)
    found = [parse_telegram(frame) for frame in frames][-1]
    return {
        p.key: s for p, s in zip(POINTS, obis_samples(POINTS, obis_readings(found)), strict=True)
    }


DRIVER: Final = Iec62056Push
