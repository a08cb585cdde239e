"""What a configuration may say to a driver. Made by `drivers`, asked by `config`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

BAUDS: Final = (300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)
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
        """From how people write it. Raises ValueError with a sentence for what no port can be."""
        found = re.fullmatch(r"([0-9]{1,7}) ([0-9])([A-Z])([0-9])", text)
        if found is None:
            raise ValueError(f"{text!r} is not of the form 9600 8N1")
        made = cls(int(found[1]), int(found[2]), found[3], int(found[4]))
        if made.baud not in BAUDS:
            raise ValueError(f"{text!r}: a port has {', '.join(map(str, BAUDS))} baud")
        if made.bits not in (7, 8) or made.parity not in ("N", "E", "O") or made.stop not in (1, 2):
            raise ValueError(f"{text!r}: 7 or 8 bits, parity N, E or O, 1 or 2 stop bits")
        return made

    @property
    def format(self) -> str:
        """One character: `8E1` is 8 bits, even parity, one stop bit."""
        return f"{self.bits}{self.parity}{self.stop}"

    def __str__(self) -> str:
        return f"{self.baud} {self.format}"


FACTORY_LINE: Final = SerialLine(9600, 8, "N", 1)  # how most serial devices leave theirs


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
    points, where they do not depend on the options; of a `directed` one they tell which way it
    flows. `bauds` and `formats` (such as 8E1) are all that it can be set to, where that is
    known. It has something new each `every_s` seconds, and must not be asked less often than
    each `slowest_s`.
    """

    name: str
    wiring: str
    options: Mapping[str, Option] = field(default_factory=dict)
    address: int | None = None
    line: SerialLine = FACTORY_LINE
    points: tuple[str, ...] = ()
    every_s: float = 1.0
    slowest_s: float = 3600.0
    directed: bool = False
    bauds: tuple[int, ...] = ()
    formats: tuple[str, ...] = ()

    @property
    def shared(self) -> bool:
        """May several of its kind share a wire? On a serial line only those with an address."""
        return self.wiring != "serial" or "address" in self.options
