"""The speed that a pseudo-terminal is set to: a device hears only what is sent at its own.

A pseudo-terminal passes bytes at any speed, so a listener at the wrong one would understand
everything. It keeps no parity and no number of bits (Linux drivers/tty/pty.c, pty_set_termios).
"""

import random
import termios
from typing import Final

from edge.core.driver import BAUDS

CODES: Final = {getattr(termios, f"B{baud}"): baud for baud in BAUDS}
MOST: Final = 4  # bits run together: bytes that are heard for each that is said too slowly


def set_line_speed(fd: int, baud: int) -> None:
    """As whoever listens will find it. Raises termios.error."""
    code = next(code for code, known in CODES.items() if known == baud)
    settings = termios.tcgetattr(fd)
    settings[4] = settings[5] = code
    termios.tcsetattr(fd, termios.TCSANOW, settings)


def line_speed(fd: int) -> int:
    """What the other side has set; 0 for what no device here has."""
    return CODES.get(termios.tcgetattr(fd)[5], 0)


def garbled(data: bytes, said_at: int, heard_at: int, chance: random.Random) -> bytes:
    """What is heard at another speed than it is said at."""
    share = min(MOST, heard_at / said_at) if heard_at else 1.0
    return chance.randbytes(max(1, round(len(data) * share))) if data else b""
