"""Any Modbus device that can be told as a table of registers.

The table is a TOML file beside this module; adding a meter needs no Python. `table` reads it,
`block` plans the requests, `conversation` explains recorded ones; here is the device itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from drivers.meters.block import Block, block, plan, runs
from drivers.meters.conversation import explain
from drivers.meters.table import Register, RegisterMap, load, parse, tables
from edge.core import Bad, BusError, DataError, ModbusBus, Point, Reason, Sample

__all__ = ["ModbusDevice", "Register", "RegisterMap", "explain", "load", "parse", "tables"]


@dataclass(slots=True)
class ModbusDevice:
    """A `Polled` device that interprets a register map. `unit` is its address on the bus.

    A block that fails is bad for its own points, as long as another block answers. Registers
    that the device does not have are found once, and left alone until it is opened again.
    """

    bus: ModbusBus
    map: RegisterMap
    unit: int = 1
    points: Sequence[Point] = field(init=False)
    _blocks: list[Block] = field(init=False, repr=False)
    _refused: set[int] = field(init=False, repr=False, default_factory=set)
    # it has refused everything: until it answers something, no block is taken apart again
    _stranger: bool = field(init=False, repr=False, default=False)

    def __post_init__(self) -> None:
        self.points = tuple(register.point for register in self.map.registers)
        self._blocks = plan(self.map)

    async def open(self) -> None:
        """Nothing on the wire; what an earlier device refused is asked for again."""
        self._blocks = plan(self.map)
        self._refused.clear()
        self._stranger = False

    async def read(self) -> tuple[Sample, ...]:
        """All points. Raises BusError when nobody is there, DataError when nothing was usable."""
        samples: list[Sample] = [Bad(Reason.SILENT)] * len(self.points)
        for place in self._refused:
            samples[place] = Bad(Reason.ADDRESS)
        answered = False
        error: BusError | DataError | None = None
        for one in tuple(self._blocks):
            try:
                got = await self._block(one)
            except BusError as silence:
                # it will not answer the rest either: the line belongs to its neighbours
                if not answered:
                    raise
                error = silence
                break
            except DataError as damage:
                error = error or damage
                got = (Bad(damage.reason),) * len(one.places)
            else:
                answered = True
            for place, sample in zip(one.places, got, strict=True):
                samples[place] = sample
        if answered:
            self._stranger = False
        elif error is not None:
            if (
                not self._blocks
            ):  # it refused all: another kind of meter, or one that will be changed
                await self.open()
                self._stranger = True
            raise error
        return tuple(samples)

    async def close(self) -> None:
        """Nothing to release: the bus belongs to all."""

    async def _block(self, one: Block) -> tuple[Sample, ...]:
        try:
            data = await self._ask(one)
        except DataError as error:
            if error.reason is not Reason.ADDRESS or self._stranger:
                raise
            return await self._split(one, error)
        return one.decode(data)

    async def _ask(self, one: Block) -> bytes:
        return await self.bus.read_registers(self.unit, self.map.function, one.address, one.count)

    async def _split(self, one: Block, error: DataError) -> tuple[Sample, ...]:
        """Ask for each point of a refused block alone, and remember which ones are there."""
        samples: list[Sample] = []
        refused: list[int] = []
        for place in one.places:
            try:
                if len(one.places) == 1:  # it has just been asked alone
                    raise error
                alone = block(self.map, [place])
                samples += alone.decode(await self._ask(alone))
            except DataError as damage:
                samples.append(Bad(damage.reason))
                if damage.reason is Reason.ADDRESS:
                    refused.append(place)
        there = [place for place in one.places if place not in refused]
        self._refused.update(refused)
        if refused or not one.dense:
            parts = runs(self.map, there)
        else:  # the device takes exception to the length, not to a register
            parts = [block(self.map, [place]) for place in there]
        at = self._blocks.index(one)
        self._blocks[at : at + 1] = parts
        if not there:
            raise error
        return tuple(samples)
