"""The other end of a pseudo-terminal."""

import os
import threading
import tty
from collections.abc import Callable
from contextlib import suppress


class Far:
    """It says what it is told to, and hears what is written to `path`."""

    def __init__(self) -> None:
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        self.path = os.ttyname(self.slave)
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


def cut(data: bytes) -> tuple[bytes | None, int]:
    """Frames are `<...>`; what is before one is rubbish."""
    start = data.find(b"<")
    if start < 0:
        return None, len(data)
    end = data.find(b">", start)
    return (data[start : end + 1], end + 1) if end > 0 else (None, start)
