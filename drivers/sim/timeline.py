"""Actions at their moments, in their order: what lets the traffic and contacts of a cabinet pass.

An action is given the moment that it was due, so that what it stamps is exact however late a busy
machine calls it. `run_until` does the same without a thread: an hour passes at once.
"""

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from typing import Final, Self

Action = Callable[[int], None]
IDLE_S: Final = 5.0


class Timeline:
    """One thread between `start` and `stop`. `at` may be called from anywhere."""

    def __init__(self, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self.clock_ns = clock_ns
        self._due: list[tuple[int, int, Action]] = []
        self._turn = itertools.count()  # of one moment, the action that was named first goes first
        self._changed = threading.Condition()
        self._stop = False
        self._thread = threading.Thread(target=self._run, name="sim-street", daemon=True)

    def at(self, t_ns: int, action: Action) -> None:
        """Call it then; one that is due already as soon as it can be."""
        with self._changed:
            heapq.heappush(self._due, (t_ns, next(self._turn), action))
            self._changed.notify()

    def now(self, action: Action) -> None:
        """Call it in the thread of all other actions, in the present moment."""
        self.at(self.clock_ns(), action)

    def waiting(self) -> int:
        """How many actions are yet to come."""
        return len(self._due)

    def run_until(self, t_ns: int) -> None:
        """Everything that is due up to then, in the caller's thread."""
        while (found := self._next(t_ns)) is not None:
            found[1](found[0])

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        """No action begins after this."""
        with self._changed:
            self._stop = True
            self._changed.notify()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(5)

    def _next(self, t_ns: int) -> tuple[int, Action] | None:
        with self._changed:
            if not self._due or self._due[0][0] > t_ns:
                return None
            due_ns, _, action = heapq.heappop(self._due)
            return due_ns, action

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._stop:
                    return
                rest_s = (self._due[0][0] - self.clock_ns()) / 1e9 if self._due else IDLE_S
                if rest_s > 0:
                    self._changed.wait(min(rest_s, IDLE_S))
                    continue
            if (found := self._next(self.clock_ns())) is not None:
                found[1](found[0])
