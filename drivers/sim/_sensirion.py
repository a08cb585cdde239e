"""What simulated Sensirion devices share: supply, commands with their delays, words, faults.

Source: Sensirion datasheets, I2C communication and timing. They do not say how a command in the
wrong state is refused on the wire: here it is not acknowledged.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from drivers.sim.i2c import Nack
from edge.core import crc8

Values = Mapping[str, float] | Callable[[float], Mapping[str, float]]
"""What there is to measure: fixed, or a function of the clock's seconds. A point that is missing
is unknown to the device."""

FLAKY: Final = 5  # each so many-th transfer is not acknowledged
LATE: Final = 3  # so many times as slow
SPOILT_BIT: Final = 3

FAULTS: Final = ("silent", "crc", "flaky", "late", "stuck")


@dataclass
class Sensirion:
    """One device. Faults are plain attributes, to be set at any time; `fault` sets one by name.

    `nacks` further transfers are refused; `damage` goes over every answer (`flip` makes one);
    `flaky` refuses each so many-th transfer; `slow` stretches every delay; `stuck` points keep
    their value; `bias` is added to a point; `power(False)` takes the supply away. `powered_s` is
    how long it had supply before.
    """

    ADDRESS: ClassVar[int]
    DELAYS: ClassVar[Mapping[int, float]] = {}  # by command, seconds
    DELAY_S: ClassVar[float] = 0.02  # of all others
    BOOT_S: ClassVar[float] = 0.1
    FAULTS: ClassVar[tuple[str, ...]] = FAULTS
    BROKEN_BY: ClassVar[tuple[str, ...]] = ()  # faults that only another device ends

    values: Values
    clock: Callable[[], float] = time.monotonic
    powered_s: float = 0.0
    nacks: int = 0
    damage: Callable[[bytes], bytes] | None = None
    flaky: int = 0
    slow: float = 1.0
    stuck: set[str] = field(default_factory=set)
    bias: dict[str, float] = field(default_factory=dict)
    fault: str = ""

    def __post_init__(self) -> None:
        self._on = True
        self._powered_at = self.clock() - self.powered_s
        self._kept: dict[str, float] = {}
        self._transfers = 0
        self._answer = b""
        self._busy_until = self._powered_at + self.BOOT_S
        self._forget(self.clock())
        if self.fault:
            self.misbehave(self.fault)

    def power(self, on: bool) -> None:
        """Take the supply away, or give it back: then it boots, and has forgotten everything."""
        self._on = on
        if on:
            now = self.clock()
            self._powered_at, self._answer = now, b""
            self._busy_until = now + self.BOOT_S
            self._forget(now)

    def misbehave(self, fault: str) -> None:
        """One of `FAULTS` until told otherwise, "" for none. Raises ValueError for another."""
        if fault and fault not in self.FAULTS:
            known = ", ".join(self.FAULTS)
            raise ValueError(f"{fault!r} is no fault of {type(self).__name__}: {known}")
        before, self.fault = self.fault, fault
        self.damage, self.flaky, self.slow, self.stuck = None, 0, 1.0, set()
        self._kept = {}
        if before != fault and (before == "silent" or before in self.BROKEN_BY):
            self._mend()
            self.power(True)  # it is plugged in again, or another one is in its place
        self._break(fault)

    def _mend(self) -> None:
        """What was broken in it is whole again."""

    def _break(self, fault: str) -> None:
        """The fault begins."""
        match fault:
            case "silent":
                self._on = False
            case "crc":
                self.damage = flip_bit(SPOILT_BIT)
            case "flaky":
                self.flaky = FLAKY
            case "late":
                self.slow = LATE
            case "stuck":
                self.stuck = set(self._measured(self.clock()))

    # --- what the bus does --------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """A command. Raises Nack while another is worked on, and for a damaged or unknown one."""
        now = self._listen()
        if not data:
            return  # its address alone, as a scan sends it
        command = self._command(data)
        self._answer = b""
        if not self._does(command, data, now):
            self._refuse(command)
        self._busy_until = now + self.slow * self.DELAYS.get(command, self.DELAY_S)

    def read(self, count: int) -> bytes:
        """The answer to the last command, once. Raises Nack before its time and without one."""
        self._listen()
        if not count:
            return b""
        answer, self._answer = self._answer, b""
        if not answer:
            raise Nack
        return self.damage(answer) if self.damage else answer

    # --- what each device does in its own way --------------------------------------------------

    def _command(self, data: bytes) -> int:
        """The command of 16 bits. Raises Nack when its arguments lack their checksums."""
        arguments = [data[i : i + 3] for i in range(2, len(data), 3)]
        if len(data) < 2 or not all(len(a) == 3 and crc8(a[:2]) == a[2] for a in arguments):
            raise Nack
        return int.from_bytes(data[:2])

    def _does(self, command: int, data: bytes, now: float) -> bool:
        """Do it. False for what it does not know or does not do in this state."""
        raise NotImplementedError

    def _refuse(self, command: int) -> None:
        raise Nack

    def _forget(self, now: float) -> None:
        """It was without supply."""

    # --- for all of them -----------------------------------------------------------------------

    def _listen(self) -> float:
        now = self.clock()
        self._transfers += 1
        if not self._on or (self.flaky and self._transfers % self.flaky == 0):
            raise Nack
        if self.nacks > 0:
            self.nacks -= 1
            raise Nack
        if now < self._busy_until:
            raise Nack
        return now

    def _measured(self, at: float) -> dict[str, float]:
        """What it measures at this moment, with `bias` and `stuck`."""
        found = self.values(at) if callable(self.values) else self.values
        sample = {key: value + self.bias.get(key, 0.0) for key, value in found.items()}
        self._kept = {key: self._kept.get(key, sample[key]) for key in self.stuck & sample.keys()}
        return sample | self._kept


def with_checksums(data: bytes) -> bytes:
    """Words of two bytes, each with its checksum."""
    return b"".join(
        data[i : i + 2] + bytes([crc8(data[i : i + 2])]) for i in range(0, len(data), 2)
    )


def ticks(value: float, low: float, span: float) -> bytes:
    """A word of which 0 means `low` and 65535 means `low + span`, clamped."""
    return max(0, min(0xFFFF, round((value - low) * 65535 / span))).to_bytes(2)


def arguments(data: bytes) -> bytes:
    """What a command carries, without the checksums."""
    return b"".join(data[i : i + 2] for i in range(2, len(data), 3))


def flip_bit(bit: int) -> Callable[[bytes], bytes]:
    """A damage: this bit of every answer (0 is the highest of the first byte) arrives wrong."""

    def damage(answer: bytes) -> bytes:
        at = bit % (8 * len(answer))
        wrong = answer[at // 8] ^ 0x80 >> at % 8
        return answer[: at // 8] + bytes([wrong]) + answer[at // 8 + 1 :]

    return damage
