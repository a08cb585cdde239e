"""What cannot be interrupted (a name server, a disk that hangs) holds up no other answer."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Final, TypeVar

T = TypeVar("T")

GLANCE_S: Final = 8.0  # of a look at a disk in passing: who waits for it has other questions, too


def within(limit_s: float, work: Callable[[], T]) -> T:
    """The result of `work`, in a thread that is left behind when it takes too long: it ends with
    the process. Raises TimeoutError, or what `work` raises."""
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(work())
        except BaseException as error:  # noqa: BLE001  it is raised where it is waited for
            answer.set_exception(error)

    threading.Thread(target=run, name="time-limit", daemon=True).start()
    if not wait([answer], limit_s).done:
        raise TimeoutError(f"no answer within {limit_s:g} s")
    return answer.result()
