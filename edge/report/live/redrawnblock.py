"""Rows of a terminal that are written anew in their place: only what has changed is sent."""

from collections.abc import Iterable
from shutil import get_terminal_size

from edge.core.printable import fold_line, printable
from edge.terminal import CLEAR, draw


class RedrawnBlock:
    """On stdout, where that `has_cursor`. A block that is higher than the terminal is cut, and says
    so. Raises OutputLostError.
    """

    def __init__(self, cut: str = "") -> None:
        """`cut`: behind the number of rows that had no room: where to see them."""
        self._cut = cut
        self._rows: list[str] = []
        self._size = get_terminal_size()

    def show(self, lines: Iterable[str]) -> None:
        size = get_terminal_size()
        if size != self._size:  # where the old rows are now nobody knows
            self._rows, self._size = [], size
        rows = [row for line in lines for row in fold_line(printable(line), size.columns - 1)]
        room = max(2, size.lines - 1)
        if len(rows) > room:
            last = f"... and {len(rows) - room + 1} more rows"
            cut = self._cut if len(last + self._cut) < size.columns else ""
            rows = [*rows[: room - 1], last + cut]
        before = self._rows
        out = [f"\x1b[{len(before)}A"] if before else []
        for number, row in enumerate(rows):
            same = number < len(before) and before[number] == row
            out.append("\n" if same else f"{CLEAR}{row}\n")
        out += ["\x1b[J"] if len(before) > len(rows) else []
        self._rows = rows
        draw("".join(out))
