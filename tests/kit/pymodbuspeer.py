"""pymodbus's server as a meter: an independent opinion of what is right on the wire.

What is in the registers is packed by pymodbus's own encoders, from a list of rows: where a value
is, of which type, in which order its words are.

    meter = strict(1, [PeerValue(0, "f32", 4, 230.5)], "big")
    with Peer(lambda: ModbusTcpServer([meter], address=("127.0.0.1", 0))) as peer:
        bus = ModbusTcp("127.0.0.1", peer.port)
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pymodbus.client.mixin import ModbusClientMixin
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from drivers.meters.register_map import RegisterMap

logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # it reports what the tests provoke
KINDS: Mapping[str, ModbusClientMixin.DATATYPE] = {
    "u16": ModbusClientMixin.DATATYPE.UINT16,
    "i16": ModbusClientMixin.DATATYPE.INT16,
    "u32": ModbusClientMixin.DATATYPE.UINT32,
    "i32": ModbusClientMixin.DATATYPE.INT32,
    "f32": ModbusClientMixin.DATATYPE.FLOAT32,
    "u64": ModbusClientMixin.DATATYPE.UINT64,
    "i64": ModbusClientMixin.DATATYPE.INT64,
    "f64": ModbusClientMixin.DATATYPE.FLOAT64,
    "text": ModbusClientMixin.DATATYPE.STRING,
}
Gaps = Literal["zero", "refuse"]


@dataclass(frozen=True, slots=True)
class PeerValue:
    """A value in registers: `raw` is what is packed, a text or a number."""

    address: int
    type: str
    function: int
    raw: float | str


def encoded(row: PeerValue, words: Literal["big", "little"]) -> list[int]:
    """Its registers, packed by pymodbus."""
    raw = row.raw if row.type[0] in "ft" else int(row.raw)
    order = "big" if row.type == "text" else words
    return ModbusClientMixin.convert_to_registers(raw, KINDS[row.type], order)


def strict(
    unit: int,
    rows: Iterable[PeerValue],
    words: Literal["big", "little"],
    limit: int = 125,
    gaps: Gaps = "zero",
) -> SimDevice:
    """A meter with these rows, each function with registers of its own.

    Between them are zeros, or nothing that it would give: see `gaps`. Nor does it give more than
    `limit` registers at once.
    """
    holding: dict[int, int] = {}
    inputs: dict[int, int] = {}
    for row in rows:
        for at, word in enumerate(encoded(row, words), row.address):
            (holding if row.function == 3 else inputs)[at] = word

    async def limited(
        _function: int, _first: int, _at: int, count: int, _registers: list[int], _set: object
    ) -> ExcCodes | None:
        return ExcCodes.ILLEGAL_VALUE if count > limit else None

    bits = [SimData(0, values=False, datatype=DataType.BITS)]
    near = 256 if gaps == "zero" else 0
    blocks = (bits, bits, _blocks(holding, near), _blocks(inputs, near))
    return SimDevice(unit, blocks, action=limited)


def _blocks(words: Mapping[int, int], near: int) -> list[SimData]:
    """Zeros between values that are so near to each other: what lies further is refused."""
    found: list[SimData] = []
    start = end = min(words, default=0)
    block: list[int] = []
    for at in sorted(words or {0: 0}):
        if at - end > near:
            found.append(SimData(start, values=block, datatype=DataType.REGISTERS))
            start, block = at, []
        block = [*block, *[0] * (at - start - len(block)), words.get(at, 0)]
        end = at + 1
    return [*found, SimData(start, values=block, datatype=DataType.REGISTERS)]


def device(table: RegisterMap, values: dict[str, float], unit: int) -> SimDevice:
    """The registers of a table with these values, zero between them."""
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
    order: Literal["big", "little"] = "little" if table.words == "little" else "big"
    for one in table.registers:
        row = PeerValue(one.address, one.type, table.asks(one), values[one.point.key] / one.scale)
        words |= dict(enumerate(encoded(row, order), one.address))
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
        self._thread.join(60)
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
