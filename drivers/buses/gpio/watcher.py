"""One thread that calls back when a descriptor is readable: for gpiozero without an event loop."""

import os
import selectors
import threading
from collections.abc import Callable
from typing import Final

STOP: Final = b"q"
LOOK: Final = b"."


class Watcher:
    """`add` and `remove` work as the event loop's `add_reader` and `remove_reader` do."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        self._lock = threading.RLock()  # no callback runs while `remove` is at work
        self._thread = threading.Thread(target=self._run, name="gpio-edges", daemon=True)
        self._thread.start()

    def add(self, fd: int, callback: Callable[[], None]) -> None:
        with self._lock:
            self._selector.register(fd, selectors.EVENT_READ, callback)
        os.write(self._wake_write, LOOK)

    def remove(self, fd: int) -> bool:
        with self._lock:
            known = fd in self._selector.get_map()
            if known:
                self._selector.unregister(fd)
        os.write(self._wake_write, LOOK)
        return known

    def close(self) -> None:
        """End the thread; callable from a callback too."""
        os.write(self._wake_write, STOP)
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        try:
            while self._turn():
                pass
        finally:
            self._selector.close()
            os.close(self._wake_read)
            os.close(self._wake_write)

    def _turn(self) -> bool:
        ready = self._selector.select()
        with self._lock:
            for key, _ in ready:
                if key.data is None:
                    if STOP in os.read(self._wake_read, 4096):
                        return False
                elif self._selector.get_map().get(key.fd) is key:  # not removed since the wake-up
                    key.data()
        return True
