"""What a scan finds on one wire, what it cannot make out, and how fast it goes about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from drivers.meters.mapfile import load_register_map
from drivers.meters.register_map import list_maps
from edge.core import ConfigError, ModbusBus, SerialBus

LINES: Final = (  # how Modbus lines are set, the usual ones first
    "9600 8N1", "19200 8E1", "9600 8E1", "19200 8N1", "2400 8N1", "4800 8N1", "38400 8N1",
    "115200 8N1", "1200 8N1",
)  # fmt: skip


class StoppedError(Exception):
    """Somebody has seen enough."""


class ScanTick(Protocol):
    """Called before each step: what it does, and how long it may take (s). Raises StoppedError.

    `more_s` is how much longer the whole takes with it than `estimate_s` said.
    """

    def __call__(self, step: str, seconds: float, more_s: float = 0.0) -> None: ...


class ScanPort(SerialBus, Protocol):
    """A serial port at certain settings."""

    def close(self) -> None: ...


class ScanModbus(ModbusBus, Protocol):
    """A Modbus master that can be given back."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class FoundDevice:
    """A device: its driver, what it was known by, and the options that reach it.

    `also` are drivers of others that look the same on the wire. `line` is how the port was set.
    """

    driver: str
    what: str
    options: Mapping[str, Any] = field(default_factory=dict)
    serial: str = ""
    also: tuple[str, ...] = ()
    line: str = ""


@dataclass(slots=True)
class Findings:
    """All of one wire. `unknown` is what answers or speaks and is not understood; `notes` the rest.

    `heard` is what came that no frame was in: how the port was set -> the bytes.
    """

    devices: list[FoundDevice] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    heard: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to listen (seconds), and to wait for an answer of a Modbus unit; what to try.

    `patience` stretches or shortens all other waits.
    """

    listen_s: float = 3.0
    answer_s: float = 0.3
    patience: float = 1.0
    units: Sequence[int] = range(1, 17)
    lines: Sequence[str] = LINES


def factory_lines() -> tuple[str, ...]:
    """The usual settings of Modbus lines, and those with which a known meter leaves the factory."""
    found = list(LINES)
    for name in list_maps():
        try:
            line = load_register_map(name).line
        except ConfigError:
            continue  # a table of the user's own, and wrong: `check` tells
        if line and line not in found:
            found.append(line)
    return tuple(found)
