"""What a configuration may say to a driver. Made by `drivers`, asked by `config`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

REQUIRED: Final = object()  # the option has no default


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

    `address` is that of an I2C device which has no option for it.
    """

    name: str
    wiring: str
    options: Mapping[str, Option] = field(default_factory=dict)
    address: int | None = None
