"""One serial port: opened when it is first needed, exclusively, and again after it vanished.

It blocks, with computed waits, and therefore belongs to its bus's thread. Bytes go straight
through the descriptor; pyserial sets the line up, which is the part that differs per system.
"""

import asyncio
import errno
import fcntl
import os
import select
import termios
import time
from contextlib import suppress
from typing import Final

import serial

from edge.core import BusError, Cut, DataError

LIMIT: Final = 4096  # bytes kept while no frame is found; the oldest go first
SLICE_NS: Final = 100_000_000  # `frame` lets its loop run this often while it waits
PARITY_BITS: Final = {"N": 0, "E": 1, "O": 1}


class SerialPort:
    """A port as a `SerialBus`, and the plain calls a Modbus master is made of.

    `port` may be any name the system knows, best one from /dev/serial/by-id. `parity` is N, E
    or O. Every call raises BusError when the device is not there, is not ours or has gone; the
    next call tries to open it again.
    """

    def __init__(self, port: str, baud: int = 9600, parity: str = "N", stop: int = 1) -> None:
        self.port, self.baud, self.parity, self.stop = port, baud, parity, stop
        # start bit, eight data bits, parity, stop bits
        self.char_ns = (9 + PARITY_BITS[parity] + stop) * 1_000_000_000 // baud
        self._serial: serial.Serial | None = None
        self._fd = -1
        self._buffer = bytearray()

    # --- SerialBus ----------------------------------------------------------------------------

    async def frame(
        self, cut: Cut, timeout_s: float, write: bytes = b"", newest: bool = False
    ) -> bytes:
        """Write, then read until `cut` finds a frame; `newest` takes the last of those waiting.

        Raises BusError on silence, DataError when bytes came but no frame among them.
        """
        self.open()
        if write:
            self.drain()  # what was said before the question cannot be its answer
            self.write(write)
        until_ns = time.monotonic_ns() + int(timeout_s * 1e9)
        last: bytes | None = None
        seen = len(self._buffer)
        while True:
            while (found := self._next(cut)) is not None:
                if not newest:
                    return found
                last = found
            now_ns = time.monotonic_ns()
            chunk = self.read(now_ns if last else min(until_ns, now_ns + SLICE_NS))
            seen += len(chunk)
            self._keep(chunk)
            if last is not None and (not chunk or now_ns >= until_ns):
                return last
            if last is None and not chunk and now_ns >= until_ns:
                break
            if last is None and now_ns >= until_ns + SLICE_NS:
                break  # a flood in which nothing is a frame
            await asyncio.sleep(0)
        if not seen:
            raise BusError(f"{self.port}: nothing came within {timeout_s:g} s")
        raise DataError(
            f"{self.port}: {seen} bytes came, and no whole frame among them;"
            f" is {self.baud} 8{self.parity}{self.stop} right?"
        )

    def _keep(self, chunk: bytes) -> None:
        self._buffer += chunk
        if len(self._buffer) > LIMIT:
            del self._buffer[: len(self._buffer) - LIMIT]

    def _next(self, cut: Cut) -> bytes | None:
        """The next frame in the buffer; what `cut` is done with goes out of it."""
        while self._buffer:
            frame, done = cut(bytes(self._buffer))
            if frame is not None:
                del self._buffer[: max(done, 1)]
                return frame
            if done <= 0:
                return None
            del self._buffer[:done]
        return None

    # --- what a master is made of -------------------------------------------------------------

    def open(self) -> bool:
        """Open the port unless it is open: whether it was opened now. Raises BusError."""
        if self._serial is not None:
            return False
        pty = is_pty(self.port)
        try:
            opened = serial.Serial(
                self.port,
                self.baud,
                # a pseudo-terminal has no parity bit, and refuses to be told of one
                parity="N" if pty else self.parity,
                stopbits=self.stop,
                timeout=0,
                exclusive=True,  # flock; O_NOCTTY is in every open of pyserial
            )
        except (OSError, ValueError, termios.error) as error:  # SerialException is an OSError
            raise BusError(self._why_not(error)) from error
        try:
            if not pty:  # flock binds those who ask for it, this binds everybody but root
                fcntl.ioctl(opened.fileno(), termios.TIOCEXCL)
        except OSError as error:
            opened.close()
            raise BusError(self._why_not(error)) from error
        self._serial, self._fd = opened, opened.fileno()
        self._buffer.clear()
        return True

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

    def write(self, data: bytes) -> int:
        """Hand `data` to the wire. Returns when its last bit will have left (monotonic ns)."""
        self.open()
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
        return start_ns + len(data) * self.char_ns

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

    def _why_not(self, error: Exception) -> str:
        code = getattr(error, "errno", None)
        if code in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
            return f"{self.port} is not there: plug the adapter in; /dev/serial/by-id has its name"
        if code in (errno.EACCES, errno.EPERM):
            return (
                f"no permission for {self.port}: add the user to the group dialout"
                " (usermod -aG dialout USER) and start again"
            )
        if code in (errno.EBUSY, errno.EAGAIN):
            return (
                f"{self.port} is in use by another program: end it, a line has one master"
                " (on a Raspberry Pi the login console may hold it)"
            )
        return f"{self.port} cannot be opened at {self.baud} 8{self.parity}{self.stop}: {error}"


def is_pty(port: str) -> bool:
    """Whether a name, or what its links lead to, is a pseudo-terminal."""
    return os.path.realpath(port).startswith("/dev/pts/")
