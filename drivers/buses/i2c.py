"""One I2C bus through i2c-dev and smbus2: transfers in, bytes or an error that says what to do out.

It blocks in the kernel for as long as a transfer takes, and therefore belongs to its bus's thread.
"""

import asyncio
import errno
from contextlib import suppress
from typing import Any, Final

import smbus2.smbus2
from smbus2 import I2cFunc, SMBus, i2c_msg

from drivers.buses.i2c_remote import SIM, RemoteSMBus
from edge.core import BusError, Reason

I2C_RETRIES: Final = 0x0701  # of i2c-dev; smbus2 has no names for these two
I2C_TIMEOUT: Final = 0x0702
TIMEOUT_10MS: Final = 25  # a stuck bus costs 0.25 s a transfer, twice that where both parts wait
RETRIES: Final = 1  # after a lost arbitration, in the kernel

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

    def close(self) -> None:
        """Give the bus back. Always safe; the next transfer opens it again."""
        opened, self._bus = self._bus, None
        if opened is not None:
            with suppress(OSError):  # the adapter may be gone, and with it what was open
                opened.close()

    def _send(self, address: int, messages: list[i2c_msg]) -> None:
        if not messages:
            return
        bus = self._opened()
        try:
            bus.i2c_rdwr(*messages)
        except OSError as error:
            code = error.errno or errno.EIO
            if code not in DEVICE_ERRORS:
                self.close()
            raise BusError(transfer_trouble(self.path, address, error), reason(code)) from error

    def _opened(self) -> SMBus:
        if self._bus is not None:
            return self._bus
        bus = RemoteSMBus() if self.path.startswith(SIM) else SMBus()
        try:
            bus.open(self.path)
            _set_limits(bus)
        except OSError as error:
            bus.close()
            raise BusError(opening_trouble(self.path, error), reason(error.errno)) from error
        if not bus.funcs & I2cFunc.I2C:
            bus.close()
            raise BusError(
                f"{self.path}: this adapter knows SMBus calls only (i2cdetect -F shows it);"
                " connect the sensor to an adapter that can do plain I2C"
            )
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


def reason(code: int | None) -> Reason:
    """What an error number of the kernel means for the points."""
    return Reason.BUSY if code in (errno.EBUSY, errno.EAGAIN) else Reason.SILENT


def opening_trouble(path: str, error: OSError) -> str:
    """Why a bus could not be opened, and what to do."""
    if path.startswith(SIM):
        return f"{path}: no simulator there ({error.strerror or error}); start it first"
    match error.errno:
        case errno.ENOENT | errno.ENODEV | errno.ENXIO:
            return (
                f"{path} is not there: enable I2C (raspi-config, or dtparam=i2c_arm=on in"
                " config.txt) and load i2c-dev; ls /dev/i2c-* shows the buses"
            )
        case errno.EACCES | errno.EPERM:
            return (
                f"no permission for {path}: add the user to the group i2c"
                " (usermod -aG i2c USER) and start again"
            )
        case errno.EBUSY:
            return f"{path} is held by another program: end it"
        case errno.ENOTTY:
            return f"{path} is no I2C bus"
    return f"{path} cannot be opened: {error.strerror or error}"


def transfer_trouble(path: str, address: int, error: OSError) -> str:
    """Why a transfer failed, and what to do."""
    match error.errno:
        case errno.ENXIO | errno.EREMOTEIO:
            return (
                f"nobody answers at 0x{address:02x} on {path}: check wiring, supply and address"
                " (i2cdetect -y shows who is there)"
            )
        case errno.ETIMEDOUT:
            return (
                f"{path} is stuck: a device holds SCL or SDA low, or pull-ups are missing;"
                " switch the sensors off and on"
            )
        case errno.EAGAIN:
            return f"{path}: another master spoke at the same time, or noise on SDA"
        case errno.EBUSY:
            return f"{path} is busy: a kernel driver or another program uses 0x{address:02x}"
        case errno.EIO:
            return f"{path}: the transfer with 0x{address:02x} broke off: check wiring and length"
        case errno.EINVAL | errno.EOPNOTSUPP:
            return f"{path}: the adapter refuses this kind of transfer with 0x{address:02x}"
        case errno.ENODEV | errno.EBADF | errno.ESHUTDOWN | errno.EPIPE | errno.ECONNRESET:
            return f"{path} is gone: its adapter was unplugged or its driver removed"
    return f"{path}: transfer with 0x{address:02x} failed: {error.strerror or error}"
