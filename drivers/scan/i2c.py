"""Which chips are on an I2C bus: by chip id, serial number, product name or what registers hold.

Source: the datasheets that the drivers name; SEN5x and SEN6x: product name (0xD014); SPS30: product
type (0xD002, "00080000"); BMP280, BME680 and BME688: chip id. An address that no driver has is
asked for one byte, which is what `i2cdetect -r` does. What is sent is the number of the register,
or the question, that is to be read: a chip that has registers sets none of them.

A chip with one register takes what is sent for its content. A multiplexer such as the TCA9548A
(SCPS207: 0x70 to 0x77) gives it back when it is read: then it gets what it had before. A PCF8591
(0x48 to 0x4f) tells its control byte to nobody: it keeps what it was sent, and that is said.

A question of 16 bits is a register and its content to a chip with registers of 8 bits. So whoever
gives a byte unasked is asked nothing at addresses that LED drivers have, too: an SGP41 and an SCD4x
give none (their datasheets tell it of busy ones; unverified for others). What else sits at those of
the modules (0x69, 0x6b: motion sensors) has no register 0xd0.
"""

import errno
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from drivers.chips import scd41, sgp41, sht4x
from drivers.chips._bosch import CHIP_ID
from drivers.chips._sensirion import SerialQuery, text_serial, whole_words
from drivers.chips._sensirion_profile import SERIAL as MODULE_SERIAL
from drivers.scan.found import Findings, FoundDevice, ScanTick
from edge.core import BusError, DataError, I2cBus

FIRST, LAST = 0x08, 0x77
STEP_S: Final = 0.02
NOBODY: Final = frozenset({errno.ENXIO, errno.EREMOTEIO, errno.EIO})
SHY: Final = (0x59, 0x62)  # give nothing unasked
GIVE_UP: Final = 3  # addresses in a row at which the bus itself is stuck

PRODUCT_NAME: Final = SerialQuery(b"\xd0\x14", 16, 0.05, text_serial)  # SEN5x, SEN6x
PRODUCT_TYPE: Final = SerialQuery(b"\xd0\x02", 4, 0.05, text_serial)  # SPS30
SPS30_TYPE: Final = "00080000"
BOSCH: Final = {0x60: ("bme280", "BME280"), 0x61: ("bme688", "BME688 or BME680")}
UNSUPPORTED: Final = {0x58: "a BMP280, which measures no humidity"}
LOW, HIGH, CONFIG = b"\x02", b"\x03", b"\x01"  # registers of an ADS1115
THRESHOLDS: Final = (b"\x80\x00", b"\x7f\xff")  # nobody who does not compare changes them
POWER_ON: Final = b"\x85\x83"

Ask = Callable[[I2cBus, int], Awaitable["FoundDevice | str | None"]]
"""Gives what is at an address, a sentence about what is there instead, or None."""


async def scan_i2c(bus: I2cBus, out: Findings, tick: ScanTick, taken: Mapping[int, str]) -> None:
    """Every address, except those in `taken` (by whom). Raises BusError when the bus is of no use,
    StoppedError.
    """
    stuck = 0
    for address in range(FIRST, LAST + 1):
        tick(f"0x{address:02x}", STEP_S)
        if address in taken:
            out.notes.append(f"0x{address:02x} belongs to {taken[address]} and was not asked")
            continue
        try:
            result = await _identify(bus, address)
            stuck = 0
        except BusError as error:
            stuck += 1
            if stuck == GIVE_UP or address == FIRST:
                raise
            out.notes.append(str(error))
            continue
        if isinstance(result, FoundDevice):
            out.devices.append(result)
        elif result:
            out.unknown.append(f"0x{address:02x}: {result}")


def estimate_i2c_s() -> float:
    """At most, on a bus that is not stuck."""
    return (LAST - FIRST + 1) * STEP_S


async def _identify(bus: I2cBus, address: int) -> FoundDevice | str | None:
    unasked = address in SHY and await _bytes(bus, address, b"", 1) is not None
    for addresses, ask in QUESTIONS:
        if address in addresses and not unasked:
            result = await ask(bus, address)
            if result is not None:
                return result
    if not unasked and await _bytes(bus, address, b"", 1) is None:
        return None
    return "a device answers, but this program does not know the chip"


async def _bytes(
    bus: I2cBus, address: int, write: bytes, count: int, wait_s: float = 0.0
) -> bytes | None:
    """What it says; None when nobody acknowledges. Raises BusError when the bus is at fault."""
    try:
        answer = await bus.transfer(address, write, read=count, wait_s=wait_s)
    except BusError as error:
        if getattr(error.__cause__, "errno", None) in NOBODY:
            return None
        raise
    return answer if len(answer) == count else None


async def _number(bus: I2cBus, address: int, how: SerialQuery) -> str | None:
    """A number or a name with checksums; None without one, or when they are wrong."""
    answer = await _bytes(bus, address, how.command, 3 * how.words, how.wait_s)
    try:
        return None if answer is None else how.spell(whole_words(answer, how.words))
    except DataError:
        return None


async def _put_back(bus: I2cBus, address: int, sent: bytes, before: bytes) -> str | None:
    """Give a chip with one register what it had before. None when it is no such chip."""
    if await _bytes(bus, address, b"", 1) != sent:
        return None
    problem = (
        "the device returns the byte that was sent: a multiplexer such as a TCA9548A, or a port"
    )
    try:
        await bus.transfer(address, before)
    except BusError as error:
        return f"{problem}; its setting is now 0x{sent.hex()} instead of 0x{before.hex()} ({error})"
    again = f"its setting 0x{before.hex()} is restored. Devices behind it were not searched for"
    return f"{problem}; {again}"


async def _bosch(bus: I2cBus, address: int) -> FoundDevice | str | None:
    before = await _bytes(bus, address, b"", 1)
    answer = None if before is None else await _bytes(bus, address, CHIP_ID, 1)
    if before is None or answer is None:
        return None
    if answer == CHIP_ID and (problem := await _put_back(bus, address, CHIP_ID, before)):
        return problem
    if answer[0] in BOSCH:
        driver, name = BOSCH[answer[0]]
        options = {"address": address}
        return FoundDevice(driver, f"{name}, chip id 0x{answer[0]:02x} at 0x{address:02x}", options)
    there = UNSUPPORTED.get(answer[0], "no chip that this program knows")
    return f"chip id 0x{answer[0]:02x} is {there}"


async def _sht4x(bus: I2cBus, address: int) -> FoundDevice | None:
    serial = await _number(bus, address, sht4x.SERIAL)
    if serial is None:
        return None
    what = f"SHT4x, serial number {serial} at 0x{address:02x}"
    return FoundDevice("sht4x", what, {"address": address}, serial)


async def _scd4x(bus: I2cBus, address: int) -> FoundDevice | None:
    serial = await _number(bus, address, scd41.Scd41.profile.serial)
    if serial is not None:
        return FoundDevice("scd41", f"SCD4x, serial number {serial} at 0x{address:02x}", {}, serial)
    # while it measures it tells nothing but whether it has news
    ready = SerialQuery(scd41.Scd41.profile.ready, 1, 0.001, bytes.hex)
    if await _number(bus, address, ready) is not None:
        return FoundDevice("scd41", f"SCD4x that measures, at 0x{address:02x}")
    return None


async def _sgp41(bus: I2cBus, address: int) -> FoundDevice | None:
    serial = await _number(bus, address, sgp41.SERIAL)
    if serial is None:
        return None
    what = f"SGP41 (an SGP40 answers the same), serial number {serial} at 0x{address:02x}"
    return FoundDevice("sgp41", what, {}, serial)


async def _module(bus: I2cBus, address: int) -> FoundDevice | str | None:
    """A module with a fan: by the name that it tells, and an SPS30 by its type or its number."""
    name = await _number(bus, address, PRODUCT_NAME)
    if not name and await _number(bus, address, PRODUCT_TYPE) == SPS30_TYPE:
        name = "SPS30"
    serial = await _number(bus, address, MODULE_SERIAL)
    if not name and serial is None:
        return None
    driver = MODULES.get(name or "")
    if driver is None:
        return f"a Sensirion module {name or 'without a name'}, which no driver is for"
    what = f"{name}, serial number {serial or 'unknown'} at 0x{address:02x}"
    return FoundDevice(driver, what, {}, serial or "")


async def _ads1115(bus: I2cBus, address: int) -> FoundDevice | str | None:
    before = await _bytes(bus, address, b"", 1)
    low = None if before is None else await _bytes(bus, address, LOW, 2)
    if before is None or low is None:
        return None
    if low == LOW * 2 and (problem := await _put_back(bus, address, LOW, before)):
        return problem
    if low != THRESHOLDS[0] or await _bytes(bus, address, HIGH, 2) != THRESHOLDS[1]:
        return (
            "a device answers, but not as an ADS1115 with factory settings; if it is a PCF8591, its"
            f" control byte is 0x{LOW.hex()} now, until its own program sets it again"
        )
    config = await _bytes(bus, address, CONFIG, 2)
    if config is None:
        return None
    fresh = "as from power-on" if config == POWER_ON else f"set to {config.hex()}"
    what = f"ADS1115 at 0x{address:02x}, {fresh}; wired in pairs it is ads1115_pairs"
    return FoundDevice("ads1115", what, {"address": address}, also=("ads1115_pairs",))


MODULES: Final = {"SEN55": "sen55", "SEN66": "sen66", "SPS30": "sps30"}
QUESTIONS: Final[tuple[tuple[tuple[int, ...], Ask], ...]] = (
    ((0x44, 0x45, 0x46), _sht4x),
    ((0x48, 0x49, 0x4A, 0x4B), _ads1115),
    ((0x59,), _sgp41),
    ((0x62,), _scd4x),
    ((0x69, 0x6B), _module),
    ((0x76, 0x77), _bosch),
)
