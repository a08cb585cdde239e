"""Sensirion SGP41: VOC and NOx index, I2C.

Source: Sensirion SGP41 datasheet (commands, conditioning, humidity compensation); drivers
Sensirion/embedded-i2c-sgp41 and Sensirion/arduino-i2c-sgp41; Sensirion/gas-index-algorithm.

After each start the NOx pixel is conditioned, at another temperature than the one for measuring.
More than ten seconds of conditioning damage it. A driver has no clock, and another device may hold
the bus for seconds between two polls. So each of the first ten reads conditions for 0.4 s and then
goes back to measuring: four seconds in all, however slow the polls are. Splitting it up is our
choice; the datasheet conditions in one piece. The algorithm still needs a raw value every second.

At each opening the driver starts the idle sensor's self-test (320 ms), as ESPHome's sgp4x does at
each start.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final

from drivers.chips._gas_index import NOTHING, GasIndex
from drivers.chips._saved_state import LEARNT_READS, is_young, pack_state, unpack_state
from drivers.chips._sensirion import (
    SerialQuery,
    checked_sample,
    decimal_serial,
    encode_command,
    exchanges,
    serial_number,
    whole_words,
    word_samples,
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
SERIAL: Final = SerialQuery(b"\x36\x82", 3, 0.001, decimal_serial)
ANSWER_S: Final = 0.05
CONDITION_S: Final = 0.4  # known to pass between the command and its end
OFF_S: Final = 0.001
CONDITION_READS: Final = 10
SELF_TEST: Final = SerialQuery(b"\x28\x0e", 1, 0.32, bytes.hex)
PIXELS: Final = 0x0F  # in its result: what has failed; the rest is to be ignored

INDICES: Final = (
    Point("voc_index", Quantity.INDEX, low=1, high=500),
    Point("nox_index", Quantity.INDEX, low=1, high=500),
)
TICKS: Final = (  # in the order on the wire; outside this the algorithm takes none
    Point("voc_ticks", Quantity.COUNT, low=1, high=64999),
    Point("nox_ticks", Quantity.COUNT, low=1, high=64999),
)
WARM: Final = Bad(Reason.WARMUP)


def encode_request(code: int, humidity_percent: float, temperature_cel: float) -> bytes:
    """A command with the air that the raw values are to be corrected for, in ticks."""
    return encode_command(
        code,
        round(humidity_percent * 65535 / 100),
        round((temperature_cel + 45) * 65535 / 175),
    )


def decode(frame: bytes, conditioned: bool = False) -> tuple[Sample, Sample]:
    """The raw ticks of VOC and NOx: 6 bytes, or 3 of the answer to CONDITION, without NOx.

    A damaged word spoils its own point only. Raises DataError for another length.
    """
    if conditioned:
        (voc,) = word_samples(TICKS[:1], (int.from_bytes,), frame)
        return voc, WARM
    voc, nox = word_samples(TICKS, (int.from_bytes, int.from_bytes), frame)
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
    slowest_s: ClassVar[float] = 1.0  # that is the pace of its algorithm

    bus: I2cBus
    humidity_percent: Annotated[
        float,
        (0, 100),
        "relative humidity for which the raw values are corrected, in percent",
    ] = 50.0
    temperature_cel: Annotated[
        float,
        (-45, 130),
        "temperature for which the raw values are corrected, in degrees Celsius",
    ] = 25.0
    condition_reads: Annotated[
        int,
        (0, 20),
        "readings after a start without a NOx value, while the sensor is conditioned",
    ] = CONDITION_READS
    _voc: GasIndex = field(init=False, repr=False)
    _nox: GasIndex = field(init=False, repr=False)
    _identity: str = field(default="", init=False, repr=False)
    _reads: int = field(default=0, init=False, repr=False)  # since the heater was off
    _broken: int = field(default=0, init=False, repr=False)  # by its self-test
    _given: bytes = field(default=b"", init=False, repr=False)  # what was kept
    _skilled: bool = field(default=False, init=False, repr=False)  # the algorithm had it

    def __post_init__(self) -> None:
        self._forget()

    async def open(self) -> None:
        """Come to rest, to be conditioned anew. Raises BusError when it might not have done so."""
        await self._rest()
        self._reads = 0
        number = await serial_number(self.bus, self.address, SERIAL)
        if self._identity not in ("", number or self._identity):
            self._forget()  # another sensor
        self._identity = number or self._identity
        self._recall()
        await self._test()

    async def read(self) -> tuple[Sample, ...]:
        """One second's values. Raises BusError, and DataError for an answer of another length."""
        conditions = self._reads < self.condition_reads
        self._reads += 1
        voc, nox = decode(await (self._condition() if conditions else self._measure()), conditions)
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

    async def _condition(self) -> bytes:
        try:
            return await self._ask(CONDITION, 3, CONDITION_S)
        finally:  # it may have been heard, whatever came
            await self._measure()

    async def _measure(self) -> bytes:
        return await self._ask(MEASURE, 6, ANSWER_S)

    async def _ask(self, code: int, count: int, wait_s: float) -> bytes:
        asked = encode_request(code, self.humidity_percent, self.temperature_cel)
        return await self.bus.transfer(self.address, asked, read=count, wait_s=wait_s)

    async def _test(self) -> None:
        answer = await serial_number(self.bus, self.address, SELF_TEST)
        self._broken = int(answer, 16) & PIXELS if answer else 0

    @property
    def identity(self) -> str:
        """Its serial number; "" until it is read."""
        return self._identity

    @property
    def health(self) -> Mapping[Condition, str]:
        """Whether its self-test failed, and whether it warms up."""
        found = {}
        if self._broken:
            found[Condition.SELF_TEST] = (
                f"its self-test at the start failed (0x{self._broken:x}): replace it"
            )
        if not (self._voc.index and self._nox.index):
            found[Condition.WARMUP] = "it is being conditioned; its indices need 45 s of measuring"
        return found

    def snapshot(self) -> bytes:
        """What the VOC algorithm has learnt; b"" before it is worth keeping."""
        learnt = self._skilled or self._voc.fed >= LEARNT_READS
        return (
            pack_state(self._identity, self._voc.snapshot()) if learnt and self._voc.index else b""
        )

    def restore(self, kept: bytes, age_s: float) -> None:
        """Take back what `snapshot` gave `age_s` seconds ago; ignored when it is too old."""
        self._given = kept if is_young(age_s) else b""

    async def _rest(self) -> None:
        await self.bus.transfer(self.address, HEATER_OFF, wait_s=OFF_S)

    def _forget(self) -> None:
        self._voc, self._nox = GasIndex("voc"), GasIndex("nox")
        self._skilled = False

    def _recall(self) -> None:
        kept, self._given = self._given, b""
        if not self._voc.fed:  # else it has learnt more since
            self._skilled = self._voc.restore(unpack_state(kept, self._identity)) or self._skilled


def _index(point: Point, algorithm: GasIndex, ticks: Sample) -> Sample:
    index = algorithm.feed(ticks if isinstance(ticks, int) else NOTHING)
    if isinstance(ticks, Bad):
        return ticks
    return checked_sample(point, index) if index else WARM


def explain(frames: Sequence[bytes]) -> dict[str, Sample]:
    """What a recorded conversation means: commands, each followed by its answer, if any.

    The indices come of many seconds, so a conversation has none (bad:warmup). Raises DataError for
    a damaged or foreign frame, and when no values were read.
    """

    def answers(command: bytes) -> bool | None:
        if command == HEATER_OFF:
            return False
        asks = len(command) == 8 and int.from_bytes(command[:2]) in (CONDITION, MEASURE)
        return asks or command in (SERIAL.command, SELF_TEST.command) or None

    last_samples: tuple[Sample, ...] = ()
    before = 0
    for asked, answer in exchanges(frames, answers):
        code = int.from_bytes(asked[:2])
        if asked in (SERIAL.command, SELF_TEST.command):
            whole_words(answer, (SERIAL if asked == SERIAL.command else SELF_TEST).words)
        elif asked != HEATER_OFF:
            whole_words(asked[2:], 2)
            samples = decode(answer, code == CONDITION)
            if before != CONDITION:  # else it only ends the conditioning
                last_samples = samples
        before = code
    if not last_samples:
        raise DataError("no measured values among the frames", Reason.SILENT)
    indices = tuple(ticks if isinstance(ticks, Bad) else WARM for ticks in last_samples)
    return {p.key: s for p, s in zip(Sgp41.points, (*indices, *last_samples), strict=True)}


DRIVER: Final = Sgp41
