"""What simulated Sensirion modules share: commands with their delays, words, samples, faults.

Source: Sensirion SEN5x and SPS30 datasheets, I2C commands and timing. They do not say how a
command in the wrong state is refused on the wire: here it is not acknowledged, or, with
`lenient`, acknowledged and ignored. A driver has to live with both.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from drivers.sim.i2c import Nack
from edge.core import crc8

Values = Mapping[str, float] | Callable[[float], Mapping[str, float]]
"""What there is to measure: fixed, or a function of the clock's seconds. A point that is missing
is unknown to the module."""

READY, STOP, STATUS, CLEAR = 0x0202, 0x0104, 0xD206, 0xD210
CLEAN, SERIAL, RESET = 0x5607, 0xD033, 0xD304
FAN, LASER = 4, 5  # bits of the status register
BOOT_S: Final = 0.1
CLEANING_S: Final = 10.0
SAMPLE_S: Final = 1.0


@dataclass
class Sensirion:
    """One module. Faults are plain attributes, to be set at any time.

    `nacks` further transfers are refused; `damage` goes over every answer (`flip` makes one);
    `stuck` points keep their value; `bias` is added to a point; `errors` are status bits that
    are found set once a second; `power(False)` takes the supply away. `powered_s` is how long it
    had supply before.
    """

    ADDRESS: ClassVar[int] = 0x69
    START: ClassVar[bytes] = b""  # command and arguments
    READ: ClassVar[int] = 0
    DELAYS: ClassVar[Mapping[int, float]] = {}  # by command, seconds
    DELAY_S: ClassVar[float] = 0.02  # of all others
    STICKY: ClassVar[frozenset[int]] = frozenset({FAN})  # stay until they are cleared

    values: Values
    clock: Callable[[], float] = time.monotonic
    lenient: bool = False
    powered_s: float = 0.0
    nacks: int = 0
    damage: Callable[[bytes], bytes] | None = None
    stuck: set[str] = field(default_factory=set)
    bias: dict[str, float] = field(default_factory=dict)
    errors: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._on = True
        self._powered_at = self.clock() - self.powered_s
        self._latched: set[int] = set()
        self._kept: dict[str, float] = {}
        self._started_at: float | None = None
        self._new = False
        self._idle(self.clock() if self.powered_s == 0 else self.clock() - BOOT_S)

    @property
    def measuring(self) -> bool:
        """Whether it is started, for tests."""
        return self._started_at is not None

    def power(self, on: bool) -> None:
        """Take the supply away, or give it back: then it is idle, and has forgotten everything."""
        self._on = on
        if on:
            self._powered_at = self.clock()
            self._latched.clear()
            self._idle(self.clock())

    def encode(self, sample: Mapping[str, float]) -> bytes:
        """The words of the answer to READ, without checksums."""
        raise NotImplementedError

    # --- what the bus does --------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """A command. Raises Nack while another is worked on, and for a damaged or unknown one."""
        now = self._listen()
        if not data:
            return  # its address alone, as a scan sends it
        if not _is_command(data):
            raise Nack
        command = int.from_bytes(data[:2])
        self._answer = b""
        if not self._does(command, data, now):
            if not self.lenient:
                raise Nack
            if command == READY:
                self._answer = worded(b"\0\0")
        self._busy_until = now + self.DELAYS.get(command, self.DELAY_S)

    def read(self, count: int) -> bytes:
        """The answer to the last command, once. Raises Nack before its time and without one."""
        self._listen()
        if not count:
            return b""
        answer, self._answer = self._answer, b""
        if not answer:
            raise Nack
        return self.damage(answer) if self.damage else answer

    # --- what it does -------------------------------------------------------------------------

    def _listen(self) -> float:
        now = self.clock()
        if not self._on:
            raise Nack
        if self.nacks > 0:
            self.nacks -= 1
            raise Nack
        if now < self._busy_until:
            raise Nack
        return now

    def _does(self, command: int, data: bytes, now: float) -> bool:
        """Do it. False for what it does not know or does not do in this state."""
        measuring = self._started_at is not None
        self._catch_up(now)
        match command:
            case _ if data == self.START and not measuring:
                self._started_at, self._index = now, 0
            case _ if command == STOP and measuring:
                self._idle(now)
            case _ if command == READY and measuring:
                self._answer = worded(bytes([0, self._new]))
            case _ if command == self.READ and measuring:
                self._new = False
                self._answer = worded(self.encode(self._sample))
            case _ if command == CLEAN and measuring:
                self._clean_until = now + CLEANING_S
            case _ if command == STATUS:
                self._answer = worded(self._status().to_bytes(4))
            case _ if command == CLEAR:
                self._latched.clear()
            case _ if command == SERIAL:
                self._answer = worded(b"SIMULATED".ljust(32, b"\0"))
            case _ if command == RESET:
                self._idle(now)
            case _:
                return False
        return True

    def _idle(self, now: float) -> None:
        self._started_at = None
        self._index = 0
        self._sample: Mapping[str, float] = {}
        self._new = False
        self._answer = b""
        self._clean_until = now
        self._busy_until = now + BOOT_S

    def _catch_up(self, now: float) -> None:
        if self._started_at is None:
            return
        index = int((now - self._started_at) / SAMPLE_S)
        if index <= self._index:
            return
        self._index = index
        self._latched |= self.errors & self.STICKY
        if now < self._clean_until:
            return  # it brings nothing new while the fan blows itself free
        self._sample = self._take(self._started_at + index * SAMPLE_S)
        self._new = True

    def _take(self, at: float) -> Mapping[str, float]:
        found = self.values(at) if callable(self.values) else self.values
        sample = {key: value + self.bias.get(key, 0.0) for key, value in found.items()}
        self._kept = {key: self._kept.get(key, sample[key]) for key in self.stuck & sample.keys()}
        return sample | self._kept

    def _status(self) -> int:
        return sum(1 << bit for bit in self._latched | self.errors)


def worded(data: bytes) -> bytes:
    """Words of two bytes, each with its checksum."""
    return b"".join(
        data[i : i + 2] + bytes([crc8(data[i : i + 2])]) for i in range(0, len(data), 2)
    )


def _is_command(data: bytes) -> bool:
    """A command, and arguments with right checksums."""
    arguments = [data[i : i + 3] for i in range(2, len(data), 3)]
    return len(data) >= 2 and all(len(a) == 3 and crc8(a[:2]) == a[2] for a in arguments)


def flip(bit: int) -> Callable[[bytes], bytes]:
    """A damage: this bit of every answer (0 is the highest of the first byte) arrives wrong."""

    def damage(answer: bytes) -> bytes:
        at = bit % (8 * len(answer))
        wrong = answer[at // 8] ^ 0x80 >> at % 8
        return answer[: at // 8] + bytes([wrong]) + answer[at // 8 + 1 :]

    return damage
