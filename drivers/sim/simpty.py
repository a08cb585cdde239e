"""The pseudo-terminal on which a simulated device is: marked, so that nobody takes another for it.

A gateway that goes on asking when the simulation has ended must not write into the terminal of
somebody else that got its number: `edge/core/simulatedport.py`.
"""

import os
import termios
import tty
from pathlib import Path

from drivers.sim.linespeed import set_line_speed
from edge.core.simulatedport import LINK_TARGET, PTS, put_mark


def open_pty(baud: int = 0) -> tuple[int, int, str]:
    """Both ends and the name of a new one, raw; set to `baud` if that is given.

    The slave stays open with the master: no hang-up between users.
    """
    master, slave = os.openpty()
    tty.setraw(slave)
    if baud:
        set_line_speed(slave, baud)
    name = os.ttyname(slave)
    _mark(slave, name)
    return master, slave, name


def link_target(name: str, link: Path) -> str:
    """Mark the pseudo-terminal for a link that is its name from now on; gives the link's target."""
    fd = os.open(name, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        _mark(fd, str(link.parent.resolve() / link.name))
    finally:
        os.close(fd)
    return LINK_TARGET + name.removeprefix(PTS)


def _mark(fd: int, name: str) -> None:
    settings = termios.tcgetattr(fd)
    put_mark(settings[6], name)
    termios.tcsetattr(fd, termios.TCSANOW, settings)
