"""Wires that answer with what was recorded, injured, and never let anybody wait."""

from collections.abc import Sequence
from random import Random

from edge.core import BusError, DataError, Framer, Reason, TooLongError
from tests.fuzz.mutate import mutated


class FuzzedBus:
    """All that a driver may ask of a bus of any kind; every second answer is as it was recorded."""

    def __init__(self, replies: Sequence[bytes], random: Random) -> None:
        self.replies = list(replies) or [b""]
        self.random = random

    def reply(self) -> bytes:
        """One of the answers."""
        chosen = self.random.choice(self.replies)
        return chosen if self.random.random() < 0.5 else mutated(chosen, self.replies, self.random)

    async def transfer(
        self, address: int, write: bytes = b"", read: int = 0, wait_s: float = 0.0
    ) -> bytes:
        if self.random.random() < 0.05:
            raise BusError("nobody answers")
        fitting = [reply for reply in self.replies if len(reply) == read]
        if fitting and self.random.random() < 0.5:
            return self.random.choice(fitting)
        return self.reply()[:read].ljust(read, b"\xff")

    async def frame(
        self, cut: Framer, timeout_s: float, write: bytes = b"", newest: bool = False
    ) -> bytes:
        waiting = b"".join(self.reply() for _ in range(self.random.randrange(4)))
        if not waiting:
            raise BusError("nothing came")
        found = b""
        while waiting:
            frame, done = cut(waiting)
            assert 0 <= done <= len(waiting)
            found = frame or found
            if (frame and not newest) or not done:
                break
            waiting = waiting[done:]
        if not found:
            raise DataError("bytes came, and no frame among them")
        return found

    async def send(self, data: bytes) -> None:
        assert data

    async def speed(self, baud: int = 0) -> None:
        assert baud >= 0

    async def read_registers(self, unit: int, function: int, address: int, count: int) -> bytes:
        if self.random.random() < 0.05:
            raise DataError("refused", self.random.choice((Reason.ADDRESS, Reason.BUSY)))
        if self.random.random() < 0.05:
            raise TooLongError("too many")
        return self.reply()[: 2 * count].ljust(2 * count, b"\x00")
