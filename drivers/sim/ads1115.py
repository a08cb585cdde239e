"""A simulated ADS1115: the other side of the I2C wire of `drivers/chips/ads1115.py` and its pairs.

Source: Texas Instruments ADS1115 datasheet, registers, single-shot and continuous mode, output
code. The comparator is not simulated; conversions take their longest, a tenth more than nominal.

The values are the voltages at the pins, `ain0` to `ain3`, in V; a pin that is missing is at ground.

Faults: `silent` acknowledges nothing; `endless` converts without an end; `forgetful` loses its
settings while it converts; `high` has AIN0 at the supply.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from drivers.sim.i2c import Nack

FAULTS: Final = ("silent", "endless", "forgetful", "high")

Values = Mapping[str, float] | Callable[[float], Mapping[str, float]]

POWER_ON: Final = 0x8583
THRESHOLDS: Final = {2: 0x8000, 3: 0x7FFF}
PAIRS: Final = ((0, 1), (0, 3), (1, 3), (2, 3), (0, None), (1, None), (2, None), (3, None))
FULL_V: Final = (6.144, 4.096, 2.048, 1.024, 0.512, 0.256, 0.256, 0.256)
RATES: Final = (8, 16, 32, 64, 128, 250, 475, 860)
SUPPLY_V: Final = 5.0
WAKE_S: Final = 0.000_025


@dataclass
class Ads1115:
    """One chip at 0x48. `fault` is one of FAULTS; `nacks` further transfers are refused;
    `bias` is added to a pin; `power(False)` takes the supply away."""

    ADDRESS: ClassVar[int] = 0x48

    values: Values
    clock: Callable[[], float] = time.monotonic
    fault: str = ""
    nacks: int = 0
    bias: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._on = True
        self._reset()

    def misbehave(self, fault: str) -> None:
        """One of FAULTS until told otherwise, "" for none. Raises ValueError for another."""
        if fault and fault not in FAULTS:
            known = ", ".join(FAULTS)
            raise ValueError(f"{fault!r} is no fault of {type(self).__name__}: {known}")
        before, self.fault = self.fault, fault
        if before == "silent" and fault != before:
            self.power(True)  # it is plugged in again

    def power(self, on: bool) -> None:
        """Take the supply away, or give it back: then its settings are those of the factory."""
        self._on = on
        self._reset()

    def write(self, data: bytes) -> None:
        """Name a register, and maybe its new content."""
        now = self._listen()
        if not data:
            return  # its address alone, as a scan sends it
        self._pointer = data[0] & 3
        if len(data) >= 3:
            self._store(int.from_bytes(data[1:3]), now)

    def read(self, count: int) -> bytes:
        """The register that was named last; beyond its two bytes nobody drives the line."""
        self._listen()
        return self._registers[self._pointer].to_bytes(2)[:count]

    def _listen(self) -> float:
        now = self.clock()
        if not self._on or self.fault == "silent":
            raise Nack
        if self.nacks > 0:
            self.nacks -= 1
            raise Nack
        self._catch_up(now)
        return now

    def _reset(self) -> None:
        self._pointer = 0
        self._registers = {0: 0, 1: POWER_ON} | THRESHOLDS
        self._done_at: float | None = None

    def _store(self, content: int, now: float) -> None:
        if self._pointer == 0:
            return  # cannot be written
        if self._pointer > 1:
            self._registers[self._pointer] = content
            return
        start, once = bool(content & 0x8000), bool(content & 0x0100)
        idle = self._done_at is None
        self._registers[1] = content | 0x8000 if idle and not start else content & 0x7FFF
        if not once or (start and idle):
            self._done_at = now + self._takes_s()

    def _takes_s(self) -> float:
        return WAKE_S + 1.1 / RATES[self._registers[1] >> 5 & 7]

    def _catch_up(self, now: float) -> None:
        if self._done_at is None or now < self._done_at or self.fault == "endless":
            return
        at, self._done_at = self._done_at, None
        if self.fault == "forgetful":
            self._reset()
            return
        self._registers[0] = self._code(at)
        if self._registers[1] & 0x0100:
            self._registers[1] |= 0x8000
        else:
            self._done_at = now + self._takes_s()

    def _code(self, at: float) -> int:
        mux, gain = self._registers[1] >> 12 & 7, self._registers[1] >> 9 & 7
        high, low = PAIRS[mux]
        difference = self._pin(high, at) - (0.0 if low is None else self._pin(low, at))
        code = round(difference / FULL_V[gain] * 32768)
        return max(-32768, min(32767, code)) & 0xFFFF

    def _pin(self, pin: int, at: float) -> float:
        if pin == 0 and self.fault == "high":
            return SUPPLY_V
        key = f"ain{pin}"
        found = self.values(at) if callable(self.values) else self.values
        return found.get(key, 0.0) + self.bias.get(key, 0.0)


CHIP: Final = Ads1115
