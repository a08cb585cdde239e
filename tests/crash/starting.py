"""Starts of the real daemon, one after the other, each killed at a certain moment: a process that
has loaded everything, and forks. A line of its input is a folder with `site.toml` and how many
seconds it shall run after it is ready; the answer is a line, `ready SECONDS` or `ended STATUS`.
"""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final

from edge.acquire.clock import SystemClock
from edge.gateway.daemon import Daemon
from edge.gateway.lastgood import LastGood

WITHIN_S: Final = 60.0  # a start that takes longer hangs, also on a machine that is busy


def play(folder: Path, after_s: float) -> None:
    """In the child: it ends by SIGKILL, or it has not come that far."""
    daemon = Daemon(LastGood(folder / "store", folder / "site.toml").choose(0), SystemClock())

    def ready(_: str) -> bool:
        if after_s:
            signal.setitimer(signal.ITIMER_REAL, after_s)
            signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        else:
            os.kill(os.getpid(), signal.SIGKILL)
        return True

    notify: Any = daemon.notify
    notify.ready = ready
    asyncio.run(daemon.run())


def child(folder: Path, after_s: float) -> None:
    log = os.open(folder / "daemon.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        play(folder, after_s)
    except BaseException:  # noqa: BLE001  whatever it is, it goes into the log
        sys.excepthook(*sys.exc_info())
        os._exit(1)
    os._exit(0)


def main() -> None:
    for line in sys.stdin:
        folder, _, after_s = line.rstrip("\n").partition("\t")
        began = time.monotonic()
        pid = os.fork()
        if pid == 0:
            child(Path(folder), float(after_s))
        status = 0
        while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
            if time.monotonic() - began > WITHIN_S:
                os.kill(pid, signal.SIGABRT)
            time.sleep(0.002)
        status = ended[1]
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            print(f"ready {time.monotonic() - began:.2f}", flush=True)
        else:
            print(f"ended {status}", flush=True)


if __name__ == "__main__":
    main()
