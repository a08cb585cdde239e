"""Serial lines without a cable: pseudo-terminals, who talks at their other end, and patient ports.

`FarEnd` says and hears bytes at the other end of a port, `PtyPair` joins two ports like a
null-modem cable. On a busy machine a time-out of a driver says nothing: `waiting` and `HearingPort`
are ports for which nobody is silent who has not had his turn yet.

    far = FarEnd()
    far.answer(lambda asked: b"OK")
    port = waiting(far)(far.path, 9600)
"""

import os
import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import ClassVar, Final, Protocol

from drivers.buses.serial_port import SerialPort
from drivers.sim.simpty import open_pty

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


class HearingPort(SerialPort):
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


class FarEnd:
    """It says what it is told to, and hears what is written to `path`."""

    def __init__(self) -> None:
        self.master, self.slave, self.path = open_pty()
        os.set_blocking(self.master, False)
        self._end = threading.Event()
        self._threads: list[threading.Thread] = []
        self._taken = 0  # bytes that `answer` has answered

    def say(self, data: bytes) -> None:
        with suppress(BlockingIOError):
            os.write(self.master, data)

    def say_later(self, data: bytes, after_s: float) -> None:
        threading.Timer(after_s, self.say, (data,)).start()

    def heard(self) -> bytes:
        with suppress(BlockingIOError):
            return os.read(self.master, 1024)
        return b""

    def keep_saying(self, make: Callable[[], bytes], every_s: float = 0.002) -> None:
        """Until it is closed."""

        def run() -> None:
            while not self._end.wait(every_s):
                self.say(make())

        self._start(run)

    def answer(self, make: Callable[[bytes], bytes], pause_s: float = 0.001) -> None:
        """Each question (what is heard at once), until it is closed."""

        def run() -> None:
            while not self._end.wait(pause_s):
                if asked := self.heard():
                    self.say(make(asked))
                    self._taken += len(asked)

        self._start(run)

    def settled(self, count: int) -> bool:
        """Whether `answer` has answered so many bytes; who answers nothing is always settled."""
        return self._taken >= count or not self._threads

    def close(self) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()
        self.hang_up()

    def hang_up(self) -> None:
        """The port vanishes."""
        for fd in (self.master, self.slave):
            if fd >= 0:
                os.close(fd)
        self.master = self.slave = -1

    def _start(self, run: Callable[[], None]) -> None:
        self._threads.append(threading.Thread(target=run, daemon=True))
        self._threads[-1].start()


class PtyPair:
    """`a` and `b` are the ports; bytes pass at once."""

    def __init__(self) -> None:
        (master_a, slave_a, self.a), (master_b, slave_b, self.b) = open_pty(), open_pty()
        self._other = {master_a: master_b, master_b: master_a}
        self._fds = (master_a, slave_a, master_b, slave_b)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._pump, daemon=True)
        self._thread.start()

    def _pump(self) -> None:
        while not self._end.is_set():
            for fd in select.select(list(self._other), [], [], 0.05)[0]:
                with suppress(OSError):
                    os.write(self._other[fd], os.read(fd, 1024))

    def close(self) -> None:
        self._end.set()
        self._thread.join()
        for fd in self._fds:
            os.close(fd)


def cut(data: bytes) -> tuple[bytes | None, int]:
    """Frames are `<...>`; what is before one is rubbish."""
    start = data.find(b"<")
    if start < 0:
        return None, len(data)
    end = data.find(b">", start)
    return (data[start : end + 1], end + 1) if end > 0 else (None, start)
