"""Work that blocks, in a thread of its own: the loop goes on, and who gives up leaves at once.

Not the loop's executor: a name server that is a black hole holds its thread for half a minute, and
an executor's threads are waited for at the end of the process.
"""

import asyncio
import errno
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

T = TypeVar("T")


class BlockingCalls:
    """At most `most` threads at one time; with all of them hung, the next fails at once."""

    def __init__(self, name: str, most: int, busy: str) -> None:
        self._name, self._busy = name, busy
        self._free = threading.BoundedSemaphore(most)

    async def run(self, work: Callable[[], T], discard: Callable[[T], None]) -> T:
        """The result of `work`. Raises OSError, also for its ValueError.

        When the caller gives up, a result that still comes goes to `discard`.
        """
        if not self._free.acquire(blocking=False):
            raise OSError(errno.EAGAIN, self._busy)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def deliver(result: T) -> None:
            if done.done():  # cancelled
                discard(result)
            else:
                done.set_result(result)

        def fail(error: OSError) -> None:
            if not done.done():
                done.set_exception(error)

        def thread() -> None:
            notify: Callable[[], None]
            came: list[T] = []
            try:
                came.append(work())
                notify = partial(deliver, came[0])
            except (OSError, ValueError) as failed:
                error = failed if isinstance(failed, OSError) else OSError(22, str(failed))
                notify = partial(fail, error)
            finally:
                self._free.release()  # before anybody hears of it, and asks again
            try:
                loop.call_soon_threadsafe(notify)
            except RuntimeError:  # the loop has ended meanwhile
                for result in came:
                    discard(result)

        try:
            threading.Thread(target=thread, name=self._name, daemon=True).start()
        except RuntimeError as error:  # no thread to be had
            self._free.release()
            raise OSError(errno.EAGAIN, str(error)) from None
        try:
            return await done
        except asyncio.CancelledError:
            if not done.cancelled() and done.exception() is None:  # both in the same moment
                discard(done.result())
            raise
