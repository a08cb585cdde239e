"""A line without a port, for meters that are asked."""

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from edge.core import BusError, DataError, Framer


class SimulatedMeter(Protocol):
    """A simulated meter."""

    def hear(self, heard: bytes, /) -> tuple[bytes, Sequence[tuple[float, bytes]]]: ...


Meter = TypeVar("Meter", bound=SimulatedMeter)


class Wired(Generic[Meter]):
    """What is written is heard at once, answers are cut as a port does."""

    def __init__(self, *meters: Meter) -> None:
        self.meters = meters
        self.written: list[bytes] = []
        self.frames: list[bytes] = []

    async def frame(
        self, cut: Framer, timeout_s: float, write: bytes = b"", newest: bool = False
    ) -> bytes:
        self.written.append(write)
        said = b"".join(data for meter in self.meters for _, data in meter.hear(write)[1])
        self.frames += [write, said]
        if not said:
            raise BusError("silence")
        while said:
            found, done = cut(said)
            if found is not None:
                return found
            if not done:
                break
            said = said[done:]
        raise DataError("no frame")

    async def send(self, data: bytes) -> None:
        raise AssertionError("nothing is only sent")

    async def speed(self, baud: int = 0) -> None:
        raise AssertionError("the speed stays")
