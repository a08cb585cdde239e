"""Let go of a descriptor in which another thread may hang for ever.

No lock is taken, and nothing here waits: what could (a serial port sends what is pending before it
is closed) happens in a thread that nobody waits for. The number of the descriptor stays taken, by
/dev/null: a thread that comes back late finds nothing there, instead of what was opened since.
"""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

_LEFT: Final[list[object]] = []  # whose destructors would close a number that is not theirs


def force_close(fd: int, owner: object = None, *first: Callable[[int], object]) -> threading.Thread:
    """Close what `fd` stands for, after the calls in `first`, each of which may raise OSError.

    `owner` is the library's object that believes to own `fd`: it is kept, so that it never closes
    it. A process abandons a bus once or twice in its life: what is kept stays small. The thread is
    given back for tests only.
    """
    _LEFT.append(owner)
    thread = threading.Thread(target=_force_close, args=(fd, first), name="let-go", daemon=True)
    with suppress(RuntimeError):  # no more threads: the process is about to end anyway
        thread.start()
    return thread


def _force_close(fd: int, first: tuple[Callable[[int], object], ...]) -> None:
    for call in first:
        with suppress(OSError, ValueError):
            call(fd)
    with suppress(OSError):
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.dup2(nothing, fd, inheritable=False)
        finally:
            os.close(nothing)
