"""Sensirion SHT40, SHT41, SHT43, SHT45: air temperature and relative humidity, I2C.

Source: Sensirion SHT4x datasheet (commands, timing, conversion); drivers
Sensirion/embedded-i2c-sht4x and Sensirion/python-i2c-sht4x; ESPHome sht4x. This driver never
switches the heater on.

The formula gives -6 to 119 %RH, so that tolerance and drift at both ends are seen. The datasheet
limits values to 0 to 100. The tolerance is a few percent: a value further above 100 means a broken
sensor, and the lowest raw value of all is never a measurement.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final, Literal

from drivers.chips._sensirion import (
    SerialQuery,
    celsius,
    decimal_serial,
    exchanges,
    serial_number,
    whole_words,
    word_samples,
)
from edge.core import Condition, DataError, I2cBus, Point, Quantity, Reason, Sample

MEASURE: Final = {"high": (b"\xfd", 0.01), "medium": (b"\xf6", 0.005), "low": (b"\xe0", 0.002)}
SERIAL: Final = SerialQuery(b"\x89", 2, 0.01, decimal_serial)
BEYOND: Final = 6  # %RH outside of what can be that are a matter of tolerance

POINTS: Final = (  # in the order on the wire
    Point("temperature", Quantity.TEMPERATURE, low=-40, high=125),
    Point("humidity", Quantity.RELATIVE_HUMIDITY, low=0, high=100),
)


def decode(frame: bytes) -> tuple[Sample, ...]:
    """The 6 bytes of a measurement. Humidity less than 6 %RH outside 0 to 100 is cut to that.

    A damaged word spoils its own point only. Raises DataError for another length.
    """
    return word_samples(POINTS, (celsius, _percent), frame)


def _percent(word: bytes) -> float:
    percent = -6 + 125 * int.from_bytes(word) / 65535
    return min(100.0, max(0.0, percent)) if -BEYOND < percent < 100 + BEYOND else percent


@dataclass(slots=True)
class Sht4x:
    """One sensor. Its order number says which `address` it has: 0x44, 0x45 or 0x46.

    A reading takes 10, 5 or 2 ms, by `precision`.
    """

    points: ClassVar[Sequence[Point]] = POINTS

    bus: I2cBus
    address: Annotated[
        int,
        (0x44, 0x46),
        "its I2C address; the order number of the sensor says which",
    ] = 0x44
    precision: Annotated[
        Literal["high", "medium", "low"],
        "a reading takes 10 ms (`high`), 5 ms (`medium`) or 2 ms (`low`)",
    ] = "high"
    _identity: str = field(default="", init=False, repr=False)

    async def open(self) -> None:
        """Ask for its serial number: it measures when it is asked, and needs no start."""
        self._identity = await serial_number(self.bus, self.address, SERIAL) or self._identity

    async def read(self) -> tuple[Sample, ...]:
        """Measure. Raises BusError, and DataError for an answer of another length."""
        measure, wait_s = MEASURE[self.precision]
        return decode(await self.bus.transfer(self.address, measure, read=6, wait_s=wait_s))

    async def close(self) -> None:
        """Nothing to stop: it sleeps by itself."""

    @property
    def identity(self) -> str:
        """Its serial number; "" until it is read."""
        return self._identity

    @property
    def health(self) -> Mapping[Condition, str]:
        """It says nothing of itself."""
        return {}


def explain(frames: Sequence[bytes]) -> dict[str, Sample]:
    """What a recorded conversation means: commands, each followed by its answer.

    Raises DataError for a damaged or foreign frame, and when no values were read.
    """
    measures = {measure for measure, _ in MEASURE.values()}
    samples: tuple[Sample, ...] = ()
    for command, answer in exchanges(
        frames, lambda command: command in measures or command == SERIAL.command or None
    ):
        if command in measures:
            samples = decode(answer)
        else:
            whole_words(answer, SERIAL.words)
    if not samples:
        raise DataError("no measured values among the frames", Reason.SILENT)
    return {point.key: sample for point, sample in zip(POINTS, samples, strict=True)}


DRIVER: Final = Sht4x
