"""A serial port for tests on a busy machine: nobody is silent who has not had his turn yet."""

import time
from typing import ClassVar, Final, Protocol

from drivers.buses.serial_port import SerialPort

GRACE_NS: Final = 100_000_000  # the kernel passes on in its own time what was said
TURN_NS: Final = 2_000_000
GIVE_UP_NS: Final = 20_000_000_000


class Other(Protocol):
    """A simulated line that knows what it has heard."""

    def settled(self, count: int) -> bool:
        """Whether so many bytes were heard, and all was said to them that is not late by fault."""


def waiting(other: Other) -> type[SerialPort]:
    """Ports of this type, all on one line, that no simulator's thread can be too slow for.

    A time-out ends once the other end has heard all that they said, and has said what it will to
    it: then it may be short.
    """
    sent, answered = 0, 0

    class Waiting(SerialPort):
        def write(self, data: bytes) -> int:
            nonlocal sent
            sent_ns = super().write(data)
            sent += len(data)
            return sent_ns

        async def speed(self, baud: int = 0) -> None:
            give_up_ns = time.monotonic_ns() + GIVE_UP_NS
            while not other.settled(sent):  # it looks at the speed when it hears
                assert time.monotonic_ns() < give_up_ns, "the other end does not run"
                time.sleep(TURN_NS / 1e9)
            await super().speed(baud)

        def read(self, until_ns: int) -> bytes:
            nonlocal answered
            data = super().read(until_ns)
            give_up_ns = time.monotonic_ns() + GIVE_UP_NS
            if not data and answered < sent:
                while not data and not other.settled(sent):
                    assert time.monotonic_ns() < give_up_ns, "the other end does not run"
                    data = super().read(time.monotonic_ns() + TURN_NS)
                data = data or super().read(time.monotonic_ns() + GRACE_NS)
            answered = sent
            return data

    return Waiting


class Hearing(SerialPort):
    """A port to whose other end somebody talks: listening takes until some of it was heard."""

    enough: ClassVar[int] = 24
    _count = 0

    def open(self) -> bool:
        opened = super().open()
        self._count = 0 if opened else self._count
        return opened

    def read(self, until_ns: int) -> bytes:
        data = super().read(until_ns)
        give_up_ns = time.monotonic_ns() + GIVE_UP_NS
        while until_ns and self._count + len(data) < self.enough:
            assert time.monotonic_ns() < give_up_ns, "nobody talks"
            data += super().read(time.monotonic_ns() + TURN_NS)
        self._count += len(data)
        return data
