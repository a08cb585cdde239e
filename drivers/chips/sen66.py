"""Sensirion SEN66: particulate matter, humidity, temperature, VOC and NOx index, CO2, I2C.

Source: Sensirion SEN6x datasheet (measured values, device status register); drivers
Sensirion/embedded-i2c-sen66 and Sensirion/python-i2c-sen66. Only these drivers document the numbers
of the status bits.

The sensor never cleans its fan by itself. It does so on a command, which it accepts only when it is
idle, and it must not be started again for ten seconds. An SPS30 cleans its fan after each week of
measuring; this driver gives the command after `clean_reads` samples. A driver has no clock and must
not hold the bus for ten seconds, so it waits for twenty reads of half a second each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final

from drivers.chips._sensirion import encode_command
from drivers.chips._sensirion_air import AIR, GAS, MASS, STATE, AirModule, decode_words
from drivers.chips._sensirion_air import POINTS as SHARED
from drivers.chips._sensirion_profile import CLEAN, STATUS, Profile, StatusFlag
from drivers.chips._sensirion_profile import explain as explain_with
from edge.core import Bad, Condition, Point, Quantity, Reason, Sample

WEEK_READS: Final = 7 * 24 * 3600
PAUSES: Final = 20  # reads while its fan is cleaned, and how long each waits
PAUSE_S: Final = 0.5
DUST: Final = b"dust %d\n"  # hours since its fan was cleaned, before what else is kept
HOUR_READS: Final = 3600

ALTITUDE: Final = 0x6736
CO2: Final = frozenset({"co2"})
POINTS: Final = (  # no air on earth has less CO2
    *SHARED,
    Point("co2", Quantity.CARBON_DIOXIDE, low=250, high=40000),
)


def decode(frame: bytes, unknown: Reason = Reason.WARMUP) -> tuple[Sample, ...]:
    """The 27 bytes of measured values. `unknown` is the reason for what the module does not know.

    A damaged word spoils its own point only. Raises DataError for another length.
    """
    return decode_words(POINTS, frame, unknown)


@dataclass(slots=True)
class Sen66(AirModule):
    """One module. `settle_reads` fresh samples after a start are uncertain for the particles.

    `altitude_m` above the sea is what CO2 is corrected for; the module forgets it with its supply.
    After `clean_reads` fresh samples, which are kept count of over restarts, its fan is cleaned:
    no values for twenty reads, and it settles anew. At a poll a second they are a week; for a
    slower poll say fewer; 0 never cleans it.
    """

    points: ClassVar[Sequence[Point]] = POINTS
    address: ClassVar[int] = 0x6B
    profile: ClassVar[Profile] = Profile(
        points=POINTS,
        start=(b"\x00\x21",),
        start_s=0.05,
        stop_s=1.0,
        wait_s=0.02,
        read=b"\x03\x00",
        read_bytes=27,
        decode=decode,
        settling=frozenset(MASS),
        flags=(
            StatusFlag(4, frozenset(MASS), Condition.FAN, "the fan stands still"),
            StatusFlag(6, frozenset(AIR), Condition.SENSOR, "the humidity sensor does not work"),
            # which the others are corrected with
            StatusFlag(6, frozenset(GAS) | CO2, Condition.SENSOR, "", usable=True),
            StatusFlag(7, frozenset(GAS), Condition.SENSOR, "the gas sensor does not work"),
            StatusFlag(9, CO2, Condition.SENSOR, "the CO2 sensor does not work"),
            StatusFlag(11, frozenset(MASS), Condition.SENSOR, "the particle sensor does not work"),
            StatusFlag(
                21,
                frozenset(MASS),
                Condition.FAN,
                "the fan turns too slowly or too fast: check supply and inlet",
                usable=True,
            ),
        ),
        writes=frozenset({STATE, ALTITUDE.to_bytes(2)}),
        asks=frozenset({STATE}),
    )

    altitude_m: Annotated[int, (0, 3000), "altitude in metres for which CO2 is corrected"] = 0
    clean_reads: Annotated[
        int,
        (0, 10_000_000),
        "samples after which the fan is cleaned, counted across restarts: a week at one reading "
        "a second; set fewer for a slower poll. 0: never",
    ] = WEEK_READS
    _dusty: int = field(default=0, init=False, repr=False)  # samples since its fan was cleaned
    _pauses: int = field(default=0, init=False, repr=False)  # left, while it is

    async def open(self) -> None:
        """Start measuring, unless its fan is being cleaned. Raises BusError without a module."""
        if self._pauses:
            await self._pause()
        else:
            await AirModule.open(self)

    def snapshot(self) -> bytes:
        """For how many hours it has gathered dust, and the state of its VOC algorithm."""
        hours = self._dusty // HOUR_READS
        return (DUST % hours if hours else b"") + AirModule.snapshot(self)

    def restore(self, kept: bytes, age_s: float) -> None:
        """Take back what `snapshot` gave; dust does not grow old, the rest does."""
        head, end, rest = kept.partition(b"\n")
        word, _, hours = head.partition(b" ")
        if word + b" " != DUST[:5] or not end:
            AirModule.restore(self, kept, age_s)
            return
        if hours.isdigit() and len(hours) <= 4:
            self._dusty = int(hours) * HOUR_READS
        AirModule.restore(self, rest, age_s)

    async def _read(self) -> tuple[Sample, ...]:
        if self._pauses:
            await self._pause()
        elif 0 < self.clean_reads <= self._dusty:
            await self._clean()
        else:
            return await AirModule._read(self)
        return (Bad(Reason.STALE),) * len(POINTS)

    async def _learn(self) -> None:
        self._dusty += 1
        await AirModule._learn(self)

    async def _clean(self) -> None:
        await self._send(self.profile.stop, self.profile.stop_s)
        self._taken = self._is_learnt()  # it keeps its state while it is idle
        self._running, self._dusty = False, 0
        if await self._takes(CLEAN):
            self._pauses = PAUSES
        else:
            await AirModule.open(self)

    async def _pause(self) -> None:
        await self._ask(STATUS, 6, PAUSE_S)
        self._pauses -= 1
        if not self._pauses:
            await AirModule.open(self)

    def _doing(self) -> Mapping[Condition, str]:
        if not self._pauses:
            return {}
        return {Condition.CLEANING: "its fan is being cleaned: no values for twenty readings"}

    def _settings(self) -> Sequence[bytes]:
        return (encode_command(ALTITUDE, self.altitude_m),) if self.altitude_m else ()


def explain(frames: Sequence[bytes]) -> dict[str, Sample]:
    """What a recorded conversation means: commands, each followed by its answer, if any."""
    return explain_with(Sen66.profile, frames)


DRIVER: Final = Sen66
