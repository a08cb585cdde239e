"""The page's questions to the daemon: a few at a time, and each ends, whatever the daemon does.

What is wrong is a state with a sentence: the daemon is stopped, has handed over to another box, is
silent, older than this page, not open to this user, or it refuses what was asked.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

from edge.control.handover import why_stopped
from edge.control.protocol import (
    OLDER_TEXT,
    NoAnswerError,
    UnknownVerbError,
    VerbError,
    ask_daemon,
)

THREADS: Final = 3
WAITING: Final = 12  # questions that may wait for a thread
TIMEOUT_S: Final = 5.0
State = Literal["ok", "stopped", "handed_over", "silent", "older", "refused", "closed", "busy"]
STOPPED_TEXT: Final = "the daemon does not run: `sudo systemctl start kerbstone`"


@dataclass(frozen=True, slots=True)
class DaemonAnswer:
    """`answer` where the state is "ok", else why there is none."""

    state: State
    answer: dict[str, Any] | None = None
    text: str = ""


class DaemonAsker:
    """`folder()` is where the control socket lies now, `store()` the folder of the outbox. `close`
    ends its threads."""

    def __init__(self, folder: Callable[[], Path], store: Callable[[], Path]) -> None:
        self._folder, self._store = folder, store
        self._threads = ThreadPoolExecutor(THREADS, "daemon")
        self._open = 0

    async def ask(self, verb: str, timeout_s: float = TIMEOUT_S, **arguments: Any) -> DaemonAnswer:
        """Never raises for what the daemon does."""
        if self._open >= THREADS + WAITING:
            return DaemonAnswer("busy", text="too many questions at once; try again")
        self._open += 1
        try:
            work = partial(_ask, self._folder(), self._store(), verb, timeout_s, arguments)
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._open -= 1

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _ask(
    folder: Path, store: Path, verb: str, timeout_s: float, arguments: dict[str, Any]
) -> DaemonAnswer:
    try:
        found = ask_daemon(folder, verb, timeout_s, **arguments)
    except NoAnswerError as error:
        return DaemonAnswer("silent", text=str(error))
    except UnknownVerbError:
        return DaemonAnswer("older", text=OLDER_TEXT)
    except VerbError as error:
        closed = isinstance(error.__cause__, PermissionError)
        return DaemonAnswer("closed" if closed else "refused", text=str(error))
    except OSError as error:
        return DaemonAnswer("closed", text=f"the daemon cannot be asked: {error.strerror or error}")
    if found is None:
        text = why_stopped(store, STOPPED_TEXT)
        return DaemonAnswer("stopped" if text == STOPPED_TEXT else "handed_over", text=text)
    return DaemonAnswer("ok", found)
