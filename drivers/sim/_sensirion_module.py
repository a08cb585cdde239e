"""What simulated Sensirion modules share: measuring by themselves, news, status, fan cleaning.

Source: Sensirion SEN5x, SEN6x and SPS30 datasheets, I2C commands and timing. With `lenient`, a
command in the wrong state is acknowledged and ignored. A driver has to live with both.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from drivers.sim._sensirion import FAULTS as COMMON
from drivers.sim._sensirion import Sensirion, with_checksums
from drivers.sim.i2c import Nack

READY, STOP, STATUS, CLEAR = 0x0202, 0x0104, 0xD206, 0xD210
CLEAN, SERIAL, RESET = 0x5607, 0xD033, 0xD304
FAN, LASER = 4, 5  # bits of the status register
CLEANING_S: Final = 10.0
FAULTS: Final = (*COMMON, "fan", "sensor")


@dataclass
class Module(Sensirion):
    """One module. Beside the common faults, `errors` are status bits, found set once a second.

    In its first `zeros` samples after a start it has seen no particles.
    """

    START: ClassVar[bytes] = b""  # command and arguments
    READ: ClassVar[int] = 0
    STICKY: ClassVar[frozenset[int]] = frozenset({FAN})  # stay until they are cleared
    SAMPLE_S: ClassVar[float] = 1.0
    FIRST_S: ClassVar[float] = 1.0  # from the start to the first sample
    CLEANING: ClassVar[int | None] = None  # the bit that is set meanwhile
    BROKEN: ClassVar[int] = LASER  # the bit of the fault "sensor"
    FAULTS: ClassVar[tuple[str, ...]] = FAULTS
    BROKEN_BY: ClassVar[tuple[str, ...]] = ("fan", "sensor")
    PRODUCT: ClassVar[Mapping[int, bytes]] = {}  # question -> the name of its kind
    PARTICLES: ClassVar[frozenset[str]] = frozenset({"pm1_0", "pm2_5", "pm4_0", "pm10"})

    lenient: bool = False
    errors: set[int] = field(default_factory=set)
    serial: str = "SIMULATED"
    zeros: int = 0
    _latched: set[int] = field(default_factory=set, init=False, repr=False)
    _started_at: float | None = field(default=None, init=False, repr=False)
    _index: int = field(default=0, init=False, repr=False)  # of its latest sample
    _sample: Mapping[str, float] = field(default_factory=dict, init=False, repr=False)
    _new: bool = field(default=False, init=False, repr=False)
    _clean_until: float = field(default=0.0, init=False, repr=False)

    @property
    def measuring(self) -> bool:
        """Whether it is started, for tests."""
        return self._started_at is not None

    def _mend(self) -> None:
        self.errors.clear()

    def _break(self, fault: str) -> None:
        if fault in ("fan", "sensor"):
            self.errors.add(FAN if fault == "fan" else self.BROKEN)
        else:
            super()._break(fault)

    def encode(self, sample: Mapping[str, float]) -> bytes:
        """The words of the answer to READ, without checksums."""
        raise NotImplementedError

    def _does(self, command: int, data: bytes, now: float) -> bool:
        measuring = self._started_at is not None
        self._catch_up(now)
        match command:
            case _ if self._starts(data) and not measuring:
                self._begin(now)
            case _ if command == STOP and measuring:
                self._idle(now)
            case _ if command == READY and measuring:
                self._answer = with_checksums(bytes([0, self._new]))
            case _ if command == self.READ and measuring:
                self._new = False
                self._answer = with_checksums(self.encode(self._sample))
            case _ if command == CLEAN and self._may_clean():
                self._clean_until = now + CLEANING_S
            case _ if command == STATUS:
                self._answer = with_checksums(self._status(now).to_bytes(4))
            case _ if command == CLEAR:
                self._latched.clear()
            case _ if command == SERIAL:
                self._answer = with_checksums(self.serial.encode().ljust(32, b"\0"))
            case _ if command in self.PRODUCT:
                self._answer = with_checksums(self.PRODUCT[command])
            case _ if command == RESET:
                self._forget(now)
            case _:
                return False
        return True

    def _refuse(self, command: int) -> None:
        if not self.lenient:
            raise Nack
        if command == READY:
            self._answer = with_checksums(b"\0\0")

    def _starts(self, data: bytes) -> bool:
        return data == self.START

    def _may_clean(self) -> bool:
        return self._started_at is not None

    def _forget(self, now: float) -> None:
        self._latched.clear()
        self._idle(now)

    def _begin(self, now: float) -> None:
        self._started_at, self._index = now, 0

    def _idle(self, now: float) -> None:
        self._started_at = None
        self._index = 0
        self._sample = {}
        self._new = False
        self._clean_until = now

    def _catch_up(self, now: float) -> None:
        if self._started_at is None:
            return
        index = int((now - self._started_at - self.FIRST_S) / self.SAMPLE_S + 1)
        if index <= self._index:
            return
        self._index = index
        self._latched |= self.errors & self.STICKY
        if now < self._clean_until:
            return  # it brings nothing new while the fan blows itself free
        at = self._started_at + self.FIRST_S + (index - 1) * self.SAMPLE_S
        self._sample = self._measured(at)
        if index <= self.zeros:
            self._sample = {k: 0.0 if k in self.PARTICLES else v for k, v in self._sample.items()}
        self._new = True

    def _status(self, now: float) -> int:
        cleaning = {self.CLEANING} if self.CLEANING and now < self._clean_until else set()
        return sum(1 << bit for bit in self._latched | self.errors | cleaning)
