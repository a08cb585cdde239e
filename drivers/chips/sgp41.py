"""Sensirion SGP41: VOC and NOx index, I2C.

Source: Sensirion SGP41 datasheet (commands, conditioning, humidity compensation); drivers
Sensirion/embedded-i2c-sgp41 and Sensirion/arduino-i2c-sgp41; Sensirion/gas-index-algorithm.

It is conditioned after each start, and must not be for more than ten seconds, which damages it:
poll it once a second and not slower. Its self-test is never started here.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final

from drivers.chips._gas_index import NOTHING, GasIndex
from drivers.chips._kept import LEARNT_READS, is_young, pack, unpack
from drivers.chips._sensirion import (
    Serial,
    command,
    exchanges,
    number,
    samples,
    serial_number,
    whole,
    within,
)
from edge.core import (
    Bad,
    BusError,
    Condition,
    DataError,
    I2cBus,
    Point,
    Quantity,
    Reason,
    Sample,
)

CONDITION: Final = 0x2612
MEASURE: Final = 0x2619
HEATER_OFF: Final = b"\x36\x15"
SERIAL: Final = Serial(b"\x36\x82", 3, 0.001, number)
ANSWER_S: Final = 0.05
OFF_S: Final = 0.001
# at a reading a second; ten are wanted, more are forbidden, and a reading may come late
CONDITION_READS: Final = 8

INDICES: Final = (
    Point("voc_index", Quantity.INDEX, low=1, high=500),
    Point("nox_index", Quantity.INDEX, low=1, high=500),
)
TICKS: Final = (  # in the order on the wire; outside this the algorithm takes none
    Point("voc_ticks", Quantity.COUNT, low=1, high=64999),
    Point("nox_ticks", Quantity.COUNT, low=1, high=64999),
)
WARM: Final = Bad(Reason.WARMUP)


def request(code: int, humidity_percent: float, temperature_cel: float) -> bytes:
    """A command with the air that the raw values are to be corrected for, in ticks."""
    return command(
        code,
        round(humidity_percent * 65535 / 100),
        round((temperature_cel + 45) * 65535 / 175),
    )


def decode(frame: bytes, conditioned: bool = False) -> tuple[Sample, Sample]:
    """The raw ticks of VOC and NOx: 6 bytes, or 3 of the answer to CONDITION, without NOx.

    A damaged word spoils its own point only. Raises DataError for another length.
    """
    if conditioned:
        (voc,) = samples(TICKS[:1], (int.from_bytes,), frame)
        return voc, WARM
    voc, nox = samples(TICKS, (int.from_bytes, int.from_bytes), frame)
    return voc, nox


@dataclass(slots=True)
class Sgp41:
    """One sensor. The raw values are corrected for fixed `humidity_percent` and `temperature_cel`.

    The air of a site changes, so the ticks carry that; the indices adapt to it in half a day. The
    first `condition_reads` readings after a start have no NOx; an index comes after 45 s of ticks.
    What the VOC algorithm has learnt in three hours survives a restart of at most ten minutes.

    Building one raises ConfigError where the algorithm is not installed.
    """

    points: ClassVar[Sequence[Point]] = (*INDICES, *TICKS)
    address: ClassVar[int] = 0x59
    every_s: ClassVar[float] = 1.0
    slowest_s: ClassVar[float] = 1.0  # or it is conditioned for longer than it bears

    bus: I2cBus
    humidity_percent: Annotated[float, (0, 100)] = 50.0
    temperature_cel: Annotated[float, (-45, 130)] = 25.0
    condition_reads: Annotated[int, (0, 9)] = CONDITION_READS
    _voc: GasIndex = field(init=False, repr=False)
    _nox: GasIndex = field(init=False, repr=False)
    _identity: str = field(default="", init=False, repr=False)
    _reads: int = field(default=0, init=False, repr=False)  # since the heater was off
    _given: bytes = field(default=b"", init=False, repr=False)  # what was kept
    _skilled: bool = field(default=False, init=False, repr=False)  # the algorithm had it

    def __post_init__(self) -> None:
        self._forget()

    async def open(self) -> None:
        """Come to rest, to be conditioned anew. Raises BusError when it might not have done so."""
        try:
            await self._rest()
        except BusError:
            if 0 < self._reads <= self.condition_reads:
                raise  # it might go on being conditioned, and longer than it bears
        self._reads = 0
        told = await serial_number(self.bus, self.address, SERIAL)
        if self._identity not in ("", told or self._identity):
            self._forget()  # another sensor
        self._identity = told or self._identity
        self._recall()

    async def read(self) -> tuple[Sample, ...]:
        """One second's values. Raises BusError, and DataError for an answer of another length."""
        conditions = self._reads < self.condition_reads
        self._reads += 1  # it may have been heard, whatever comes
        frame = await self.bus.transfer(
            self.address,
            request(
                CONDITION if conditions else MEASURE, self.humidity_percent, self.temperature_cel
            ),
            read=3 if conditions else 6,
            wait_s=ANSWER_S,
        )
        voc, nox = decode(frame, conditions)
        return (
            _index(INDICES[0], self._voc, voc),
            WARM if conditions else _index(INDICES[1], self._nox, nox),
            voc,
            nox,
        )

    async def close(self) -> None:
        """Switch its heater off. Always safe."""
        with suppress(BusError):  # it may be gone, and is cold then
            await self._rest()
            self._reads = 0

    @property
    def identity(self) -> str:
        """Its serial number; "" until it told it."""
        return self._identity

    @property
    def health(self) -> Mapping[Condition, str]:
        """Whether it warms up; it says nothing of itself."""
        if self._voc.index and self._nox.index:
            return {}
        return {Condition.WARMUP: "it is conditioned, and its indices need 45 s of air"}

    def kept(self) -> bytes:
        """What the VOC algorithm has learnt; b"" before it is worth keeping."""
        learnt = self._skilled or self._voc.fed >= LEARNT_READS
        return pack(self._identity, self._voc.state()) if learnt and self._voc.index else b""

    def restore(self, kept: bytes, age_s: float) -> None:
        """Take back what `kept` gave `age_s` seconds ago; ignored when it is too old."""
        self._given = kept if is_young(age_s) else b""

    async def _rest(self) -> None:
        await self.bus.transfer(self.address, HEATER_OFF, wait_s=OFF_S)

    def _forget(self) -> None:
        self._voc, self._nox = GasIndex("voc"), GasIndex("nox")
        self._skilled = False

    def _recall(self) -> None:
        kept, self._given = self._given, b""
        if not self._voc.fed:  # else it has learnt more since
            self._skilled = self._voc.learn(unpack(kept, self._identity)) or self._skilled


def _index(point: Point, algorithm: GasIndex, ticks: Sample) -> Sample:
    index = algorithm.feed(ticks if isinstance(ticks, int) else NOTHING)
    if isinstance(ticks, Bad):
        return ticks
    return within(point, index) if index else WARM


def explain(frames: Sequence[bytes]) -> dict[str, Sample]:
    """What a recorded conversation means: commands, each followed by its answer, if any.

    The indices come of many seconds, so a conversation has none (bad:warmup). Raises DataError for
    a damaged or foreign frame, and when no values were read.
    """

    def answers(command: bytes) -> bool | None:
        if command == HEATER_OFF:
            return False
        asks = len(command) == 8 and int.from_bytes(command[:2]) in (CONDITION, MEASURE)
        return asks or command == SERIAL.command or None

    told: tuple[Sample, ...] = ()
    for asked, answer in exchanges(frames, answers):
        if asked == SERIAL.command:
            whole(answer, SERIAL.words)
        elif asked != HEATER_OFF:
            whole(asked[2:], 2)
            told = decode(answer, asked.startswith(CONDITION.to_bytes(2)))
    if not told:
        raise DataError("no measured values among the frames", Reason.SILENT)
    indices = tuple(ticks if isinstance(ticks, Bad) else WARM for ticks in told)
    return {p.key: s for p, s in zip(Sgp41.points, (*indices, *told), strict=True)}


DRIVER: Final = Sgp41
