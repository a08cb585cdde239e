"""The doctor, as a page shows it: started by hand, one at a time, its last answer kept."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, Final

from edge.core.clock import Clock
from edge.web.childrun import ChildError, run_child

MOST_S: Final = 240.0  # a slow bus with many silent devices


class DoctorRun:
    """`kerbstone doctor --json` as a child; a new one forgets the answer of the last."""

    def __init__(self, site_file: Path, clock: Clock, confined: bool = False) -> None:
        """`confined`: systemd has shut this process in, and so its child."""
        self._command = (
            sys.executable, "-m", "edge.cli.main", "doctor", "--json", "--config", str(site_file),
            *(["--confined"] if confined else []),
        )  # fmt: skip
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._began_ns = self._ended_ns = 0
        self._answer: dict[str, Any] | None = None
        self._problem = ""

    def begin(self) -> None:
        """Nothing happens while one is under way."""
        if self._task is None or self._task.done():
            self._began_ns, self._answer, self._problem = self._clock.now().mono_ns, None, ""
            self._task = asyncio.create_task(self._run())

    def state(self) -> dict[str, Any]:
        """`running`; `for_s`: since its beginning, or since its end; `answer` as the command gives
        it, or `problem`."""
        running = self._task is not None and not self._task.done()
        since_ns = self._began_ns if running else self._ended_ns
        return {
            "running": running,
            "for_s": round((self._clock.now().mono_ns - since_ns) / 1e9, 1) if since_ns else None,
            "most_s": MOST_S,
            "answer": self._answer,
            "problem": self._problem,
        }

    async def _run(self) -> None:
        try:
            found = await run_child(self._command, MOST_S)
            answer = json.loads(found.out)
            self._answer = answer if isinstance(answer, dict) else None
            if self._answer is None:
                raise ValueError("no object")
        except ChildError as error:
            self._problem = str(error)
        except (ValueError, RecursionError):
            self._problem = found.err.strip() or "the doctor gave no answer"
        finally:
            self._ended_ns = self._clock.now().mono_ns
