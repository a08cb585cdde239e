"""Electricity meters that speak DL/T 645-2007, the protocol of Chinese meters, over RS-485.

Source: DL/T 645-2007; public drivers with captured frames; PyPI dlt645 3.2.0. The frame, the
offset and the formats agree in several of them. From one source, or general knowledge, only:
the sign in the top bit (verify it on a meter that exports), FF as filling for phases that a meter
does not have, and the bits of the status words (DL/T 645-2007 annex, as one public summary of it
tells them).

2400 8E1 as it leaves the factory (1200 to 9600 is possible). `energy_combined` is import plus or
minus export, as the meter was set up: it may fall, and is therefore no total.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

from drivers.chips import _dlt645 as wire
from edge.core import (
    Bad,
    BusError,
    Condition,
    ConfigError,
    DataError,
    Point,
    Reason,
    Sample,
    SerialBus,
)

# a meter answers within 500 ms; the longest answer takes one second at 2400 bits/s
ANSWER_S: Final = 2.0
FRAMES_AT_MOST: Final = 8  # of one answer; each has up to 200 bytes


@dataclass(slots=True)
class Dlt645:
    """One meter. `address` is the 12 digits on its plate; without it, it is alone on the line.

    Values are asked for in blocks, as far as the meter has them, and one by one where it refuses.
    What it does not have is asked for once, and again when it is opened.
    """

    line: ClassVar[str] = "2400 8E1"
    every_s: ClassVar[float] = 15.0  # a reading takes seconds
    points: ClassVar[Sequence[Point]] = wire.POINTS
    bus: SerialBus
    address: str = ""
    identity: str = field(default="", init=False)
    health: Mapping[Condition, str] = field(default_factory=dict, init=False)
    _target: str = field(default=wire.WILDCARD, init=False, repr=False)
    _plan: list[int] = field(init=False, repr=False)
    _status: list[int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.address and not (len(self.address) == 12 and _digits(self.address)):
            raise ConfigError(
                f"address = {self.address!r} cannot be right: the 12 digits on the meter's plate"
                " belong here, in quotes"
            )
        self._forget()

    async def open(self) -> None:
        """Learn the address of a meter that is alone, and the meter's number."""
        self._forget()
        try:
            if not self.address:
                self._target = await self._own_address()
            self.identity = await self._number()
        except (BusError, DataError):
            return  # some meters have neither; whether it is there at all, read will tell

    async def read(self) -> tuple[Sample, ...]:
        """All points. Raises BusError when nobody is there, DataError when nothing was usable."""
        found: dict[str, Sample] = {point.key: Bad(Reason.ADDRESS) for point in self.points}
        answered = False
        error: BusError | DataError | None = None
        waiting = list(self._plan)
        while waiting:
            di = waiting.pop(0)
            item = wire.item_of(di)
            assert item is not None
            keys = [p.key for p in item.points] if di == item.block else [_key(item, di)]
            try:
                found |= wire.values(item, di, await self._ask(di))
                answered = True
            except BusError:
                if not answered:
                    raise  # it will not answer the rest either: the line belongs to its neighbours
                waiting.insert(0, di)
                break
            except DataError as damage:
                error = error or damage
                found |= {key: Bad(damage.reason) for key in keys}
                if damage.reason is Reason.ADDRESS:
                    parts = list(item.singles) if di not in item.singles else []
                    at = self._plan.index(di)
                    self._plan[at : at + 1] = parts
                    waiting[:0] = parts
        for di in waiting:
            item = wire.item_of(di)
            assert item is not None
            keys = [p.key for p in item.points] if di == item.block else [_key(item, di)]
            found |= {key: Bad(Reason.SILENT) for key in keys}
        if not answered:
            if not self._plan:  # it refused all: another kind of meter, or one that will be changed
                self._plan = [item.block for item in wire.ITEMS]
            raise error or DataError("the meter has nothing to say", Reason.ADDRESS)
        if not waiting:
            await self._look_after()
        return tuple(found[point.key] for point in self.points)

    async def close(self) -> None:
        """Nothing to release: the line belongs to all."""

    def _forget(self) -> None:
        self._plan = [item.block for item in wire.ITEMS]
        self._status = [wire.STATUS_BLOCK]
        self.identity = ""
        self._target = self.address or wire.WILDCARD

    async def _look_after(self) -> None:
        """The status words; a meter without them is not asked again."""
        words: dict[int, int] = {}
        for di in tuple(self._status):
            try:
                words |= wire.words_of(di, await self._ask(di))
            except BusError:
                self._status = []
                return
            except DataError as damage:
                if damage.reason is not Reason.ADDRESS:
                    return  # what it said before still stands
                self._status.remove(di)
                if di == wire.STATUS_BLOCK:
                    self._status = list(wire.STATUS_WORDS)
                    return  # next time
        self.health = wire.conditions(words)

    async def _ask(self, di: int) -> bytes:
        """The data behind an identifier, of all frames. Raises BusError, DataError."""
        name = di.to_bytes(4, "little")
        said = await self._exchange(wire.READ, name)
        data = said.data[4:]
        for turn in range(1, FRAMES_AT_MOST):
            if not said.control & wire.FOLLOWS:
                return data
            said = await self._exchange(wire.MORE, name + bytes((turn,)))
            if said.data[-1:] != bytes((turn,)):
                raise DataError(f"frame {turn} of {di:08x} was asked for, another came")
            data += said.data[4:-1]
        raise DataError(f"more than {FRAMES_AT_MOST} frames for {di:08x}")

    async def _exchange(self, control: int, data: bytes) -> wire.Frame:
        request = wire.frame(self._target, control, data)
        answer = await self.bus.frame(wire.answer_to(request), ANSWER_S, wire.WAKE + request)
        said = wire.parse(answer)
        if said.control & wire.REFUSED:
            raise wire.refusal(said)
        return said

    async def _own_address(self) -> str:
        said = await self._exchange(wire.READ_ADDRESS, b"")
        if len(said.data) != 6 or not _digits(said.address):
            raise DataError(f"{said.data.hex()} is no address")
        return said.address

    async def _number(self) -> str:
        """The number of the meter, or its address where it has none of its own."""
        try:
            told = await self._ask(wire.NUMBER)
        except DataError as damage:
            if damage.reason is not Reason.ADDRESS:
                raise
            told = await self._ask(wire.ADDRESS)
        digits = told[::-1].hex()
        return digits if _digits(digits) else ""


def _digits(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _key(item: wire.Item, di: int) -> str:
    return item.points[item.singles.index(di)].key


def explain(frames: Sequence[bytes]) -> dict[str, Sample]:
    """What recorded frames mean: requests and answers, or answers alone; status words are not
    points. Raises DataError for a damaged frame, and when there is nothing in them.
    """
    found: dict[str, Sample] = {}
    asked: int | None = None
    parts: dict[int, bytes] = {}
    useful = False
    for one in frames:
        said = wire.parse(one)
        code = said.control & 0x1F
        if not said.control & wire.ANSWER:
            asked = int.from_bytes(said.data[:4], "little") if len(said.data) >= 4 else None
            useful |= code in (wire.READ, wire.MORE, wire.READ_ADDRESS)
            continue
        useful = True
        if said.control & wire.REFUSED:
            if asked is None:
                raise wire.refusal(said)  # of what, nobody knows
            item = wire.item_of(asked)
            if item is not None:
                points = item.points if asked == item.block else ()
                keys = [p.key for p in points] or [_key(item, asked)]
                found |= {key: Bad(wire.refusal(said).reason) for key in keys}
            continue
        if code not in (wire.READ, wire.MORE) or len(said.data) < 4:
            continue
        di = int.from_bytes(said.data[:4], "little")
        data = said.data[4:] if code == wire.READ else parts.pop(di, b"") + said.data[4:-1]
        if said.control & wire.FOLLOWS:
            parts[di] = data[: wire.LONGEST * FRAMES_AT_MOST]
            continue
        item = wire.item_of(di)
        if item is not None:
            found |= wire.values(item, di, data)
    if not useful:
        raise DataError("no frame of a meter", Reason.SILENT)
    return found


DRIVER: Final = Dlt645
