"""All checks but those of the wires, side by side: each has its thread and its time, and what is
found is there at once, so that who has seen enough (Ctrl-C) gets it.

A thread that hangs (a name server, a disk, a model) is left behind: it belongs to nobody, and ends
with the process.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from edge.core.signalevent import SignalEvent
from edge.diagnose.checks import CheckId, CheckResult, unchecked

LOOK_S: Final = 0.1  # between two looks at how far it is
STEP_S: Final = 15.0  # of most steps
BROKER_S: Final = 100.0  # all stages at one broker, each at its limit
MODELS_S: Final = 90.0  # on the smallest board
ENDED_EARLY: Final = "ended early"  # by Ctrl-C

Tick = Callable[[str], None]
"""Called before each part of a step, with what it does."""


def closed_text(error: PermissionError) -> str:
    """What may not be looked at, and how it can be."""
    return f"{error.filename or 'something'} is not open to you: use sudo"


@dataclass(frozen=True, slots=True)
class CheckStep:
    """Checks that are answered together, and how. `work` gives answers as they come."""

    name: str
    checks: Sequence[CheckId]
    work: Callable[[Tick], Iterable[CheckResult]]
    limit_s: float = STEP_S
    so_far: Callable[[], Iterable[CheckResult]] = tuple
    """What is known already while `work` is at it."""


class Examination:
    """`start`, then `wait`; `results` at any time."""

    def __init__(self, steps: Sequence[CheckStep]) -> None:
        self._steps = tuple(steps)
        self._lock = threading.Lock()
        self._found: list[list[CheckResult]] = [[] for _ in steps]
        self._done = [False] * len(steps)
        self._doing = [""] * len(steps)
        self._ended = SignalEvent()
        self._start_s = time.monotonic()
        self.error: BaseException | None = None  # a fault of ours

    def start(self) -> None:
        self._start_s = time.monotonic()
        for number, step in enumerate(self._steps):
            threading.Thread(target=self._run, args=(number,), name=step.name, daemon=True).start()

    def wait(self, watch: Callable[[], None] = lambda: None) -> str:
        """Until all have ended, or their time is over. Says why it ended early, "" if not."""
        try:
            # never with join: Python 3.11 takes a thread for ended whose join was interrupted
            while self._waits() and not self._ended.wait(LOOK_S):
                watch()
        except KeyboardInterrupt:
            return ENDED_EARLY
        if self.error is not None:
            raise self.error
        return ""

    @property
    def progress(self) -> str:
        """How far it is, for people."""
        open_steps = self._waits()
        number = open_steps[0] if open_steps else None
        doing = "" if number is None else self._doing[number] or self._steps[number].name
        return f"{sum(self._done)} of {len(self._steps)} parts  {doing}"

    def results(self) -> list[CheckResult]:
        """All that was found so far; of what did not come in time, that."""
        with self._lock:
            found = [list(each) for each in self._found]
        out: list[CheckResult] = []
        took_s = time.monotonic() - self._start_s
        for number, step in enumerate(self._steps):
            out += found[number]
            if not self._done[number]:
                late = took_s >= step.limit_s
                why = f"no answer within {step.limit_s:g} s" if late else "ended early"
                out += (each for each in step.so_far() if each.outcome != "not checked")
                said = {each.check for each in out}
                doing = f" ({self._doing[number]})" if self._doing[number] else ""
                out += [unchecked(each, why + doing) for each in step.checks if each not in said]
        return out

    def _waits(self) -> list[int]:
        """Steps that are not done, and have time left."""
        took_s = time.monotonic() - self._start_s
        return [
            number
            for number, step in enumerate(self._steps)
            if not self._done[number] and took_s < step.limit_s
        ]

    def _run(self, number: int) -> None:
        step = self._steps[number]

        def tick(text: str) -> None:
            self._doing[number] = text

        try:
            for each in step.work(tick):
                with self._lock:
                    self._found[number].append(each)
            self._done[number] = True
        except PermissionError as error:  # of a technician who is not root: the rest is looked at
            with self._lock:
                said = {each.check for each in self._found[number]}
                left = [each for each in step.checks if each not in said]
                self._found[number] += [unchecked(each, closed_text(error)) for each in left]
            self._done[number] = True
        except BaseException as error:  # noqa: BLE001  a fault of ours: the command ends with it
            self.error = error
        if self.error is not None or all(self._done):
            with suppress(RuntimeError):
                self._ended.set()
