"""An I2C bus by Debian's umockdev: real ioctls of another process, answered by simulated chips.

    umockdev-wrapper /usr/bin/python3 -m tests.drivers.buses.mock_i2c CHIP,CHIP COMMAND ...

It needs the system's Python, which has umockdev's bindings, and runs COMMAND with /dev/i2c-1 in
its sight; at its end it tells what it was asked. Structures are followed through the pointers of
that process: i2c_rdwr_ioctl_data and i2c_msg as linux/i2c-dev.h and linux/i2c.h lay them out on
64 bits.
"""

import json
import struct
import subprocess
import sys
from typing import Any

import gi  # type: ignore[import-not-found]  # Debian has it, no index of wheels

gi.require_version("UMockdev", "1.0")
from gi.repository import (  # type: ignore[import-not-found]  # noqa: E402  after its version
    GLib,
    UMockdev,
)

from drivers.sim.i2c import (  # noqa: E402
    I2C_FUNCS,
    I2C_RDWR,
    I2cClient,
    I2cKernel,
    I2cMessage,
    make_chip,
)

DEVICE = "P: /devices/i2c-1\nN: i2c-1\nE: DEVNAME=/dev/i2c-1\nE: SUBSYSTEM=i2c-dev\n"
HELD = {"temperature": 20.0, "humidity": 50.0}
RDWR = struct.Struct("=QI4x")
MSG = struct.Struct("=HHH2xQ")


class Adapter(UMockdev.IoctlBase):  # type: ignore[misc]  # no types for it
    """What i2c-dev does with an ioctl."""

    def __init__(self, kernel: I2cKernel) -> None:
        super().__init__()
        self._kernel, self._client = kernel, I2cClient()

    def do_handle_ioctl(self, client: Any) -> bool:
        request, argument = client.get_request(), client.get_arg()
        if request == I2C_FUNCS:
            argument.resolve(0, 8).update(0, list(struct.pack("=Q", self._kernel.funcs)))
            result = 0
        elif request == I2C_RDWR:
            result = self._transfer(argument)
        else:  # a number, and no pointer
            value = int.from_bytes(bytes(argument.retrieve())[:8], sys.byteorder)
            result = self._kernel.set_value(request, value, self._client)
        client.complete(-1 if result < 0 else result, -min(result, 0))
        return True

    def _transfer(self, argument: Any) -> int:
        head = argument.resolve(0, RDWR.size)
        _, count = RDWR.unpack(bytes(head.retrieve()))
        table = head.resolve(0, count * MSG.size)
        messages, buffers = [], []
        for i in range(count):
            row = bytes(table.retrieve())[i * MSG.size : (i + 1) * MSG.size]
            address, flags, length, _ = MSG.unpack(row)
            buffer = table.resolve(i * MSG.size + 8, length)
            data = bytes(buffer.retrieve()) if length else b""
            messages.append(I2cMessage(address, flags, length, b"" if flags & 1 else data))
            buffers.append(buffer)
        result, answer = self._kernel.transfer(messages)
        for message, buffer in zip(messages, buffers, strict=True):
            if result >= 0 and message.reads:
                buffer.update(0, list(answer[: message.length]))
                answer = answer[message.length :]
        return result


def main() -> int:
    """Run the command; its exit code."""
    chips = dict(make_chip(name, HELD) for name in sys.argv[1].split(","))
    kernel = I2cKernel(chips)
    bed = UMockdev.Testbed.new()
    bed.add_from_string(DEVICE)
    bed.attach_ioctl("/dev/i2c-1", Adapter(kernel))
    loop = GLib.MainLoop()
    child = subprocess.Popen(sys.argv[2:])
    GLib.timeout_add(20, lambda: child.poll() is None or loop.quit() or False)
    GLib.timeout_add_seconds(30, child.kill)
    loop.run()
    limits = {"timeout_s": kernel.timeout_s, "retries": kernel.retries}
    print(json.dumps(limits | {"addresses": sorted({address for address, _, _ in kernel.log})}))
    return child.wait()


if __name__ == "__main__":
    sys.exit(main())
