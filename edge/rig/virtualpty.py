"""Pseudo-terminals in virtual time: what is written is there when the write returns.

The kernel moves bytes from one end to the other in a thread of its own, and how far it has come
when somebody reads is left to chance (Linux drivers/tty/tty_buffer.c, flush_to_ldisc). Who writes
in virtual time waits for it, for some microseconds of the real one.
"""

import fcntl
import os
import struct
import termios
import time
from typing import Final

from edge.rig.virtualtime import virtual_time

TIOCGPTN: Final = 0x80045430  # the number of a master's slave
PTMX: Final = os.makedev(5, 2)
SLAVES: Final = range(136, 144)  # majors of /dev/pts
LINE_BYTES: Final = 4095  # that an end keeps; what is beyond waits until somebody reads
PATIENCE_S: Final = 0.5
NUMBER: Final = struct.Struct("@i")
_write, _openpty, _now = os.write, os.openpty, time.perf_counter
_ends: Final[dict[int, tuple[int, int]]] = {}  # number -> master, slave


def openpty() -> tuple[int, int]:
    """As os.openpty; its ends are known from now on."""
    master, slave = _openpty()
    if virtual_time() is not None:
        _ends[_number(master, TIOCGPTN)] = master, slave
    return master, slave


def write(fd: int, data: bytes, /) -> int:
    """As os.write; to an end of a pseudo-terminal it returns when the other end has it."""
    if virtual_time() is None:
        return _write(fd, data)
    other = _other_end(fd)
    if other is None:
        return _write(fd, data)
    before = _number(other, termios.FIONREAD)
    count = _write(fd, data)
    wanted, until_s = min(before + count, LINE_BYTES), _now() + PATIENCE_S
    while _number(other, termios.FIONREAD) < wanted and _now() < until_s:
        os.sched_yield()
    return count


def _other_end(fd: int) -> int | None:
    """None for what is no end of a pseudo-terminal that was opened here."""
    device = os.fstat(fd).st_rdev
    if device == PTMX:
        ends = _ends.get(_number(fd, TIOCGPTN))
        return None if ends is None else ends[1]
    if os.major(device) in SLAVES:
        ends = _ends.get(os.minor(device))
        return None if ends is None else ends[0]
    return None


def _number(fd: int, request: int) -> int:
    found: int = NUMBER.unpack(fcntl.ioctl(fd, request, bytes(NUMBER.size)))[0]
    return found
