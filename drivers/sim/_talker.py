"""A simulated serial device that talks by itself, on a pseudo-terminal or another open port."""

import os
import random
import select
import threading
import time
from collections import deque
from contextlib import suppress
from types import TracebackType
from typing import Self

from drivers.sim._responder import FORGETS_S
from drivers.sim.linespeed import garbled, line_speed
from drivers.sim.simpty import open_pty


class Talker:
    """What such devices have in common: a port, a thread, and faults. A context manager.

    `speak` of the device gives what it says each `every_s`; `hear` gets all that came, answers
    through `send`, and gives what is left of it. `fault` is how it misbehaves until told otherwise,
    what is put into `faults` spoils one frame each. `silent` says nothing at all. With `only_at` it
    is understood, and understands, at this speed alone (on a pseudo-terminal; 0: at any). After a
    silence of `forgets_s` a command that has begun is none any more.
    """

    faults_known: tuple[str, ...] = ()
    forgets_s: float = FORGETS_S
    only_at = 0

    def __init__(self, every_s: float, fault: str = "") -> None:
        self.every_s = every_s
        self.faults: deque[str] = deque()
        self.misbehave(fault)
        self._chance = random.Random(1)
        self.heard = 0  # bytes, with what was said to them at once
        self.turns = 0  # how often it was to speak by itself, silent or not
        self.port = ""
        self._fd = -1
        self._own: list[int] = []
        self._wake = (-1, -1)
        self._thread: threading.Thread | None = None

    def misbehave(self, fault: str) -> None:
        """One of its faults until told otherwise, "" for none. Raises ValueError for another."""
        if fault and fault not in self.faults_known:
            known = ", ".join(self.faults_known)
            raise ValueError(f"{fault!r} is no fault of {type(self).__name__}: {known}")
        self.fault, self.silent = fault, fault == "silent"

    def speak(self) -> bytes:
        """What it says by itself now; b"" for nothing."""
        raise NotImplementedError

    def hear(self, heard: bytes) -> bytes:
        """Do what was asked for; returns what is not a whole command yet."""
        raise NotImplementedError

    def tried(self) -> None:
        """Encode all values once. Raises what its encoder does when one does not fit."""
        self.speak()

    def due(self) -> str:
        """The fault that the next frame has."""
        return self.faults.popleft() if self.faults else self.fault

    def start(self, fd: int = -1) -> None:
        """Talk: on an open port, or on a new pseudo-terminal that `port` names."""
        self._fd, self._own = fd, []
        if fd < 0:
            self._fd, slave, self.port = open_pty(self.only_at)
            self._own = [self._fd, slave]
        os.set_blocking(self._fd, False)
        self._wake = os.pipe()
        self._thread = threading.Thread(target=self._talk, name="sim-talker", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Fall silent and give back what was opened here. Always safe."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        os.write(self._wake[1], b".")
        thread.join(5)
        for fd in (*self._own, *self._wake):
            os.close(fd)

    def settled(self, count: int) -> bool:
        """Whether so many bytes were heard."""
        return self.heard >= count

    def send(self, data: bytes) -> None:
        """Put bytes on the wire. What nobody reads is lost, as on a UART."""
        if self._foreign():
            data = garbled(data, self.only_at, line_speed(self._own[1]), self._chance)
        with suppress(BlockingIOError):
            os.write(self._fd, data)

    def _foreign(self) -> bool:
        """Whether the other side talks and listens at another speed."""
        return bool(self.only_at and self._own) and line_speed(self._own[1]) != self.only_at

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

    def _talk(self) -> None:
        due = last = time.monotonic()
        heard = b""
        while True:
            until = min(due, last + self.forgets_s) if heard else due
            rest_s = max(0.0, until - time.monotonic())
            ready, _, _ = select.select([self._fd, self._wake[0]], [], [], rest_s)
            if self._wake[0] in ready:
                return
            if self._fd in ready:
                try:
                    news = os.read(self._fd, 256)
                    last = time.monotonic()
                    heard = b"" if self._foreign() else self.hear(heard + news)
                    self.heard += len(news)
                except OSError:  # the other end hung up; it may come back
                    time.sleep(0.01)
            elif (
                heard
                and time.monotonic() >= last + self.forgets_s
                and not select.select([self._fd], [], [], 0)[0]
            ):
                heard = b""
            if time.monotonic() >= due:
                due += self.every_s
                self.turns += 1
                if not self.silent and (data := self.speak()):
                    self.send(data)
