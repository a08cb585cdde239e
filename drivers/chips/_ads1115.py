"""The converter in an ADS1115, one channel after the other, whichever pins make a channel.

Source: Texas Instruments ADS1115 datasheet (registers, single-shot mode, output code);
adafruit/Adafruit_CircuitPython_ADS1x15; ESPHome ads1115.

Nothing on this wire carries a checksum, so each value is read twice, and the settings before it:
a chip that lost its supply would measure another channel with another range.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final

from edge.core import Bad, BusError, Condition, DataError, I2cBus, Point, Quantity, Reason, Sample

CONVERSION: Final = b"\x00"
CONFIG: Final = b"\x01"
START: Final = 0x8000  # to write: measure; to read: has measured
MUX_SHIFT: Final = 12
SINGLE: Final = 0x0103  # measure once; no comparator
# the settings after power-on, but for the mux; ours are made to differ from them by the polarity
# of a comparator that is off, so that a chip which lost its supply is noticed
POWER_ON: Final = 0x8583
POLARITY: Final = 0x0008
MUX: Final = 7 << MUX_SHIFT
RANGES_V: Final = (6.144, 4.096, 2.048, 1.024, 0.512, 0.256)  # by their code
RATES: Final = (8, 16, 32, 64, 128, 250, 475, 860)  # conversions in a second, by their code
CODES: Final = 32768  # in one range
TOP, BOTTOM = 0x7FFF, 0x8000  # at an end of the range, or beyond

ASKS: Final = 4
ASKS_SHARE: Final = 0.05  # of a conversion, between two looks: its oscillator may be off by a tenth
WAKE_S: Final = 0.000_1

PINS_V: Final = 6.144  # no input bears more


def volts(code: int, range_v: float) -> float:
    """A code of 16 bits in a range."""
    return (code - 0x10000 if code >= 0x8000 else code) * range_v / CODES


def config(mux: int, range_v: float, rate_sps: int) -> int:
    """The register that starts one conversion."""
    gain, rate = RANGES_V.index(range_v), RATES.index(rate_sps)
    settings = START | mux << MUX_SHIFT | gain << 9 | SINGLE | rate << 5
    return settings | POLARITY if settings & ~MUX == POWER_ON else settings


def decode(point: Point, data: bytes, range_v: float) -> Sample:
    """The content of the conversion register. At an end of the range the voltage is unknown."""
    if len(data) != 2:
        raise DataError(f"expected 2 bytes, got {len(data)}")
    code = int.from_bytes(data)
    value = volts(code, range_v)
    beyond = code in (TOP, BOTTOM) or not point.low <= value <= point.high
    return Bad(Reason.RANGE) if beyond else value


def voltage(key: str, low: float) -> Point:
    """A point in V, in steps of 10 uV: half a count of the finest gas cell."""
    return Point(key, Quantity.VOLTAGE, low=low, high=PINS_V, resolution=0.00001)


@dataclass(slots=True)
class Ads1115Chip:
    """One chip at 0x48 to 0x4b, by where its ADDR pin leads.

    `range_v` is the largest voltage to be measured, in V: the range that just holds it is taken.
    `rate_sps` is how many conversions a second it makes, or the next slower it has: slower is
    quieter, and 8 does not see the mains.
    """

    points: ClassVar[Sequence[Point]] = ()
    muxes: ClassVar[Sequence[int]] = ()  # of the points
    bus: I2cBus
    address: Annotated[int, (0x48, 0x4B), "its I2C address, set by the ADDR pin"] = 0x48
    range_v: Annotated[
        float,
        (0.256, 6.144),
        "the largest voltage to measure, in V; the smallest range of the chip that holds it is "
        "used",
    ] = 4.096
    rate_sps: Annotated[
        int,
        (8, 860),
        "conversions per second, or the next lower rate that the chip has; a lower rate has "
        "less noise, and 8 rejects the mains frequency",
    ] = 128
    _over: tuple[str, ...] = field(default=(), init=False, repr=False)

    @property
    def identity(self) -> str:
        """It has none."""
        return ""

    @property
    def health(self) -> Mapping[Condition, str]:
        """Which inputs are beyond the range."""
        if not self._over:
            return {}
        low = max(self.points[0].low, -self._range_v)
        over_text = f"{' and '.join(self._over)} not within {low:g} to {self._range_v:g} V"
        largest = self._range_v == RANGES_V[0]
        hint = "check the wiring" if largest else "check the wiring, or choose a larger range_v"
        return {Condition.OVERLOAD: f"{over_text}: {hint}"}

    @property
    def _range_v(self) -> float:
        return min(held for held in RANGES_V if held >= self.range_v)

    @property
    def _rate_sps(self) -> int:
        return max(rate for rate in RATES if rate <= self.rate_sps)

    async def open(self) -> None:
        """See that it is there. Raises BusError."""
        await self._config()

    async def read(self) -> tuple[Sample, ...]:
        """Convert each channel in turn. Raises BusError, and DataError for a short answer."""
        channels = zip(self.points, self.muxes, strict=True)
        samples = tuple([await self._convert(point, mux) for point, mux in channels])
        self._over = tuple(
            point.key
            for point, sample in zip(self.points, samples, strict=True)
            if sample == Bad(Reason.RANGE)
        )
        return samples

    async def close(self) -> None:
        """Nothing to release: it sleeps after each conversion."""
        self._over = ()

    async def _convert(self, point: Point, mux: int) -> Sample:
        wanted = config(mux, self._range_v, self._rate_sps)
        turn_s = 1 / self._rate_sps
        write = CONFIG + wanted.to_bytes(2)
        await self.bus.transfer(self.address, write, wait_s=turn_s + WAKE_S)
        wait_s = 0.0
        for _ in range(ASKS):
            now = await self._config(wait_s)
            if now & START:
                break
            wait_s = turn_s * ASKS_SHARE
        else:
            raise BusError(f"0x{self.address:02x}: its conversion does not end", Reason.BUSY)
        if (now ^ wanted) & ~START:
            raise DataError(
                f"0x{self.address:02x} has settings 0x{now:04x}, not 0x{wanted:04x}: it lost its"
                " supply, or another program uses it",
                Reason.FAULT,
            )
        data, again = [await self._register(CONVERSION) for _ in range(2)]
        if data != again:
            raise DataError(f"0x{self.address:02x} gives two values for one: check the wires")
        return decode(point, data, self._range_v)

    async def _config(self, wait_s: float = 0.0) -> int:
        return int.from_bytes(await self._register(CONFIG, wait_s))

    async def _register(self, register: bytes, wait_s: float = 0.0) -> bytes:
        data = await self.bus.transfer(self.address, register, read=2, wait_s=wait_s)
        if len(data) != 2:
            raise DataError(f"expected 2 bytes, got {len(data)}")
        return data


def explain(
    points: Sequence[Point], muxes: Sequence[int], frames: Sequence[bytes]
) -> dict[str, Sample]:
    """What a recorded conversation means: settings written, or a register and its content.

    Each conversion belongs to the settings that were written or read last before it. Raises
    DataError for what is neither, and when no conversion of one of these points is among it.
    """
    found: dict[str, Sample] = {}
    channels = dict(zip(muxes, points, strict=True))
    settings: int | None = None
    rest = iter([frame for frame in frames if frame])
    for frame in rest:
        if frame[:1] == CONFIG and len(frame) == 3:
            settings = int.from_bytes(frame[1:])
            continue
        answer = next(rest, None)
        if frame not in (CONFIG, CONVERSION) or answer is None or len(answer) != 2:
            raise DataError(f"{frame.hex()} is no message of this driver")
        if frame == CONFIG:
            settings = int.from_bytes(answer)
        elif settings is not None:
            gain, mux = settings >> 9 & 7, settings >> MUX_SHIFT & 7
            if (point := channels.get(mux)) is not None:
                range_v = RANGES_V[min(gain, len(RANGES_V) - 1)]
                found[point.key] = decode(point, answer, range_v)
    if not found:
        raise DataError("no conversion and its settings among the frames", Reason.SILENT)
    return found
