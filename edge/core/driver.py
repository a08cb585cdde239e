"""What a configuration may say to a driver. Made by `drivers`, asked by `config`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

REQUIRED: Final = object()  # the option has no default


@dataclass(frozen=True, slots=True)
class SerialLine:
    """How a serial line is set: `parse("2400 8E1")` is 2400 baud, 8 bits, even, one stop bit."""

    baud: int
    bits: int
    parity: str
    stop: int

    @classmethod
    def parse(cls, text: str) -> "SerialLine":
        """From how people write it. Raises ValueError."""
        baud, frame = text.split()
        bits, parity, stop = tuple(frame)
        return cls(int(baud), int(bits), parity, int(stop))

    def __str__(self) -> str:
        return f"{self.baud} {self.bits}{self.parity}{self.stop}"


FACTORY: Final = SerialLine(9600, 8, "N", 1)  # how most serial devices leave theirs


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its type, its default, and what it may be."""

    type: type
    default: Any = REQUIRED
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    text: str = ""

    @property
    def required(self) -> bool:
        return self.default is REQUIRED


@dataclass(frozen=True, slots=True)
class DriverSpec:
    """One driver: `wiring` is i2c, serial, modbus or gpio; `options` are its further keys.

    `address` is that of an I2C device which has no option for it. `line` is how a serial device
    leaves the factory; a bus without settings of its own takes it. `points` are the keys of its
    points, where they do not depend on the options. It has something new each `every_s` seconds,
    and must not be asked less often than each `slowest_s`.
    """

    name: str
    wiring: str
    options: Mapping[str, Option] = field(default_factory=dict)
    address: int | None = None
    line: SerialLine = FACTORY
    points: tuple[str, ...] = ()
    every_s: float = 1.0
    slowest_s: float = 3600.0

    @property
    def shared(self) -> bool:
        """May several of its kind share a wire? On a serial line only those with an address."""
        return self.wiring != "serial" or "address" in self.options
