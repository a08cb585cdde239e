"""What drivers and the daemon ask of the outside world. Implementations live elsewhere."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

from edge.core.condition import Condition
from edge.core.edge import LineSpec
from edge.core.point import Point
from edge.core.reading import Sample

Framer = Callable[[bytes], tuple[bytes | None, int]]
"""Finds a frame in what a serial line brought: (frame or None, bytes that are done with)."""


class I2cBus(Protocol):
    """One I2C bus. One method covers write, read, write-then-read and write-wait-read.

    Without `wait_s` a write and a read are one transfer with a repeated start.
    Raises BusError when nobody acknowledges or the bus hangs.
    """

    async def transfer(
        self, address: int, write: bytes = b"", read: int = 0, wait_s: float = 0.0
    ) -> bytes: ...


class SerialBus(Protocol):
    """One serial port with a device that talks in frames, or several that are asked by address.

    `frame` writes (nothing for a device that talks by itself), then reads until `cut` finds a
    frame; `newest` drains what has piled up and gives the last one. Raises BusError on silence.
    `speed` changes the bits per second for the frames that follow, once all that was written has
    left; 0 goes back to those of the configuration. `send` writes what nothing answers.
    """

    async def frame(
        self, cut: Framer, timeout_s: float, write: bytes = b"", newest: bool = False
    ) -> bytes: ...
    async def send(self, data: bytes) -> None: ...
    async def speed(self, baud: int = 0) -> None: ...


class StaleAnswer(bytes):
    """An answer to this question that may be one to an earlier asking: its values are stale."""


class ModbusBus(Protocol):
    """One Modbus line, serial or TCP. Returns 2 * count bytes, big-endian as on the wire.

    They are `StaleAnswer` where a link between repeats answers, or may.

    Raises BusError on silence, DataError for a damaged answer (crc) or an exception answer
    (busy, address, fault).
    """

    async def read_registers(self, unit: int, function: int, address: int, count: int) -> bytes: ...


@runtime_checkable
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


@runtime_checkable
class SelfReporting(Protocol):
    """A polled device that says more of itself than values. Neither property touches the wire.

    `identity` is its serial number, "" while unknown: another one later is a swapped device.
    `health` names what is wrong or going on now, each with a sentence for a person; empty is fine.
    """

    @property
    def identity(self) -> str: ...
    @property
    def health(self) -> Mapping[Condition, str]: ...


StoredState = tuple[int, bytes]
"""What the outbox keeps for one owner: the version of its state, and the packed state."""


class KeptState(Protocol):
    """What outlives the process: its state lies in the outbox, in one transaction with records.

    `snapshot` changes nothing, and gives maps, lists and plain values, for `wire.keptstate` to
    pack. `restore` takes up what a former process gave. Of a state that is none it raises
    ValueError, KeyError or TypeError and changes nothing; or it keeps what can be read, and the log
    names the rest.
    """

    def snapshot(self) -> Any: ...
    def restore(self, state: Any) -> object: ...


@runtime_checkable
class Stateful(Protocol):
    """A polled device whose algorithm learns for hours, and should not start anew each time.

    `snapshot` is asked after each read and gives b"" when there is nothing worth keeping; at most 4
    KiB. `restore` comes before `open`, with what was kept so long ago (-1: nobody knows how long);
    it ignores what it cannot use.
    """

    def snapshot(self) -> bytes: ...
    def restore(self, kept: bytes, age_s: float) -> None: ...


@runtime_checkable
class WaitingDevice(Protocol):
    """A polled device that is configured with how long it waits for an answer (seconds)."""

    @property
    def timeout_s(self) -> float: ...


@runtime_checkable
class PacedDevice(Protocol):
    """A polled device that knows how often it has something new (seconds)."""

    @property
    def pace_s(self) -> float: ...


@runtime_checkable
class SettlingDevice(Protocol):
    """A polled device that warms up, and knows how many readings after a start that takes."""

    @property
    def settle_reads(self) -> int: ...


class LineDevice(Protocol):
    """A device that speaks by itself on GPIO lines: loop, S0 output, door. They are on (occupied,
    closed, pulse) where the level is `active`."""

    @property
    def lines(self) -> Sequence[LineSpec]: ...
    @property
    def active(self) -> Literal["low", "high"]: ...
