"""Sensirion's SEN modules: particles, humidity, temperature and gas indices in one box.

Source: Sensirion SEN5x and SEN6x datasheets (measured values, VOC algorithm state); drivers
Sensirion/python-i2c-sen5x, embedded-i2c-sen5x and embedded-i2c-sen66.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from drivers.chips._saved_state import LEARNT_READS, is_young, pack_state, unpack_state
from drivers.chips._sensirion import checked_sample, checked_words, encode_command, whole_words
from drivers.chips._sensirion_module import ParticleModule
from edge.core import Bad, BusError, DataError, Point, Quantity, Reason, Sample

MASS: Final = ("pm1_0", "pm2_5", "pm4_0", "pm10")
AIR: Final = ("humidity", "temperature")
GAS: Final = ("voc_index", "nox_index")
# counts in one unit
SCALES: Final = {**dict.fromkeys(MASS, 10), "humidity": 100, "temperature": 200, "co2": 1,
                 **dict.fromkeys(GAS, 10)}  # fmt: skip
NEVER_ZERO: Final = frozenset({*GAS, "co2"})
SIGNED: Final = frozenset({*AIR, *GAS})
UNKNOWN: Final = {False: 0xFFFF, True: 0x7FFF}  # signed?

POINTS: Final = (  # in the order on the wire
    *(Point(key, Quantity.MASS_CONCENTRATION, low=0, high=1000) for key in MASS),
    Point("humidity", Quantity.RELATIVE_HUMIDITY, low=0, high=100),
    # measured by what may be stored at these temperatures, and is specified for -10 to 50
    Point("temperature", Quantity.TEMPERATURE, low=-40, high=70, resolution=0.005),
    *(Point(key, Quantity.INDEX, low=1, high=500) for key in GAS),
)

STATE: Final = b"\x61\x81"  # of the VOC algorithm: told without, taken with an argument
STATE_WORDS: Final = 4
STATE_EVERY: Final = 60  # samples: it learns for hours


def decode_words(points: tuple[Point, ...], frame: bytes, unknown: Reason) -> tuple[Sample, ...]:
    """One word a point. `unknown` is the reason for what the module does not know.

    A damaged word spoils its own point only. Raises DataError for another length.
    """
    found = checked_words(frame, len(points))
    return tuple(_sample(point, word, unknown) for point, word in zip(points, found, strict=True))


def _sample(point: Point, word: bytes | None, unknown: Reason) -> Sample:
    if word is None:
        return Bad(Reason.CRC)
    signed = point.key in SIGNED
    count = int.from_bytes(word, signed=signed)
    if count == UNKNOWN[signed]:
        return Bad(unknown)
    if count == 0 and point.key in NEVER_ZERO:  # no index yet: its algorithm learns for 45 s
        return Bad(Reason.WARMUP)
    return checked_sample(point, count / SCALES[point.key])


@dataclass(slots=True)
class AirModule(ParticleModule):
    """A module with a VOC algorithm, whose state survives a restart.

    The state is read once a minute, kept when the algorithm has learnt for three hours, and given
    back before a start when it is of this very module and at most ten minutes old.
    """

    _state: bytes = field(default=b"", init=False, repr=False)  # as it was read last
    _given: bytes = field(default=b"", init=False, repr=False)  # what was kept, for the next start
    _taken: bool = field(default=False, init=False, repr=False)  # the module has a kept state
    _skilled: bool = field(default=False, init=False, repr=False)  # and measures with it

    def snapshot(self) -> bytes:
        """The state of its VOC algorithm; b"" before it is worth keeping."""
        return pack_state(self._identity, self._state) if self._is_learnt() and self._state else b""

    def restore(self, kept: bytes, age_s: float) -> None:
        """Take back what `snapshot` gave `age_s` seconds ago; ignored when it is too old."""
        self._given = kept if is_young(age_s) else b""

    def _is_learnt(self) -> bool:
        return self._skilled or self._fresh >= LEARNT_READS

    def _named_first(self) -> bool:
        return bool(self._given)

    async def _teach(self) -> None:
        """It has an effect on a module that does not measure, at the next start."""
        kept, self._given = self._given, b""
        state = unpack_state(kept, self._identity)
        if len(state) == 2 * STATE_WORDS:
            values = [int.from_bytes(state[i : i + 2]) for i in range(0, len(state), 2)]
            self._taken = await self._takes(encode_command(int.from_bytes(STATE), *values))

    def _began(self) -> None:
        self._skilled, self._taken = self._taken, False
        self._state = b""

    async def _learn(self) -> None:
        if self._fresh % STATE_EVERY == 0:
            with suppress(BusError, DataError):  # the values are here; it is asked again
                answer = await self._ask(STATE, 3 * STATE_WORDS)
                self._state = whole_words(answer, STATE_WORDS)
