"""How a simulated serial port is told from somebody's terminal: by a mark in the terminal itself.

The kernel gives the numbers of pseudo-terminals out again: what was a simulation's `/dev/pts/7` may
be somebody's shell a minute later. So a simulation writes the name that it gives out for its port
into control characters that a serial line does not use. The mark goes when the terminal goes, also
when the simulation was killed; the next terminal of that number has none.
"""

import termios
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

PTS: Final = "/dev/pts/"
LINK_TARGET: Final = "/dev/pts/../pts/"
"""How the link of a simulation begins, so that it is told from one of another program (socat)."""

_PLACES: Final = (
    termios.VINTR, termios.VQUIT, termios.VERASE, termios.VKILL, termios.VEOF, termios.VSUSP,
    termios.VEOL, termios.VREPRINT, termios.VDISCARD, termios.VWERASE, termios.VLNEXT,
    termios.VEOL2,
)  # fmt: skip
_BEGIN: Final = b"KbSm"


def simulated_mark(name: str) -> bytes:
    """What stands in the terminal that was given out by this name."""
    return _BEGIN + sha256(name.encode("utf-8", "surrogateescape")).digest()[: len(_PLACES) - 4]


def put_mark(control: list[bytes | int], name: str) -> None:
    """Write it into the control characters of `termios.tcgetattr`."""
    for place, byte in zip(_PLACES, simulated_mark(name), strict=True):
        control[place] = bytes((byte,))


def find_mark(control: Sequence[bytes | int]) -> bytes:
    """The mark of any simulation; b"" for a terminal that is none's."""
    found = b"".join(one for place in _PLACES if isinstance(one := control[place], bytes))
    return found if found.startswith(_BEGIN) else b""
