"""Opens a real serial port for a simulated device, with nothing but the standard library."""

import contextlib
import fcntl
import os
import termios
import tty
from collections.abc import Iterator
from typing import Final

from edge.core.driver import SerialLine

BITS: Final = {7: termios.CS7, 8: termios.CS8}
PARITY: Final = {"N": 0, "E": termios.PARENB, "O": termios.PARENB | termios.PARODD}


@contextlib.contextmanager
def open_serial(path: str, line: SerialLine) -> Iterator[int]:
    """A descriptor of the port, set as `line` says, for nobody else. Raises OSError, ValueError."""
    speed = getattr(termios, f"B{line.baud}", None)
    if speed is None:
        raise ValueError(f"{line.baud} baud is none that a port can be set to")
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            tty.setraw(fd)
            settings = termios.tcgetattr(fd)
            control = settings[2] & ~(
                termios.CSIZE | termios.PARENB | termios.PARODD | termios.CSTOPB | termios.CRTSCTS
            )
            control |= BITS[line.bits] | PARITY[line.parity] | termios.CREAD | termios.CLOCAL
            control |= termios.CSTOPB if line.stop == 2 else 0
            settings[2], settings[4], settings[5] = control, speed, speed
            termios.tcsetattr(fd, termios.TCSANOW, settings)
            termios.tcflush(fd, termios.TCIOFLUSH)
        except termios.error as error:  # it is no OSError
            raise OSError(*error.args) from error
        yield fd
    finally:
        os.close(fd)
