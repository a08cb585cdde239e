"""systemd, as far as the watchdog goes: it hears whether it is fed.

An example:

    with manager(tmp_path, monkeypatch) as systemd:
        gateway.start()
        systemd.fed()
"""

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PATIENCE_S = 90.0


class WatchdogManager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, listener: socket.socket) -> None:
        self._socket = listener

    def fed(self) -> None:
        """Wait until the daemon feeds the watchdog."""
        self._socket.settimeout(PATIENCE_S)
        self._hear()

    def starved(self, seconds: float = 3.0) -> None:
        """What was on its way is thrown away; then nothing comes for this long."""
        self._socket.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                self._hear()
        self._socket.settimeout(seconds)
        with pytest.raises(TimeoutError):
            self._hear()

    def _hear(self) -> None:
        while self._socket.recv(4096) != b"WATCHDOG=1":
            pass


@contextlib.contextmanager
def manager(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WatchdogManager]:
    """Daemons that are started meanwhile are to feed it each half second."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(folder / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(folder / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "1000000")
        yield WatchdogManager(listener)


def wait_for(path: Path, why: Callable[[], str]) -> None:
    """Until this file is there; `why` tells what was seen instead."""
    end = time.monotonic() + PATIENCE_S
    while not path.exists():
        assert time.monotonic() < end, why()
        time.sleep(0.05)
