"""To wait for what another thread or process does, and to fail in words when it does not.

An example:

    await until(lambda: gateway.done)  # in a coroutine
    wait_until(path.exists, "the daemon writes no state")  # anywhere else
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Found = TypeVar("Found")


async def until(
    condition: Callable[[], object],
    seconds: float = 60.0,
    what: str = "it did not happen in time",
) -> None:
    """Fails with `what`, when it does not happen within this time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        await asyncio.sleep(0.01)


def wait_until(
    condition: Callable[[], Found],
    what: str = "it did not happen in time",
    seconds: float = 60.0,
) -> Found:
    """What the condition gave when it was true. Fails with `what` after this time."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, what
        time.sleep(0.02)
    return found


def done(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run what never waits."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits for something")
