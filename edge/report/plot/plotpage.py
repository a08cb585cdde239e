"""The whole: a picture for each approach, in one SVG or in a page that can be pointed at."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from math import inf, isnan
from pathlib import Path
from typing import Final

from edge.report.plot import picture, scale, strips, style, svgpaths
from edge.report.plot.columntable import ColumnTable
from edge.report.plot.picture import PANELS
from edge.report.plot.plotdata import SIGNAL, LaneData, PlotData, View
from edge.report.plot.scale import LEFT, PLOT, WIDTH, Heading, short_number

SUFFIXES: Final = (".html", ".svg")
ROWS: Final = 300  # of the table of flags; the rest is counted
EDGE: Final = 20.0  # around a picture that stands alone
SCRIPTS: Final = tuple(
    Path(__file__).with_name(name) for name in ("lines.js", "redraw.js", "page.js")
)
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def draw_page(data: PlotData, heading: Heading, ending: str) -> str:
    """As a text of one of SUFFIXES."""
    view = View.of(data, heading)
    ends = picture.axis_tops(view)
    drawn = [(name, *picture.draw_approach(view, name, ends)) for name in data.approaches]
    rest = picture.draw_others(view)
    named = [(name, picture.alt_text(view, name), inner, high) for name, inner, high in drawn]
    if rest is not None:
        named.append(("", "Flags and bays that belong to no approach.", *rest))
    return (_alone if ending == ".svg" else _page)(view, named)


Drawn = Sequence[tuple[str, str, str, float]]  # name, summary, inside, height


def _alone(view: View, drawn: Drawn) -> str:
    y, parts = 46.0, []
    for _, _, inner, high in drawn:
        size = f'y="{short_number(y)}" width="{short_number(WIDTH)}" height="{short_number(high)}"'
        parts.append(f"<svg {size}>{inner}</svg>")
        y += high + 16
    title, about = view.heading.title, _about(view)
    long = " ".join(f"{name}: {text}" if name else text for name, text, _, _ in drawn)
    box = f"{-EDGE} {-EDGE} {WIDTH + 2 * EDGE} {round(y) + 2 * EDGE}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" role="img" '
        f'aria-labelledby="title desc"><title id="title">{escape(title)}</title>'
        f'<desc id="desc">{escape(f"{about} {long}")}</desc><style>{style.picture_css()}</style>'
        f'<rect class="ground" x="{-EDGE}" y="{-EDGE}" width="100%" height="100%"/>'
        f'<text x="0" y="14" class="head">{escape(title)}</text>'
        f'<text x="0" y="32" class="muted">{escape(about)}</text>{"".join(parts)}</svg>\n'
    )


def _page(view: View, drawn: Drawn) -> str:
    title = escape(view.heading.title)
    body = []
    for i, (name, text, inner, high) in enumerate(drawn):
        label = escape(f"approach {name}" if name else "other devices")
        body.append(
            f'<section data-approach="{escape(name)}"><svg class="view" role="img" '
            f'viewBox="0 0 {short_number(WIDTH)} {short_number(high)}" aria-labelledby="t{i} d{i}">'
            f'<title id="t{i}">{label}</title><desc id="d{i}">{escape(text)}</desc>'
            f"{inner}</svg></section>"
        )
    script = "".join(path.read_text(encoding="utf-8") for path in SCRIPTS)
    data = json.dumps(_data(view), separators=(",", ":")).replace("<", "\\u003c")
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<style>{style.picture_css()}{style.page_css()}</style></head><body><h1>{title}</h1>"
        f'<p class="note">{escape(_about(view))}</p><div class="tools" hidden></div>'
        f'<main>{"".join(body)}</main>{_lanes(view)}{_flags(view)}<div id="told"></div>'
        f'<script type="application/json" id="data">{data}</script>'
        f"<script>{script}</script></body></html>\n"
    )


def _about(view: View) -> str:
    kept, start = view.kept, view.heading.start_s
    whole = f"{scale.time_text(0, start)} to {scale.time_text(view.frame.to_s, start)}"
    text = (
        f"{whole}{' UTC' if start is not None else ' since the start'}. Windows of "
        f"{scale.duration_text(kept.period_ns / 1e9)}; a point of a line stands for "
        f"{scale.duration_text(view.bin_s)}, the pale band shows the lowest and the highest "
        "window. Where a line has a gap, nothing is known."
    )
    return f"{text} {view.heading.note}".strip()


def _lanes(view: View) -> str:
    whole_s = view.frame.to_s
    rows = []
    for lane in view.kept.lanes.values():
        sums = {
            name: sum(svgpaths.without_nan(lane.table[name]))
            for name in ("covered", "volume", "on", "n", "speed", "singles", "single")
        }
        covered, n = sums["covered"], sums["n"]
        cells = [
            f"{sums['volume']:,.0f}" if covered else "-",
            f"{100 * sums['on'] / covered:.1f}" if covered and lane.table.has("on") else "-",
            f"{sums['speed'] / n:.1f}" if n else _estimated(sums),
            f"{100 * min(1.0, covered / whole_s):.1f}",
        ]
        numbers = "".join(f'<td class="n">{cell}' for cell in cells)
        rows.append(f"<tr><td>{escape(lane.name)}<td>{escape(lane.approach)}{numbers}")
    head = "".join(f'<th class="n">{t}' for t in ("vehicles", "occupancy, %", "speed, km/h",
                                                  "time known, %"))  # fmt: skip
    return f"<h2>Lanes</h2><table><tr><th>lane<th>approach{head}{''.join(rows)}</table>"


def _estimated(sums: Mapping[str, float]) -> str:
    """A speed from one loop is not as sure as one from a pair."""
    return f"about {sums['single'] / sums['singles']:.0f}" if sums["singles"] else "-"


def _flags(view: View) -> str:
    flags, start = view.kept.flags, view.heading.start_s
    rows = []
    for span in flags.spans[:ROWS]:
        end = (
            "up still"
            if span.to_ns is None
            else scale.duration_text((span.to_ns - span.from_ns) / 1e9)
        )
        when = scale.time_text(span.from_ns / 1e9, start)
        cells = (span.kind.replace("_", " "), span.sentence())
        texts = "".join(f"<td>{escape(cell)}" for cell in cells)
        rows.append(f'<tr><td>{when}<td class="n">{"" if span.moment else end}{texts}')
    more = len(flags.spans) - len(rows) + flags.more
    note = f'<p class="note">And {more:,} more.</p>' if more else ""
    if not rows:
        return "<h2>Flags</h2><p>None was raised.</p>"
    head = '<tr><th>from<th class="n">for<th>kind<th>what was said'
    return f"<h2>Flags</h2><table>{head}{''.join(rows)}</table>{note}"


def _data(view: View) -> dict[str, object]:
    """For the script: numbers as texts, a comma between two, nothing for what is not known."""
    kept = view.kept
    return {
        "start": view.heading.start_s,
        "width": kept.width_ns / 1e9,
        "columns": kept.columns,
        "to": view.frame.to_s,
        "bin": view.bin_s,
        "left": LEFT,
        "plot": PLOT,
        "strip": [strips.STRIP, strips.HEIGHTS],
        "panels": {p.kind: [p.least, None if p.most == inf else p.most] for p in PANELS},
        "words": {str(code): [word, kept.states.grade(code)]
                  for code, word in kept.states.words.items()},
        "lanes": [_lane(lane, kept) for lane in kept.lanes.values()],
        "approaches": {name: _chances(table) for name, table in kept.approaches.items()},
    }  # fmt: skip


def _lane(lane: LaneData, data: PlotData) -> dict[str, object]:
    table, width_s = lane.table, data.width_ns / 1e9
    folded = data.width_ns > data.period_ns
    covered = _text(table, "covered", 10, same=width_s)
    found: dict[str, object] = {
        "name": lane.name,
        "approach": lane.approach,
        "covered": covered,
        "volume": _text(table, "volume", 1),
        "occupancy": _text(table, "on", 1000, by="covered"),
        "n": _text(table, "n", 1),
        "speed": _text(table, "speed", 10, by="n"),
        "single": _text(table, "single", 10, by="singles"),
        "queue": _text(table, "queue", 10),
    }
    found |= {name: _text(table, name, 1) for name in ("singles", *SIGNAL) if table.has(name)}
    if folded:
        found |= {name: _text(table, name, 1000) for name in ("low", "high")}
        found |= {name: _text(table, name, 10) for name in ("slow", "fast")}
    for part in lane.loops or ("health",):
        found[part] = _runs(table, part)
    return found


def _chances(table: ColumnTable) -> dict[str, str]:
    return {name: _text(table, name, 1000) for name in table.columns if table.has(name)}


def _text(
    table: ColumnTable, name: str, times: int, by: str = "", same: float | None = None
) -> str:
    """A column, or its mean by another one; a number that is `same` is left out."""
    if not table.has(name):
        return ""
    out = []
    for i, value in enumerate(table[name]):
        divisor = table.get(by, i) if by else 1.0
        known = not isnan(value) and divisor > 0 and value != same
        out.append(str(round(value / divisor * times)) if known else "")
    return ",".join(out)


def _runs(table: ColumnTable, part: str) -> list[list[int]]:
    """Codes of states with how many columns each lasts; -1 for none."""
    codes = (-1 if isnan(code) else int(code) for code in table[part])
    return [[code, len(list(run))] for code, run in groupby(codes)]
