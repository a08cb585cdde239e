"""The screen of `kerbstone live`: asks again and again, and sends only letters that have changed.

It is the one module that knows textual. Nothing moves by itself: a page is made at most once in
`every_s`, and over a slow line only what differs from the page before goes out.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import Any, ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from edge.core.printable import columns_of
from edge.diagnose.livesource import LiveSource
from edge.report.live.livehistory import LiveHistory
from edge.report.live.livepage import LEAST_WIDTH, Look, Row, StyleName, live_rows, title_row

KEYS_ROW: Final[Row] = (("q quit  p pause  arrows, Page Up, Page Down scroll", "dim"),)
PAUSED_ROW: Final[Row] = (("PAUSED  p goes on  q quit  arrows scroll", "bad"),)
STYLES: Final[Mapping[StyleName, Style]] = {
    "": Style(),
    "head": Style(bold=True),
    "bad": Style(bold=True, color="red"),
    "doubt": Style(color="yellow"),
    "dim": Style(dim=True),
    "on": Style(color="cyan"),
}
COLOURLESS: Final[Mapping[StyleName, Style]] = {
    "": Style(),
    "head": Style(bold=True),
    "bad": Style(bold=True),
    "doubt": Style(),
    "dim": Style(),
    "on": Style(),
}

Change = tuple[int, int, int]
"""Row, first column, columns."""


def changes(before: Sequence[Row], after: Sequence[Row]) -> list[Change]:
    """Where two pages differ: in each row from the first letter that does to the last."""
    found = []
    for number, (old, new) in enumerate(zip_longest(before, after, fillvalue=())):
        if old != new:
            one, two = _letters(old), _letters(new)
            size = max(len(one), len(two))
            one += [(" ", "")] * (size - len(one))
            two += [(" ", "")] * (size - len(two))
            differ = [at for at in range(size) if one[at] != two[at]]
            if differ:
                found.append((number, differ[0], differ[-1] - differ[0] + 1))
    return found


def _letters(row: Row) -> list[tuple[str, StyleName]]:
    """Column by column: a wide letter has two, an accent is with what is before it."""
    found: list[tuple[str, StyleName]] = []
    for text, style in row:
        for letter in text:
            columns = columns_of(letter)
            if columns == 0 and found:
                found[-1] = (found[-1][0] + letter, style)
            else:
                found += [(letter, style)] * columns
    return found


class _Rows(ScrollView, can_focus=True):
    """Rows that scroll. What is shown anew is only what has changed in those that are seen."""

    def __init__(self, styles: Mapping[StyleName, Style]) -> None:
        super().__init__()
        self._styles = styles
        self.rows: list[Row] = []

    def show(self, rows: list[Row]) -> None:
        before, self.rows = self.rows, rows
        if len(before) != len(rows):
            self.virtual_size = Size(LEAST_WIDTH, len(rows))
        top = self.scroll_offset.y
        regions = [
            Region(column, number - top, count, 1)
            for number, column, count in changes(before, rows)
            if top <= number < top + self.size.height
        ]
        if regions:
            self.refresh(*regions)

    def render_line(self, y: int) -> Strip:
        number = y + self.scroll_offset.y
        row = self.rows[number] if number < len(self.rows) else ()
        return _strip(row, self.size.width, self._styles)


class _OneRow(Widget):
    """One row that stays where it is."""

    def __init__(self, row: Row, styles: Mapping[StyleName, Style]) -> None:
        super().__init__()
        self._row, self._styles = row, styles

    def show(self, row: Row) -> None:
        before, self._row = self._row, row
        regions = [Region(at, 0, count, 1) for _, at, count in changes([before], [row])]
        if regions:
            self.refresh(*regions)

    def render_line(self, y: int) -> Strip:
        return _strip(self._row, self.size.width, self._styles)


def _strip(row: Row, width: int, styles: Mapping[StyleName, Style]) -> Strip:
    segments = [Segment(text, styles[style]) for text, style in row]
    return Strip(segments).adjust_cell_length(width)


class LiveScreen(App[int]):
    """Runs until `q` or Ctrl-C. `clock_ns` never jumps."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { background: ansi_default; color: ansi_default; }
    _OneRow { height: 1; background: ansi_default; }
    _Rows { height: 1fr; background: ansi_default; scrollbar-size: 0 0; overflow-x: hidden; }
    """
    BINDINGS: ClassVar[list[Binding | tuple[str, str] | tuple[str, str, str]]] = [
        Binding("q", "leave(0)", "quit"),
        Binding("ctrl+c", "leave(130)", "quit", priority=True),
        Binding("p", "hold", "pause"),
    ]

    def __init__(
        self,
        source: LiveSource,
        first: Mapping[str, Any],
        *,
        every_s: float,
        clock_ns: Callable[[], int],
        colours: bool,
        plain: bool,
    ) -> None:
        """`first`: an answer that has come already. `plain`: no block letters."""
        super().__init__(ansi_color=True)
        self.animation_level = "none"
        self._source, self._every_s, self._clock_ns, self._plain = source, every_s, clock_ns, plain
        self._history = LiveHistory()
        self._answer, self._why, self._at_ns = first, "", clock_ns()
        self._held = False
        styles = STYLES if colours else COLOURLESS
        self._title, self._page = _OneRow((), styles), _Rows(styles)
        self._keys = _OneRow(KEYS_ROW, styles)
        self._history.take(first)

    def compose(self) -> ComposeResult:
        yield from (self._title, self._page, self._keys)

    def on_mount(self) -> None:
        self._page.focus()
        self._show()
        self.run_worker(self._go_on(), name="answers")

    def on_resize(self) -> None:
        self._show()

    def action_hold(self) -> None:
        """Stand still, to read or to copy."""
        self._held = not self._held
        self._keys.show(PAUSED_ROW if self._held else KEYS_ROW)

    def action_leave(self, code: int) -> None:
        self.exit(code)

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)  # noqa: TID251  a screen's own pace
            if self._held:
                continue
            answer, self._why = await asyncio.to_thread(self._source.look)
            if answer is not None:
                self._answer, self._at_ns = answer, self._clock_ns()
                self._history.take(answer)
            if not self._held:
                self._show()

    def _show(self) -> None:
        width = max(self.size.width, LEAST_WIDTH)
        late_s = (self._clock_ns() - self._at_ns) / 1e9 if self._why else 0.0
        look = Look(width, self._plain, late_s)
        self._title.show(title_row(self._answer, self._why, look))
        self._page.show(live_rows(self._answer, self._history, look))
