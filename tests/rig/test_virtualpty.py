"""Pseudo-terminals in virtual time: what was written is there, all of it, each time."""

import os
import termios
import threading
import tty

from edge.rig.virtualcalls import CALLS, replaced
from edge.rig.virtualpty import NUMBER
from edge.rig.virtualtime import VirtualTime


def waiting(fd: int) -> int:
    import fcntl

    found: int = NUMBER.unpack(fcntl.ioctl(fd, termios.FIONREAD, bytes(NUMBER.size)))[0]
    return found


def test_what_is_written_is_at_the_other_end_when_the_write_returns() -> None:
    world = VirtualTime(mono_ns=0, wall_ns=0, seed=1)
    with replaced(CALLS), world.conducted():
        master, slave = os.openpty()
        tty.setraw(slave)
        other = os.open(os.ttyname(slave), os.O_RDWR | os.O_NOCTTY)  # as whoever opens the port
        for size in [1, 2, 3, 300] * 500:
            os.write(master, b"x" * size)
            os.write(master, b"y")
            assert waiting(slave) == size + 1
            assert len(os.read(other, 1000)) == size + 1
            os.write(other, b"z" * size)
            assert waiting(master) == size
            assert len(os.read(master, 1000)) == size
        for fd in (other, master, slave):
            os.close(fd)


def test_a_line_that_nobody_reads_holds_nobody_up_for_ever() -> None:
    world = VirtualTime(mono_ns=0, wall_ns=0, seed=1)
    with replaced(CALLS), world.conducted():
        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        written = 0
        for _ in range(3):
            written += os.write(master, b"x" * 2000)
        assert waiting(slave) == 4095
        assert written == 6000
        os.close(master)
        os.close(slave)


def test_other_files_and_other_threads_write_as_ever() -> None:
    world = VirtualTime(mono_ns=0, wall_ns=0, seed=1)
    with replaced(CALLS):
        reading, writing = os.pipe()
        with world.conducted():
            assert os.write(writing, b"ours") == 4
        thread = threading.Thread(target=lambda: os.write(writing, b"theirs"))
        thread.start()
        thread.join()
        assert os.read(reading, 100) == b"ourstheirs"
        os.close(reading)
        os.close(writing)
