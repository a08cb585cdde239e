"""Plantower PMS5003 (also PMS7003, PMSA003): particulate matter, UART, talks by itself.

Source: Plantower PMS5003 datasheet, transport protocol in active mode; drivers avaldebe/PyPMS,
pimoroni/pms5003-python, adafruit/Adafruit_CircuitPython_PM25, ESPHome pmsx003.

The PMS5003T looks the same on the wire and means something else: it cannot be told apart here.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final

from edge.core import Bad, BusError, DataError, Doubt, Point, Quantity, Reason, Sample, SerialBus

HEAD: Final = b"\x42\x4d\x00\x1c"  # "BM", then 28 bytes follow
SIZE: Final = 32
SILENT_S: Final = 3.0  # a frame comes each 0.2 to 2.3 s
SETTLE_READS: Final = 30  # the fan needs 30 s to bring a steady stream

MASS: Final = ("pm1_0", "pm2_5", "pm10")
NUMBER: Final = ("n0_3", "n0_5", "n1_0", "n2_5", "n5_0", "n10")  # particles larger than this
PER_CM3: Final = 100  # counted in 0.1 litre


@dataclass(slots=True)
class Pms5003:
    """One sensor. The values are those for outdoor air ("atmospheric environment").

    The first `settle_reads` readings after an opening, and after frames of zeros, which a sensor
    sends while it starts, are uncertain (warmup); at a poll a second that is half a minute.
    """

    points: ClassVar[Sequence[Point]] = (
        *(Point(key, Quantity.MASS_CONCENTRATION, low=0, high=1000, resolution=1) for key in MASS),
        *(Point(key, Quantity.NUMBER_CONCENTRATION, low=0, high=655.35) for key in NUMBER),
    )
    bus: SerialBus
    settle_reads: Annotated[int, (0, 3600)] = SETTLE_READS
    _reads: int = field(default=0, init=False, repr=False)

    async def open(self) -> None:
        """Begin to count: a sensor that we do not know may just have been switched on."""
        self._reads = 0

    async def read(self) -> tuple[Sample, ...]:
        """The newest frame. Raises BusError on silence, DataError for a damaged frame."""
        try:
            frame = await self.bus.frame(cut, SILENT_S, newest=True)
        except BusError:
            self._reads = 0  # it may have lost power
            raise
        samples = decode(frame)
        if Bad(Reason.WARMUP) in samples:
            self._reads = 0
            return samples
        self._reads += 1
        if self._reads > self.settle_reads:
            return samples
        return tuple(s if isinstance(s, Bad | Doubt) else Doubt(s, Reason.WARMUP) for s in samples)

    async def close(self) -> None:
        """Nothing to release: it goes on talking."""


def cut(data: bytes) -> tuple[bytes | None, int]:
    """Find the next frame: (frame or None, bytes that are done with).

    A frame with a wrong sum is given too, so that the damage is seen, unless another begins
    inside it: then the first was only half. Leaves at most 31 bytes to wait.
    """
    start = data.find(HEAD)
    if start < 0:
        return None, len(data) - _begun(data)
    if len(data) - start < SIZE:
        return None, start
    frame = data[start : start + SIZE]
    if not _sum_is_right(frame):
        inner = frame.find(HEAD, 1)
        if inner < 0 and (begun := _begun(frame)):
            inner = SIZE - begun
        if inner > 0:
            return None, start + inner
    return frame, start + SIZE


def _begun(data: bytes) -> int:
    """How many bytes at the end may be the beginning of a frame."""
    return next((n for n in (3, 2, 1) if data.endswith(HEAD[:n])), 0)


def _sum_is_right(frame: bytes) -> bool:
    return sum(frame[:-2]) == int.from_bytes(frame[-2:])


def decode(frame: bytes) -> tuple[Sample, ...]:
    """One frame of 32 bytes. Raises DataError when it is damaged.

    A frame of zeros is bad:warmup. Outside its range a value is bad:range. When the sensor
    reports an error, its values are uncertain (fault).
    """
    if len(frame) != SIZE or not frame.startswith(HEAD):
        raise DataError(f"no frame of a PMS5003: {frame[:SIZE].hex() or 'nothing'}")
    if not _sum_is_right(frame):
        raise DataError(f"wrong sum in {frame.hex()}")
    *counts, _version, error = struct.unpack(">12HBB", frame[4:-2])
    if not any(counts):
        return (Bad(Reason.WARMUP),) * len(Pms5003.points)
    values = (*counts[3:6], *(count / PER_CM3 for count in counts[6:]))
    return tuple(
        _sample(point, value, error) for point, value in zip(Pms5003.points, values, strict=True)
    )


def _sample(point: Point, value: float, error: int) -> Sample:
    if not point.low <= value <= point.high:
        return Bad(Reason.RANGE)
    return Doubt(value, Reason.FAULT) if error else value


def explain(frames: Sequence[bytes]) -> dict[str, Sample]:
    """What the last of these frames means, for a sensor that has settled.

    Raises DataError for a damaged frame, and when there is none.
    """
    if not frames:
        raise DataError("no frame", Reason.SILENT)
    samples = [decode(frame) for frame in frames][-1]
    return {p.key: sample for p, sample in zip(Pms5003.points, samples, strict=True)}


DRIVER: Final = Pms5003
