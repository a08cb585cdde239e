"""Buses that remember what a driver wanted of them: so a diagnosis asks what the driver asks."""

import contextlib
from typing import Any

import drivers
from edge.config import Device
from edge.core import BusError, DataError, Framer, SerialBus

Question = tuple[int, int, int, int]
"""Unit, function, address, count."""


class SpySerialBus:
    """A serial bus that passes all on. `cut` is that of the last frame, unless it was `asked` for
    by any question, and `wait_s` how long it was waited for.
    """

    def __init__(self, bus: SerialBus) -> None:
        self._bus = bus
        self.cut: Framer | None = None
        self.asked = False
        self.wait_s = 0.0

    async def frame(
        self, cut: Framer, timeout_s: float, write: bytes = b"", newest: bool = False
    ) -> bytes:
        self.asked = self.asked or bool(write)
        self.cut, self.wait_s = (None if self.asked else cut), timeout_s
        return await self._bus.frame(cut, timeout_s, write, newest)

    async def send(self, data: bytes) -> None:
        self.asked = True
        await self._bus.send(data)

    async def speed(self, baud: int = 0) -> None:
        await self._bus.speed(baud)


class _FirstQuestionBus:
    """A Modbus line that ends at the first question."""

    asked: Question | None = None

    async def read_registers(self, unit: int, function: int, address: int, count: int) -> bytes:
        self.asked = self.asked or (unit, function, address, count)
        raise BusError("there is no wire")


async def first_question(device: Device) -> Question | None:
    """What a Modbus driver asks first. No wire is touched."""
    bus = _FirstQuestionBus()
    polled: Any = drivers.build(
        device.driver, bus, device.options, device.points or (), backwards=device.reversed
    )
    with contextlib.suppress(BusError, DataError):
        await polled.open()
        await polled.read()
    return bus.asked
