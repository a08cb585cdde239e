"""What drivers and the daemon ask of the outside world. Implementations live elsewhere."""

from collections.abc import Callable, Sequence
from typing import Protocol

from edge.core.edge import Contact, Edge, LineSpec
from edge.core.point import Point
from edge.core.reading import Sample, Stamp

Cut = Callable[[bytes], tuple[bytes | None, int]]
"""Finds a frame in what a serial line brought: (frame or None, bytes that are done with)."""


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> Stamp: ...
    async def sleep_until(self, mono_ns: int) -> None: ...


class I2cBus(Protocol):
    """One I2C bus. One method covers write, read, write-then-read and write-wait-read.

    Without `wait_s` a write and a read are one transfer with a repeated start.
    Raises BusError when nobody acknowledges or the bus hangs.
    """

    async def transfer(
        self, address: int, write: bytes = b"", read: int = 0, wait_s: float = 0.0
    ) -> bytes: ...


class SerialBus(Protocol):
    """One serial port with a device that talks in frames.

    `frame` writes (nothing for a device that talks by itself), then reads until `cut` finds a
    frame; `newest` drains what has piled up and gives the last one. Raises BusError on silence.
    """

    async def frame(
        self, cut: Cut, timeout_s: float, write: bytes = b"", newest: bool = False
    ) -> bytes: ...


class ModbusBus(Protocol):
    """One Modbus line, serial or TCP. Returns 2 * count bytes, big-endian as on the wire.

    Raises BusError on silence, DataError for a damaged answer (crc) or an exception answer
    (busy, address, fault).
    """

    async def read_registers(self, unit: int, function: int, address: int, count: int) -> bytes: ...


class Polled(Protocol):
    """A device that answers when asked. Building one touches no wire.

    `read` gives one sample per point, in the order of `points`. `open` may be called again after
    a failure; `close` is always safe.
    """

    @property
    def points(self) -> Sequence[Point]: ...

    async def open(self) -> None: ...
    async def read(self) -> tuple[Sample, ...]: ...
    async def close(self) -> None: ...


class Lined(Protocol):
    """A device that speaks by itself on GPIO lines: loop, S0 output, door."""

    @property
    def lines(self) -> Sequence[LineSpec]: ...

    def contact(self, source: str, edge: Edge) -> Contact: ...
