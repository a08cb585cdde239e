"""A meter behind a USB adapter that is pulled out and put back; says line by line how it goes.

    python3 -m tests.kernel.guest.unplugged by-id|by-path

It begins with the adapter in its port. The host pulls it at `it reads`, and puts it back at `it
is absent`.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import drivers
from drivers.buses.modbus import ModbusRtu
from drivers.buses.serial_port import SerialPort
from edge.core import BusError, DataError
from tests.kernel.guest.air import plain

FIND_S = 60.0


def named(kind: str) -> Path:
    """The name that udev gives the adapter. Raises TimeoutError."""
    end = time.monotonic() + FIND_S
    while time.monotonic() < end:
        for found in sorted(Path("/dev/serial").glob(f"{kind}/*usb*")):
            return found
        time.sleep(0.1)
    raise TimeoutError(f"udev has made no /dev/serial/{kind}")


class PortMeter:
    """One meter by a name of its port; remembers what went wrong."""

    def __init__(self, port: Path) -> None:
        self._bus = ModbusRtu(SerialPort(str(port), 9600, "N", 2), timeout_s=1.0)
        self._device: Any = drivers.build("sdm630", self._bus, {"unit": 1})
        self.troubles: list[str] = []

    async def reads(self) -> dict[str, Any] | None:
        """Its values; None when there are none."""
        try:
            samples = await self._device.read()
        except (BusError, DataError) as error:
            if self.troubles[-1:] != [str(error)]:
                self.troubles.append(str(error))
            return None
        points = self._device.points
        return {p.key: plain(s) for p, s in zip(points, samples, strict=True)}

    async def until(self, wanted: str, timeout_s: float = FIND_S) -> None:
        """Read until it fails in these words. Raises TimeoutError."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if await self.reads() is None and wanted in self.troubles[-1]:
                return
            await asyncio.sleep(0.1)
        raise TimeoutError(f"{wanted!r} is not among {self.troubles}")

    async def back(self) -> dict[str, Any]:
        """Read until there are values again, and none may be a copy. Raises TimeoutError."""
        end = time.monotonic() + FIND_S
        while time.monotonic() < end:
            if (found := await self.reads()) and not any(
                isinstance(v, str) for v in found.values()
            ):
                return found
            await asyncio.sleep(0.1)
        raise TimeoutError(f"it does not come back: {self.troubles}")


async def main(kind: str) -> None:
    """Before, during, after."""
    port = named(kind)
    before = os.path.realpath(port)
    # somebody else who does not let go of the old device: the next one gets another number
    holder = os.open(before, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    meter = PortMeter(port)
    first = await meter.back()
    start = len(meter.troubles)
    print("it reads", flush=True)
    await meter.until("vanished")
    await meter.until("is not there")
    print("it is absent", flush=True)
    last = await meter.back()
    os.close(holder)
    reported = {
        "port": str(port),
        "before": before,
        "after": os.path.realpath(port),
        "values": [first, last],
        "troubles": meter.troubles[start:],
    }
    print(json.dumps(reported))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
