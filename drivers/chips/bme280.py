"""Bosch BME280: air temperature, relative humidity and air pressure, I2C.

Source: Bosch BME280 datasheet (memory map, compensation, suggested settings for weather
monitoring); boschsensortec/BME280_SensorAPI; pimoroni/bme280-python.

Each read starts one measurement of each quantity, without oversampling or filter, as Bosch suggests
for weather. Between two reads the chip sleeps and does not warm itself.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final, NamedTuple

from drivers.chips._bosch import (
    CHIP_ID,
    COUNTS,
    HUMIDITY,
    PRESSURE,
    RESET,
    TEMPERATURE,
    calibration,
    check_chip,
    clamped,
    counts,
    expect_chip,
    fingerprint,
    image_block,
    read_checked,
    register_image,
    verify_again,
    within,
)
from edge.core import Bad, BusError, Condition, I2cBus, Point, Reason, Sample

ID: Final = 0x60
TRIM: Final = {b"\x88": 26, b"\xe1": 7}  # blocks of the calibration
STATUS: Final = b"\xf3"  # status, two settings, one reserved, then the counts
ANSWER: Final = 4 + COUNTS
MEASURING: Final = 0x08
COPYING: Final = 0x01  # the calibration, into its registers
# humidity x1, which counts once the other is written: temperature x1, pressure x1, forced
MEASURE: Final = bytes.fromhex("f201 f425")

RESET_S: Final = 0.002
MEASURE_S: Final = 0.010  # 9.3 ms at most
ASKS: Final = 5
ASKS_S: Final = 0.002

POINTS: Final = (TEMPERATURE, HUMIDITY, PRESSURE)


class Bme280Trim(NamedTuple):
    """The calibration of one chip, by the names of the datasheet."""

    t1: int
    t2: int
    t3: int
    p1: int
    p2: int
    p3: int
    p4: int
    p5: int
    p6: int
    p7: int
    p8: int
    p9: int
    h1: int
    h2: int
    h3: int
    h4: int
    h5: int
    h6: int


def parse_trim(data: bytes) -> Bme280Trim:
    """The two blocks of the calibration, one after the other: 33 bytes."""
    low = struct.unpack("<HhhHhhhhhhhhxB", data[:26])
    h2, h3, high4, both, high5, h6 = struct.unpack("<hBbBbb", data[26:])
    h4, h5 = high4 * 16 | both & 0x0F, high5 * 16 | both >> 4
    return Bme280Trim._make((*low, h2, h3, h4, h5, h6))


def decode(trim: Bme280Trim, data: bytes) -> tuple[Sample, ...]:
    """The eight bytes of counts. Without a temperature nothing can be compensated."""
    raw_p, raw_t, raw_h = counts(data)
    if raw_t is None:
        return (Bad(Reason.STALE),) * len(POINTS)
    fine = fine_temperature(trim, raw_t)
    humid = None if raw_h is None else clamped(humidity(trim, fine, raw_h))
    press = None if raw_p is None else pressure(trim, fine, raw_p)
    found = (fine / 5120, humid, press)
    return tuple(within(point, value) for point, value in zip(POINTS, found, strict=True))


def fine_temperature(trim: Bme280Trim, raw: int) -> float:
    """The temperature in 1/5120 Cel."""
    near = (raw / 16384 - trim.t1 / 1024) * trim.t2
    far = (raw / 131072 - trim.t1 / 8192) ** 2 * trim.t3
    return near + far


def pressure(trim: Bme280Trim, fine: float, raw: int) -> float:
    """The pressure in Pa; 0 for a calibration by which it cannot be calculated."""
    t = fine / 2 - 64000
    offset = (t * t * trim.p6 / 32768 + t * trim.p5 * 2) / 4 + trim.p4 * 65536
    slope = (1 + (trim.p3 * t * t / 524288 + trim.p2 * t) / 524288 / 32768) * trim.p1
    if slope <= 0:
        return 0.0
    p = (1048576 - raw - offset / 4096) * 6250 / slope
    return p + (trim.p9 * p * p / 2147483648 + p * trim.p8 / 32768 + trim.p7) / 16


def humidity(trim: Bme280Trim, fine: float, raw: int) -> float:
    """The relative humidity in %, not cut off at 0 and 100."""
    t = fine - 76800
    base = raw - (trim.h4 * 64 + trim.h5 / 16384 * t)
    bend = 1 + trim.h3 / 67108864 * t
    h = base * trim.h2 / 65536 * bend * (1 + trim.h6 / 67108864 * t * bend)
    return h * (1 - trim.h1 * h / 524288)


@dataclass(slots=True)
class Bme280:
    """One chip. `address` is 0x76, or 0x77 with the SDO pin high."""

    points: ClassVar[Sequence[Point]] = POINTS
    bus: I2cBus
    address: Annotated[int, (0x76, 0x77), "its I2C address; 0x77 if the SDO pin is high"] = 0x76
    _trim: Bme280Trim | None = field(default=None, init=False, repr=False)
    _identity: str = field(default="", init=False, repr=False)
    _lacking: tuple[str, ...] = field(default=(), init=False, repr=False)

    @property
    def identity(self) -> str:
        """It has no serial number; the fingerprint of its calibration stands for one."""
        return self._identity

    @property
    def health(self) -> Mapping[Condition, str]:
        """Which of its parts gives nothing."""
        if not self._lacking:
            return {}
        return {Condition.SENSOR: f"it measures no {' and no '.join(self._lacking)}"}

    async def open(self) -> None:
        """Reset it, and read its calibration. Raises BusError, and DataError for another chip."""
        self._trim = None
        self._trim = await self._started()

    async def read(self) -> tuple[Sample, ...]:
        """Measure, and wait for it (10 ms). Raises BusError, and DataError for a short answer."""
        if self._trim is None:
            self._trim = await self._started()
        await self.bus.transfer(self.address, MEASURE, wait_s=MEASURE_S)
        data = await self._settled(MEASURING, "its measurement does not end")
        await verify_again(self.bus, self.address, STATUS, ANSWER, data)
        samples = decode(self._trim, data)
        self._lacking = tuple(
            point.key
            for point, sample in zip(POINTS, samples, strict=True)
            if sample == Bad(Reason.STALE)
        )
        return samples

    async def close(self) -> None:
        """Nothing to release: it sleeps by itself."""

    async def _started(self) -> Bme280Trim:
        await expect_chip(self.bus, self.address, ID, "bme280")
        await self.bus.transfer(self.address, RESET, wait_s=RESET_S)
        await self._settled(COPYING, "it does not answer after its reset")
        data = await calibration(self.bus, self.address, TRIM)
        self._identity = fingerprint(data)
        return parse_trim(data)

    async def _settled(self, bit: int, trouble: str) -> bytes:
        """The counts, once this bit of the status is gone."""
        for turn in range(ASKS):
            wait_s = ASKS_S if turn else 0.0
            answer = await read_checked(self.bus, self.address, STATUS, ANSWER, wait_s)
            if not answer[0] & bit:
                return answer[-COUNTS:]
        raise BusError(f"0x{self.address:02x}: {trouble}", Reason.BUSY)


def explain(frames: Sequence[bytes]) -> dict[str, Sample]:
    """What a recorded conversation means: register and its content, or a write without answer.

    The calibration must be among the frames. Raises DataError when it or the counts are not.
    """
    image = register_image(frames)
    data = image_block(image, STATUS[0] + 4, COUNTS)
    blocks = [image_block(image, register[0], count) for register, count in TRIM.items()]
    check_chip(image.get(CHIP_ID[0], ID), ID, "bme280")
    samples = decode(parse_trim(b"".join(blocks)), data)
    return {point.key: sample for point, sample in zip(POINTS, samples, strict=True)}


DRIVER: Final = Bme280
