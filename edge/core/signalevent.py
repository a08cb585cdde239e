"""An event that the main thread waits for, and that a signal may set or interrupt.

`threading.Event` is neither: the thread that waits holds its lock for a moment, and a signal's
handler runs in that very thread. A handler that calls `set` then waits for its own thread for ever,
and a Ctrl-C leaves the lock in a state that the next `with` does not expect (RuntimeError).
`queue.SimpleQueue` is reentrant, but its `get` of 3.11 waits for ever once its timeout has passed
between two looks of its own. A bare lock has neither fault: who sets, releases it.
"""

from contextlib import suppress
from threading import Lock
from time import monotonic

LOOK_S = 1.0  # a signal that arrives just before the wait wakes nobody: it is seen at the next look


class SignalEvent:
    """Set once, by any thread or signal handler; one thread waits for it."""

    def __init__(self) -> None:
        self._set = False
        self._lock = Lock()
        self._lock.acquire()

    def set(self) -> None:
        """It has happened."""
        self._set = True
        with suppress(RuntimeError):  # set a second time, or by two at once
            self._lock.release()

    def is_set(self) -> bool:
        """Whether it has happened."""
        return self._set

    def wait(self, timeout_s: float | None = None) -> bool:
        """Until it happens, or for `timeout_s`. Says whether it has. Raises KeyboardInterrupt."""
        end = None if timeout_s is None else monotonic() + timeout_s
        while not self._set:
            left_s = LOOK_S if end is None else min(LOOK_S, end - monotonic())
            if left_s <= 0:
                break
            self._lock.acquire(timeout=left_s)
        return self._set
