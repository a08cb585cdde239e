"""A simulated serial device that speaks when it is asked, on a pseudo-terminal or another port."""

import heapq
import os
import select
import threading
import time
import tty
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

LIMIT: Final = 4096  # bytes kept while nobody understands them
NOISE: Final = b"\x00\xff\x81"

Values = Mapping[str, float]
Said = tuple[float, bytes]  # so many seconds after it was asked, these bytes


class Asked:
    """What the simulated devices have in common: a port, a thread, and faults.

    `hear` of the device gets all that came and gives what is left of it, and what it says to it.
    `fault` is how it misbehaves until told otherwise, what is put into `faults` spoils one answer
    each. `late_s` is how late a late answer is.
    """

    faults_known: tuple[str, ...] = ()

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.faults: deque[str] = deque()
        self.late_s = 0.3
        self.asked = 0  # questions that were understood and were for this device
        self.port = ""
        self._line: Line | None = None
        if fault and fault not in self.faults_known:
            known = ", ".join(self.faults_known)
            raise ValueError(f"{fault!r} is no fault of {type(self).__name__}: {known}")

    def hear(self, heard: bytes) -> tuple[bytes, list[Said]]:
        """What is not understood yet, and what is said to the rest."""
        raise NotImplementedError

    def due(self) -> str:
        """The fault that the next answer has."""
        self.asked += 1
        return self.faults.popleft() if self.faults else self.fault

    def start(self, fd: int = -1) -> None:
        """Listen: on an open port, or on a new pseudo-terminal that `port` names."""
        self._line = Line([self], fd)
        self.port = self._line.port
        self._line.start()

    def stop(self) -> None:
        """Fall silent and give the port back. Always safe."""
        line, self._line = self._line, None
        if line is not None:
            line.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class Line:
    """One line with several such devices, each of which hears everything that the master says."""

    def __init__(self, devices: Iterable[Asked], fd: int = -1) -> None:
        self.devices = list(devices)
        self.port = ""
        self._own: list[int] = []
        self._fd = fd
        if fd < 0:
            self._fd, slave = os.openpty()  # the slave stays open: no hang-up between users
            tty.setraw(slave)
            self.port = os.ttyname(slave)
            self._own = [self._fd, slave]
        os.set_blocking(self._fd, False)
        self._heard = [b""] * len(self.devices)
        self._due: list[tuple[float, int, bytes]] = []
        self._count = 0
        self._wake = os.pipe()
        self._thread = threading.Thread(target=self._run, name="sim-asked", daemon=True)

    def start(self) -> Self:
        """Begin to listen."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """End, and give back what was opened here."""
        os.write(self._wake[1], b".")
        self._thread.join(5)
        for fd in (*self._own, *self._wake):
            os.close(fd)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(self) -> None:
        while True:
            rest_s = max(0.0, self._due[0][0] - time.monotonic()) if self._due else None
            ready, _, _ = select.select([self._fd, self._wake[0]], [], [], rest_s)
            if self._wake[0] in ready:
                return
            if self._fd in ready:
                self._hear()
            while self._due and self._due[0][0] <= time.monotonic():
                data = heapq.heappop(self._due)[2]
                with suppress(BlockingIOError):  # nobody reads: a wire does not wait for it
                    os.write(self._fd, data)

    def _hear(self) -> None:
        try:
            data = os.read(self._fd, LIMIT)
        except OSError:  # the other end hung up; it may come back
            time.sleep(0.01)
            return
        now = time.monotonic()
        for place, device in enumerate(self.devices):
            rest, said = device.hear(self._heard[place] + data)
            self._heard[place] = rest[-LIMIT:]
            for after_s, words in said:
                self._count += 1
                heapq.heappush(self._due, (now + after_s, self._count, words))
