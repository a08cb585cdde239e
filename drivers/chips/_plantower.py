"""What Plantower's particle sensors share: checked frames of words that come by themselves.

Source: Plantower PMS3003, PMS5003 and PMS7003 datasheets, transport protocol in active mode;
drivers avaldebe/PyPMS, pimoroni/pms5003-python, adafruit/Adafruit_CircuitPython_PM25, ESPHome
pmsx003. That a sensor needs 30 s after its start is said there and in the datasheets.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final

from drivers.chips._framers import fixed_size_framer
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

START: Final = b"\x42\x4d"  # "BM", then how many bytes follow
COMMANDS: Final = (7, 8)  # bytes of a command, and of what confirms it
SILENT_S: Final = 3.0  # a frame comes each 0.2 to 2.3 s
SETTLE_READS: Final = 30  # the fan needs 30 s to bring a steady stream

MASS: Final = ("pm1_0", "pm2_5", "pm10")
PER_CM3: Final = 100  # counted in 0.1 litre
PARTICLES: Final = (Quantity.MASS_CONCENTRATION, Quantity.NUMBER_CONCENTRATION)


@dataclass(frozen=True, slots=True)
class ValueWord:
    """Where a point's value stands in a frame, in words, and how many counts make one unit."""

    point: Point
    at: int
    per_unit: int = 1
    signed: bool = False

    @property
    def settles(self) -> bool:
        """Whether the fan has to bring it first."""
        return self.point.quantity in PARTICLES


def mass_words() -> tuple[ValueWord, ...]:
    """The values for outdoor air ("atmospheric environment"); those before them are for indoors."""
    return tuple(
        ValueWord(Point(key, Quantity.MASS_CONCENTRATION, low=0, high=1000, resolution=1), at)
        for at, key in enumerate(MASS, 3)
    )


def number_words(*keys: str) -> tuple[ValueWord, ...]:
    """How many particles are larger than the size in the key; they follow the masses."""
    return tuple(
        ValueWord(Point(key, Quantity.NUMBER_CONCENTRATION, low=0, high=655.35), at, PER_CM3)
        for at, key in enumerate(keys, 6)
    )


@dataclass(frozen=True, slots=True)
class Layout:
    """The frame of one model: its words, how many bytes it has, and whether it ends in an error."""

    words: tuple[ValueWord, ...]
    size: int
    errors: bool = True  # the last word before the sum is a version and an error code

    @property
    def points(self) -> tuple[Point, ...]:
        return tuple(word.point for word in self.words)

    @property
    def head(self) -> bytes:
        return START + (self.size - 4).to_bytes(2)

    def cut(self, data: bytes) -> tuple[bytes | None, int]:
        """Find the next frame: (frame or None, bytes that are done with)."""
        return fixed_size_framer(self.head, self.size, _sum_is_right)(data)

    def error(self, frame: bytes) -> int:
        """The error code of a whole frame, 0 where there is none."""
        return frame[-3] if self.errors else 0

    def decode(self, frame: bytes) -> tuple[Sample, ...]:
        """One frame. Raises DataError when it is damaged.

        In a frame without any particle these are bad:warmup; without anything, all are. Outside
        its range a value is bad:range. When the sensor reports an error, its values are uncertain
        (fault).
        """
        if len(frame) != self.size or not frame.startswith(self.head):
            raise DataError(f"no frame of this sensor: {frame[: self.size].hex() or 'nothing'}")
        if not _sum_is_right(frame):
            raise DataError(f"wrong sum in {frame.hex()}")
        payload = frame[4 : -4 if self.errors else -2]
        counts = struct.unpack(f">{len(payload) // 2}H", payload)
        others = {word.at for word in self.words if not word.settles}
        empty = not any(count for at, count in enumerate(counts) if at not in others)
        nothing = not any(counts)
        return tuple(
            Bad(Reason.WARMUP)
            if nothing or (empty and word.settles)
            else _sample(word, counts[word.at], self.error(frame))
            for word in self.words
        )

    def explain(self, frames: Sequence[bytes]) -> dict[str, Sample]:
        """What the last values among these frames mean, for a sensor that has settled.

        Commands and what confirms them may be among them. Raises DataError for a damaged frame,
        and when there are no values.
        """
        decoded = [self.decode(frame) for frame in frames if not _is_command(frame)]
        if not decoded:
            raise DataError("no values among the frames", Reason.SILENT)
        return {p.key: sample for p, sample in zip(self.points, decoded[-1], strict=True)}


def _sum_is_right(frame: bytes) -> bool:
    return sum(frame[:-2]) == int.from_bytes(frame[-2:])


def _is_command(frame: bytes) -> bool:
    """One, or the answer that confirms it. No driver here sends any; others may."""
    return frame.startswith(START) and len(frame) in COMMANDS and _sum_is_right(frame)


def _sample(word: ValueWord, count: int, error: int) -> Sample:
    if word.signed and count >= 0x8000:
        count -= 0x10000
    value = count / word.per_unit
    if not word.point.low <= value <= word.point.high:
        return Bad(Reason.RANGE)
    return UncertainValue(value, Reason.FAULT) if error else value


@dataclass(slots=True)
class ParticleSensor:
    """A sensor that talks by itself.

    The first `settle_reads` readings after an opening, and after frames without a particle, which
    a sensor sends while it starts, are uncertain (warmup) where the fan matters; they are counted,
    not timed: at a poll a second it is half a minute.
    """

    bauds: ClassVar[tuple[int, ...]] = (9600,)
    formats: ClassVar[tuple[str, ...]] = ("8N1",)
    layout: ClassVar[Layout]

    bus: SerialBus
    settle_reads: Annotated[
        int,
        (0, 3600),
        "readings after a start, or after frames without a particle, in which the particle "
        "values are uncertain:warmup; set fewer for a poll slower than one a second",
    ] = SETTLE_READS
    _reads: int = field(default=0, init=False, repr=False)
    _error: int = field(default=0, init=False, repr=False)

    @property
    def identity(self) -> str:
        """It has no serial number."""
        return ""

    @property
    def health(self) -> Mapping[Condition, str]:
        """The error code of its last frame, of which the datasheets tell no more; and warm-up."""
        found: dict[Condition, str] = {}
        if self._error:
            found[Condition.DEVICE] = (
                f"it reports error {self._error}: look for dust, or replace it"
            )
        if self._reads <= self.settle_reads:
            found[Condition.WARMUP] = "warming up after the start"
        return found

    async def open(self) -> None:
        """Begin to count: a sensor that we do not know may just have been switched on."""
        self._reads = 0

    async def read(self) -> tuple[Sample, ...]:
        """The newest frame. Raises BusError on silence, DataError for a damaged frame."""
        layout = self.layout
        try:
            frame = await self.bus.frame(layout.cut, SILENT_S, newest=True)
        except BusError:
            self._reads = 0  # it may have lost power
            raise
        samples = layout.decode(frame)
        self._error = layout.error(frame)
        if Bad(Reason.WARMUP) in samples:
            self._reads = 0
            return samples
        self._reads += 1
        if self._reads > self.settle_reads:
            return samples
        return tuple(
            sample
            if isinstance(sample, Bad | UncertainValue) or not word.settles
            else UncertainValue(sample, Reason.WARMUP)
            for word, sample in zip(layout.words, samples, strict=True)
        )

    async def close(self) -> None:
        """Nothing to release: it goes on talking."""
