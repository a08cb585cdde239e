"""Puts a simulated bus under smbus2 in one process: smbus2 runs unchanged, its ioctl comes here.

Its structures are laid out in memory by ctypes and read here through the same pointers, as the
kernel does. The bus is an ordinary file, so opening and closing are real.
"""

import ctypes
import errno
import os
from pathlib import Path
from typing import Any, Protocol

from drivers.sim.i2c import (
    I2C_FUNCS,
    I2C_M_RD,
    I2C_RDWR,
    I2C_SMBUS,
    UNION,
    I2cClient,
    I2cKernel,
    I2cMessage,
)


class Patch(Protocol):
    """What we need of pytest's monkeypatch."""

    def setattr(self, target: str, name: object) -> None: ...


class Ioctl:
    """`ioctl` for one simulated bus at `path`; other descriptors are no I2C buses (ENOTTY)."""

    def __init__(self, kernel: I2cKernel, path: Path) -> None:
        self.kernel, self.path = kernel, path
        self._clients: dict[int, I2cClient] = {}

    def install(self, patch: Patch) -> str:
        """Replace the one name that smbus2 calls. Returns the path to open."""
        self.path.touch()
        patch.setattr("smbus2.smbus2.ioctl", self)
        return str(self.path)

    def __call__(self, fd: int, request: int, argument: Any = 0) -> int:
        if Path(f"/proc/self/fd/{fd}").readlink() != self.path:
            raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
        code = self._answer(fd, request, argument)
        if code < 0:
            raise OSError(-code, os.strerror(-code))
        return code

    def _answer(self, fd: int, request: int, argument: Any) -> int:
        client = self._clients.setdefault(fd, I2cClient())
        if request == I2C_FUNCS:
            argument.value = self.kernel.funcs
            return 0
        if request == I2C_RDWR:
            return self._transfer(argument)
        if request == I2C_SMBUS:
            return self._smbus(argument, client)
        return self.kernel.set_value(request, argument, client)

    def _transfer(self, argument: Any) -> int:
        found = [argument.msgs[i] for i in range(argument.nmsgs)]
        code, answer = self.kernel.transfer(
            [
                I2cMessage(
                    m.addr,
                    m.flags,
                    m.len,
                    b"" if m.flags & I2C_M_RD else ctypes.string_at(m.buf, m.len),
                )
                for m in found
            ]
        )
        at = 0
        for message in found if code >= 0 else ():
            if message.flags & I2C_M_RD:
                ctypes.memmove(message.buf, answer[at : at + message.len], message.len)
                at += message.len
        return code

    def _smbus(self, argument: Any, client: I2cClient) -> int:
        union = argument.data.contents if argument.data else None
        body = ctypes.string_at(ctypes.addressof(union), UNION) if union is not None else b""
        code, answer = self.kernel.smbus(
            client.slave, argument.read_write == 1, argument.command, argument.size, body
        )
        if union is not None and code >= 0:
            ctypes.memmove(ctypes.addressof(union), answer, UNION)
        return code
