"""Winsen ZH03B (also ZH03A): particulate matter, UART, sends by itself or when asked.

Source: Winsen ZH03B manual, serial port protocol; drivers avaldebe/PyPMS, ShaggyDog18/SD_ZH03B,
Bjk8kds/esphome-zh03b-sensor. Sources differ about the order of the three values in an answer: three
say PM2.5, PM10, PM1, one says PM1, PM10, PM2.5. They agree on the frames that the sensor sends by
itself, which have the layout of a Plantower PMS3003: so `mode = "upload"` is safer. The 45 s to
settle are from a single driver for the related ZH06.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final, Literal

from drivers.chips._plantower import START, Layout, mass_words
from drivers.chips._winsen import (
    COMMAND,
    READ,
    answer_framer,
    encode_command,
    is_whole,
    parse_answer,
    warming_conditions,
)
from edge.core import (
    Bad,
    BusError,
    Condition,
    DataError,
    Point,
    Reason,
    Sample,
    SerialBus,
    UncertainValue,
)

MODE, REST = 0x78, 0xA7  # commands
UPLOAD: Final = encode_command(MODE, 0x40)
ASKED: Final = encode_command(MODE, 0x41)
WAKE: Final = encode_command(REST, 0)
SLEEP: Final = encode_command(REST, 1)
ASK: Final = encode_command(READ)

UPLOAD_S: Final = 3.0  # a frame comes each second
ANSWER_S: Final = 1.0
SETTLE_READS: Final = 45

LAYOUT: Final = Layout(mass_words(), size=24, errors=False)
POINTS: Final = LAYOUT.points
ORDER: Final = (2, 0, 1)  # where PM1, PM2.5 and PM10 stand in an answer


@dataclass(slots=True)
class Zh03b:
    """One sensor, alone on its port.

    `mode` "upload" listens to a frame a second; "asked" keeps it quiet and asks for each value.
    The first `settle_reads` readings after a start, and after frames of zeros, which a sensor sends
    while it starts, are uncertain (warmup). It is put to sleep when it is closed.
    """

    bauds: ClassVar[tuple[int, ...]] = (9600,)
    formats: ClassVar[tuple[str, ...]] = ("8N1",)
    points: ClassVar[Sequence[Point]] = POINTS
    bus: SerialBus
    mode: Annotated[
        Literal["upload", "asked"],
        "`upload` listens to one frame a second; `asked` keeps the sensor quiet and asks for "
        "each value",
    ] = "upload"
    settle_reads: Annotated[
        int,
        (0, 3600),
        "readings after a start, or after frames of zeros, that are uncertain:warmup; set fewer "
        "for a poll slower than one a second",
    ] = SETTLE_READS
    _reads: int = field(default=0, init=False, repr=False)
    _set: bool = field(default=False, init=False, repr=False)  # the mode was sent to it

    @property
    def identity(self) -> str:
        """It has no serial number."""
        return ""

    @property
    def health(self) -> Mapping[Condition, str]:
        """Whether it warms up."""
        return warming_conditions(self._reads, self.settle_reads)

    async def open(self) -> None:
        """Wake it, and set its mode. Raises BusError when it should talk now and is silent."""
        self._reads = 0
        self._set = False
        with suppress(BusError, DataError):  # one that is awake may say other things, or nothing
            await self.bus.frame(answer_framer(REST), ANSWER_S, write=WAKE)
        await self._send_mode()

    async def read(self) -> tuple[Sample, ...]:
        """The newest frame, or an answer. Raises BusError on silence, DataError for damage."""
        try:
            samples = await self._read()
        except (BusError, DataError) as error:
            # it may have lost power, and then talks as it does from the factory
            self._set = False
            if isinstance(error, BusError):
                self._reads = 0
            raise
        if Bad(Reason.WARMUP) in samples:
            self._reads = 0
            return samples
        self._reads += 1
        if self._reads > self.settle_reads:
            return samples
        return tuple(
            s if isinstance(s, Bad | UncertainValue) else UncertainValue(s, Reason.WARMUP)
            for s in samples
        )

    async def close(self) -> None:
        """Let fan and laser stand still. Always safe."""
        working, self._reads = self._reads, 0
        self._set = False
        if working:
            with suppress(BusError):
                await self.bus.send(SLEEP)

    async def _read(self) -> tuple[Sample, ...]:
        if not self._set:
            await self._send_mode()
        if self.mode == "asked":
            return decode(await self.bus.frame(answer_framer(READ), ANSWER_S, write=ASK))
        return LAYOUT.decode(await self.bus.frame(LAYOUT.cut, UPLOAD_S, newest=True))

    async def _send_mode(self) -> None:
        if self.mode == "asked":
            await self.bus.send(ASKED)
        else:
            await self.bus.frame(LAYOUT.cut, UPLOAD_S, write=UPLOAD)
        self._set = True


def decode(frame: bytes) -> tuple[Sample, ...]:
    """One answer of 9 bytes. Raises DataError when it is damaged. Zeros are bad:warmup."""
    held = parse_answer(frame, READ)
    if not any(held):
        return (Bad(Reason.WARMUP),) * len(POINTS)
    counts = [int.from_bytes(held[2 * at : 2 * at + 2]) for at in ORDER]
    return tuple(
        float(count) if count <= point.high else Bad(Reason.RANGE)
        for point, count in zip(POINTS, counts, strict=True)
    )


def explain(frames: Sequence[bytes]) -> dict[str, Sample]:
    """What the last values among these frames mean, for a sensor that has settled.

    Frames that it sent by itself, answers, commands and what confirms them may be among them.
    Raises DataError for a damaged frame, and when there are no values.
    """
    samples: tuple[Sample, ...] = ()
    for frame in frames:
        if frame[:2] == START:
            samples = LAYOUT.decode(frame)
        elif frame[:2] == bytes((0xFF, READ)):
            samples = decode(frame)
        elif not is_whole(frame) or frame[:2] not in (COMMAND, bytes((0xFF, REST))):
            raise DataError(f"no frame of a ZH03B: {frame[:24].hex() or 'nothing'}")
    if not samples:
        raise DataError("no values among the frames", Reason.SILENT)
    return {point.key: sample for point, sample in zip(POINTS, samples, strict=True)}


DRIVER: Final = Zh03b
