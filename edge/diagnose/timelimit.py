"""What cannot be interrupted (a name server, a disk that hangs) holds up no other answer."""

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def within(limit_s: float, work: Callable[[], T]) -> T:
    """The result of `work`, in a thread that is left behind when it takes too long: it ends with
    the process. Raises TimeoutError, or what `work` raises."""
    done = threading.Event()
    result: list[T] = []
    failed: list[Exception] = []

    def run() -> None:
        try:
            result.append(work())
        except Exception as error:  # noqa: BLE001  it is raised where it is waited for
            failed.append(error)
        done.set()

    threading.Thread(target=run, name="time-limit", daemon=True).start()
    if not done.wait(limit_s):
        raise TimeoutError(f"no answer within {limit_s:g} s")
    if failed:
        raise failed[0]
    return result[0]
