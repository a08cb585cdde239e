"""What is a state and no number: flags as bars, the health of loops as strips."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby
from math import isnan
from typing import Final

from edge.report.plot.columntable import ColumnTable
from edge.report.plot.flagspans import FlagSpan
from edge.report.plot.plotdata import LaneData, View
from edge.report.plot.scale import LEFT, short_number, time_text
from edge.report.plot.statecodes import FACTOR

BAR: Final = 17.0
STRIP: Final = 15.0
STACKED: Final = 6  # bars of one kind above one another; further ones lie on the last
CELLS: Final = 1000  # of a strip: the worst word within one is drawn
LETTER: Final = 6.2
HEIGHTS: Final = {"ok": 3.0, "none": 11.0, "warn": 7.0, "fault": 11.0}
WRITTEN: Final = ("none", "fault")  # in the strip, too: their boxes are high enough
LABEL_CHARACTERS: Final = 22  # letters of a name at the side


def draw_flags(view: View, spans: Sequence[FlagSpan], y: float) -> tuple[float, list[str]]:
    """A row for each kind, more where two are up at once; and where they end."""
    parts = []
    for kind in sorted({span.kind for span in spans}, key=_order):
        free = [-1.0]
        parts.append(_label(kind.replace("_", " "), y + 12, "name"))
        for span in (span for span in spans if span.kind == kind):
            x, width = _place(view, span)
            row = next((i for i, end in enumerate(free) if end <= x), len(free))
            if row == len(free) and row < STACKED:
                free.append(0.0)
            row = min(row, len(free) - 1)
            free[row] = x + width + 1
            parts.append(_bar(view, span, x, width, y + row * BAR))
        y += len(free) * BAR + 3
    return (y + 4 if spans else y), parts


def _order(kind: str) -> tuple[int, str]:
    first = ("congestion", "incident", "anomaly", "sensor_fault")
    return (first.index(kind) if kind in first else len(first), kind)


def _place(view: View, span: FlagSpan) -> tuple[float, float]:
    end_s = view.frame.to_s if span.to_ns is None else span.to_ns / 1e9
    x = view.frame.x(span.from_ns / 1e9)
    return x, max(3.0, view.frame.x(end_s) - x)


def _bar(view: View, span: FlagSpan, x: float, width: float, y: float) -> str:
    label = _fitting_text(span.row, width)
    start = view.heading.start_s
    until = "up still" if span.to_ns is None else time_text(span.to_ns / 1e9, start)
    when = time_text(span.from_ns / 1e9, start) + ("" if span.moment else f" to {until}")
    end = "" if span.to_ns is None else f' data-to="{short_number(span.to_ns / 1e9)}"'
    css = span.kind if span.kind in ("congestion", "anomaly", "sensor_fault") else "other"
    return (
        f'<g class="bar {css}" data-from="{short_number(span.from_ns / 1e9)}"{end} '
        f'data-text="{escape(span.row)}"><title>{escape(f"{when}: {span.sentence()}")}</title>'
        f'<rect x="{_n(LEFT + x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(BAR - 3)}" rx="2"/>'
        f'<text x="{_n(LEFT + x + 4)}" y="{_n(y + 11)}">{escape(label)}</text></g>'
    )


def _fitting_text(text: str, width: float) -> str:
    """As much of it as there is room for: all, its last word, nothing."""
    words = (text, text.rpartition(" ")[2], "")
    return next(word for word in words if len(word) * LETTER + 8 < width or not word)


def draw_jams(view: View, spans: Sequence[FlagSpan]) -> list[str]:
    """Congestion as a ground behind the panels, which have no left margin."""
    found = []
    for span in spans:
        if span.kind == "congestion" and not span.moment:
            x, width = _place(view, span)
            end = "" if span.to_ns is None else f' data-to="{short_number(span.to_ns / 1e9)}"'
            found.append(
                f'<rect class="jam" data-from="{short_number(span.from_ns / 1e9)}"{end} '
                f'x="{_n(x)}" width="{_n(width)}" height="100%"/>'
            )
    return found


def draw_health(view: View, lanes: Sequence[LaneData], y: float) -> tuple[float, list[str]]:
    """A strip for each loop that records have, else one for the lane."""
    parts = [_label("loop health", y + 12, "name")]
    y += STRIP + 2
    for i, lane in enumerate(lanes):
        for part in lane.loops or ("health",):
            name = lane.name if part == "health" else f"{lane.name} {part}"
            parts.append(_label(name, y + 11, "small"))
            parts.append(f'<g class="strip" data-lane="{i}" data-kind="{part}" data-y="{_n(y)}">')
            parts += _states(view, lane.table, part, y)
            parts.append("</g>")
            y += STRIP
    return y + 6, parts


def _states(view: View, table: ColumnTable, part: str, y: float) -> Iterator[str]:
    states, size, width_s = view.kept.states, _size(view), view.kept.width_ns / 1e9
    column = table[part]
    worst = [
        max((code for code in column[at : at + size] if not isnan(code)), default=-1.0)
        for at in range(0, len(column), size)
    ]
    at = 0
    for code, run in groupby(worst):
        begin, at = at, at + len(list(run))
        if code < 0:
            continue
        from_s, to_s = begin * size * width_s, min(at * size * width_s, view.frame.to_s)
        word, grade = states.words[int(code)], states.grade(int(code))
        yield _cell(view, from_s, to_s, y, grade, word if int(code) >= FACTOR else "")


def _cell(view: View, from_s: float, to_s: float, y: float, css: str, word: str) -> str:
    x = view.frame.x(from_s)
    width = max(1.0, view.frame.x(to_s) - x)
    height, start = HEIGHTS[css], view.heading.start_s
    title = ""
    if word:
        when = f"{time_text(from_s, start)} to {time_text(to_s, start)}"
        title = f"<title>{escape(f'{when}: {word}')}</title>"
    box = (
        f'<rect class="s-{css}" x="{_n(LEFT + x)}" y="{_n(y + (STRIP - height) / 2)}" '
        f'width="{_n(width)}" height="{_n(height)}">{title}</rect>'
    )
    if css not in WRITTEN or not (label := _fitting_text(word, width)):
        return box
    return (
        f'{box}<text class="w-{css}" x="{_n(LEFT + x + 4)}" y="{_n(y + 11)}">{escape(label)}</text>'
    )


def draw_bays(view: View, y: float) -> tuple[float, list[str]]:
    """A strip for each bay: thick while it is taken."""
    parts, size, width_s = [], _size(view), view.kept.width_ns / 1e9
    for name, table in view.kept.bays.items():
        parts.append(_label(name, y + 11, "small"))
        taken = [
            _share(table["covered"][at : at + size], table["on"][at : at + size])
            for at in range(0, len(table), size)
        ]
        at = 0
        for share, run in groupby(taken):
            begin, at = at, at + len(list(run))
            if share is None:
                continue
            css, word = ("warn", "taken") if share else ("ok", "")
            to_s = min(at * size * width_s, view.frame.to_s)
            parts.append(_cell(view, begin * size * width_s, to_s, y, css, word))
        y += STRIP
    return y + 4, parts


def _share(covered: Sequence[float], on: Sequence[float]) -> bool | None:
    seen = sum(c for c in covered if not isnan(c))
    return sum(o for o in on if not isnan(o)) >= seen / 2 if seen else None


def _size(view: View) -> int:
    return max(1, -(-view.kept.columns // CELLS))


def _label(text: str, y: float, css: str) -> str:
    text = text if len(text) <= LABEL_CHARACTERS else f"{text[: LABEL_CHARACTERS - 1]}…"
    return f'<text x="0" y="{_n(y)}" class="{css}">{escape(text)}</text>'


def _n(value: float) -> str:
    return short_number(round(value, 1))
