"""Any meter with SunSpec models 201..204 (integers) or 211..214 (floats), Modbus RTU or TCP.

Source: the SunSpec Alliance's model definitions (sunspec/models, JSON): common model 1, meters
201..204 and 211..214; sunspec/pysunspec2 for the places to look.

The driver looks for "SunS" at register 40000, 50000 or 0, then for one model after another. All
meters have the same list of points; a point that a model or a device lacks is bad:address. Ranges
are wide, because SunSpec is for meters of any size. Power is positive for import in SunSpec, but
some makers of inverters do the opposite: see `positive`. The power factor of an integer model is a
percentage, as the definition says. 0 in an optional counter means that the device does not have
this counter.

A model is read in one request. If a device does not answer so much at once, it is asked for less
until it answers. Values of 32 bits are never cut in two, and never read without their scale factor.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final, Literal

from drivers.chips._sunspec import POINTS, ModelPlace, decode, event_texts, find_model, model_parts
from edge.core import (
    Bad,
    Condition,
    DataError,
    ModbusBus,
    Point,
    Polled,
    Reason,
    Sample,
    StaleAnswer,
    TooLongError,
    crc16_modbus,
    mark_stale,
)
from edge.core.point import SIGNED_QUANTITIES

FUNCTION: Final = 3
MAX_COUNT: Final = 125
MARK_COUNT: Final = 2  # of a mark or the head of a model


@dataclass(slots=True)
class SunSpec:
    """One meter. `meter` counts those of its device from 1; an inverter may pass on several.

    `positive` is which way the device counts as positive: with "export" power, reactive power and
    current change their sign, so that import is positive. Energies are named by what they count.
    """

    points: ClassVar[Sequence[Point]] = POINTS
    bus: ModbusBus
    unit: Annotated[int, (1, 247), "its address on the bus"]
    meter: Annotated[
        int,
        (1, 16),
        "which meter of the device, counted from 1; an inverter may pass on several",
    ] = 1
    positive: Annotated[
        Literal["import", "export"],
        "which way the device counts as positive; with `export`, power, reactive power and "
        "current change their sign, so that import is positive everywhere",
    ] = "import"
    identity: str = field(init=False, default="")
    health: Mapping[Condition, str] = field(init=False, default_factory=dict)
    _place: ModelPlace | None = field(init=False, repr=False, default=None)
    _most: int = field(init=False, repr=False, default=MAX_COUNT)  # registers that it gives at once

    async def open(self) -> None:
        """Search the meter. Raises BusError on silence, DataError when there is none."""
        await self._search()

    async def _search(self) -> ModelPlace:
        self._place, self._most, self.identity, self.health = None, MAX_COUNT, "", {}
        path = find_model(self.meter)
        address, count = next(path)
        while True:
            try:
                address, count = path.send(await self._ask(address, count))
            except StopIteration as end:
                place: ModelPlace = end.value
                self._place, self.identity = place, place.serial
                return place

    async def read(self) -> tuple[Sample, ...]:
        """All points. Raises BusError on silence, DataError for the rest."""
        place = self._place or await self._search()
        lost: set[int] = set()
        try:
            block = await self._fetch(*place.block, place.cuts, lost)
            samples = decode(place.model, block)
        except DataError as error:
            if error.reason is Reason.ADDRESS:
                self._place = None  # another device: search again
            raise
        if len(lost) == len(place.cuts):
            self._place = None
            raise DataError("it refuses even the smallest request as too long", Reason.FAULT)
        for part, at in zip(model_parts(place.model), place.cuts, strict=True) if lost else ():
            if at in lost:
                count = len(samples[part.points])
                filled = (Bad(Reason.FAULT),) * count
                samples = (*samples[: part.points.start], *filled, *samples[part.points.stop :])
        self.health = event_texts(block)
        if self.positive != "import":
            samples = tuple(
                -sample + 0.0
                if point.quantity in SIGNED_QUANTITIES and isinstance(sample, float)
                else sample
                for point, sample in zip(self.points, samples, strict=True)
            )
        return mark_stale(samples) if isinstance(block, StaleAnswer) else samples

    async def close(self) -> None:
        """Nothing to release: the bus belongs to all."""

    async def _ask(self, address: int, count: int) -> bytes | None:
        """Registers, or None where the device has none. Raises BusError on silence."""
        # a device may say this of a register that it has not: too long can only be what is long
        cuts = range(address + 1, address + count) if count > MARK_COUNT else ()
        try:
            data = await self._fetch(address, count, cuts, set())
        except DataError as error:
            if error.reason in (Reason.CRC, Reason.BUSY):
                raise
            return None
        return data if len(data) == 2 * count else None

    async def _fetch(self, address: int, count: int, cuts: Sequence[int], lost: set[int]) -> bytes:
        """Registers, in as many requests as the device wants, cut nowhere but at these addresses.

        What is too long even so is zeros, and `lost` has where it begins.
        """
        data, rest, old = b"", [(address, address + count)], False
        while rest:
            begin, end = rest.pop()
            size, inside = end - begin, [at for at in cuts if begin < at < end]
            if size <= self._most or not inside:
                try:
                    got = await self.bus.read_registers(self.unit, FUNCTION, begin, size)
                    data, old = data + got, old or isinstance(got, StaleAnswer)
                    continue
                except TooLongError:
                    if not cuts:
                        raise
                    if not inside:
                        lost.add(begin)
                        data += bytes(2 * size)
                        continue
                    self._most = min(self._most, size - 1)
            middle = min(inside, key=lambda at: abs(2 * at - begin - end))
            rest += [(middle, end), (begin, middle)]
        return StaleAnswer(data) if old else data


DRIVER: Final[type[Polled]] = SunSpec


def explain(frames: Sequence[bytes]) -> dict[str, Sample]:
    """What the frames say of the first meter in them: requests and answers, the search included.

    Frames are whole: of a serial line with their CRC, or of TCP with their header. Raises
    DataError that names what is wrong.
    """
    image = _image(frames)

    def ask(address: int, count: int) -> bytes | None:
        words = [image.get(at, b"") for at in range(address, address + count)]
        return b"".join(words) if all(words) else None

    path = find_model(1)
    address, count = next(path)
    while True:
        try:
            address, count = path.send(ask(address, count))
        except StopIteration as end:
            place: ModelPlace = end.value
            break
    block = ask(*place.block)
    if block is None:
        raise DataError(f"the values of model {place.model} are not among the frames")
    keys = (point.key for point in POINTS)
    return dict(zip(keys, decode(place.model, block), strict=True))


def _image(frames: Sequence[bytes]) -> dict[int, bytes]:
    """Register -> its two bytes, from all pairs of request and answer."""
    if not frames or len(frames) % 2:
        raise DataError(f"{len(frames)} frames: a request and its answer belong together")
    image: dict[int, bytes] = {}
    for at in range(0, len(frames), 2):
        asked, answer = (_body(frames[place], place) for place in (at, at + 1))
        if len(asked) != 6 or asked[1] != FUNCTION or asked[0] != answer[0]:
            raise DataError(f"frame {at + 1} is no read of registers, or frame {at + 2} no answer")
        address, count = struct.unpack(">HH", asked[2:])
        if answer[1] == FUNCTION | 0x80:
            continue
        if answer[1] != FUNCTION or len(answer) != 3 + 2 * count or answer[2] != 2 * count:
            raise DataError(f"frame {at + 2} does not answer frame {at + 1}")
        for i in range(count):
            image[address + i] = answer[3 + 2 * i : 5 + 2 * i]
    return image


def _body(frame: bytes, at: int) -> bytes:
    if len(frame) >= 4 and crc16_modbus(frame[:-2]) == int.from_bytes(frame[-2:], "little"):
        return frame[:-2]
    if len(frame) >= 9 and frame[2:6] == struct.pack(">HH", 0, len(frame) - 6):
        return frame[6:]
    raise DataError(f"frame {at + 1} is damaged: its CRC does not match: {frame.hex(' ')}")
