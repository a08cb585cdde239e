"""A serial line with a simulated device and time under the test's thumb: waiting takes no time."""

import heapq
import math
from dataclasses import dataclass, field

from drivers.sim._responder import Responder
from drivers.sim._talker import Talker
from edge.core import BusError, DataError, Framer
from tests.kit.air import Now


@dataclass
class SimSerial:
    """A `SerialBus` as a port makes one: what was said before a question is not its answer."""

    device: Responder | Talker
    now: Now
    written: list[bytes] = field(default_factory=list)
    unplugged: bool = False
    _heard: bytes = b""  # by the device, not understood yet
    _buffer: bytes = b""
    _coming: list[tuple[float, int, bytes]] = field(default_factory=list)
    _speaks_s: float = math.inf
    _came: int = 0  # bytes
    _reported: int = 0  # answers

    def __post_init__(self) -> None:
        self.plug(self.device)

    def plug(self, device: Responder | Talker) -> None:
        """Another one sits on the line from now on."""
        self.device, self._speaks_s, self._heard = device, math.inf, b""
        if isinstance(device, Talker):
            self._speaks_s = self.now.s + device.every_s
            device.send = self._says  # type: ignore[method-assign]

    async def frame(
        self, cut: Framer, timeout_s: float, write: bytes = b"", newest: bool = False
    ) -> bytes:
        self._pass(self.now.s)
        if write:
            self._buffer = b""
            await self.send(write)
        until_s, begin = self.now.s + timeout_s, self._came - len(self._buffer)
        while not self.unplugged:
            if found := self._found(cut, newest):
                return found
            if self._next_s() > until_s:
                break
            self._pass(self._next_s())
        self.now.s = until_s
        if self._came > begin:
            raise DataError("bytes came, and no frame among them")
        raise BusError("nothing came")

    async def send(self, data: bytes) -> None:
        if self.unplugged:
            raise BusError("the port is gone")
        self.written.append(data)
        if isinstance(self.device, Talker):
            self._heard = self.device.hear(self._heard + data)
            return
        self._heard, said = self.device.hear(self._heard + data)
        for after_s, reported in said:
            self._says(reported, after_s)

    async def speed(self, baud: int = 0) -> None:
        raise AssertionError("the speed stays")

    def _says(self, data: bytes, after_s: float = 0.0) -> None:
        self._reported += 1
        heapq.heappush(self._coming, (self.now.s + after_s, self._reported, data))

    def _next_s(self) -> float:
        return min(self._speaks_s, self._coming[0][0] if self._coming else math.inf)

    def _pass(self, until_s: float) -> None:
        """What comes until then, each at its moment, however far the test has moved the time."""
        while (at_s := self._next_s()) <= until_s:
            self.now.s = at_s
            if self._coming and self._coming[0][0] <= at_s:
                self._hear(heapq.heappop(self._coming)[2])
            elif isinstance(self.device, Talker):
                self._speaks_s += self.device.every_s
                self._hear(b"" if self.device.silent else self.device.speak())
        self.now.s = until_s

    def _hear(self, data: bytes) -> None:
        if not self.unplugged:
            self._buffer += data
            self._came += len(data)

    def _found(self, cut: Framer, newest: bool) -> bytes:
        last = b""
        while self._buffer:
            found, done = cut(self._buffer)
            assert 0 <= done <= len(self._buffer)
            self._buffer = self._buffer[done:]
            last = found or last
            if not done or (found and not newest):
                break
        return last
