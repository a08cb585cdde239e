"""An event that the main thread waits for, and that a signal may set or interrupt.

`threading.Event` is neither: the thread that waits holds its lock for a moment, and a signal's
handler runs in that very thread. A handler that calls `set` then waits for its own thread for ever,
and a Ctrl-C leaves the lock in a state that the next `with` does not expect (RuntimeError).
`queue.SimpleQueue` says of itself that it is reentrant, and is written in C: nothing interrupts
it half-way.
"""

from queue import Empty, SimpleQueue


class SignalEvent:
    """Set once, by any thread or signal handler; one thread waits for it."""

    def __init__(self) -> None:
        self._set = False
        self._wake: SimpleQueue[None] = SimpleQueue()

    def set(self) -> None:
        """It has happened."""
        self._set = True
        self._wake.put(None)

    def is_set(self) -> bool:
        """Whether it has happened."""
        return self._set

    def wait(self, timeout_s: float | None = None) -> bool:
        """Until it happens, or for `timeout_s`. Says whether it has. Raises KeyboardInterrupt."""
        if not self._set:
            try:
                self._wake.get(timeout=timeout_s)
            except Empty:
                return self._set
        return True
