"""A simulated serial device that speaks when it is asked, on a pseudo-terminal or another port."""

import heapq
import os
import select
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from drivers.sim.linespeed import line_speed
from drivers.sim.simpty import open_pty

LIMIT: Final = 4096  # bytes kept while nobody understands them
NOISE: Final = b"\x00\xff\x81"
ECHO_ONLY: Final = "echo_only"  # what was written comes back, as from an adapter, and nothing else
END, HURRY = b".", b"!"  # what wakes the thread of a line
HURRIED_S: Final = 10.0
FORGETS_S: Final = 0.25  # a USB adapter holds bytes back for 0.016 s; it must not look like this

Values = Mapping[str, float]
TimedReply = tuple[float, bytes]  # so many seconds after it was asked, these bytes


class Responder:
    """What the simulated devices have in common: a port, a thread, and faults.

    `hear` of the device gets all that came and gives what is left of it, and what it says to it.
    `fault` is how it misbehaves until told otherwise, what is put into `faults` spoils one answer
    each. Beside those of the device there is ECHO_ONLY, of its line. `late_s` is how late a late
    answer is. After a silence of `forgets_s` a question that has begun is none any more.
    """

    faults_known: tuple[str, ...] = ()
    fault = ""
    only_at = 0  # the speed that it understands on a pseudo-terminal; 0: any
    forgets_s: float = FORGETS_S

    def __init__(self, fault: str = "") -> None:
        self.faults: deque[str] = deque()
        self.late_s = 0.3
        self.asked = 0  # questions that were understood and were for this device
        self.port = ""
        self._line: SharedLine | None = None
        self.misbehave(fault)

    def misbehave(self, fault: str) -> None:
        """One of its faults until told otherwise, "" for none. Raises ValueError for another."""
        if fault and fault not in (*self.faults_known, ECHO_ONLY):
            known = ", ".join(self.faults_known)
            raise ValueError(f"{fault!r} is no fault of {type(self).__name__}: {known}")
        self.fault = fault

    def hear(self, heard: bytes) -> tuple[bytes, list[TimedReply]]:
        """What is not understood yet, and what is said to the rest."""
        raise NotImplementedError

    def tried(self) -> None:
        """Encode each value once. Raises what its encoder does when one does not fit."""

    def due(self) -> str:
        """The fault that the next answer has."""
        self.asked += 1
        return self.faults.popleft() if self.faults else self.fault

    def start(self, fd: int = -1) -> None:
        """Listen: on an open port, or on a new pseudo-terminal that `port` names."""
        self._line = SharedLine([self], fd, self.only_at)
        self.port = self._line.port
        self._line.start()

    def stop(self) -> None:
        """Fall silent and give the port back. Always safe."""
        line, self._line = self._line, None
        if line is not None:
            line.stop()

    def send(self, data: bytes) -> None:
        """Put bytes on its line out of the blue."""
        if self._line is not None:
            self._line.send(data)

    def settled(self, count: int) -> bool:
        """Whether so many bytes were heard, and all was said to them that is not late by fault."""
        return self._line is None or self._line.settled(count)

    def hurry(self) -> None:
        """Say at once what was to be said later."""
        if self._line is not None:
            self._line.hurry()

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


class SharedLine:
    """One line with several such devices, each of which hears everything that the master says.

    With `only_at` they understand this speed alone (on a pseudo-terminal; 0: any).
    """

    def __init__(self, devices: Iterable[Responder], fd: int = -1, only_at: int = 0) -> None:
        self.devices, self._only_at = list(devices), only_at
        self.port = ""
        self._own: list[int] = []
        self._fd = fd
        if fd < 0:
            self._fd, slave, self.port = open_pty(only_at)
            self._own = [self._fd, slave]
        os.set_blocking(self._fd, False)
        self._heard = [b""] * len(self.devices)
        self._last = 0.0  # when something came
        self._due: list[tuple[float, int, bytes]] = []
        self._count = 0
        self.heard = 0  # bytes, with their answers noted
        self._owed: set[int] = set()  # the answers that are not late
        self._wake = os.pipe()
        self._hurried = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sim-asked", daemon=True)

    def start(self) -> Self:
        """Begin to listen."""
        self._thread.start()
        return self

    def settled(self, count: int) -> bool:
        """Whether so many bytes were heard, and all was said to them that is not late by fault."""
        return self.heard >= count and not self._owed

    def hurry(self) -> None:
        """Say at once what was to be said later; returns when it is said."""
        self._hurried.clear()
        os.write(self._wake[1], HURRY)
        self._hurried.wait(HURRIED_S)

    def send(self, data: bytes) -> None:
        """Put bytes on the line out of the blue, from nobody who was asked."""
        with suppress(BlockingIOError):
            os.write(self._fd, data)

    def stop(self) -> None:
        """End, and give back what was opened here."""
        os.write(self._wake[1], END)
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
            ready, _, _ = select.select([self._fd, self._wake[0]], [], [], self._rest_s())
            hurry = False
            if self._wake[0] in ready:
                if os.read(self._wake[0], 1) == END:
                    return
                hurry = True
            if self._fd in ready:
                self._hear()
            else:
                self._forget()
            while self._due and (hurry or self._due[0][0] <= time.monotonic()):
                _, number, data = heapq.heappop(self._due)
                with suppress(BlockingIOError):  # nobody reads: a wire does not wait for it
                    os.write(self._fd, data)
                self._owed.discard(number)
            if hurry:
                self._hurried.set()

    def _rest_s(self) -> float | None:
        """Until something is to be done, if nothing comes."""
        until = [self._due[0][0]] if self._due else []
        until += [
            self._last + one.forgets_s
            for one, begun in zip(self.devices, self._heard, strict=True)
            if begun
        ]
        return max(0.0, min(until) - time.monotonic()) if until else None

    def _forget(self) -> None:
        """Nothing came: who has waited long enough for the rest of a question begins anew."""
        silent_s = time.monotonic() - self._last
        for place, device in enumerate(self.devices):
            if silent_s >= device.forgets_s and not select.select([self._fd], [], [], 0)[0]:
                self._heard[place] = b""

    def _hear(self) -> None:
        try:
            data = os.read(self._fd, LIMIT)
        except OSError:  # the other end hung up; it may come back
            time.sleep(0.01)
            return
        if self._only_at and self._own and line_speed(self._own[1]) != self._only_at:
            self.heard += len(data)
            return  # said at another speed: nobody understands it
        now = self._last = time.monotonic()
        if any(device.fault == ECHO_ONLY for device in self.devices):
            self._count += 1
            self._owed.add(self._count)
            heapq.heappush(self._due, (now, self._count, data))
        for place, device in enumerate(self.devices):
            if device.fault == ECHO_ONLY:  # it is there, and says nothing
                self._heard[place] = b""
                continue
            rest, replies = device.hear(self._heard[place] + data)
            self._heard[place] = rest[-LIMIT:]
            for after_s, words in replies:
                self._count += 1
                if after_s < device.late_s:
                    self._owed.add(self._count)
                heapq.heappush(self._due, (now + after_s, self._count, words))
        self.heard += len(data)
