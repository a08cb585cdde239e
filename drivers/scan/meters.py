"""Which units are on a Modbus line or behind an endpoint, and which register map each of them fits.

A unit that answers anything, a refusal included, is there. SunSpec is searched as its driver does.
A table fits when voltage and frequency are what a mains has; of several, that one counts whose
model stands in the meter's own registers, else the one with the most values that are not nothing.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from drivers.chips.sunspec import SunSpec
from drivers.meters.mapfile import load_register_map
from drivers.meters.register_map import ModbusDevice, list_maps
from drivers.meters.registerblock import make_block
from drivers.meters.registermodel import RegisterMap
from drivers.scan.found import Findings, FoundDevice, Pace, ScanModbus, ScanTick
from drivers.scan.modelmarks import MARKS
from edge.core import (
    Bad,
    BusError,
    ConfigError,
    DataError,
    Point,
    Quantity,
    Reason,
    Sample,
    UncertainValue,
)

STEP_S: Final = 0.03  # a question on the wire
IDENTIFY_S: Final = 6.0  # a unit that is there
SILENCES: Final = 3  # of a unit that is there, after which it is left alone
VOLTS: Final = (80.0, 500.0)
HERTZ: Final = (45.0, 65.0)
PHASE: Final = 40  # values that a phase is worth: more than a map has of one that is idle
NEAR: Final = 3  # values by which one map must be better than another to be told apart from it


def estimate_units_s(pace: Pace) -> float:
    """At most, on a line where nobody answers."""
    return len(pace.units) * (pace.answer_s + STEP_S)


async def scan_units(bus: ScanModbus, line: str, pace: Pace, out: Findings, tick: ScanTick) -> bool:
    """Ask every unit: whether any is there. Raises StoppedError, BusError when the bus is gone."""
    somebody = False
    for unit in pace.units:
        tick(f"unit {unit}", pace.answer_s + STEP_S)
        there = await _there(bus, unit, line, out, somebody)
        somebody |= there is not UnitAnswer.NONE
        if there is not UnitAnswer.SOUND:
            continue
        tick(f"unit {unit} answers", IDENTIFY_S, IDENTIFY_S)
        found = await identify_unit(bus, unit)
        if found is not None:
            out.devices.append(FoundDevice(found.driver, found.what, {"unit": unit}, found.serial,
                                     found.also, line))  # fmt: skip
        else:
            out.unknown.append(
                f"unit {unit} answers{_at(line)}, and no meter that this program knows has its"
                " registers: a table for it can be put into /etc/kerbstone/meters"
            )
    return somebody


class UnitAnswer(Enum):
    """What a unit makes of a question."""

    NONE = "none"
    SOUND = "sound"
    DAMAGED = "damaged"


async def _there(
    bus: ScanModbus, unit: int, line: str, out: Findings, somebody: bool
) -> UnitAnswer:
    try:
        await bus.read_registers(unit, 3, 0, 1)
    except DataError as error:
        if error.reason is not Reason.CRC:
            return UnitAnswer.SOUND  # it refuses, so it is there
        if not line and not somebody:  # there are no collisions on TCP, and no noise
            raise BusError(
                f"the device answers, but not in Modbus TCP ({error}): another service, or a"
                " converter that passes the frames of its line on as they are"
            ) from error
        why = "; two devices with one address, or a bad line" if line else ""
        out.unknown.append(f"unit {unit}{_at(line)}: {error}{why}")
        return UnitAnswer.DAMAGED
    except BusError as error:
        if error.reason is Reason.CRC:
            out.heard.setdefault(line, b"")
        elif error.__cause__ is not None:
            raise
        return UnitAnswer.NONE
    return UnitAnswer.SOUND


def _at(line: str) -> str:
    return f" at {line}" if line else ""


@dataclass(slots=True)
class UnitRegisters:
    """A unit as a bus of its own, on which nothing is asked twice: values, and refusals, stay.

    One that falls silent is left alone after a while.
    """

    bus: ScanModbus
    silences: int = 0
    known: dict[tuple[int, int, int], bytes | DataError] = field(default_factory=dict)

    async def read_registers(self, unit: int, function: int, address: int, count: int) -> bytes:
        """As a bus does. A damaged or busy answer is asked for once more."""
        key = (function, address, count)
        known = self.known.get(key)
        if known is None:
            known = await self._asked(unit, key)
            if isinstance(known, DataError) and known.reason in (Reason.CRC, Reason.BUSY):
                known = await self._asked(unit, key)
            self.known[key] = known
        if isinstance(known, DataError):
            raise known
        return known

    async def _asked(self, unit: int, key: tuple[int, int, int]) -> bytes | DataError:
        if self.silences >= SILENCES:
            raise BusError(f"unit {unit} has fallen silent")
        try:
            return await self.bus.read_registers(unit, *key)
        except DataError as error:
            return error
        except BusError:
            self.silences += 1
            raise


@dataclass(frozen=True, slots=True)
class MapCandidate:
    """A map that fits. `worth` counts its values, less those that are nothing or refused."""

    table: RegisterMap
    worth: int
    serial: str
    marked: bool


async def identify_unit(bus: ScanModbus, unit: int) -> FoundDevice | None:
    """What the unit is; None when it is nothing that has a driver."""
    registers = UnitRegisters(bus)
    sunspec = SunSpec(registers, unit)
    try:
        await sunspec.open()
    except (BusError, DataError):
        pass
    else:
        known = f", serial number {sunspec.identity}" if sunspec.identity else ""
        return FoundDevice(
            "sunspec", f"a SunSpec meter, unit {unit}{known}", serial=sunspec.identity
        )
    found = [
        await _candidate(table, registers, unit)
        for table in _tables()
        if await _fits(table, registers, unit)
    ]
    found.sort(key=lambda one: (not one.marked, -one.worth))
    if not found:
        return None
    best, *others = found
    also = tuple(
        one.table.name for one in others if not best.marked and best.worth - one.worth < NEAR
    )
    what = f"{best.table.maker} {best.table.model}, unit {unit}"
    what += f", serial number {best.serial}" if best.serial else ""
    if also:
        what += f"; {', '.join(also)} would fit, too: read its label"
    return FoundDevice(best.table.name, what, serial=best.serial, also=also)


def _tables() -> list[RegisterMap]:
    found = []
    for name in sorted(list_maps()):
        try:
            found.append(load_register_map(name))
        except ConfigError:
            continue  # one of the user's own, and wrong: `check` tells
    return found


async def _fits(table: RegisterMap, registers: UnitRegisters, unit: int) -> bool:
    """Whether its first voltage and its frequency are those of a mains."""
    looked = 0
    for quantity, (low, high) in ((Quantity.VOLTAGE, VOLTS), (Quantity.FREQUENCY, HERTZ)):
        place = next((n for n, r in enumerate(table.registers) if r.point.quantity is quantity), -1)
        if place < 0:
            continue
        one = make_block(table, [place])
        try:
            data = await registers.read_registers(unit, one.function, one.address, one.count)
            value = one.decode(data)[0]
        except (BusError, DataError):
            return False
        if not isinstance(value, int | float) or not low <= value <= high:
            return False
        looked += 1
    return looked > 0


async def _candidate(table: RegisterMap, registers: UnitRegisters, unit: int) -> MapCandidate:
    """Read all of it once; a unit that does not let itself be read fits all the same."""
    mark, marked = MARKS.get(table.name), False
    if mark is not None:
        with suppress(BusError, DataError):
            marked = mark.fits(await registers.read_registers(unit, 3, mark.address, mark.words))
    device = ModbusDevice(registers, table, unit)
    worth = -len(table.registers)
    with suppress(BusError, DataError):
        worth = sum(map(_worth, device.points, await device.read()))
    return MapCandidate(table, worth, device.identity, marked)


def _worth(point: Point, sample: Sample) -> int:
    """A mains voltage says most: who has three of them has three phases, idle or not."""
    if isinstance(sample, Bad | UncertainValue) or not sample:
        return -1
    if point.quantity is Quantity.VOLTAGE and VOLTS[0] <= float(sample) <= VOLTS[1]:
        return PHASE
    return 1
