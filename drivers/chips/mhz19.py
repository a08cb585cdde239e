"""Winsen MH-Z19B (also MH-Z19C, MH-Z19): carbon dioxide, UART, answers when asked.

Source: Winsen MH-Z19B manual, serial port protocol (read, self-calibration, 3 min of preheating);
drivers avaldebe/PyPMS, ESPHome mhz19. From one source each: the fifth byte is the temperature
inside (ESPHome; the manual calls this byte reserved), and an answer of zeros means that the sensor
is still starting (PyPMS).

Each day the sensor takes its lowest value as 400 ppm, unless this is switched off: fine outdoors,
wrong where the air is never fresh. It loses this setting when its supply is cut.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final, Literal

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
    Quantity,
    Reason,
    Sample,
    SerialBus,
    UncertainValue,
)

SELF_CALIBRATION: Final = 0x79
ON, OFF = 0xA0, 0x00
ANSWER_S: Final = 1.0
SETTLE_READS: Final = 180  # it needs 3 min to heat up
ZERO_CEL: Final = 40  # of the inner temperature, in counts

POINTS: Final = (
    Point("co2", Quantity.CARBON_DIOXIDE, low=250, high=10_000),  # no air on earth has less
    # warmer than the air around it
    Point("inner_temperature", Quantity.TEMPERATURE, low=-30, high=85, resolution=1),
)


@dataclass(slots=True)
class Mhz19:
    """One sensor, alone on its port.

    The first `settle_reads` readings after an opening or a silence are uncertain (warmup); they are
    counted, not timed: at a poll a second they are three minutes, for a slower poll say fewer.
    `self_calibration` "keep" leaves the sensor as it is.
    """

    bauds: ClassVar[tuple[int, ...]] = (9600,)
    formats: ClassVar[tuple[str, ...]] = ("8N1",)
    points: ClassVar[Sequence[Point]] = POINTS
    bus: SerialBus
    settle_reads: Annotated[
        int,
        (0, 3600),
        "readings after a start or a silence in which CO2 is uncertain:warmup; set fewer for a "
        "poll slower than one a second",
    ] = SETTLE_READS
    self_calibration: Annotated[
        Literal["keep", "on", "off"],
        "switches the automatic calibration of the sensor; `keep` leaves it as it is",
    ] = "keep"
    _reads: int = field(default=0, init=False, repr=False)

    @property
    def identity(self) -> str:
        """It has no serial number."""
        return ""

    @property
    def health(self) -> Mapping[Condition, str]:
        """Whether it warms up."""
        return warming_conditions(self._reads, self.settle_reads)

    async def open(self) -> None:
        """Begin to count, and say what was configured. Raises BusError when the port is gone."""
        self._reads = 0
        if self.self_calibration != "keep":
            wanted = ON if self.self_calibration == "on" else OFF
            # some models confirm it and some do not; an answer is passed over by the next question
            await self.bus.send(encode_command(SELF_CALIBRATION, wanted))

    async def read(self) -> tuple[Sample, ...]:
        """Ask. Raises BusError on silence, DataError for a damaged answer."""
        try:
            frame = await self.bus.frame(answer_framer(READ), ANSWER_S, write=encode_command(READ))
        except BusError:
            self._reads = 0  # it may have lost power
            raise
        samples = decode(frame)
        if samples[0] == Bad(Reason.WARMUP):
            self._reads = 0
            return samples
        self._reads += 1
        co2, inner = samples
        if self._reads > self.settle_reads or isinstance(co2, Bad | UncertainValue):
            return samples
        return UncertainValue(co2, Reason.WARMUP), inner

    async def close(self) -> None:
        """Nothing to release."""


def decode(frame: bytes) -> tuple[Sample, ...]:
    """One answer. Raises DataError when it is damaged. One of zeros, or 0 ppm, is bad:warmup."""
    held = parse_answer(frame, READ)
    if not any(held):
        return (Bad(Reason.WARMUP),) * len(POINTS)
    values = (float(int.from_bytes(held[:2])), float(held[2] - ZERO_CEL))
    co2, inner = (
        value if point.low <= value <= point.high else Bad(Reason.RANGE)
        for point, value in zip(POINTS, values, strict=True)
    )
    return co2 if values[0] else Bad(Reason.WARMUP), inner


def explain(frames: Sequence[bytes]) -> dict[str, Sample]:
    """What the last answer among these frames means, for a sensor that has settled.

    Commands and what confirms them may be among them. Raises DataError for a damaged frame, and
    when there is no value.
    """
    samples: tuple[Sample, ...] = ()
    for frame in frames:
        if frame[:2] == bytes((0xFF, READ)):
            samples = decode(frame)
        elif not is_whole(frame) or frame[:2] not in (COMMAND, bytes((0xFF, SELF_CALIBRATION))):
            raise DataError(f"no frame of an MH-Z19: {frame[:16].hex() or 'nothing'}")
    if not samples:
        raise DataError("no values among the frames", Reason.SILENT)
    return {point.key: sample for point, sample in zip(POINTS, samples, strict=True)}


DRIVER: Final = Mhz19
