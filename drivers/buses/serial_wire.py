"""One serial port as plain calls: opened exclusively, never a controlling terminal, reopened.

It blocks, with computed waits, and therefore belongs to its bus's thread. Bytes go straight
through the descriptor; pyserial sets the line up, which is the part that differs per system.
"""

import errno
import fcntl
import os
import select
import termios
import time
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Final, Self

import serial

from drivers.buses.forceclose import force_close
from drivers.buses.host import kernel_consoles, look_up_node, read_text
from drivers.buses.pseudoterminal import NotSimulatedError, hold_pty, is_pty
from drivers.buses.serial_trouble import COUNTERS, UartCounters, console_finding, not_opened
from edge.core import BusError
from edge.core.frametap import FrameTap

LIMIT: Final = 4096  # bytes kept while no frame is found; the oldest go first
TIOCGICOUNT: Final = 0x545D  # what the UART has counted; `termios` has no name for it
PARITY_BITS: Final = {"N": 0, "E": 1, "O": 1}


class SerialWire:
    """What a master is made of: open, write, read and drain one port.

    `port` may be any name the system knows, best one from /dev/serial/by-id: it is looked up each
    time the port is opened. `parity` is N, E or O, `bits` 7 or 8. Every call raises BusError when
    the device is not there, is not ours or has gone; the next call tries to open it again.
    """

    def __init__(
        self, port: str, baud: int = 9600, parity: str = "N", stop: int = 1, bits: int = 8
    ) -> None:
        self.port, self.baud, self.parity, self.stop, self.bits = port, baud, parity, stop, bits
        self._now_baud = baud
        self.char_ns = self._char_ns(baud)
        self._serial: serial.Serial | None = None
        self._fd = -1
        self._buffer = bytearray()
        self._heard_ns = 0  # when the last byte came
        self._sent_ns = 0  # when the last bit of ours leaves
        self._settled = True  # the last question had its answer, and nothing else was heard
        self._counts = False  # this UART counts what it cannot take
        self._mark = UartCounters()
        self._abandoned = False
        self.tap: FrameTap | None = None  # somebody looks at the bytes

    @classmethod
    def at(cls, port: str, settings: str) -> Self:
        """A port with settings as people write them, "2400 8E1". Raises ValueError for others."""
        baud, _, form = settings.partition(" ")
        if len(form) != 3 or form[0] not in "78" or form[1] not in PARITY_BITS:
            raise ValueError(f"{settings!r} is not of the form 9600 8N1")
        return cls(port, int(baud), form[1], int(form[2]), int(form[0]))

    @property
    def is_open(self) -> bool:
        return self._serial is not None

    @property
    def settings(self) -> str:
        """As people write them: 9600 8N1."""
        return f"{self.baud} {self.bits}{self.parity}{self.stop}"

    def open(self) -> bool:
        """Open the port unless it is open: whether it was opened now. Raises BusError."""
        if self._serial is not None:
            return False
        if self._abandoned:
            raise BusError(f"{self.port} was given up: a call to it did not return")
        pty = is_pty(self.port)
        try:
            with hold_pty(self.port) if pty else nullcontext(self.port) as node:
                opened = self._set_up(node, pty)
        except NotSimulatedError as error:
            raise BusError(str(error)) from error
        except (OSError, ValueError, termios.error) as error:  # SerialException is an OSError
            raise self._not_opened(error) from error
        try:
            if not pty:  # flock binds those who ask for it, this binds everybody but root
                fcntl.ioctl(opened.fileno(), termios.TIOCEXCL)
        except OSError as error:
            opened.close()
            raise self._not_opened(error) from error
        with suppress(ValueError, NotImplementedError):  # an FTDI's 16 ms become 1; few others can
            opened.set_low_latency_mode(True)
        if self._abandoned:  # meanwhile: another has this port now
            opened.close()
            raise BusError(f"{self.port} was given up: opening it took too long")
        self._serial, self._fd = opened, opened.fileno()
        self._now_baud, self.char_ns = self.baud, self._char_ns(self.baud)
        self._heard_ns, self._sent_ns, self._settled = 0, 0, True
        self._buffer.clear()
        self._counts, self._mark = True, UartCounters()
        self._mark = self.counters()
        return True

    def _set_up(self, node: str, pty: bool) -> serial.Serial:
        return serial.Serial(
            node,
            self.baud,
            # a pseudo-terminal has no parity bit, and refuses to be told of one
            parity="N" if pty else self.parity,
            bytesize=8 if pty else self.bits,
            stopbits=self.stop,
            timeout=0,
            exclusive=True,  # flock; O_NOCTTY is in every open of pyserial
        )

    def close(self) -> None:
        """Give the port back. Always safe."""
        opened, self._serial, self._fd = self._serial, None, -1
        self._buffer.clear()
        if opened is None:
            return
        with suppress(OSError):  # the device may be gone, and its lock with it
            fcntl.ioctl(opened.fileno(), termios.TIOCNXCL)
        with suppress(OSError):
            opened.close()

    def abandon(self) -> None:
        """Give the port up for ever, though a thread may hang in it. From any thread; no waiting.

        What the hung thread does with it when it comes back raises BusError.
        """
        self._abandoned = True
        opened, self._serial, fd, self._fd = self._serial, None, self._fd, -1
        if opened is not None and fd >= 0:
            # as long as the thread hangs the port stays open: the locks must go, for the next one
            force_close(fd, opened, _share, _unlock, _flush_output)

    def write(self, data: bytes) -> int:
        """Hand `data` to the wire. Returns when its last bit will have left (monotonic ns)."""
        self.open()
        if self._counts:
            self._mark = self.counters()
        start_ns = time.monotonic_ns()
        left = memoryview(data)
        until_ns = start_ns + 2 * len(data) * self.char_ns + 1_000_000_000
        while left:
            try:
                left = left[os.write(self._fd, left) :]
                continue
            except BlockingIOError:
                pass  # its buffer is full: wait until it drains
            except OSError as error:
                raise self._gone(error) from error
            rest_s = (until_ns - time.monotonic_ns()) / 1e9
            if rest_s <= 0 or not select.select([], [self._fd], [], rest_s)[1]:
                self.close()
                raise BusError(f"{self.port} takes no bytes; is flow control holding it?")
        self._sent_ns = max(start_ns, self._sent_ns) + len(data) * self.char_ns
        if self.tap is not None and not self.tap.add("out", data, start_ns):
            self.tap = None
        return self._sent_ns

    def read(self, until_ns: int) -> bytes:
        """Bytes as soon as there are any; b"" when there were none until `until_ns`."""
        self.open()
        rest_s = (until_ns - time.monotonic_ns()) / 1e9
        try:
            if not select.select([self._fd], [], [], max(0.0, rest_s))[0]:
                return b""
            data = os.read(self._fd, LIMIT)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._gone(error) from error
        if not data:  # readable, and nothing in it: the other end hung up
            raise self._gone(OSError(errno.EIO, "end of file"))
        self._heard_ns = time.monotonic_ns()
        if self.tap is not None and not self.tap.add("in", data, self._heard_ns):
            self.tap = None
        return data

    def drain(self) -> bytes:
        """Take what is waiting, wanted or not. Bounded: a flood does not hold the caller."""
        self.open()
        taken = bytes(self._buffer)
        self._buffer.clear()
        while len(taken) < 16 * LIMIT and (chunk := self.read(0)):
            taken += chunk
        return taken

    # --- what went wrong, for a person --------------------------------------------------------

    def _gone(self, error: OSError) -> BusError:
        self.close()
        return BusError(
            f"{self.port} vanished ({error.strerror or error}): unplugged, or its adapter has lost"
            " power; it is opened again once it is back"
        )

    def _not_opened(self, error: Exception) -> BusError:
        found = look_up_node(self.port)
        group = found.group if found.present and not found.usable else "dialout"
        return BusError(str(not_opened(self.port, self.settings, error, group)))

    def counters(self) -> UartCounters:
        """What the UART has counted so far; zeros where it does not count."""
        self.open()
        if not self._counts:
            return UartCounters()
        try:
            return UartCounters.parse(fcntl.ioctl(self._fd, TIOCGICOUNT, bytes(COUNTERS.size)))
        except OSError:  # a pseudo-terminal, and some adapters
            self._counts = False
            return UartCounters()

    def counted(self) -> UartCounters:
        """What it has counted since the last write, or since the port was opened."""
        return self.counters().since(self._mark)

    def console(self) -> str:
        """Says it when the kernel writes its messages to this port; "" when it does not."""
        return console_finding(
            look_up_node(self.port), kernel_consoles(read_text(Path("/proc/cmdline")))
        )

    def _char_ns(self, baud: int) -> int:
        """Start bit, data bits, parity, stop bits."""
        width = 1 + self.bits + PARITY_BITS[self.parity] + self.stop
        return width * 1_000_000_000 // baud


def _share(fd: int) -> None:
    fcntl.ioctl(fd, termios.TIOCNXCL)


def _unlock(fd: int) -> None:
    fcntl.flock(fd, fcntl.LOCK_UN)


def _flush_output(fd: int) -> None:
    """What waits to be sent would keep the last close waiting."""
    with suppress(termios.error):
        termios.tcflush(fd, termios.TCIOFLUSH)
