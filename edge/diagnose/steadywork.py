"""Long work on disks that may hang: it is waited for as long as it gets on.

A call that a disk does not answer cannot be interrupted. So the work has a thread, which is left
behind when it tells nothing for too long; it ends with the process, as by a kill.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from edge.diagnose.backupfile import Shown
from edge.durable.readfile import read_beginning
from edge.durable.timelimit import GLANCE_S, within

T = TypeVar("T")

STALL_S: Final = 120.0  # as long as a slow stick may take for what a box has in memory for it
LOOK_S: Final = 0.5
END_S: Final = 5.0  # for work that is interrupted to take back what it can
LOOK_BYTES: Final = 4096
SILENT_TEXT: Final = "{} does not answer within {:g} s: its disk is slow or hangs"
STALLED_TEXT: Final = "{}: it has not got on for {:g} s: a disk is slow or hangs"


class StalledError(Exception):
    """A disk does not answer; the text says which, or what waits for it."""


def look_at_disks(*paths: Path) -> None:
    """Raises StalledError when one of them does not answer within GLANCE_S. What is not there, or
    not open to us, is for others to say."""
    for path in paths:
        try:
            within(GLANCE_S, partial(_look, path))
        except TimeoutError as error:
            raise StalledError(SILENT_TEXT.format(path, GLANCE_S)) from error


def _look(path: Path) -> None:
    with contextlib.suppress(OSError):
        if path.is_dir():
            next(path.iterdir(), None)
        elif path.is_file():  # a pipe would lose what is read here
            read_beginning(path, LOOK_BYTES)


def steady(work: Callable[[Shown], T], first: str, shown: Shown, stall_s: float) -> T:
    """The result of `work`, which is given what it shall tell of its steps; `shown` is told the
    same. `first` is the step with which it begins. Raises StalledError when it has told nothing
    for `stall_s`, or what `work` raises."""
    answer: Future[T] = Future()
    step, told_s, interrupted = first, time.monotonic(), False

    def tell(name: str, done: int) -> None:
        nonlocal step, told_s
        if interrupted:
            raise KeyboardInterrupt
        step, told_s = name, time.monotonic()
        shown(name, done)

    def run() -> None:
        try:
            answer.set_result(work(tell))
        except BaseException as error:  # noqa: BLE001  it is raised where it is waited for
            answer.set_exception(error)

    threading.Thread(target=run, name="steady-work", daemon=True).start()
    try:
        while not wait([answer], LOOK_S).done:
            if time.monotonic() - told_s > stall_s:
                raise StalledError(STALLED_TEXT.format(step, stall_s))
    except KeyboardInterrupt:
        interrupted = True
        wait([answer], END_S)
        raise
    return answer.result()
