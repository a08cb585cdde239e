"""What a value carries of the things that are followed, found by what it says.

Whoever drives the lines marks the edges: the last six digits of their timestamps are `MARKS`. An
edge and a contact are found by that time, a record by its lane and window, a row by its number, a
payload by what it holds, a receipt by its ranges. So it does not matter in which class they lie.
"""

import inspect
import json
import struct
import types
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final

MARKS: Final = (424_241, 424_242, 424_243, 424_244)  # lead on, trail on, lead off, trail off
MARK_NS: Final = 1_000_000  # a mark is the rest of a time by this
LANE: Final = "north_1"
STREAM: Final = "traffic"
RECORD: Final = 1 << len(MARKS)  # the bit of the record that holds all of them
PAYLOAD: Final = RECORD << 1  # and of its bytes
FIRST_PACKET: Final = 40_960  # of MQTT's packets: told from any count by that
SHORT_PACKET: Final = range(2, 9)  # bytes of an acknowledgement, as they are read
NODES_LIMIT: Final = 1500  # of a value that is looked through
DEPTH: Final = 6  # of values in it
KEPT_DEPTH: Final = 4  # of what an object keeps
VALUES: Final = ("__struct_fields__", "__dataclass_fields__", "_fields")
PLAIN: Final = (str, float, type(None), type, types.ModuleType)


class Followed:
    """What is known of the things that are followed; says which of them a value carries."""

    def __init__(self) -> None:
        self.times: dict[int, int] = {}  # of an edge -> its bit
        self.window: tuple[int, int] | None = None
        self.row: int | None = None
        self.seq: int | None = None
        self.packet: int | None = None  # of the packet
        self._span = b""

    def bits(self, value: object, depth: int = DEPTH, *, calls: bool = True) -> int:
        """Which of them lie in it; breadth first, so that a large value shows what is near.

        `calls`: also what a function that is passed on has with it.
        """
        found, left = 0, NODES_LIMIT
        seen: set[int] = set()
        queue: deque[tuple[object, int]] = deque([(value, depth)])
        while queue and left > 0:
            one, deep = queue.popleft()
            left -= 1
            if isinstance(one, int):
                found |= self._int(one)
                continue
            if isinstance(one, bytes | bytearray | memoryview):
                found |= self._bytes(bytes(one))
                continue
            if isinstance(one, PLAIN) or id(one) in seen:
                continue
            if not calls and isinstance(one, types.FunctionType | partial):
                continue
            seen.add(id(one))
            if isinstance(one, dict) or fields_of(type(one)):
                found |= self._record(one)
            if deep > 0:
                queue.extend((each, deep - 1) for each in _parts(one))
        return found

    def _int(self, value: int) -> int:
        if value < MARK_NS:
            return RECORD if value == self.packet and value else 0
        mark = value % MARK_NS
        if mark in MARKS:
            return self.times.setdefault(value, 1 << MARKS.index(mark))
        return RECORD if value == self.row else 0

    def _bytes(self, value: bytes) -> int:
        if self.packet is not None and len(value) in SHORT_PACKET:
            return RECORD if struct.pack(">H", self.packet) in value else 0
        if self._span and self._span in value and LANE.encode() in value:
            return RECORD | PAYLOAD
        if self.seq is not None and b'"ranges"' in value and b'"traffic"' in value:
            return RECORD if self._receipted(value) else 0
        return 0

    def _receipted(self, value: bytes) -> bool:
        start, end = value.find(b"{"), value.rfind(b"}")
        try:
            return _holds(json.loads(value[start : end + 1]), self.seq)
        except ValueError:
            return False

    def _record(self, one: object) -> int:
        """A draft, a record or a row of our lane and window, in whatever class it lies."""
        if field_of(one, "stream") == STREAM and _within(field_of(one, "ranges"), self.seq):
            return RECORD
        if field_of(one, "source") != LANE:
            return 0
        from_ns, to_ns = field_of(one, "from_ns"), field_of(one, "to_ns")
        if not isinstance(from_ns, int) or not isinstance(to_ns, int):
            mono = field_of(one, "mono")  # as it is written, in microseconds
            return RECORD if mono and self.window and mono[0] == self.window[0] // 1000 else 0
        if sum(from_ns <= at < to_ns for at in self.times) < len(MARKS):
            return 0
        if self.window is None:
            self.window = from_ns, to_ns
            self._span = packed_us(from_ns) + packed_us(to_ns)
        if self.row is None and isinstance(row := field_of(one, "id"), int):
            self.row = row
        if seq := field_of(field_of(one, "key"), "seq") or field_of(one, "seq"):
            self.seq = seq
        return RECORD

    def learn(self, values: Iterable[object]) -> None:
        """Of what carries the record: a stored one says its row beside itself; who has the row and
        the number of a packet has sent it in that."""
        for value in values:
            for one in value if isinstance(value, list | tuple) else (value,):
                row = field_of(one, "row")
                if self.row is None and isinstance(row, int):
                    self.row = row if self._record(field_of(one, "record")) else None
            if self.row is not None and self.packet is None and isinstance(value, int):
                self.packet = value if FIRST_PACKET < value < 1 << 16 else None


def packed_us(time_ns: int) -> bytes:
    """As a record in MessagePack has it. What is retained is JSON: it is another message."""
    time_us = time_ns // 1000
    return (
        struct.pack(">BI", 0xCE, time_us)
        if time_us < 1 << 32
        else struct.pack(">BQ", 0xCF, time_us)
    )


def _holds(one: object, seq: int | None) -> bool:
    """Whether ranges in it, at any depth, hold this number of the stream of lanes."""
    if isinstance(one, list | tuple):
        return any(_holds(each, seq) for each in one)
    if isinstance(one, Mapping):
        if one.get("stream", STREAM) == STREAM and _within(one.get("ranges"), seq):
            return True
        return any(_holds(each, seq) for each in one.values())
    return False


def _within(ranges: object, seq: int | None) -> bool:
    if not isinstance(ranges, list | tuple) or seq is None:
        return False
    pairs = [each for each in ranges if isinstance(each, list | tuple) and len(each) == 2]
    return any(int(first) <= seq <= int(last) for first, last in pairs)


def field_of(one: object, name: str) -> Any:
    """A field, without running a property."""
    if isinstance(one, dict):
        return one.get(name)
    found = inspect.getattr_static(type(one), name, None)
    if isinstance(found, property):
        return None
    try:
        return object.__getattribute__(one, name)
    except AttributeError:
        return None


def _parts(one: object) -> Iterable[object]:
    """What a value is made of. Objects that do something are not looked into: they are parts of
    the program, and no values."""
    if isinstance(one, dict):
        return [each for pair in list(one.items()) for each in pair]
    if isinstance(one, list | tuple | set | frozenset | deque):
        return list(one)
    if isinstance(one, partial):
        return [one.func, *one.args, *one.keywords.values()]
    if isinstance(one, types.FunctionType):
        return _cells(one)
    if isinstance(one, types.GeneratorType):
        frame = one.gi_frame
        return [] if frame is None else list(frame.f_locals.values())
    return [field_of(one, name) for name in fields_of(type(one))]


def _cells(function: types.FunctionType) -> list[object]:
    found: list[object] = []
    for cell in function.__closure__ or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:  # not filled yet
            continue
    return found


_FIELDS: dict[type, tuple[str, ...]] = {}


def fields_of(kind: type) -> tuple[str, ...]:
    """Of a dataclass, a Struct or a named tuple; nothing else is a value."""
    if kind not in _FIELDS:
        _FIELDS[kind] = tuple(
            next((getattr(kind, each) for each in VALUES if hasattr(kind, each)), ())
        )
    return _FIELDS[kind]


def kept_by(one: object) -> Iterator[tuple[str, object]]:
    """The attributes of an object, one level deep: what it keeps."""
    yield from list(getattr(one, "__dict__", {}).items())
    for base in type(one).__mro__:
        names = getattr(base, "__slots__", ())
        for name in (names,) if isinstance(names, str) else names:
            yield name, field_of(one, name)
