"""Batches of sweeps (`raw`): columns instead of rows, each packed as tightly as it allows.

A body has `n` (sweeps) and `tables`: zlib over a MessagePack list of tables. Sources with the same
points share a table:

    {"rows": number, "points": [names], "sources": [names], "src": column, "t": column,
     "cols": [column per point], "q": [[row, null or [numbers of points], word], ...]}

`src` numbers the source of each row, `t` is CLOCK_MONOTONIC in microseconds. `q` names what is not
good; a value that is `bad` is absent, whatever its column holds there. A column is one of

    ["=", value]           all rows hold it
    ["f4", bytes]          little-endian float32, used where that loses nothing
    ["f8", bytes]          little-endian float64
    ["i1", first, bytes]   first value, then signed differences of 1 (i2, i4, i8: 2, 4, 8) bytes
    ["*", [values]]        anything else
"""

import sys
import zlib
from array import array
from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import isfinite
from operator import sub
from typing import Any, Final

import msgspec

from edge.core import GOOD, Grade, Quality, Reason, Sweep, all_good, bad, parse_quality
from edge.core.reading import Value
from edge.wire.contract.raw import Raw, Table
from edge.wire.strict import WireError, load_msgpack

LEVEL: Final = 3  # level 9 saves 1 % and takes five times as long
MAX_TABLES: Final = 4 << 20  # bytes of `tables` when unpacked
MAX_VALUES: Final = 200_000  # of one batch; a constant column costs four bytes, whatever its length
MAX_NAMES: Final = 1000  # of points, and of sources, in one table
WIDTHS: Final = {"i1": "b", "i2": "h", "i4": "i", "i8": "q"}
NUMBERS: Final = {"f4": "f", "f8": "d"}

Fault = tuple[int, list[int] | None, str]
PLAIN: Final = frozenset({float, int, bool, str, type(None)})

Column = list[Any]


def raw_body(points: Mapping[str, Sequence[str]], sweeps: Sequence[Sweep]) -> Raw:
    """The body of a `raw` draft. `points` are the keys of each source's points, in order."""
    groups: dict[tuple[str, ...], list[Sweep]] = {}
    names: dict[str, list[Sweep]] = {}
    for sweep in sweeps:
        group = names.get(sweep.source)
        if group is None:
            keys = tuple(points[sweep.source])
            group = names[sweep.source] = groups.setdefault(keys, [])
        group.append(sweep)
    tables = [_table(keys, rows) for keys, rows in groups.items()]
    packed = msgspec.msgpack.encode(tables)
    return Raw(n=len(sweeps), tables=zlib.compress(packed, LEVEL))


def raw_sweeps(body: Mapping[str, Any]) -> tuple[dict[str, tuple[str, ...]], list[Sweep]]:
    """Back from a body: the points' names of each source, and the sweeps in order of time.

    Raises WireError for anything that `raw_body` cannot have made.
    """
    count, packed = body.get("n"), body.get("tables")
    if count.__class__ is not int or packed.__class__ is not bytes:
        raise WireError("a batch needs n and tables")
    tables = load_msgpack(_inflate(packed))
    if tables.__class__ is not list:
        raise WireError("tables is not a list")
    points: dict[str, tuple[str, ...]] = {}
    sweeps: list[Sweep] = []
    room = MAX_VALUES
    for table in tables:
        room = _rows(table, points, sweeps, room)
    if len(sweeps) != count:
        raise WireError(f"the batch says {count!r:.30} sweeps and holds {len(sweeps)}")
    sweeps.sort(key=lambda sweep: sweep.mono_ns)
    return points, sweeps


# -- packing --------------------------------------------------------------------------------------


def _table(keys: tuple[str, ...], rows: list[Sweep]) -> Table:
    sources = list(dict.fromkeys(sweep.source for sweep in rows))
    place = {source: number for number, source in enumerate(sources)}
    faults: list[Fault] = []
    good = all_good(len(keys))
    for row, sweep in enumerate(rows):
        if sweep.qualities is not good:
            _faults(row, sweep.qualities, faults)
    columns: list[Column] = []
    for number, values in enumerate(zip(*(sweep.values for sweep in rows), strict=True)):
        column = _column(values)
        columns.append(_mended(number, rows, faults) if column is None else column)
    return Table(
        rows=len(rows),
        points=list(keys),
        sources=sources,
        src=_integers([place[sweep.source] for sweep in rows]),
        t=_integers([sweep.mono_ns // 1000 for sweep in rows]),
        cols=columns,
        q=faults,
    )


def _faults(row: int, qualities: tuple[Quality, ...], faults: list[Fault]) -> None:
    if qualities.count(qualities[0]) == len(qualities):
        if qualities[0] is not GOOD and qualities[0] != GOOD:
            faults.append((row, None, str(qualities[0])))
        return
    words: dict[Quality, list[int]] = {}
    for number, quality in enumerate(qualities):
        if quality != GOOD:
            words.setdefault(quality, []).append(number)
    faults.extend((row, numbers, str(quality)) for quality, numbers in words.items())


def _column(values: Sequence[Value | None]) -> Column | None:
    """A packed column, or None when a value must be mended first."""
    kinds = set(map(type, values))
    if kinds == {float}:
        return _floats(values)  # type: ignore[arg-type]
    if kinds == {int}:
        return _integers(values)  # type: ignore[arg-type]
    if type(None) in kinds:
        return None
    if kinds <= {float, int}:
        as_floats = list(map(float, values))  # type: ignore[arg-type]
        return _floats(as_floats) if as_floats == list(values) else ["*", list(values)]
    if len(kinds) == 1 and values.count(values[0]) == len(values):
        return ["=", values[0]]
    return ["*", list(values)]


def _floats(values: Sequence[float]) -> Column | None:
    short = array("f", values)
    if short.tolist() == list(values):
        # NaN equals nothing, so it never comes here; infinity does
        if not isfinite(sum(short)) and not all(map(isfinite, short)):
            return None
        return ["=", values[0]] if values.count(values[0]) == len(values) else ["f4", _bytes(short)]
    if not isfinite(sum(values)) and not all(map(isfinite, values)):
        return None
    return ["=", values[0]] if values.count(values[0]) == len(values) else [
        "f8", _bytes(array("d", values))
    ]  # fmt: skip


def _integers(values: Sequence[int]) -> Column:
    first = values[0]
    if values.count(first) == len(values):
        return ["=", first]
    steps = list(map(sub, values[1:], values))
    low, high = min(steps), max(steps)
    for name, bits in (("i1", 7), ("i2", 15), ("i4", 31), ("i8", 63)):
        if -(1 << bits) <= low and high < 1 << bits:
            return [name, first, _bytes(array(WIDTHS[name], steps))]
    return ["*", list(values)]


def _mended(number: int, rows: list[Sweep], faults: list[Fault]) -> Column:
    """Fill what is absent with the value before it; a value that is no number becomes absent."""
    filled: list[Value] = []
    last: Value = 0.0
    present = [sweep.values[number] for sweep in rows]
    for value in present:
        if value is not None and not (value.__class__ is float and not isfinite(value)):
            last = value
            break
    for row, value in enumerate(present):
        if value.__class__ is float and not isfinite(value):
            faults.append((row, [number], str(bad(Reason.RANGE))))
        elif value is not None:
            last = value
        elif rows[row].qualities[number].grade is not Grade.BAD:
            # a driver's mistake: absent, yet called good. It must not come out as a number
            faults.append((row, [number], str(bad(Reason.FAULT))))
        filled.append(last)
    column = _column(filled)
    return ["*", filled] if column is None else column


def _bytes(packed: "array[Any]") -> bytes:
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


# -- unpacking ------------------------------------------------------------------------------------


def _inflate(packed: bytes) -> bytes:
    engine = zlib.decompressobj()
    try:
        found = engine.decompress(packed, MAX_TABLES)
    except zlib.error as error:
        raise WireError(f"tables: {error}") from error
    if not engine.eof or engine.unused_data:
        raise WireError(f"tables: truncated, with extra bytes, or larger than {MAX_TABLES} bytes")
    return found


def _rows(table: Any, points: dict[str, tuple[str, ...]], sweeps: list[Sweep], room: int) -> int:
    if table.__class__ is not dict:
        raise WireError("a table is not a map")
    keys, sources = _check_names(table, "points"), _check_names(table, "sources")
    if not sources:
        raise WireError("a table without a source")
    if len(set(keys)) != len(keys) or len(set(sources)) != len(sources):
        raise WireError("a table names a point or a source twice")
    taken = [source for source in sources if source in points]
    if taken:
        raise WireError(f"source {taken[0]} is in two tables")
    columns = table.get("cols")
    if columns.__class__ is not list or len(columns) != len(keys):
        raise WireError(f"{len(keys)} points need as many columns")
    count = table.get("rows")
    if count.__class__ is not int or not 0 < count <= MAX_VALUES:
        raise WireError(f"a table of {count!r:.30} rows")
    room -= count * (len(keys) + 2)
    if room < 0:
        raise WireError(f"a batch of more than {MAX_VALUES} values")
    places = _check_indices(_unpack(table.get("src"), count), len(sources), "src")
    times = _check_indices(_unpack(table.get("t"), count), 1 << 53, "t")
    unpacked = [_unpack(column, count) for column in columns]
    values = [list(row) for row in zip(*unpacked, strict=True)] if keys else [[] for _ in times]
    qualities = _qualities(table.get("q"), values, len(keys))
    for row, (place, time_us) in enumerate(zip(places, times, strict=True)):
        grades = qualities.get(row)
        sweeps.append(
            Sweep(
                sources[place],
                time_us * 1000,
                tuple(values[row]),
                all_good(len(keys)) if grades is None else tuple(grades),
            )
        )
    points.update(dict.fromkeys(sources, keys))
    return room


def _check_names(table: dict[str, object], field: str) -> tuple[str, ...]:
    found = table.get(field)
    if found.__class__ is not list or not all(name.__class__ is str for name in found):
        raise WireError(f"{field} is not a list of names")
    if len(found) > MAX_NAMES:
        raise WireError(f"{field} holds {len(found)} names; {MAX_NAMES} are allowed")
    return tuple(found)


def _unpack(column: Any, count: int) -> Sequence[Any]:
    found: Sequence[Any]
    match column:
        case ["=", value]:
            found = _json_values([value]) * count
        case ["*", list(values)]:
            found = _json_values(values)
        case [("f4" | "f8") as code, bytes(data)]:
            found = _array(NUMBERS[code], data)
            if not all(map(isfinite, found)):
                raise WireError("a column with a value that is not a number")
        case [("i1" | "i2" | "i4" | "i8") as code, int(first), bytes(data)]:
            found = list(accumulate(_array(WIDTHS[code], data), initial=first))
        case _:
            raise WireError(f"no such column: {column!r:.60}")
    if len(found) != count:
        raise WireError(f"a column of {len(found)} values for {count} rows")
    return found


def _json_values(values: list[Any]) -> list[Any]:
    if not all(value.__class__ in PLAIN for value in values):
        raise WireError("a column with an invalid value")
    return values


def _array(code: str, data: bytes) -> list[Any]:
    found = array(code)
    if len(data) % found.itemsize:
        raise WireError("a column that ends within a value")
    found.frombytes(data)
    if sys.byteorder == "big":
        found.byteswap()
    return found.tolist()


def _check_indices(values: Sequence[Any], end: int, name: str) -> Sequence[int]:
    if not all(value.__class__ is int and 0 <= value < end for value in values):
        raise WireError(f"{name} has a value outside 0..{end - 1}")
    return values


def _qualities(faults: Any, values: list[list[Any]], width: int) -> dict[int, list[Quality]]:
    if faults.__class__ is not list:
        raise WireError("q is not a list")
    found: dict[int, list[Quality]] = {}
    known: dict[str, Quality] = {}
    for fault in faults:
        match fault:
            case [int(row), None, str(word)]:
                numbers: Sequence[Any] = range(width)
            case [int(row), list(numbers), str(word)]:
                pass
            case _:
                raise WireError(f"invalid entry in q: {fault!r:.60}")
        if not 0 <= row < len(values) or len(numbers) > width:
            raise WireError(f"q names row {row}: no such row, or too many columns")
        quality = known.get(word) or known.setdefault(word, _quality(word))
        grades = found.setdefault(row, list(all_good(width)))
        for number in numbers:
            if number.__class__ is not int or not 0 <= number < width:
                raise WireError(f"q names column {number!r:.20}, which does not exist")
            grades[number] = quality
            if quality.grade is Grade.BAD:
                values[row][number] = None
    return found


def _quality(word: str) -> Quality:
    try:
        return parse_quality(word)
    except ValueError as error:
        raise WireError(str(error)) from error
