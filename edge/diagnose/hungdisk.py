"""A disk that hangs (a card that fails, a network share that is gone) holds up no other answer."""

import threading
from collections.abc import Callable
from typing import Final, TypeVar

DISK_S: Final = 8.0  # as long as a look at the outbox
T = TypeVar("T")


def ask_disk(look: Callable[[], T], limit_s: float) -> T:
    """What `look` finds. Raises TimeoutError, and what it raises itself.

    The thread that waits for the disk is left behind: it ends with the process.
    """
    found: list[T] = []
    failed: list[BaseException] = []

    def ask() -> None:
        try:
            found.append(look())
        except BaseException as error:  # noqa: BLE001  it is raised again, where it is waited for
            failed.append(error)

    thread = threading.Thread(target=ask, name="disk", daemon=True)
    thread.start()
    thread.join(limit_s)
    if failed:
        raise failed[0]
    if not found:
        raise TimeoutError(f"no answer within {limit_s:g} s: the disk is slow or hangs")
    return found[0]
