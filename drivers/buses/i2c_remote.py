"""smbus2 on a simulator: what it asks of the kernel goes through a Unix socket instead.

Only buses opened with a `sim:` path are touched: smbus2's ioctl is looked up by descriptor, and
those of real adapters go to the kernel as before.

On the socket: question `Ki`, version, request (an ioctl number of i2c-dev), length, body; answer
`Ki`, version, result (or minus an errno), length, body. Numbers are big-endian.
- 0x0705 functions: no body; 8 bytes come back
- 0x0701 0x0702 0x0703 0x0706 0x0708: one value of 8 bytes
- 0x0707 transfer: count (2 bytes), then each message: address, flags, length (2 bytes each) and,
  for a write, its bytes; what was read comes back, one after the other
- 0x0720 SMBus: direction, command (1 byte each), size (4), then the 34 bytes of the data union as
  it lies in memory, or none; the union comes back
"""

import ctypes
import errno
import os
import socket
import struct
from typing import Any, Final

import smbus2.smbus2
from smbus2 import SMBus

SIM: Final = "sim:"
MAGIC: Final = b"Ki"
VERSION: Final = 1
QUESTION: Final = struct.Struct(">2sBxII")
ANSWER: Final = struct.Struct(">2sBxiI")
MESSAGE: Final = struct.Struct(">HHH")
SMBUS: Final = struct.Struct(">BBI")
UNION: Final = 34
LIMIT: Final = 42 * 8192  # what i2c-dev takes at most in one transfer
ANSWER_S: Final = 2.0  # a simulator that says nothing for so long is as good as gone

I2C_FUNCS: Final = 0x0705
I2C_RDWR: Final = 0x0707
I2C_SMBUS: Final = 0x0720
VALUES: Final = frozenset({0x0701, 0x0702, 0x0703, 0x0706, 0x0708})
I2C_M_RD: Final = 0x0001


class RemoteSMBus(SMBus):
    """smbus2's own class, with another way of opening and closing."""

    def open(self, bus: int | str) -> None:
        """Connect to the simulator. Raises OSError as for a device that is not there."""
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        link.settimeout(ANSWER_S)
        try:
            link.connect(str(bus).removeprefix(SIM))
        except OSError:
            link.close()
            raise
        _install()
        self.fd = link.fileno()
        _LINKS[self.fd] = _Link(link)
        self.funcs = self._get_funcs()  # type: ignore[attr-defined]  # missing in its stub

    def close(self) -> None:
        """Disconnect. Always safe."""
        link = _LINKS.pop(self.fd, None) if self.fd is not None else None
        self.fd = None  # so that nobody closes it a second time
        super().close()
        if link is not None:
            link.close()


class _Link:
    """One connection. Raises OSError with the errno that the simulated kernel gave."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link

    def close(self) -> None:
        self._link.close()

    def ioctl(self, request: int, argument: Any) -> int:
        """What the kernel would do; smbus2's structures are read through their pointers."""
        match request:
            case _ if request in VALUES:
                return self._ask(request, int(argument).to_bytes(8))[0]
            case _ if request == I2C_FUNCS:
                result, body = self._ask(request, b"")
                argument.value = int.from_bytes(body)
                return result
            case _ if request == I2C_RDWR:
                return self._transfer(argument)
            case _ if request == I2C_SMBUS:
                return self._smbus(argument)
        raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))

    def _transfer(self, argument: Any) -> int:
        messages = [argument.msgs[i] for i in range(argument.nmsgs)]
        parts = [len(messages).to_bytes(2)]
        for message in messages:
            parts.append(MESSAGE.pack(message.addr, message.flags, message.len))
            if not message.flags & I2C_M_RD:
                parts.append(ctypes.string_at(message.buf, message.len))
        result, body = self._ask(I2C_RDWR, b"".join(parts))
        reads = [message for message in messages if message.flags & I2C_M_RD]
        if len(body) != sum(message.len for message in reads):
            raise OSError(errno.EPROTO, "the simulator answered with another length")
        at = 0
        for message in reads:
            ctypes.memmove(message.buf, body[at : at + message.len], message.len)
            at += message.len
        return result

    def _smbus(self, argument: Any) -> int:
        union = argument.data.contents if argument.data else None
        body = SMBUS.pack(argument.read_write, argument.command, argument.size)
        if union is not None:
            body += ctypes.string_at(ctypes.addressof(union), UNION)
        result, answer = self._ask(I2C_SMBUS, body)
        if union is not None and len(answer) == UNION:
            ctypes.memmove(ctypes.addressof(union), answer, UNION)
        return result

    def _ask(self, request: int, body: bytes) -> tuple[int, bytes]:
        try:
            self._link.sendall(QUESTION.pack(MAGIC, VERSION, request, len(body)) + body)
            magic, version, result, length = ANSWER.unpack(self._take(ANSWER.size))
            if (magic, version) != (MAGIC, VERSION) or length > LIMIT:
                raise OSError(errno.EPROTO, f"no simulator of this protocol (version {VERSION})")
            answer = self._take(length)
        except TimeoutError as error:  # of the socket; not to be taken for that of a stuck bus
            raise OSError(errno.ENODEV, "the simulator does not answer") from error
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        return result, answer

    def _take(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self._link.recv(count - len(data))
            if not part:
                raise OSError(errno.ENODEV, "the simulator has gone")
            data += part
        return data


_LINKS: Final[dict[int, _Link]] = {}
_LIBRARY: Final[Any] = smbus2.smbus2  # its stub does not know `ioctl`, the name it calls


def _install() -> None:
    """Put the look-up by descriptor before whatever smbus2 calls now, unless it is there."""
    kernel = _LIBRARY.ioctl
    if getattr(kernel, "by_descriptor", False):
        return

    def ioctl(fd: int, request: int, argument: Any = 0) -> Any:
        link = _LINKS.get(fd)
        return kernel(fd, request, argument) if link is None else link.ioctl(request, argument)

    ioctl.by_descriptor = True  # type: ignore[attr-defined]
    _LIBRARY.ioctl = ioctl
