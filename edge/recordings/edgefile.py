"""The file of recorded edges, `t_ms,line,level`: read row by row, and written.

A level is 0 or 1, and such a row is an edge. `=0` and `=1` are no edges: so the line stood when
somebody began to watch it, as the kernel tells it of a line that is opened. `?`: from here on
nobody watches the line, until its next row; that is a gap, and no silence.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple, TextIO

from edge.core.edge import Edge

CSV_HEADER: Final = ["t_ms", "line", "level"]
LINE_LIMIT: Final = 1000  # characters of one line
BLOCK: Final = 65_536  # characters that are read at once where rows do not matter
TIME_LIMIT_NS: Final = 366 * 86_400 * 1_000_000_000  # a year of windows is half a million records
LEVELS: Final = {"0": False, "1": True, "=0": False, "=1": True}
FOUND: Final = "="  # begins the level of a line that was found so
UNWATCHED: Final = "?"


class UnwatchedLine(NamedTuple):
    """From here on nobody watches the line."""

    line: str
    mono_ns: int


class EdgeRow(NamedTuple):
    """One line of an edge file: an edge, the end of watching, or what is wrong with it."""

    number: int
    edge: Edge | None
    error: str = ""
    unwatched: UnwatchedLine | None = None

    @property
    def mono_ns(self) -> int | None:
        """When it was; None of a row that is wrong."""
        if self.edge is not None:
            return self.edge.mono_ns
        return None if self.unwatched is None else self.unwatched.mono_ns


def read_edge_rows(file: TextIO) -> Iterator[EdgeRow]:
    """Read `t_ms,line,level`; `t_ms` may have decimals, of which microseconds are kept.

    No cell needs quotes, so there are none: a stray one spoils its own row only.
    """
    header = file.readline(LINE_LIMIT).strip()
    if [cell.strip() for cell in header.split(",")] != CSV_HEADER:
        yield EdgeRow(
            1, None, f"the first line must be {','.join(CSV_HEADER)}, not {header[:80]!r}"
        )
        return
    before_ns = 0
    for number, text in enumerate(_lines(file), 2):
        try:
            t_ms, line, level = text.split(",")
            level = level.strip()
            mono_ns = round(float(t_ms) * 1000) * 1000
            high = None if level == UNWATCHED else LEVELS[level]
        except KeyError:
            yield EdgeRow(number, None, f"level must be 0 or 1, =0, =1 or ?, not {level[:80]!r}")
            continue
        except (ValueError, OverflowError):
            if not text.strip():
                continue
            yield EdgeRow(
                number, None, f"three cells are needed, the first a number: {text[:80]!r}"
            )
            continue
        if not 0 <= mono_ns <= TIME_LIMIT_NS:
            yield EdgeRow(number, None, f"t_ms {t_ms.strip()[:30]} is not between 0 and a year")
        elif mono_ns < before_ns:
            text = f"t_ms {t_ms.strip()[:30]} is earlier than in the line above: sort by t_ms"
            yield EdgeRow(number, None, text)
        else:
            before_ns = mono_ns
            if high is None:
                yield EdgeRow(number, None, unwatched=UnwatchedLine(line.strip(), mono_ns))
            else:  # without a number it is no edge
                seqno = 0 if level[0] == FOUND else number
                yield EdgeRow(number, Edge(line.strip(), high, mono_ns, seqno))


def _lines(file: TextIO) -> Iterator[str]:
    """Line by line; of one that is too long the beginning, which is no row then."""
    while text := file.readline(LINE_LIMIT):
        yield text
        while text and text[-1] not in "\r\n":
            text = file.readline(LINE_LIMIT)


def read_through(file: TextIO) -> Iterator[int]:
    """Read a file to its end, block by block, a tenth of the work of reading its rows.

    Gives the moment (ns) of the last whole row of each block, where that is one.
    """
    while block := file.read(BLOCK):
        t_ms = block.rpartition("\n")[0].rpartition("\n")[2].partition(",")[0]
        try:
            mono_ns = round(float(t_ms) * 1000) * 1000
        except (ValueError, OverflowError):
            continue
        if 0 <= mono_ns <= TIME_LIMIT_NS:
            yield mono_ns


def open_edges(path: Path) -> TextIO:
    """A CSV, or the same through gzip. What is no UTF-8 spoils its own row only."""
    if path.suffix == ".gz":
        return io.TextIOWrapper(gzip.open(path), encoding="utf-8", errors="replace", newline="")
    return path.open(encoding="utf-8", errors="replace", newline="")


class EdgeFileWriter:
    """Writes such a file through gzip; rows must come in the order of time.

    The same rows give the same bytes, so gzip is told neither a time nor a name.
    """

    def __init__(self, path: Path) -> None:
        self._raw = path.open("wb")
        self._file = io.TextIOWrapper(
            gzip.GzipFile(filename="", mode="wb", fileobj=self._raw, compresslevel=6, mtime=0),
            encoding="utf-8",
            newline="\n",
        )
        self._file.write(",".join(CSV_HEADER) + "\n")

    def write(self, t_ms: int, line: str, level: str) -> None:
        """`level` is one of the words of this file."""
        self._file.write(f"{t_ms},{line},{level}\n")

    def close(self) -> None:
        """Always safe."""
        self._file.close()
        self._raw.close()
