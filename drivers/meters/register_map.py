"""Any Modbus device that can be told as a table of registers.

The table is a TOML file beside this module; adding a meter needs no Python. `table` reads it,
`block` plans the requests, `known` what is left of them, `settle` applies ratios, `conversation`
explains recorded requests; here is the device itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from drivers.meters import metervalues
from drivers.meters.conversation import explain
from drivers.meters.mapfile import MAX_AMPS, list_maps, load_register_map, parse_register_map
from drivers.meters.refusals import KnownRefusals
from drivers.meters.registerblock import RegisterBlock, make_block
from drivers.meters.registermodel import POSITIVE, Register, RegisterMap
from edge.core import (
    AmbiguousAnswerError,
    Bad,
    BusError,
    Condition,
    DataError,
    ModbusBus,
    Point,
    Reason,
    Sample,
    StaleAnswer,
    TooLongError,
    mark_stale,
)
from edge.core.driver import Option

__all__ = [
    "ModbusDevice",
    "Register",
    "RegisterMap",
    "explain",
    "list_maps",
    "load_register_map",
    "options",
    "parse_register_map",
]  # fmt: skip

AGAIN: Final = 100  # readings after which the serial number is asked for again
TRIES: Final = 3  # readings in a row in which it may be busy or damaged; then it has time


def options(table: RegisterMap | None) -> dict[str, Option]:
    """What a configuration may say to this meter beside its bus.

    None is a table with mistakes: what any may be told, for it is the table that is wrong.
    """
    found = {"unit": Option(int, low=1, high=247, text="its address on the bus")}
    if table is None or table.amps:
        found["amps"] = Option(
            float,
            float(table.amps) if table else 1.0,
            low=1,
            high=MAX_AMPS,
            text="the rated current (with current transformers: the primary current): sets the"
            " ranges of currents, powers and energies, and does not change values",
        )
    found["positive"] = Option(
        str,
        "import",
        choices=POSITIVE,
        text='which way the meter counts as positive; with "export" power and reactive power'
        " change their sign, so that import is positive everywhere",
    )
    return found


@dataclass(slots=True)
class ModbusDevice:
    """A `Polled` and `SelfReporting` device that interprets a register map; `unit` is its address.

    A block that fails is bad for its own points, as long as another block answers. One that is
    refused is halved: registers that the device does not have, and how many it gives at once, are
    found out, and remembered until it is opened again. Its
    serial number is asked for with the first reading that it answers, so that a silent device
    costs the line no second time-out. `amps` 0 is what the table says.
    """

    bus: ModbusBus
    map: RegisterMap
    unit: int = 1
    amps: float = 0.0
    positive: str = "import"
    points: Sequence[Point] = field(init=False)
    identity: str = field(init=False, default="")
    health: Mapping[Condition, str] = field(init=False, default_factory=dict)
    _cells: int = field(init=False, repr=False)
    _plain: bool = field(init=False, repr=False)  # neither ratios nor conditions
    _blocks: list[RegisterBlock] = field(init=False, repr=False)
    _known: KnownRefusals = field(init=False, repr=False)
    # it has refused everything: until it answers something, no block is taken apart again
    _stranger: bool = field(init=False, repr=False, default=False)
    _until_asked: int = field(init=False, repr=False, default=0)  # readings; -1: never again
    _tries: int = field(init=False, repr=False, default=0)

    def __post_init__(self) -> None:
        table = self.map.rated(self.amps) if self.amps else self.map
        self.map = table = table.counting(self.positive)
        self.points = tuple(register.point for register in table.registers)
        self._cells = len(table.cells)
        self._plain = not table.ratios and not table.signs
        self._fresh()

    @property
    def request_sizes(self) -> tuple[int, ...]:
        """Registers of each request of one reading."""
        return tuple(block.count for block in self._blocks)

    def _fresh(self) -> None:
        """Nothing is known of what is on the wire."""
        self._known = KnownRefusals(self.map)
        self._blocks = self._known.plan()
        self._stranger = False
        self._until_asked, self._tries = 0 if self.map.identity else -1, 0

    async def open(self) -> None:
        """Nothing on the wire; what an earlier device refused is asked for again."""
        self._fresh()
        self.identity, self.health = "", {}

    async def read(self) -> tuple[Sample, ...]:
        """All points. Raises BusError when nobody is there, DataError when nothing was usable."""
        samples: list[Sample] = [Bad(Reason.SILENT)] * self._cells
        for place, reason in self._known.refused.items():
            samples[place] = Bad(reason)
        answered, refusals = False, self._known.refusals
        error: BusError | DataError | None = None
        for one in self._blocks:
            try:
                got = await self._block(one)
            except AmbiguousAnswerError as owed:  # others of its blocks have other lengths
                error = error or owed
                got = (Bad(owed.reason),) * len(one.places)
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
        sound = error is None and self._known.refusals == refusals
        if self._known.settle(sound):
            self._blocks = self._known.plan()
        if answered:
            self._stranger = False
            if self._until_asked >= 0 and not isinstance(error, BusError):
                await self._identify()
        elif error is not None:
            if not self._blocks:  # it refused all: another kind of meter, or one to be changed
                self._fresh()
                self._stranger = True
            raise error
        return tuple(samples) if self._plain else self._settled(samples)

    async def close(self) -> None:
        """Nothing to release: the bus belongs to all."""

    def _settled(self, samples: list[Sample]) -> tuple[Sample, ...]:
        self.health = metervalues.meter_conditions(self.map, samples)
        found = metervalues.point_samples(self.map, samples)
        return tuple(sample for sample in found if sample is not None)

    async def _identify(self) -> None:
        """Ask for the serial number, if it is time to. Without it the meter is as good."""
        where = self.map.identity
        if where is None or self._until_asked > 0:
            self._until_asked -= 1
            return
        try:
            data = await self.bus.read_registers(
                self.unit, where.function, where.address, where.words
            )
        except AmbiguousAnswerError:
            return  # it was not asked
        except BusError:
            self._until_asked = -1  # it answers all but this: that would be a time-out each time
        except DataError as error:
            self._tries += 1
            if error.reason not in (Reason.BUSY, Reason.CRC):
                self._until_asked = -1  # it has none
            elif self._tries >= TRIES:
                self._until_asked, self._tries = AGAIN - 1, 0
        else:
            self.identity = metervalues.meter_serial(where, self.map.words, data)
            self._until_asked, self._tries = AGAIN - 1, 0

    async def _block(self, block: RegisterBlock) -> Sequence[Sample]:
        """Its samples. Raises DataError when there is not one answer in it."""
        known = self._known
        try:
            data = await self.bus.read_registers(
                self.unit, block.function, block.address, block.count
            )
        except AmbiguousAnswerError:
            raise
        except BusError:
            if block.padding is None:
                raise
            known.bare(block, too_long=False)  # some say nothing where others refuse
            return await self._block(make_block(self.map, block.places))
        except DataError as error:
            known.refusals += 1
            too_long = isinstance(error, TooLongError)
            if self._stranger or not (too_long or error.reason is Reason.ADDRESS):
                raise
            if block.padding is not None:
                known.bare(block, too_long)
                return await self._block(make_block(self.map, block.places))
            if len(block.places) == 1:
                known.gone(block, error.reason)
                raise
            if too_long:
                known.limited(block)
            return await self._halves(block, too_long)
        samples = block.decode(data)
        if isinstance(data, StaleAnswer):
            samples = mark_stale(samples)
        known.answered(block)
        return samples

    async def _halves(self, block: RegisterBlock, too_long: bool) -> Sequence[Sample]:
        """A block that was refused, by two requests, and where one of them is refused by more."""
        half, refusals = len(block.places) // 2, self._known.refusals
        left, right = (
            make_block(self.map, at) for at in (block.places[:half], block.places[half:])
        )
        samples: list[Sample] = []
        errors: list[DataError] = []
        for part in (left, right):
            try:
                samples += await self._block(part)
            except DataError as error:
                errors.append(error)
                samples += [Bad(error.reason)] * len(part.places)
        if len(errors) == 2:
            raise errors[0]
        if not errors and self._known.refusals == refusals:
            self._known.parted(left, right, too_long)
        return samples
