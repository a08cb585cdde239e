"""A table of the field, CSV or Parquet: its rows one by one, by the columns that are wanted.

Agencies name the same column differently, so each wanted column has all names under which it is
known; blanks, underscores and capitals do not count. Memory is that of some thousand rows,
however long the file is. Parquet needs pyarrow, which is only for a desk.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TextIO

from edge.core.errors import ConfigError

PREAMBLE: Final = 20  # lines before the names of the columns: exports begin with a title or two
LINE_LIMIT: Final = 4096  # characters of one line
BATCH_ROWS: Final = 16_384
INSTALL: Final = "pip install 'kerbstone[parquet]'"
PARQUET: Final = (".parquet", ".pq")


class LoggedTime(NamedTuple):
    """A time of a Parquet file, in ms since 1970: of UTC, or of a wall clock somewhere."""

    ms: int
    utc: bool


class TableRow(NamedTuple):
    """A row: its number for people, and the wanted cells in the order in which they were wanted.

    A cell is None where the file has not that column, and "" where it is empty. `error` says what
    is wrong with a row that cannot be read; it has no cells then.
    """

    number: int
    cells: tuple[Any, ...]
    error: str = ""


class Column(NamedTuple):
    """A wanted column and its names, the first one that of the documentation."""

    names: tuple[str, ...]
    required: bool = True

    @property
    def name(self) -> str:
        """For people."""
        return self.names[0]


def read_table(path: Path, columns: Sequence[Column]) -> Iterator[TableRow]:
    """The rows of a file.

    Raises ConfigError, which says what to do, for a file that cannot be read or has not these
    columns.
    """
    try:
        if path.suffix.lower() in PARQUET:
            yield from _parquet_rows(path, columns)
        else:
            yield from _csv_rows(path, columns)
    except (OSError, EOFError, zlib.error) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ConfigError(f"{path}: cannot be read: {why}") from error


def _plain(name: str) -> str:
    return "".join(ch for ch in name.lower() if ch.isalnum())


def _places(found: Sequence[str], columns: Sequence[Column]) -> list[int | None] | None:
    """Where each wanted column stands; None if one that is required is missing."""
    at = {_plain(name): i for i, name in reversed(list(enumerate(found)))}
    places = [
        next((at[_plain(name)] for name in column.names if _plain(name) in at), None)
        for column in columns
    ]
    missing = any(
        place is None and column.required for place, column in zip(places, columns, strict=True)
    )
    return None if missing else places


def _no_columns(path: Path, found: str, columns: Sequence[Column]) -> ConfigError:
    wanted = "; ".join(
        f"{' or '.join(each.names)}{'' if each.required else ' (may be left out)'}"
        for each in columns
    )
    return ConfigError(
        f"{path}: has not the columns that are needed, but {found[:200]!r}. Needed: {wanted}. "
        "Rename the columns in the first line of the file"
    )


# -- CSV -------------------------------------------------------------------------------------------


def _csv_rows(path: Path, columns: Sequence[Column]) -> Iterator[TableRow]:
    with _open_text(path) as file:
        places, separator, first = _header(path, file, columns)
        number = first
        while text := file.readline(LINE_LIMIT):
            number += 1
            if not text.endswith(("\n", "\r")) and len(text) == LINE_LIMIT:
                while text and not text.endswith(("\n", "\r")):
                    text = file.readline(LINE_LIMIT)
                yield TableRow(number, (), "the line is too long")
                continue
            text = text.strip()
            if not text:
                continue
            cells = _split(text, separator)
            try:
                yield TableRow(number, tuple(p if p is None else cells[p] for p in places))
            except IndexError:
                yield TableRow(number, (), "cells are missing")


def _header(
    path: Path, file: TextIO, columns: Sequence[Column]
) -> tuple[list[int | None], str, int]:
    """Where the columns stand, what separates them, and the number of the line that says so."""
    seen = ""
    for number in range(1, PREAMBLE + 1):
        text = file.readline(LINE_LIMIT)
        if not text:
            break
        text = text.strip().lstrip("\ufeff")
        separator = max((",", ";", "\t"), key=text.count)
        places = _places(_split(text, separator), columns)
        if places is not None:
            return places, separator, number
        seen = seen or text
    raise _no_columns(path, seen, columns)


def _split(text: str, separator: str) -> list[str]:
    if '"' in text:
        try:
            return [cell.strip() for cell in next(csv.reader([text], delimiter=separator))]
        except (csv.Error, StopIteration):
            return []
    return [cell.strip() for cell in text.split(separator)]


def _open_text(path: Path) -> TextIO:
    if path.suffix.lower() == ".gz":
        return io.TextIOWrapper(gzip.open(path), encoding="utf-8", errors="replace", newline=None)
    return path.open(encoding="utf-8", errors="replace", newline=None)


# -- Parquet ---------------------------------------------------------------------------------------


def _parquet_rows(path: Path, columns: Sequence[Column]) -> Iterator[TableRow]:
    try:
        import pyarrow  # only at a desk
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise ConfigError(
            f"{path}: Parquet is read by pyarrow, which is not installed: {INSTALL}, or export "
            "the log as CSV"
        ) from error
    try:
        with parquet.ParquetFile(path) as file:
            names = list(file.schema_arrow.names)
            places = _places(names, columns)
            if places is None:
                raise _no_columns(path, ", ".join(names), columns)
            wanted = [names[place] for place in places if place is not None]
            number = 0
            for batch in file.iter_batches(BATCH_ROWS, columns=list(dict.fromkeys(wanted))):
                lists = {name: _cells(batch.column(name), pyarrow) for name in set(wanted)}
                empty = [None] * batch.num_rows
                parts = [empty if p is None else lists[names[p]] for p in places]
                for cells in zip(*parts, strict=True):
                    number += 1
                    yield TableRow(number, cells)
    except pyarrow.ArrowException as error:
        text = str(error).splitlines()[0] if str(error) else "damaged"
        raise ConfigError(f"{path}: is no Parquet file that can be read: {text}") from error


def _cells(column: Any, pyarrow: Any) -> list[Any]:
    """Python's values; of times those of `LoggedTime`."""
    kind = column.type
    if pyarrow.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if not pyarrow.types.is_timestamp(kind):
        return ["" if cell is None else cell for cell in column.to_pylist()]
    utc = kind.tz is not None
    whole = column.cast(pyarrow.timestamp("ms", kind.tz), safe=False).cast(pyarrow.int64())
    return ["" if ms is None else LoggedTime(ms, utc) for ms in whole.to_pylist()]


# -- cells -----------------------------------------------------------------------------------------


def whole_number(cell: object) -> int | None:
    """Of a cell, `12` or `12.0`; None if it is none."""
    if isinstance(cell, str) and cell.isascii() and cell.isdigit() and len(cell) < 16:
        return int(cell)  # nearly all of them
    if isinstance(cell, bool) or cell is None:
        return None
    if isinstance(cell, int):
        return cell
    try:
        value = float(str(cell)) if not isinstance(cell, float) else cell
        return int(value) if value == int(value) and abs(value) < 2**53 else None
    except (ValueError, OverflowError):
        return None


def word(cell: object) -> str:
    """A cell as text; a whole number without its decimals, for exports make 454 into 454.0."""
    number = whole_number(cell)
    return str(number) if number is not None else "" if cell is None else str(cell).strip()
