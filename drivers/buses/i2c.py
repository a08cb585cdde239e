"""One I2C bus through i2c-dev and smbus2: transfers in, bytes or an error that says what to do out.

It blocks in the kernel for as long as a transfer takes, and therefore belongs to its bus's thread.
"""

import asyncio
import errno
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import smbus2.smbus2
from smbus2 import I2cFunc, SMBus, i2c_msg

from drivers.buses.finding import Finding, fault
from drivers.buses.forceclose import force_close
from drivers.buses.host import find_holder, look_up_node
from drivers.buses.i2c_remote import SIM, RemoteSMBus
from drivers.buses.i2c_trouble import (
    NACKS,
    errno_reason,
    host_facts,
    host_findings,
    opening_trouble,
    transfer_trouble,
    walk_findings,
)
from edge.core import BusError
from edge.core.frametap import Direction, FrameTap

I2C_M_RD: Final = 0x0001  # of a message: it is read
I2C_RETRIES: Final = 0x0701  # of i2c-dev; smbus2 has no names for these two
I2C_TIMEOUT: Final = 0x0702
TIMEOUT_10MS: Final = 25  # a stuck bus costs 0.25 s a transfer, twice that where both parts wait
RETRIES: Final = 1  # after a lost arbitration, in the kernel
ADDRESSES: Final = range(0x08, 0x78)  # the others are reserved

# who does not answer, and what a busy or stuck line says; the descriptor is as good as it was
DEVICE_ERRORS: Final = frozenset(
    {errno.ENXIO, errno.EREMOTEIO, errno.ETIMEDOUT, errno.EAGAIN, errno.EBUSY}
)


class SmbusI2c:
    """A bus as an `I2cBus`. `path` is /dev/i2c-N, or sim: and the socket of a simulator.

    Opened when it is first needed, and again after an error of the adapter itself.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._bus: SMBus | None = None
        self._heard: set[int] = set()  # who has ever answered
        self._abandoned = False
        self.tap: FrameTap | None = None  # somebody looks at the bytes

    async def transfer(
        self, address: int, write: bytes = b"", read: int = 0, wait_s: float = 0.0
    ) -> bytes:
        """Write, then read. Without `wait_s` it is one transfer with a repeated start.

        With `wait_s` (seconds) write and read are two transfers with the wait between; with
        nothing to read the wait follows the write. Raises BusError.
        """
        answer = [i2c_msg.read(address, read)] if read else []
        if wait_s <= 0 or not (write or answer):
            self._send(address, [i2c_msg.write(address, write), *answer] if write else answer)
        else:
            if write:
                self._send(address, [i2c_msg.write(address, write)])
            await asyncio.sleep(wait_s)
            self._send(address, answer)
        return b"".join(bytes(message) for message in answer)

    async def probe(self, address: int) -> bool:
        """Whether somebody acknowledges at this address. It reads one byte and writes nothing.

        A chip that acknowledges no read before a command (Sensirion's do not) is not seen: it
        has to be asked in its own language. Raises BusError when it is the bus that fails.
        """
        if address not in ADDRESSES:
            raise ValueError(f"0x{address:02x} is reserved: 0x08 to 0x77 are addresses of devices")
        try:
            self._send(address, [i2c_msg.read(address, 1)])
        except BusError as error:
            cause = error.__cause__
            if isinstance(cause, OSError) and cause.errno in NACKS and self._bus is not None:
                return False
            raise
        return True

    async def diagnose(self, silent: Mapping[str, Sequence[int]]) -> list[Finding]:
        """What is wrong with this bus, or keeps the `silent` devices from answering their drivers.

        Each is a name with its address first, then the others that its kind can have. It writes
        nothing, and stops where the bus is stuck.
        """
        findings: list[Finding] = []
        if not self.path.startswith(SIM):
            found = look_up_node(self.path)
            findings = host_findings(found, *host_facts(), find_holder(found.path))
            if any(one.severity == "fault" for one in findings):
                return findings
        heard = self._heard.difference(first for first, *_ in silent.values())
        try:
            for address in ADDRESSES:
                if address not in heard and await self.probe(address):
                    heard.add(address)
                await asyncio.sleep(0)
        except BusError as error:
            return [*findings, fault(str(error))]
        return findings + walk_findings(self.path, heard, silent)

    def close(self) -> None:
        """Give the bus back. Always safe; the next transfer opens it again."""
        opened, self._bus = self._bus, None
        if opened is not None:
            with suppress(OSError):  # the adapter may be gone, and with it what was open
                opened.close()

    def abandon(self) -> None:
        """Give the bus up for ever, though a thread may hang in it. From any thread; no waiting."""
        self._abandoned = True
        opened, self._bus = self._bus, None
        if opened is not None and opened.fd is not None:
            force_close(opened.fd, opened)

    def _send(self, address: int, messages: list[i2c_msg]) -> None:
        if not messages:
            return
        bus = self._opened()
        try:
            bus.i2c_rdwr(*messages)
        except OSError as error:
            if self.tap is not None:
                self._write_down("error", address, messages, error.strerror or str(error))
            code = error.errno or errno.EIO
            if code not in DEVICE_ERRORS:
                self.close()
            text = transfer_trouble(self.path, address, error, self._heard)
            raise BusError(text, errno_reason(code)) from error
        self._heard.add(address)
        if self.tap is not None:
            self._write_down("out", address, messages, "")

    def _write_down(
        self, way: Direction, address: int, messages: list[i2c_msg], trouble: str
    ) -> None:
        """Each message as it went; where one fails, what was to be written, and why."""
        note = f"0x{address:02x}{': ' if trouble else ''}{trouble}"
        for message in messages:
            read = bool(message.flags & I2C_M_RD)
            data = b"" if read and trouble else bytes(message)
            ours: Direction = "in" if read and not trouble else way
            if self.tap is not None and not self.tap.add(ours, data, time.monotonic_ns(), note):
                self.tap = None

    def _opened(self) -> SMBus:
        if self._bus is not None:
            return self._bus
        if self._abandoned:
            raise BusError(f"{self.path} was given up: a transfer on it did not return")
        bus = RemoteSMBus() if self.path.startswith(SIM) else SMBus()
        try:
            bus.open(self.path)
            _set_limits(bus)
        except OSError as error:
            bus.close()
            raise BusError(opening_trouble(self.path, error), errno_reason(error.errno)) from error
        if not bus.funcs & I2cFunc.I2C:
            bus.close()
            raise BusError(
                f"{self.path}: this adapter knows SMBus calls only (i2cdetect -F shows it);"
                " connect the sensor to an adapter that can do plain I2C"
            )
        if self._abandoned:  # meanwhile: another works on it now
            bus.close()
            raise BusError(f"{self.path} was given up: opening it took too long")
        self._bus = bus
        return bus


def _set_limits(bus: SMBus) -> None:
    """The kernel waits a second and more for a stuck bus; that is too long for the neighbours."""
    library: Any = smbus2.smbus2  # its stub does not know the name that smbus2 itself calls
    for request, value in ((I2C_TIMEOUT, TIMEOUT_10MS), (I2C_RETRIES, RETRIES)):
        try:
            library.ioctl(bus.fd, request, value)
        except OSError as error:
            if error.errno not in (errno.ENOTTY, errno.EINVAL, errno.EOPNOTSUPP):
                raise
            # an adapter that has no such limit is used as it is
