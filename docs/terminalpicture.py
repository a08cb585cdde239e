"""A terminal's screen as an SVG: its letters, colours and bold, in a window of its own size.

No picture of letters is in it: a viewer without the font shows its own, each row as long as it is.
"""

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby
from typing import Final, Protocol

CELL_W: Final = 8.4  # of a letter of 14 pixels
CELL_H: Final = 18
PAD: Final = 12
INK, PAPER, DIM = "#d0d7de", "#0d1117", "#8b949e"
COLOURS: Final = {
    "default": INK, "black": DIM, "red": "#ff7b72", "green": "#3fb950", "brown": "#d29922",
    "blue": "#58a6ff", "magenta": "#bc8cff", "cyan": "#39c5cf", "white": INK,
}  # fmt: skip


class Cell(Protocol):
    """A letter of a terminal, as pyte has it."""

    @property
    def data(self) -> str: ...
    @property
    def fg(self) -> str: ...
    @property
    def bold(self) -> bool: ...


def screen_svg(rows: Sequence[Sequence[Cell]], columns: int, title: str) -> str:
    """`rows` of `columns` letters; `title` is read to those who cannot see it."""
    width, height = columns * CELL_W + 2 * PAD, len(rows) * CELL_H + 2 * PAD
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="100%" height="100%" rx="6" fill="{PAPER}"/>',
        '<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14" '
        'xml:space="preserve">',
    ]
    for number, row in enumerate(rows):
        lines += _spans(row, PAD + (number + 0.75) * CELL_H)
    return "\n".join([*lines, "</g>", "</svg>", ""])


def _spans(row: Sequence[Cell], y: float) -> Iterator[str]:
    at = 0
    for (colour, bold), cells in groupby(row, key=lambda cell: (cell.fg, cell.bold)):
        text = "".join(cell.data for cell in cells)
        if text.strip():
            weight = ' font-weight="bold"' if bold else ""
            fill = COLOURS.get(colour, INK)
            x, length = PAD + at * CELL_W, len(text) * CELL_W
            yield (
                f'<text x="{x:.1f}" y="{y:.1f}" textLength="{length:.1f}" fill="{fill}"{weight}>'
                f"{escape(text)}</text>"
            )
        at += len(text)
