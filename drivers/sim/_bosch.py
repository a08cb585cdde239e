"""What simulated Bosch chips share: registers behind a pointer, a start-up, and counts for values.

Source: Bosch BME280 and BME688 datasheets, I2C interface: a write is a register and its content,
then further pairs; a read goes on from the register that was named last.

The counts are searched for with the datasheets' formulas in whole numbers, which a driver that
calculates in floating point does not share.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from drivers.sim.i2c import Nack

Values = Mapping[str, float] | Callable[[float], Mapping[str, float]]
"""What there is to measure: fixed, or a function of the clock's seconds. A point that is missing
is one that the chip skips."""

START_S: Final = 0.002  # deaf for so long after power-on and after a reset
COPY_S: Final = 0.001  # then the calibration comes into its registers
RESET, ID = 0xE0, 0xD0
SKIPPED: Final = 0x80000
TOP: Final = 0xFFFFF


@dataclass
class BoschChip:
    """Registers, and what happens to them with time. Faults are plain attributes.

    `fault` is one of the module's FAULTS; `nacks` further transfers are refused; `bias` is added
    to a point; `power(False)` takes the supply away.
    """

    ADDRESS: ClassVar[int] = 0x76
    CHIP_ID: ClassVar[int] = 0
    WRITABLE: ClassVar[frozenset[int]] = frozenset()
    TRIM: ClassVar[Mapping[int, bytes]] = {}  # first register -> calibration
    FAULTS: ClassVar[tuple[str, ...]] = ()
    OTHERS: ClassVar[frozenset[str]] = frozenset()  # faults of which the chip is another one

    values: Values
    clock: Callable[[], float] = time.monotonic
    fault: str = ""
    nacks: int = 0
    bias: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._on = True
        self._pointer = 0
        self._reset(self.clock() - 1.0)

    def misbehave(self, fault: str) -> None:
        """One of `FAULTS` until told otherwise, "" for none. Raises ValueError for another."""
        if fault and fault not in self.FAULTS:
            known = ", ".join(self.FAULTS)
            raise ValueError(f"{fault!r} is no fault of {type(self).__name__}: {known}")
        before, self.fault = self.fault, fault
        if before != fault and (before == "silent" or {before, fault} & self.OTHERS):
            self.power(True)  # it is plugged in again, or another one is in its place

    def power(self, on: bool) -> None:
        """Take the supply away, or give it back: then it has forgotten its settings."""
        self._on = on
        if on:
            self._reset(self.clock())

    # --- what the bus does --------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Name a register, or write pairs of register and content."""
        now = self._listen()
        if not data:
            return  # its address alone, as a scan sends it
        self._pointer = data[0]
        for register, content in zip(data[::2], data[1::2], strict=False):
            self._store(register, content, now)

    def read(self, count: int) -> bytes:
        """The registers from the one named last on."""
        self._listen()
        answer = bytes(self._load(self._pointer + place & 0xFF) for place in range(count))
        self._pointer = self._pointer + count & 0xFF
        return answer

    # --- what it does -------------------------------------------------------------------------

    def catch_up(self, now: float) -> None:
        """Finish what has had its time."""
        raise NotImplementedError

    def written(self, register: int, now: float) -> None:
        """A setting has been written; maybe it starts something."""
        raise NotImplementedError

    def cleared(self) -> None:
        """Registers as after a reset."""
        raise NotImplementedError

    def copying(self, now: float) -> bool:
        """Whether the calibration is not in its registers yet."""
        return now < self._awake_at + COPY_S

    def sample(self, now: float) -> dict[str, float]:
        """What there is to measure, with the faults of single points."""
        found = self.values(now) if callable(self.values) else self.values
        return {key: value + self.bias.get(key, 0.0) for key, value in found.items()}

    def _listen(self) -> float:
        now = self.clock()
        if not self._on or self.fault == "silent" or now < self._awake_at:
            raise Nack
        if self.nacks > 0:
            self.nacks -= 1
            raise Nack
        self.catch_up(now)
        return now

    def _reset(self, now: float) -> None:
        self._awake_at = now + START_S
        self.registers = bytearray(256)
        self.registers[ID] = self.CHIP_ID
        self.cleared()

    def _store(self, register: int, content: int, now: float) -> None:
        if register == RESET:
            if content == 0xB6:
                self._reset(now)
        elif register in self.WRITABLE:
            self.registers[register] = content
            self.written(register, now)

    def _load(self, register: int) -> int:
        for first, trim in self.TRIM.items():
            if first <= register < first + len(trim):
                return 0 if self.copying(self.clock()) else trim[register - first]
        return self.registers[register]

    def put(self, register: int, pressure: int, temperature: int, humidity: int) -> None:
        """The counts into their eight registers."""
        data = (pressure << 4).to_bytes(3) + (temperature << 4).to_bytes(3) + humidity.to_bytes(2)
        self.registers[register : register + 8] = data


def count_for(value: float, formula: Callable[[int], float], top: int = TOP) -> int:
    """The count that the formula makes the nearest value of; at the end if none reaches it.

    The formula rises or falls throughout.
    """
    rising = formula(top) > formula(0)
    low, high = 0, top
    while low < high:
        middle = (low + high) // 2
        if (formula(middle) < value) == rising:
            low = middle + 1
        else:
            high = middle
    return min((max(0, low - 1), low), key=lambda count: abs(formula(count) - value))


def quotient(dividend: int, divisor: int) -> int:
    """Division as in C: what is left over is cut off towards zero."""
    whole = abs(dividend) // abs(divisor)
    return whole if (dividend < 0) == (divisor < 0) else -whole
