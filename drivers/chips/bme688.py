"""Bosch BME688: temperature, humidity, pressure and the resistance of a heated gas sensor, I2C.

Source: driver boschsensortec/BME68x_SensorAPI (memory map, compensation, heater, forced mode);
Bosch BME688 datasheet. Only that driver documents the variant register, which tells a BME688 from a
BME680. The run-in time of the gas sensor is general knowledge.

The gas resistance shows that the air has changed, not what is in it. Only Bosch's BSEC library
calculates an index of air quality (IAQ) from it. That library is closed and not part of this
program.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final

from drivers.chips._bme688 import (
    Bme688Trim,
    fine_temperature,
    heater_code,
    heating_code,
    humidity,
    parse_trim,
    pressure,
    resistance,
)
from drivers.chips._bosch import (
    CHIP_ID,
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
from edge.core import (
    Bad,
    Condition,
    DataError,
    I2cBus,
    Point,
    Quantity,
    Reason,
    Sample,
    UncertainValue,
)

ID: Final = 0x61
VARIANT: Final = b"\xf0"
GAS_HIGH: Final = 1  # a BME688; 0 is a BME680
TRIM: Final = {b"\x8a": 23, b"\xe1": 14, b"\x00": 5}  # blocks of the calibration
FIELD: Final = b"\x1d"  # status, index, the counts, five registers, the gas
ANSWER: Final = 17
NEW: Final = 0x80  # in the first register
GAS_VALID: Final = 0x20  # these two in the last
HEAT_STABLE: Final = 0x10
# heater on, gas measured, humidity x1, no filter, temperature x2 and pressure x4, forced
MEASURE: Final = bytes.fromhex("7000 7120 7201 7500 744d")
HEATER, HEATING = 0x5A, 0x64  # registers: resistance wanted, and for how long

RESET_S: Final = 0.010
MEASURE_S: Final = 0.0193  # seven conversions and what is between them; heating comes on top
ASKS: Final = 5
ASKS_S: Final = 0.010
ROOM_CEL: Final = 25.0  # until the first measurement
SETTLE_READS: Final = 300
COLD_READS: Final = 3  # so many in a row without a stable heater are a fault

POINTS: Final = (
    TEMPERATURE,
    HUMIDITY,
    PRESSURE,
    Point("gas_resistance", Quantity.RESISTANCE, low=1_000, high=110e6),
)


def decode(trim: Bme688Trim, data: bytes) -> tuple[Sample, ...]:
    """The field of one measurement. What is not new is bad:stale.

    Without a temperature nothing can be compensated. The gas resistance is bad:stale when none was
    converted, and uncertain (warmup) when the heater had not reached its temperature.
    """
    if len(data) != ANSWER:
        raise DataError(f"expected {ANSWER} bytes, got {len(data)}")
    raw_p, raw_t, raw_h = counts(data[2:])
    if raw_t is None or not data[0] & NEW:
        return (Bad(Reason.STALE),) * len(POINTS)
    fine = fine_temperature(trim, raw_t)
    found = (
        fine / 5120,
        None if raw_h is None else clamped(humidity(trim, fine, raw_h)),
        None if raw_p is None else pressure(trim, fine, raw_p),
        resistance(data) if data[-1] & GAS_VALID else None,
    )
    *air, gas = (within(point, value) for point, value in zip(POINTS, found, strict=True))
    if not isinstance(gas, Bad | UncertainValue) and not data[-1] & HEAT_STABLE:
        gas = UncertainValue(gas, Reason.WARMUP)
    return *air, gas


@dataclass(slots=True)
class Bme688:
    """One chip. `address` is 0x76, or 0x77 with the SDO pin high.

    For each read the gas sensor is heated to `heater_cel` for `heater_ms`, which holds the bus for
    as long. Its first `settle_reads` values after an opening are uncertain (warmup).
    """

    points: ClassVar[Sequence[Point]] = POINTS
    bus: I2cBus
    address: Annotated[int, (0x76, 0x77), "its I2C address; 0x77 if the SDO pin is high"] = 0x76
    heater_cel: Annotated[
        int,
        (200, 400),
        "temperature to which the gas sensor is heated for each reading, in degrees Celsius",
    ] = 320
    heater_ms: Annotated[
        int,
        (10, 4032),
        "how long it is heated for each reading, in ms; the bus is in use for as long",
    ] = 150
    settle_reads: Annotated[
        int,
        (0, 3600),
        "readings after a start in which the gas value is uncertain:warmup",
    ] = SETTLE_READS
    _trim: Bme688Trim | None = field(default=None, init=False, repr=False)
    _identity: str = field(default="", init=False, repr=False)
    _air_cel: float = field(default=ROOM_CEL, init=False, repr=False)
    _reads: int = field(default=0, init=False, repr=False)
    _cold: int = field(default=0, init=False, repr=False)  # reads in a row
    _lacking: tuple[str, ...] = field(default=(), init=False, repr=False)

    @property
    def identity(self) -> str:
        """The fingerprint of its calibration."""
        return self._identity

    @property
    def health(self) -> Mapping[Condition, str]:
        """Which of its parts gives nothing, and whether the heater gets hot."""
        conditions = {}
        if self._lacking:
            conditions[Condition.SENSOR] = f"it measures no {' and no '.join(self._lacking)}"
        if self._cold >= COLD_READS:
            conditions[Condition.HEATER] = (
                f"the heater does not reach {self.heater_cel} Cel within {self.heater_ms} ms:"
                " check the supply, or heat longer"
            )
        return conditions

    async def open(self) -> None:
        """Reset it, and read its calibration. Raises BusError, and DataError for another chip."""
        self._trim = None
        self._trim = await self._started()
        self._reads = self._cold = 0

    async def read(self) -> tuple[Sample, ...]:
        """Heat, measure and wait for it. Raises BusError, and DataError for a short answer."""
        if self._trim is None:
            self._trim = await self._started()
        code = heater_code(self._trim, self.heater_cel, self._air_cel)
        heat = bytes((HEATER, code, HEATING, heating_code(self.heater_ms)))
        wait_s = MEASURE_S + self.heater_ms / 1000
        await self.bus.transfer(self.address, heat + MEASURE, wait_s=wait_s)
        data = await self._field()
        await verify_again(
            self.bus, self.address, FIELD, ANSWER, data[2:]
        )  # the rest may be used up
        samples = decode(self._trim, data)
        self._learn(samples, data[-1])
        gas = samples[-1]
        if self._reads > self.settle_reads or isinstance(gas, Bad | UncertainValue):
            return samples
        return *samples[:-1], UncertainValue(gas, Reason.WARMUP)

    async def close(self) -> None:
        """Nothing to release: it sleeps by itself."""

    async def _started(self) -> Bme688Trim:
        await expect_chip(self.bus, self.address, ID, "bme688")
        check_variant((await read_checked(self.bus, self.address, VARIANT, 1))[0])
        await self.bus.transfer(self.address, RESET, wait_s=RESET_S)
        data = await calibration(self.bus, self.address, TRIM)
        self._identity = fingerprint(data)
        return parse_trim(data)

    async def _field(self) -> bytes:
        data = await read_checked(self.bus, self.address, FIELD, ANSWER)
        for _ in range(ASKS):
            if data[0] & NEW:
                break
            data = await read_checked(self.bus, self.address, FIELD, ANSWER, ASKS_S)
        return data

    def _learn(self, samples: Sequence[Sample], gas: int) -> None:
        if isinstance(samples[0], float):
            self._air_cel = samples[0]
        self._reads += 1
        self._cold = 0 if gas & HEAT_STABLE else self._cold + 1
        self._lacking = tuple(
            point.key
            for point, sample in zip(POINTS, samples, strict=True)
            if sample == Bad(Reason.STALE)
        )


def check_variant(found: int) -> None:
    """Raises DataError for a BME680, whose gas resistance is calculated in another way."""
    if found != GAS_HIGH:
        raise DataError(
            f"variant {found} is a BME680, and bme688 is for a BME688 (variant {GAS_HIGH})",
            Reason.ADDRESS,
        )


def explain(frames: Sequence[bytes]) -> dict[str, Sample]:
    """What a recorded conversation means, for a gas sensor that has settled.

    Frames are a register and its content, or a write without answer; the calibration must be among
    them. Raises DataError when it or a measurement is not.
    """
    image = register_image(frames)
    data = image_block(image, FIELD[0], ANSWER)
    blocks = [image_block(image, register[0], count) for register, count in TRIM.items()]
    check_chip(image.get(CHIP_ID[0], ID), ID, "bme688")
    check_variant(image.get(VARIANT[0], GAS_HIGH))
    samples = decode(parse_trim(b"".join(blocks)), data)
    return {point.key: sample for point, sample in zip(POINTS, samples, strict=True)}


DRIVER: Final = Bme688
