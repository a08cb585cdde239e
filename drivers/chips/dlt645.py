"""Electricity meters that speak DL/T 645-2007, the protocol of Chinese meters, over RS-485.

Source: DL/T 645-2007; public drivers with captured frames; PyPI dlt645 3.2.0. Several of them agree
on the frame, the offset and the formats. From one source, or from general knowledge only: the sign
in the top bit (verify it on a meter that exports); FF for phases that a meter does not have; the
bits of the status words (from one public summary of the annex of DL/T 645-2007).

The factory setting is 2400 8E1 (1200 to 9600 is possible). `energy_combined` is import plus or
minus export, depending on the meter's settings. It may fall, and is therefore not a total.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final

from drivers.chips import _dlt645 as wire
from drivers.chips import _dlt645_items as items
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
PROBE_S: Final = 1.0  # a short answer
LONGEST_S: Final = 20.0  # of one reading; the line has other meters
FRAMES_AT_MOST: Final = 8  # of one answer; each has up to 200 bytes


@dataclass(slots=True)
class Dlt645:
    """One meter. `address` is the 12 digits on its plate; without it, it is alone on the line.

    Values are asked for in blocks, as far as the meter has them, and one by one where it refuses.
    What it does not have is asked for once, and again when it is opened. What a slow one has not
    told in time is bad:busy, and asked for first the next time.
    """

    line: ClassVar[str] = "2400 8E1"
    every_s: ClassVar[float] = 15.0  # a reading takes seconds
    points: ClassVar[Sequence[Point]] = items.POINTS
    bus: SerialBus
    address: Annotated[
        str,
        "the 12 digits on the plate of the meter; if left out, it must be the only meter on its "
        "line",
    ] = ""
    identity: str = field(default="", init=False)
    health: Mapping[Condition, str] = field(default_factory=dict, init=False)
    _target: str = field(default=wire.WILDCARD, init=False, repr=False)
    _plan: list[int] = field(init=False, repr=False)
    _status: list[int] = field(init=False, repr=False)
    _named: bool = field(default=False, init=False, repr=False)  # its number was asked for

    def __post_init__(self) -> None:
        if self.address and not (len(self.address) == 12 and _digits(self.address)):
            raise ConfigError(
                f"address = {self.address!r} cannot be right: the 12 digits on the meter's plate"
                " belong here, in quotes"
            )
        self._forget()

    async def open(self) -> None:
        """Learn the address of a meter that is alone; `read` tells whether it is there at all."""
        self._forget()
        if not self.address:
            with suppress(BusError, DataError):  # some do not tell it
                self._target = await self._own_address()

    async def read(self) -> tuple[Sample, ...]:
        """All points. Raises BusError when nobody is there, DataError when nothing was usable."""
        found: dict[str, Sample] = {}
        try:
            async with asyncio.timeout(LONGEST_S):
                await self._values(found)
                if Bad(Reason.SILENT) not in found.values():
                    await self._name()
                    await self._look_after()
        except TimeoutError as late:
            if all(isinstance(sample, Bad) for sample in found.values()):
                raise BusError(f"no value within {LONGEST_S:g} s") from late
            self._postpone(found)
        return tuple(found.get(point.key, Bad(Reason.ADDRESS)) for point in self.points)

    async def _values(self, found: dict[str, Sample]) -> None:
        """Put all values into `found`. Raises what came first when there is none."""
        heard = answered = False
        error: BusError | DataError | None = None
        waiting = list(self._plan)
        while waiting:
            di = waiting.pop(0)
            try:
                data = await self._ask(di)
                heard = True
                found |= items.item_values(_item(di), di, data)
                answered = True
            except BusError:
                if not answered:
                    raise  # it will not answer the rest either: the line belongs to its neighbours
                found |= {key: Bad(Reason.SILENT) for one in (di, *waiting) for key in _keys(one)}
                return
            except DataError as damage:
                if not heard and damage.reason is Reason.CRC:
                    raise  # nor here: this may be noise, or another line's settings
                heard, error = True, error or damage
                found |= {key: Bad(damage.reason) for key in _keys(di)}
                if damage.reason is Reason.ADDRESS:
                    parts = [part for part in _item(di).singles if di not in _item(di).singles]
                    at = self._plan.index(di)
                    self._plan[at : at + 1] = parts
                    waiting[:0] = parts
        if not answered:
            if not self._plan:  # it refused all: another kind of meter, or one that will be changed
                self._plan = [item.block for item in items.ITEMS]
            raise error or DataError("the meter sends no values", Reason.ADDRESS)

    def _postpone(self, found: dict[str, Sample]) -> None:
        """The time is over: what was not asked for comes first the next time, or nearly so."""
        left = [di for di in self._plan if not found.keys() >= set(_keys(di))]
        done = [di for di in self._plan if di not in left]
        self._plan = done[:1] + left + done[1:]
        found |= {key: Bad(Reason.BUSY) for di in left for key in _keys(di)}

    async def close(self) -> None:
        """Nothing to release: the line belongs to all."""

    def _forget(self) -> None:
        self._plan = [item.block for item in items.ITEMS]
        self._status = [items.STATUS_BLOCK]
        self.identity, self._named = "", False
        self._target = self.address or wire.WILDCARD

    async def _name(self) -> None:
        """The meter's number; one that is silent about it is not asked again."""
        if self._named:
            return
        self._named = True
        try:
            self.identity = await self._number()
        except BusError:
            return
        except DataError as damage:
            self._named = damage.reason is not Reason.CRC

    async def _look_after(self) -> None:
        """The status words; a meter without them is not asked again."""
        words: dict[int, int] = {}
        for di in tuple(self._status):
            try:
                words |= items.status_words(di, await self._ask(di))
            except BusError:
                self._status = []
                return
            except DataError as damage:
                if damage.reason is not Reason.ADDRESS:
                    return  # what it said before still stands
                self._status.remove(di)
                if di == items.STATUS_BLOCK:
                    self._status = list(items.STATUS_WORDS)
                    return  # next time
        self.health = items.status_conditions(words)

    async def _ask(self, di: int) -> bytes:
        """The data behind an identifier, of all frames. Raises BusError, DataError."""
        name = di.to_bytes(4, "little")
        frame = await self._exchange(wire.READ, name)
        data = frame.data[4:]
        for turn in range(1, FRAMES_AT_MOST):
            if not frame.control & wire.FOLLOWS:
                return data
            frame = await self._exchange(wire.MORE, name + bytes((turn,)))
            if frame.data[-1:] != bytes((turn,)):
                raise DataError(f"frame {turn} of {di:08x} was asked for, another came")
            data += frame.data[4:-1]
        raise DataError(f"more than {FRAMES_AT_MOST} frames for {di:08x}")

    async def _exchange(
        self, control: int, data: bytes, answer_s: float | None = None
    ) -> wire.Dlt645Frame:
        request = wire.encode_frame(self._target, control, data)
        answer_s = ANSWER_S if answer_s is None else answer_s
        others = set[str]()
        cut = wire.answer_framer(request, others)
        try:
            answer = await self.bus.frame(cut, answer_s, wire.WAKE + request)
        except DataError as error:
            if not others or self._target == wire.WILDCARD:
                raise
            text = f"meter {self._target}: another one answered, {', '.join(sorted(others))}"
            remedy = "set the address of the meter that is fitted here"
            raise DataError(f"{text}; {remedy}", error.reason) from error
        frame = wire.parse_frame(answer)
        if frame.control & wire.REFUSED:
            raise wire.refusal_error(frame)
        return frame

    async def _own_address(self) -> str:
        frame = await self._exchange(wire.READ_ADDRESS, b"", PROBE_S)
        if len(frame.data) != 6 or not _digits(frame.address):
            raise DataError(f"{frame.data.hex()} is no address")
        return frame.address

    async def _number(self) -> str:
        """The number of the meter, or its address where it has none of its own."""
        try:
            number = await self._ask(items.NUMBER)
        except DataError as damage:
            if damage.reason is not Reason.ADDRESS:
                raise
            number = await self._ask(items.ADDRESS)
        digits = number[::-1].hex()
        return digits if _digits(digits) else ""


def _digits(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _item(di: int) -> items.Dlt645Item:
    item = items.item_of(di)
    assert item is not None, "it is in no plan"
    return item


def _keys(di: int) -> list[str]:
    """The points that an identifier tells."""
    item = _item(di)
    if di == item.block:
        return [point.key for point in item.points]
    return [item.points[item.singles.index(di)].key]


def explain(frames: Sequence[bytes]) -> dict[str, Sample]:
    """What recorded frames mean: requests and answers, or answers alone; status words are not
    points. Raises DataError for a damaged frame, and when there is nothing in them.
    """
    found: dict[str, Sample] = {}
    asked: int | None = None
    parts: dict[int, bytes] = {}
    useful = False
    for one in frames:
        frame = wire.parse_frame(one)
        code = frame.control & 0x1F
        if not frame.control & wire.ANSWER:
            asked = int.from_bytes(frame.data[:4], "little") if len(frame.data) >= 4 else None
            useful |= code in (wire.READ, wire.MORE, wire.READ_ADDRESS)
            continue
        useful = True
        if frame.control & wire.REFUSED:
            if asked is None:
                raise wire.refusal_error(frame)  # of what, nobody knows
            item = items.item_of(asked)
            if item is not None:
                found |= {key: Bad(wire.refusal_error(frame).reason) for key in _keys(asked)}
            continue
        if code not in (wire.READ, wire.MORE) or len(frame.data) < 4:
            continue
        di = int.from_bytes(frame.data[:4], "little")
        data = frame.data[4:] if code == wire.READ else parts.pop(di, b"") + frame.data[4:-1]
        if frame.control & wire.FOLLOWS:
            parts[di] = data[: wire.LONGEST * FRAMES_AT_MOST]
            continue
        item = items.item_of(di)
        if item is not None:
            found |= items.item_values(item, di, data)
    if not useful:
        raise DataError("no frame of a meter", Reason.SILENT)
    return found


DRIVER: Final = Dlt645
