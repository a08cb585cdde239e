"""What Bosch's BME280 and BME688 share: registers, raw counts, and a calibration read with care.

Source: Bosch BME280 and BME688 datasheets, sections on the I2C interface and the memory map;
drivers boschsensortec/BME280_SensorAPI and boschsensortec/BME68x_SensorAPI.

Nothing on this wire carries a checksum, so all that counts is read twice.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from edge.core import Bad, DataError, I2cBus, Point, Quantity, Reason, Sample

CHIP_ID: Final = b"\xd0"
RESET: Final = b"\xe0\xb6"
NAMES: Final = {0x58: "a BMP280", 0x60: "a BME280", 0x61: "a BME680 or BME688"}

SKIPPED: Final = 0x80000  # what a measurement holds that was not made; half of it in 16 bits
COUNTS: Final = 8  # bytes: pressure and temperature in 20 bits, humidity in 16

TEMPERATURE: Final = Point("temperature", Quantity.TEMPERATURE, low=-40, high=85)
HUMIDITY: Final = Point("humidity", Quantity.RELATIVE_HUMIDITY, low=0, high=100)
PRESSURE: Final = Point("pressure", Quantity.PRESSURE, low=30_000, high=110_000)

Counts = tuple[int | None, int | None, int | None]


async def read_checked(
    bus: I2cBus, address: int, register: bytes, count: int, wait_s: float = 0.0
) -> bytes:
    """The content of `count` registers. Raises BusError, and DataError for another length."""
    answer = await bus.transfer(address, register, read=count, wait_s=wait_s)
    if len(answer) != count:
        raise DataError(f"expected {count} bytes of register {register.hex()}, got {len(answer)}")
    return answer


async def verify_again(
    bus: I2cBus, address: int, register: bytes, count: int, first: bytes
) -> None:
    """Read what does not change once more. Raises DataError unless its end is as at first."""
    if not (await read_checked(bus, address, register, count)).endswith(first):
        raise DataError(
            f"register {register.hex()} reads differently each time: check wires and pull-ups"
        )


async def expect_chip(bus: I2cBus, address: int, wanted: int, driver: str) -> None:
    """Make sure of the chip. Raises DataError that says which one is there instead."""
    check_chip((await read_checked(bus, address, CHIP_ID, 1))[0], wanted, driver)


def check_chip(found: int, wanted: int, driver: str) -> None:
    """Raises DataError when this is not the id of the wanted chip."""
    if found == wanted:
        return
    there = NAMES.get(found, "no chip that this program knows")
    raise DataError(
        f"chip id 0x{found:02x} is {there}, and {driver} is for {NAMES[wanted]}"
        f" (0x{wanted:02x}): check the address and the driver",
        Reason.ADDRESS,
    )


async def calibration(bus: I2cBus, address: int, blocks: Mapping[bytes, int]) -> bytes:
    """All these blocks, one after the other. Raises DataError unless they read the same twice."""
    first, again = [
        b"".join(
            [
                await read_checked(bus, address, register, count)
                for register, count in blocks.items()
            ]
        )
        for _ in range(2)
    ]
    if first != again:
        raise DataError("the calibration reads differently each time: check wires and pull-ups")
    if len(set(first)) == 1:
        raise DataError(f"the calibration is nothing but 0x{first[0]:02x}", Reason.FAULT)
    return first


def fingerprint(trim: bytes) -> str:
    """Stands for the serial number that these chips do not have: each is trimmed on its own."""
    return f"trim-{zlib.crc32(trim):08x}"


def counts(data: bytes) -> Counts:
    """Pressure, temperature, humidity as the converter counted them; None for what it skipped."""
    pressure = int.from_bytes(data[0:3]) >> 4
    temperature = int.from_bytes(data[3:6]) >> 4
    humidity = int.from_bytes(data[6:8])
    return (
        None if pressure == SKIPPED else pressure,
        None if temperature == SKIPPED else temperature,
        None if humidity == SKIPPED >> 4 else humidity,
    )


def within(point: Point, value: float | None) -> Sample:
    """A value, bad:stale for one that was not measured, bad:range for one that cannot be."""
    if value is None:
        return Bad(Reason.STALE)
    return value if point.low <= value <= point.high else Bad(Reason.RANGE)


def clamped(humidity: float) -> float:
    """In fog and in frost the formula leaves 0..100 %; the chip's own maker cuts it off as well."""
    return min(100.0, max(0.0, humidity))


def register_image(frames: Sequence[bytes]) -> dict[int, int]:
    """What recorded frames tell of the registers: register -> content, the latest.

    A frame of one byte names a register and is followed by its content; one of more writes, and
    has no answer. Raises DataError for what is neither.
    """
    image: dict[int, int] = {}
    rest: Iterator[bytes] = iter([frame for frame in frames if frame])
    for frame in rest:
        if len(frame) > 1:
            if len(frame) % 2:
                raise DataError(f"{frame.hex()} is not made of pairs of register and content")
            continue
        answer = next(rest, None)
        if answer is None:
            raise DataError(f"register {frame.hex()} has no answer", Reason.SILENT)
        image |= {frame[0] + place: byte for place, byte in enumerate(answer)}
    return image


def image_block(image: Mapping[int, int], first: int, count: int) -> bytes:
    """Some registers of the image. Raises DataError when they are not all there."""
    try:
        return bytes(image[register] for register in range(first, first + count))
    except KeyError:
        raise DataError(
            f"registers 0x{first:02x} to 0x{first + count - 1:02x} are not among the frames",
            Reason.SILENT,
        ) from None
