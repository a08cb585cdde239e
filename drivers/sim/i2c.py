"""The kernel's side of /dev/i2c-N: takes transfers as i2c-dev does, and hands them to chips.

In one process with smbus2 through `i2c_ioctl`, for another process through `i2c_server`.
It shows what is put on a bus and how errors are taken. It shows nothing of timing on the wires.
"""

import errno
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final, Protocol

I2C_RETRIES: Final = 0x0701
I2C_TIMEOUT: Final = 0x0702
I2C_SLAVE: Final = 0x0703
I2C_FUNCS: Final = 0x0705
I2C_SLAVE_FORCE: Final = 0x0706
I2C_RDWR: Final = 0x0707
I2C_PEC: Final = 0x0708
I2C_SMBUS: Final = 0x0720
I2C_M_RD: Final = 0x0001

FUNCS: Final = 0x0EFF0009  # a plain adapter: I2C, and SMBus emulated on it, without PEC
MAX_MESSAGES: Final = 42
MAX_BYTES: Final = 8192  # of one message
UNION: Final = 34  # bytes of an SMBus call's data: byte, word, or length and block
QUICK, BYTE, BYTE_DATA, WORD_DATA, I2C_BLOCK = 0, 1, 2, 3, 8
ANY_ADAPTER_S: Final = 1.0  # how long the kernel waits for a stuck bus, if nobody says otherwise


class Nack(Exception):  # noqa: N818  what happens on the wire, by its name
    """The chip does not acknowledge."""


class I2cChip(Protocol):
    """One device on the bus. Both calls raise Nack for what the chip does not acknowledge."""

    def write(self, data: bytes) -> None: ...
    def read(self, count: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class I2cMessage:
    """One message of a transfer; `data` is what is written."""

    address: int
    flags: int
    length: int
    data: bytes = b""

    @property
    def reads(self) -> bool:
        return bool(self.flags & I2C_M_RD)


@dataclass
class I2cKernel:
    """One bus and the chips on it.

    `fault` is the errno of every transfer while it is set: ETIMEDOUT for a bus held low (which
    takes as long as I2C_TIMEOUT says, passed to `stall` in seconds), EAGAIN for lost arbitration.
    """

    chips: Mapping[int, I2cChip]
    nack_errno: int = errno.EREMOTEIO  # bcm2835 says so; many others say ENXIO
    bound: set[int] = field(default_factory=set)  # addresses that a kernel driver owns
    fault: int = 0
    funcs: int = FUNCS
    stall: Callable[[float], None] = lambda seconds: None
    timeout_s: float = ANY_ADAPTER_S
    retries: int = 0
    log: deque[tuple[int, str, bytes]] = field(default_factory=lambda: deque(maxlen=1000))
    asked: Counter[int] = field(default_factory=Counter)
    """Address -> messages that were put on the bus for it, heard by a chip or not."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def set_value(self, request: int, value: int, client: "I2cClient") -> int:
        """The calls that set one number. Returns 0 or minus an errno."""
        match request:
            case _ if request in (I2C_SLAVE, I2C_SLAVE_FORCE):
                if not 0 <= value <= 0x7F:
                    return -errno.EINVAL
                if request == I2C_SLAVE and value in self.bound:
                    return -errno.EBUSY
                client.slave = value
            case _ if request == I2C_TIMEOUT:
                self.timeout_s = value / 100
            case _ if request == I2C_RETRIES:
                self.retries = value
            case _ if request == I2C_PEC:
                return -errno.EOPNOTSUPP if value else 0
            case _:
                return -errno.ENOTTY
        return 0

    def transfer(self, messages: Sequence[I2cMessage]) -> tuple[int, bytes]:
        """One transfer: the number of messages or minus an errno, and what was read in it."""
        if not 0 < len(messages) <= MAX_MESSAGES or any(m.length > MAX_BYTES for m in messages):
            return -errno.EINVAL, b""
        if not self.funcs & 1:
            return -errno.EOPNOTSUPP, b""
        answers = []
        with self._lock:
            for message in messages:  # a repeated start between them, no stop
                code, answer = self._one(message)
                if code:
                    return code, b""  # the caller gets nothing of a transfer that broke off
                answers.append(answer)
        return len(messages), b"".join(answers)

    def _one(self, message: I2cMessage) -> tuple[int, bytes]:
        self.asked[message.address] += 1
        if self.fault:
            if self.fault == errno.ETIMEDOUT:
                self.stall(self.timeout_s)
            return -self.fault, b""
        chip = self.chips.get(message.address)
        try:
            if chip is None:
                raise Nack
            if not message.reads:
                self.log.append((message.address, "w", message.data))
                chip.write(message.data)
                return 0, b""
            # open drain: what the chip does not drive reads as ones
            answer = chip.read(message.length)[: message.length].ljust(message.length, b"\xff")
            self.log.append((message.address, "r", answer))
            return 0, answer
        except Nack:
            return -self.nack_errno, b""

    def smbus(
        self, address: int, reading: bool, command: int, size: int, union: bytes
    ) -> tuple[int, bytes]:
        """SMBus as the kernel emulates it on I2C: a write, then maybe a read, in one transfer."""
        union = union.ljust(UNION, b"\0")
        length = {QUICK: 0, BYTE: 1, BYTE_DATA: 1, WORD_DATA: 2, I2C_BLOCK: union[0]}.get(size)
        if length is None:
            return -errno.EOPNOTSUPP, b""
        if length > 32:
            return -errno.EINVAL, b""
        ask = I2cMessage(address, I2C_M_RD, length)
        if size == QUICK:
            messages = [ask if reading else I2cMessage(address, 0, 0)]
        elif size == BYTE:
            messages = [ask if reading else _write(address, bytes([command]))]
        elif reading:
            messages = [_write(address, bytes([command])), ask]
        else:
            body = union[1 : 1 + length] if size == I2C_BLOCK else union[:length]
            messages = [_write(address, bytes([command]) + body)]
        code, answer = self.transfer(messages)
        if code < 0 or not reading:
            return min(code, 0), union
        if size == I2C_BLOCK:
            answer = bytes([length]) + answer
        return 0, answer.ljust(UNION, b"\0")


@dataclass
class I2cClient:
    """What the kernel remembers for one open descriptor."""

    slave: int = 0


def _write(address: int, data: bytes) -> I2cMessage:
    return I2cMessage(address, 0, len(data), data)


def make_chip(name: str, values: Mapping[str, float]) -> tuple[int, I2cChip]:
    """A simulated chip by the name of its module, and its address. Raises ModuleNotFoundError."""
    module: Any = import_module(f"drivers.sim.{name}")
    made: I2cChip = module.CHIP(values)
    return module.CHIP.ADDRESS, made
