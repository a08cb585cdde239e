"""pymodbus's server as a meter: an independent opinion of what is right on the wire."""

import asyncio
import logging
import struct
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from drivers.meters.register_map import RegisterMap

logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # it reports what the tests provoke


def device(table: RegisterMap, values: dict[str, float], unit: int) -> SimDevice:
    """The registers of a table (32-bit floats, high word first), zero between them."""
    words = image(table, values)
    first, last = min(words), max(words)
    block = [words.get(at, 0) for at in range(first, last + 1)]
    return SimDevice(unit, [SimData(first, values=block, datatype=DataType.REGISTERS)])


def living(table: RegisterMap, values: Callable[[], dict[str, float]], unit: int) -> SimDevice:
    """The same with values that change: they are looked up at each request."""

    async def refresh(
        _function: int, first: int, _at: int, _count: int, registers: list[int], _set: object
    ) -> None:
        for address, word in image(table, values()).items():
            registers[address - first] = word

    still = device(table, values(), unit)
    return SimDevice(unit, still.simdata, action=refresh)


def image(table: RegisterMap, values: dict[str, float]) -> dict[int, int]:
    """Address -> word."""
    words: dict[int, int] = {}
    for register in table.registers:
        pair = struct.unpack(">HH", struct.pack(">f", values[register.point.key]))
        words[register.address], words[register.address + 1] = pair
    return words


class Peer:
    """A pymodbus server on a loop in a thread of its own. `with Peer(make): ...`"""

    def __init__(self, make: Callable[[], ModbusTcpServer | ModbusSerialServer]) -> None:
        self._make = make
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> "Peer":
        self._thread.start()
        self._call(self._start)
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._server.shutdown)
        self._call(lambda: asyncio.sleep(0))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    @property
    def port(self) -> int:
        """The port of a TCP server that was given port 0."""
        listening: Any = self._server.transport  # an asyncio.Server, whatever its annotation says
        return int(listening.sockets[0].getsockname()[1])

    async def _start(self) -> None:
        self._server = self._make()
        await self._server.serve_forever(background=True)

    def _call(self, make: Callable[[], Awaitable[object]]) -> None:
        async def run() -> None:
            await make()

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(5)
