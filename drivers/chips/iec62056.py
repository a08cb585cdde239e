"""Energy meters of IEC 62056-21 (IEC 1107) that answer when asked: modes A, B, C; optical, RS-485.

Source: IEC 62056-21:2002; reaction times, error register and field behaviour as in
volkszaehler/vzlogger (MeterD0) and pwitab/iec62056-21.

The dialogue begins at 300 baud and goes on at the meter's own speed, so one reading takes from
three seconds to a minute: `every_s = 60` or more. Characters have 7 bits and even parity. A port
set to 7E1 and a port set to 8N1 both work; with 8N1 the driver itself adds and checks the parity.
The driver reports an error register F.F that is not zero; its meaning is in the maker's manual.
Power without a unit, which could be W or kW, is bad:range. Energy without a unit is taken as kWh,
as on all displays. Password and programming mode are not used.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final

from drivers.chips._iec62056 import (
    BAUDS,
    Readout,
    acknowledge,
    command,
    fault,
    ident,
    next_ident,
    no_frame,
    readout,
    sign_on,
)
from drivers.chips._obis import LETTERS, Obis, serial_number
from drivers.chips._obis_registers import TariffRegisters
from drivers.chips._obis_values import known_points, obis_samples
from drivers.chips._telegram import (
    ACK,
    SOH,
    STX,
    DataSet,
    add_parity,
    obis_readings,
    obis_texts,
    strip_parity,
)
from edge.core import (
    BusError,
    Condition,
    ConfigError,
    DataError,
    Point,
    Reason,
    Sample,
    SerialBus,
)

SIGN_ON_S: Final = 5.0  # the call takes up to 1.3 s, the meter thinks up to 1.5, then says 1.3
REACTION_S: Final = 0.2  # between two turns
QUICK_S: Final = 0.02  # the same for a meter that names itself with a small third letter
ACK_S: Final = 0.2  # six characters at 300 baud: an adapter says too early that they have left
SILENT_S: Final = 2.0  # the longest pause within an answer is 1.5 s
LONGEST_S: Final = 75.0  # of one reading; 2,000 characters at 300 baud, and nobody drips for ever
ERRORS: Final = Obis(0, 0, LETTERS["F"], LETTERS["F"], 0)  # F.F

POINTS: Final = known_points(
    "energy_import", "energy_import_t1", "energy_import_t2", "energy_import_t3", "energy_import_t4",
    "energy_export", "energy_export_t1", "energy_export_t2", "energy_export_t3", "energy_export_t4",
    "energy_total", "reactive_energy_import", "reactive_energy_export",
    "power", "power_l1", "power_l2", "power_l3", "reactive_power",
    "voltage_l1", "voltage_l2", "voltage_l3", "current_l1", "current_l2", "current_l3",
    "power_factor", "frequency",
)  # fmt: skip


@dataclass(slots=True)
class Iec62056:
    """One meter. `address` calls one of several on a line; without it the only one answers.

    `fastest` is a limit for optical heads that do not follow: a meter that offers more is read at
    300 baud. What the meter does not tell is bad:address.
    """

    points: ClassVar[Sequence[Point]] = POINTS
    line: ClassVar[str] = "300 7E1"
    every_s: ClassVar[float] = 60.0  # a reading takes seconds
    bus: SerialBus
    address: Annotated[
        str,
        "address of the meter, if several are on one line; if left out, the only meter answers",
    ] = ""
    fastest: Annotated[
        int,
        (300, 19200),
        "the highest baud rate that the optical head can follow; a meter that offers a higher "
        "one is read at 300 baud",
    ] = 19200
    _identity: str = field(default="", init=False, repr=False)
    _registers: TariffRegisters = field(default_factory=TariffRegisters, init=False, repr=False)
    _health: dict[Condition, str] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        try:
            sign_on(self.address)
        except ValueError as error:
            raise ConfigError(str(error)) from error

    @property
    def identity(self) -> str:
        return self._identity

    @property
    def health(self) -> Mapping[Condition, str]:
        return self._health

    async def open(self) -> None:
        """Nothing to do: each reading begins with a call."""

    async def read(self) -> tuple[Sample, ...]:
        """Call, agree on a speed, take the readout in. Raises BusError, DataError."""
        try:
            async with asyncio.timeout(LONGEST_S):
                found = readout(bytes(await self._readout()))
        except TimeoutError as late:
            raise BusError(f"a readout of more than {LONGEST_S:g} s: raise `fastest`?") from late
        finally:
            await self.bus.speed()
        obis_found = obis_texts(found)
        self._identity = serial_number(obis_found) or self._identity
        error = fault(obis_found.get(ERRORS, ""))
        self._health = {Condition.DEVICE: _sentence(error)} if error else {}
        return self._registers.samples(self._identity, POINTS, obis_readings(found))

    async def close(self) -> None:
        """Nothing to release: the meter falls asleep by itself."""

    async def _readout(self) -> bytearray:
        await self.bus.speed()
        called = await self.bus.frame(
            next_ident, SIGN_ON_S, write=add_parity(sign_on(self.address))
        )
        meter = ident(called)
        baud = meter.baud if meter.baud <= self.fastest else BAUDS[0]
        if meter.asks:
            await self._pause(QUICK_S if meter.quick else REACTION_S)
            await self.bus.send(add_parity(acknowledge(baud)))
            await self._pause(ACK_S)
        else:
            baud = meter.baud
        if baud != BAUDS[0]:
            await self.bus.speed(baud)
        block = Readout()
        while not block.whole:
            await self.bus.frame(block.take, SILENT_S)
        return block.data

    async def _pause(self, for_s: float) -> None:
        """Let the line rest: what comes meanwhile stays for the next who reads."""
        with suppress(BusError, DataError):
            await self.bus.frame(no_frame, for_s)


def _sentence(error: str) -> str:
    return f"the error register F.F holds {error}: look it up in the meter's manual"


def decode(found: Sequence[DataSet]) -> tuple[Sample, ...]:
    """The data sets of a readout, one sample per point."""
    return obis_samples(POINTS, obis_readings(found))


def explain(frames: Sequence[bytes]) -> dict[str, Sample]:
    """What the readout among these frames means: call, identification, acknowledgement, readout.

    Raises DataError for a damaged frame, and when there is no readout.
    """
    found: list[DataSet] | None = None
    for frame in frames:
        match strip_parity(frame[:1]):
            case head if head == STX:
                found = readout(frame)
            case head if head == SOH:
                command(frame)
            case head if head == ACK and len(frame) == 6:
                pass
            case b"/" if strip_parity(frame[:2]) != b"/?":
                ident(frame)
            case b"/" if strip_parity(frame[-3:]) == b"!\r\n":
                pass
            case _:
                raise DataError(f"no frame of IEC 62056-21: {frame[:40].hex() or 'nothing'}")
    if found is None:
        raise DataError("no readout among these frames", Reason.SILENT)
    return {p.key: s for p, s in zip(POINTS, decode(found), strict=True)}


DRIVER: Final = Iec62056
