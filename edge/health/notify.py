"""Notify systemd how we are: READY, STATUS, WATCHDOG, STOPPING. Nothing happens without systemd.

Source: sd_notify(3), sd_watchdog_enabled(3): one datagram for each message, `@name` is an abstract
socket.
"""

import os
import socket
from collections.abc import MutableMapping
from typing import Final

from edge.core.printable import printable

STATUS_LIMIT: Final = 512  # characters of one status line
NOTIFY_SOCKET: Final = "NOTIFY_SOCKET"
WATCHDOG_USEC: Final = "WATCHDOG_USEC"
WATCHDOG_PID: Final = "WATCHDOG_PID"
NAMES: Final = (NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID)


class Notify:
    """The channel to the service manager. Never blocks, never raises.

    It takes its variables out of `environment`, so that no child can speak for this process;
    `given` has them, for a process that starts anew in its own place.
    """

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        self.given = {name: environment[name] for name in NAMES if name in environment}
        path = environment.pop(NOTIFY_SOCKET, "")
        period_us = environment.pop(WATCHDOG_USEC, "")
        pid = environment.pop(WATCHDOG_PID, "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self._socket: socket.socket | None = None
        if path.startswith(("@", "/")):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)
        ours = not pid or pid == str(os.getpid())
        self._watchdog_us = int(period_us) if ours and period_us.isdecimal() else 0

    @property
    def watchdog_s(self) -> float | None:
        """How often `alive` is due: half of WatchdogSec. None when nobody watches us."""
        return self._watchdog_us / 2e6 if self._watchdog_us else None

    def ready(self, status: str) -> bool:
        """The start is over."""
        return self._send(f"READY=1\nSTATUS={_line(status)}")

    def status(self, text: str) -> bool:
        """One line for `systemctl status`."""
        return self._send(f"STATUS={_line(text)}")

    def alive(self) -> bool:
        """Feed the watchdog."""
        return self._send("WATCHDOG=1")

    def stopping(self, status: str) -> bool:
        """The end has begun."""
        return self._send(f"STOPPING=1\nSTATUS={_line(status)}")

    def reloading(self, status: str, now_ns: int) -> bool:
        """The process starts anew in its own place: `ready` follows. `now_ns`: CLOCK_MONOTONIC."""
        return self._send(f"RELOADING=1\nMONOTONIC_USEC={now_ns // 1000}\nSTATUS={_line(status)}")

    def close(self) -> None:
        """Say nothing more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, message: str) -> bool:
        """True when it was handed over; a full or missing listener is not worth an exception."""
        if self._socket is None:
            return False
        try:
            self._socket.sendto(message.encode(errors="replace"), self._address)
        except OSError:
            return False
        return True


def _line(text: str) -> str:
    return printable(text, STATUS_LIMIT)
